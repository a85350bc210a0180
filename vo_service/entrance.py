"""Where requests come in and go out: who needs a place for what he asks, and how long."""

from __future__ import annotations

__all__ = ["Entrance"]

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from flask import g, request
from werkzeug.exceptions import HTTPException

from schemas.dali import ErrorForm
from schemas.errors import BusyError, QuotaError
from vo_service.clients import client_of
from vo_service.connection import held_by_kernel, linger
from vo_service.errors import error_response
from vo_service.protocols import DATALINK, SIA, SODA, TAP

if TYPE_CHECKING:
    from flask import Response

    from vo_service.admission import Admission

_SMALL: Final = 1 << 14
_HELD: Final = 1 << 18
_PIECE: Final = 1 << 16
_LINGER_S: Final = 20.0
_SHORT_LINGER_S: Final = 0.1
_ADMITTED: Final = {f"{one.name}.answer" for one in (TAP, SIA, SODA, DATALINK)} | {
    "files.file",
    f"{TAP.name}-jobs.create",
    f"{TAP.name}-jobs.change",
    f"{TAP.name}-jobs.set_fact",
    f"{TAP.name}-jobs.set_parameters",
    f"{TAP.name}-jobs.result",
}


class Entrance:
    """Gives out places and takes them back; what holds no thread for long needs none.

    Parameters
    ----------
    admission
        The places.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def enter(self) -> None:
        """Let a request in.

        Questions and downloads need a place, and so does whatever has a body: its sender may be
        slow. The rest is never refused.
        """
        if request.endpoint in _ADMITTED or _has_body():
            g.ticket = self._admission.enter(client_of(request.remote_addr))

    def leave(self, response: Response) -> Response:
        """See that a place is held until the last byte of an answer is out, and no longer.

        Parameters
        ----------
        response
            The answer; another one where it is long and there is no place to send it from.
        """
        length = _length(response)
        if "ticket" not in g and (length is None or length > _HELD):
            try:
                g.ticket = self._admission.enter(client_of(request.remote_addr))
            except (BusyError, QuotaError) as error:
                response.close()
                response = error_response(error, ErrorForm.TEXT, request_id=g.request_id)
                length = _length(response)
        lingers = _has_body() and not _read_out(response)
        if lingers:
            _refuse_body(response)
        if length is not None and _SMALL < length <= _HELD:
            held_by_kernel(request.environ, length + _SMALL)
        if "ticket" in g:
            if lingers or length is None or length > _HELD:
                response.call_on_close(g.ticket.close)
            else:  # the client may ask again before the server has seen the end of this answer
                g.ticket.close()
        return response


def _has_body() -> bool:
    return bool(request.content_length) or "HTTP_TRANSFER_ENCODING" in request.environ


def _length(response: Response) -> int | None:
    """Bytes of an answer that is there as a whole; None for one that is made as it is sent."""
    if request.method == "HEAD" or response.status_code in (204, 304):
        return 0
    if response.is_streamed:
        # files of the pages, which are there as well
        return None if "ticket" in g else response.content_length
    return response.calculate_content_length()


def _read_out(response: Response) -> bool:
    """Read what is left of a request's body before it is answered, if it is known to end."""
    limit, length = request.max_content_length, request.content_length
    if "ticket" not in g or response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return False
    if not length or (limit is not None and length > limit):
        return False
    body = request.environ["wsgi.input"]
    with contextlib.suppress(OSError, EOFError, HTTPException):
        while body.read(_PIECE):
            pass
        return True
    return False


def _refuse_body(response: Response) -> None:
    """Let a client that still sends hear why it is refused.

    The answer is out at once and the connection is closed after it; what comes meanwhile is thrown
    away for a while, for a short one where there is no place to do that from.
    """
    response.headers["Connection"] = "close"
    too_large = response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    seconds = _LINGER_S if too_large and "ticket" in g else _SHORT_LINGER_S
    environ = request.environ
    response.call_on_close(lambda: linger(environ, seconds))
