"""The protocols of the service, and what answers each."""

from __future__ import annotations

__all__ = ["DATALINK", "SIA", "SODA", "TAP", "mounted_protocols"]

from functools import partial
from typing import TYPE_CHECKING, Final

import sia.datalink
import sia.protocol
import sia.query
import sia.soda
import tap.protocol
from schemas.dali import ErrorForm, Mode
from tap import service as tap_service
from tap.adql.catalogue import Catalogue
from tap.estimate import estimate
from vo_service.formats.votable import TABLEDATA
from vo_service.mount import Mounted, Protocol
from vo_service.vosi import plain_capabilities, tap_capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reduction.archive import Archive
    from schemas.columns import Schema
    from schemas.dali import FileResult, Params, TableResult, Terms
    from vo_service.vosi import Health

TAP: Final = Protocol(
    "tap",
    "/tap",
    "sync",
    tap.protocol.STANDARD_ID,
    "1.1",
    tap.protocol.PARAMS,
    base=True,
    asks_form=("RESPONSEFORMAT", "FORMAT"),
    modes=frozenset({Mode.SYNC, Mode.ASYNC}),
)
SIA: Final = Protocol(
    "sia2",
    "/sia2",
    "query",
    sia.protocol.STANDARD_ID,
    sia.protocol.VERSION,
    sia.protocol.PARAMS,
    form=TABLEDATA,
    media_type="application/x-votable+xml",
)
SODA: Final = Protocol(
    "soda",
    "/soda",
    "sync",
    sia.soda.STANDARD_ID,
    sia.soda.VERSION,
    sia.soda.PARAMS,
    errors=ErrorForm.TEXT,
)
DATALINK: Final = Protocol(
    "datalink",
    "/datalink",
    "links",
    sia.datalink.STANDARD_ID,
    sia.datalink.VERSION,
    sia.datalink.PARAMS,
    form=TABLEDATA,
    media_type=sia.datalink.MEDIA_TYPE,
)


def mounted_protocols(
    archive: Archive, schemas: Sequence[Schema], *, base_url: str, health: Health
) -> tuple[Mounted, ...]:
    """Join each protocol with what answers it.

    Parameters
    ----------
    archive
        What questions are asked of.
    schemas
        What is published.
    base_url
        Of the whole service.
    health
        Asked for availability.
    """
    limits = archive.settings.limits
    tables = [table for schema in schemas for table in schema.tables]
    context = tap_service.Context(archive, Catalogue(tables), limits)
    tap_document = tap_capabilities(
        TAP, base_url=base_url, limits=limits, jobs=archive.settings.jobs, schemas=schemas
    )
    mounted = [
        Mounted(
            TAP,
            partial(_ask_tap, context),
            lambda: tap_document,
            health.document,
            partial(estimate, context=context),
        ),
    ]
    for protocol, run in (
        (SIA, sia.query.run),
        (SODA, sia.soda.run),
        (DATALINK, sia.datalink.run),
    ):
        document = partial(plain_capabilities, protocol, base_url=base_url)
        mounted.append(Mounted(protocol, partial(_ask, run, archive), document, health.document))
    return tuple(mounted)


def _ask_tap(context: tap_service.Context, params: Params, terms: Terms) -> TableResult:
    return tap_service.run(params, context, terms)


def _ask(
    run: Callable[[Params, Archive], TableResult | FileResult],
    archive: Archive,
    params: Params,
    terms: Terms,
) -> TableResult | FileResult:
    del terms  # of bulk answers
    return run(params, archive)
