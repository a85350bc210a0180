"""Answer a TAP query: parse, check, find its scope, make that fresh, translate, execute."""

from __future__ import annotations

__all__ = ["Context", "run"]

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from reduction.freshness import Fresh
from schemas.dali import Info, TableResult, Terms
from schemas.errors import BusyError, TimeLimitError
from schemas.maxrec import NO_ROWS, overflow_text, row_limit
from tap.adql.checker import check
from tap.adql.parser import parse
from tap.adql.translator import translate
from tap.cost import planned, shorten
from tap.execute import execute
from tap.scope import scope_of
from tap.unknown import unknown_names
from tap.upload import opened_uploads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from reduction.archive import Archive
    from reduction.freshness import Answering
    from reduction.scope import Scope
    from schemas.columns import Column
    from schemas.dali import Params
    from schemas.database import Connection
    from schemas.frames import Frames
    from schemas.lines import Lines
    from schemas.settings import LimitSettings
    from tap.adql.catalogue import Catalogue
    from tap.adql.nodes import Query
    from tap.execute import Execution
    from tap.uploads.loading import Uploads

_PLAIN: Final = Terms()


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is answered from.

    Attributes
    ----------
    archive
        Makes fresh what the query touches, and opens the snapshot.
    catalogue
        The tables it may name.
    limits
        What it may use.
    """

    archive: Archive
    catalogue: Catalogue
    limits: LimitSettings


def run(params: Params, context: Context, terms: Terms = _PLAIN) -> TableResult:
    """Answer a query; its statement is running and its first rows are there on return.

    Parameters
    ----------
    params
        Values of :data:`tap.protocol.PARAMS`.
    context
        What it is answered from.
    terms
        How its rows come, its uploads, and its limits.

    Returns
    -------
    TableResult
        Must be closed: it holds a connection and its snapshot.

    Raises
    ------
    QueryError
        If the query is wrong or fails; says where and what would be right.
    UploadError
        If an uploaded table cannot be read; says which, and where.
    TransientError
        If what it needs cannot be made, or answered, in time.

    Notes
    -----
    Standard: TAP-1.1 2.7 and 3; DALI-1.1 3.4.4 (with MAXREC=0 nothing is executed or made).
    """
    asked = parse(params["QUERY"])  # before anything is fetched or read for it
    requested = [one for value in params["UPLOAD"] for one in value]
    if not requested:
        return _answer(asked, params, context, terms)
    timeout_s = terms.timeout_s or context.limits.sync_timeout_s
    opened = opened_uploads(requested, terms.uploads, context.limits, timeout_s=timeout_s)
    with opened as uploads:
        return _answer(asked, params, context, terms, uploads)


def _load(uploads: Uploads, terms: Terms, connection: Connection) -> None:
    """Load the uploads of a query, which may be stopped at any time."""
    terms.begun(connection.cancel)
    try:
        uploads.load(connection, is_wanted=terms.is_wanted)
    finally:
        terms.ended()


def _not_short(allowed_s: float) -> BusyError:
    message = (
        f"all places for long queries are taken, and this one did not end in {allowed_s:g} s: ask "
        "again later, or run it as an asynchronous job (TAP's async)"
    )
    return BusyError(message, retry_after_s=15)


def _catalogue(context: Context, uploads: Uploads | None) -> Catalogue:
    if uploads is None:
        return context.catalogue
    return context.catalogue.with_tables(uploads.tables, uploads.stored)


def _answer(
    asked: Query,
    params: Params,
    context: Context,
    terms: Terms,
    uploads: Uploads | None = None,
) -> TableResult:
    checked = check(asked, _catalogue(context, uploads))
    scope = scope_of(checked)
    notes = unknown_names(scope, context.archive.registry)
    infos = (Info("QUERY", params["QUERY"]), Info("LANG", params["LANG"]), *notes)
    limit = row_limit(params["MAXREC"], context.limits)
    if params["MAXREC"] == 0:
        return TableResult(
            checked.columns, iter(()), infos, overflowed=lambda: True, overflow=NO_ROWS
        )
    statement = translate(checked, limit=limit + 1)
    with ExitStack() as stack:
        snapshot = _snapshot(scope, params, context, terms, uploads)
        answering = stack.enter_context(snapshot)
        stack.callback(terms.ended)
        if uploads is not None and uploads.are_astray:
            checked = check(asked, _catalogue(context, uploads))
            statement = translate(checked, limit=limit + 1)
        execution, blocks = _executed(
            answering.connection,
            statement.text,
            checked.columns,
            terms,
            context.limits,
            limit=limit,
        )
        stack.callback(execution.close)
        return TableResult(
            checked.columns,
            blocks,
            (*infos, *answering.report.infos()),
            overflowed=execution.overflowed,
            overflow=overflow_text(params["MAXREC"], context.limits),
            close=stack.pop_all().close,
        )


def _snapshot(
    scope: Scope, params: Params, context: Context, terms: Terms, uploads: Uploads | None
) -> AbstractContextManager[Answering]:
    """Open the snapshot that a query is answered in, its uploads loaded."""
    return context.archive.snapshot(
        scope,
        fresh=Fresh(params["FRESH"]),
        asof=params["ASOF"],
        timeout_s=terms.timeout_s or context.limits.sync_timeout_s,
        make_budget_s=terms.make_budget_s,
        prepare=None if uploads is None else partial(_load, uploads, terms),
    )


def _executed(
    connection: Connection,
    sql: str,
    columns: Sequence[Column],
    terms: Terms,
    limits: LimitSettings,
    *,
    limit: int,
) -> tuple[Execution, Iterator[Frames | Lines]]:
    """Run a statement in a snapshot, if it is let in; a short one for a short time."""
    timeout_s = terms.timeout_s or limits.sync_timeout_s
    allowed_s = terms.admit(lambda: planned(connection, sql, timeout_s=timeout_s)[0])
    if allowed_s is not None and allowed_s < timeout_s:
        shorten(connection, allowed_s)
    terms.begun(connection.cancel)
    try:
        return execute(
            connection,
            sql,
            columns,
            limit=limit,
            timeout_s=timeout_s,
            transport=terms.transport,
            is_wanted=terms.is_wanted,
            # of a job the file is limited instead (jobs.result_bytes)
            most_bytes=limits.answer_bytes if terms.timeout_s is None else None,
        )
    except TimeLimitError as error:
        if allowed_s is None or allowed_s >= timeout_s:
            raise
        raise _not_short(allowed_s) from error
