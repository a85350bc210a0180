"""A protocol at its addresses: one view for GET and POST, its VOSI beside it.

A protocol is mounted because it is declared in :data:`PROTOCOLS`; nothing here knows what it does.
"""

from __future__ import annotations

__all__ = ["Mounted", "Protocol", "form_of", "mount"]

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from schemas.dali import ErrorForm, Mode, TableResult, Terms, parse_params
from schemas.params import RUNID
from vo_service.connection import client_left
from vo_service.errors import error_response
from vo_service.formats.choice import choose, same_type
from vo_service.formats.votable import BINARY, BINARY2, TABLEDATA
from vo_service.logs import run_id
from vo_service.request import pairs, uploads
from vo_service.response import file_response, table_response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.dali import FileResult, Param, Params
    from schemas.estimates import Estimate
    from vo_service.formats.base import Format

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Protocol:
    """What has to be known of a protocol to mount it.

    Attributes
    ----------
    name
        Short, for addresses and logs: ``tap``.
    path
        Of the service below the base URL: ``/tap``.
    resource
        Of its interface below the service: ``sync``.
    standard_id, version
        IVOA identifier and version of the interface.
    params
        What it takes.
    errors
        The form of its failures.
    base
        Whether clients complete the service's address themselves (TAP).
    form, media_type
        Of tables where the request names no form.
    asks_form
        Parameters that name the form of the answer, the first one given counts. (FORMAT of SIA is
        none of them: it is about the images that are searched.)
    modes
        Whether it may be asked as a job too, beside the sync resource at ``async``.
    """

    name: str
    path: str
    resource: str
    standard_id: str
    version: str
    params: Sequence[Param]
    errors: ErrorForm = ErrorForm.VOTABLE
    base: bool = False
    form: Format = BINARY2
    media_type: str = BINARY2.mime
    asks_form: tuple[str, ...] = ("RESPONSEFORMAT",)
    modes: frozenset[Mode] = frozenset({Mode.SYNC})


@dataclass(frozen=True, slots=True)
class Mounted:
    """A protocol, what answers it, and its VOSI documents.

    Attributes
    ----------
    protocol
        What is mounted.
    run
        Values of its parameters, and terms, to an answer.
    capabilities, availability
        Make the documents.
    estimate
        What a job is expected to take; None where nobody can say.
    """

    protocol: Protocol
    run: Callable[[Params, Terms], TableResult | FileResult]
    capabilities: Callable[[], bytes]
    availability: Callable[[], bytes]
    estimate: Callable[[Params], Estimate] | None = None


def mount(mounted: Mounted, *, base_url: str) -> Blueprint:
    """Make the views of a protocol.

    Parameters
    ----------
    mounted
        The protocol and what answers it.
    base_url
        Of the whole service.

    Notes
    -----
    Standard: DALI-1.1 2 and 3.
    """
    protocol = mounted.protocol
    views = Blueprint(protocol.name, __name__, url_prefix=protocol.path)

    @views.route(f"/{protocol.resource}", methods=["GET", "POST"])
    def answer() -> Response:
        return _answer(mounted, base_url)

    @views.get("/capabilities")
    def capabilities() -> Response:
        return Response(mounted.capabilities(), content_type="text/xml;charset=utf-8")

    @views.get("/availability")
    def availability() -> Response:
        return Response(mounted.availability(), content_type="text/xml;charset=utf-8")

    @views.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return error_response(error, protocol.errors, request_id=g.request_id)

    return views


def _answer(mounted: Mounted, base_url: str) -> Response:
    protocol = mounted.protocol
    given = pairs(request)
    _keep_run_id(given)
    params = parse_params(protocol.params, given)
    form, mime = form_of(protocol, params)
    begun = time.monotonic()
    terms = Terms(
        transport=form.transport,
        uploads=uploads(request),
        admit=g.ticket.admit,
        is_wanted=lambda: not client_left(request),
    )
    result = mounted.run(params, terms)
    _log.debug("answering", extra={"seconds": round(time.monotonic() - begun, 4)})
    if isinstance(result, TableResult):
        return table_response(result, form, mime=mime, base_url=base_url, name=protocol.name)
    return file_response(result)


def form_of(protocol: Protocol, params: Params) -> tuple[Format, str]:
    """Form and MIME type of a table; protocols that answer with files check theirs themselves."""
    asked = next((params[name] for name in protocol.asks_form if params[name]), None)
    own = protocol.form, protocol.media_type
    if not asked or protocol.errors is ErrorForm.TEXT or same_type(asked, protocol.media_type):
        return own
    form, mime = choose(asked)
    _, _, content = protocol.media_type.partition(";content=")
    # What a VOTable is about is said in any of its serializations (DataLink-1.1 3.3).
    return form, protocol.media_type if content and form in {BINARY, BINARY2, TABLEDATA} else mime


def _keep_run_id(given: Sequence[tuple[str, str]]) -> None:
    """RUNID goes into the log also where other parameters are wrong (DALI-1.1 3.4.6)."""
    for name, value in given:
        if name.upper() == RUNID.name:
            run_id.set(value[:64])
