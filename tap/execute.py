"""Run a translated query as the reader role and hand its rows over as they come.

The transport is COPY: it uses parallel plans and costs the server little. A thread reads it into a
bounded queue of pieces; the first piece is awaited before the caller has its answer, so that what
fails at once fails before anything is sent. This is one of the two modules that speak to the
database driver; what its pieces hold is the matter of ``tap/transport.py``.
"""

from __future__ import annotations

__all__ = ["Execution", "execute", "voiced"]

import logging
import queue
import threading
from typing import TYPE_CHECKING, Final, NoReturn

import psycopg2
from psycopg2 import errorcodes

from schemas.dali import Transport
from schemas.errors import (
    AuthorizationError,
    BusyError,
    FatalError,
    QueryError,
    TimeLimitError,
    VOError,
)
from tap.transport import cutter_for, statements_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from schemas.columns import Column
    from schemas.database import Connection
    from schemas.frames import Frames
    from schemas.lines import Lines
    from tap.transport import Piece

_log = logging.getLogger(__name__)
_QUEUED: Final = 4
_PATIENCE_S: Final = 0.05
_HURRY_S: Final = 0.05


class Execution:
    """A query that is running; its rows can be read once.

    Parameters
    ----------
    connection
        Of the reader role, within the transaction that the answer comes from.
    sql
        One SELECT statement, complete: COPY takes no bind parameters.
    columns
        What the statement's columns are; the types are the checker's.
    limit
        Rows handed over at most; the statement should ask for one more.
    timeout_s
        Seconds the statement may run; for what is said where it does not suffice.
    transport
        How rows should come.
    is_wanted
        Asked while the first rows are awaited: where the client is gone, the query is stopped.
    most_bytes
        Bytes that are taken from the database before no more rows are; None for no limit.
    """

    def __init__(
        self,
        connection: Connection,
        sql: str,
        columns: Sequence[Column],
        *,
        limit: int | None,
        timeout_s: float,
        transport: Transport = Transport.BINARY,
        is_wanted: Callable[[], bool] = lambda: True,
        most_bytes: int | None = None,
    ) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._connection = connection
        self._is_wanted = is_wanted
        self._cutter = cutter_for(columns, transport)
        *self._settings, self._copying = statements_for(sql, columns, self._cutter)
        self._limit = limit
        self._timeout_s = timeout_s
        self._queue: queue.SimpleQueue[tuple[Piece | BaseException | None, bool]] = (
            queue.SimpleQueue()
        )
        self._slots = threading.Semaphore(_QUEUED)
        self._sink = self._cutter.sink(self._put)
        self._hurried = threading.Event()
        self._gone = threading.Event()
        self._overflowed: bool | str = False
        self._thread = threading.Thread(target=self._copy, name="copy", daemon=True)

    def rows(self) -> Iterator[Frames | Lines]:
        """Start the query, wait for its first rows, and hand over what gives them all.

        Raises
        ------
        QueryError, TimeLimitError, BusyError, FatalError
            If the statement fails before its first rows. The iterator raises the same where it
            fails later.
        """
        self._thread.start()
        first = self._next()
        self._is_wanted = lambda: True  # whoever sends the rows finds that out by himself
        return self._blocks(first)

    def overflowed(self) -> bool | str:
        """Whether there were more rows than the limit; known once all rows are read.

        A sentence where it was the limit of bytes.
        """
        return self._overflowed

    def close(self) -> None:
        """Stop the query if it still runs; the connection is free again afterwards."""
        self._gone.set()
        while self._thread.is_alive():
            self._connection.cancel()
            self._thread.join(_PATIENCE_S)

    def _blocks(self, piece: Piece | None) -> Iterator[Frames | Lines]:
        left = self._limit
        while piece is not None:
            rows, self._overflowed = self._cutter.cut(piece, left)
            if rows is not None:
                left = None if left is None else left - rows.length
                yield rows
            if self._overflowed:
                return
            self._bytes += sum(map(len, piece)) if isinstance(piece, list) else len(piece)
            piece = self._next()
            if piece is not None and self._most_bytes and self._bytes > self._most_bytes:
                self._overflowed = (
                    f"the rows take more than {self._most_bytes >> 20} MB, the most of one "
                    "answer: ask for fewer columns or in parts, or run it as an asynchronous job "
                    "(TAP's async)"
                )
                return

    def _next(self) -> Piece | None:
        item = self._wait()
        if isinstance(item, VOError):
            raise item
        if isinstance(item, BaseException):
            message = "the answer cannot be read from the database"
            raise FatalError(message) from item
        return item

    def _wait(self) -> Piece | BaseException | None:
        """The next item; where rows come slowly, those that are there."""
        while True:
            try:
                item, counted = self._queue.get(timeout=_HURRY_S)
            except queue.Empty:
                if not self._is_wanted():
                    message = "the client has left before its answer"
                    return BusyError(message)
                if self._cutter.can_be_hurried:
                    # the sink may be waiting in _put just now, holding its lock: it goes on
                    self._hurried.set()
                    self._sink.flush()
                    self._hurried.clear()
                continue
            if counted:
                self._slots.release()
            return item

    def _copy(self) -> None:
        try:
            with self._connection.cursor() as cursor:
                for setting in self._settings:
                    cursor.execute(setting)
                cursor.copy_expert(self._copying, self._sink)
            self._sink.flush()
            self._put(None)
        except psycopg2.Error as error:
            self._put(self._as_ours(error))
        except Exception as error:  # noqa: BLE001  # handed over to whoever waits for the rows
            self._put(error)

    def _as_ours(self, error: psycopg2.Error) -> VOError:
        try:
            voiced(error, timeout_s=self._timeout_s)
        except VOError as ours:
            return ours

    def _put(self, item: Piece | BaseException | None) -> None:
        """Queue it; drop it once nobody reads, so that the driver can end the COPY in order."""
        while not self._gone.is_set():
            counted = self._slots.acquire(timeout=_PATIENCE_S)
            if counted or self._hurried.is_set():
                self._queue.put((item, counted))
                return


def execute(
    connection: Connection,
    sql: str,
    columns: Sequence[Column],
    *,
    limit: int | None,
    timeout_s: float,
    transport: Transport = Transport.BINARY,
    is_wanted: Callable[[], bool] = lambda: True,
    most_bytes: int | None = None,
) -> tuple[Execution, Iterator[Frames | Lines]]:
    """Run a statement and wait for its first rows; see :class:`Execution`."""
    if connection.info.parameter_status("standard_conforming_strings") != "on":
        message = "the database has standard_conforming_strings off: expected on"
        raise FatalError(message)
    execution = Execution(
        connection,
        sql,
        columns,
        limit=limit,
        timeout_s=timeout_s,
        transport=transport,
        is_wanted=is_wanted,
        most_bytes=most_bytes,
    )
    try:
        return execution, execution.rows()
    except BaseException:
        execution.close()
        raise


_SENTENCES: Final = {
    errorcodes.DIVISION_BY_ZERO: "division by zero: exclude such rows with a condition in WHERE",
    errorcodes.NUMERIC_VALUE_OUT_OF_RANGE: "a number of the answer is out of its type's range",
    errorcodes.INVALID_REGULAR_EXPRESSION: "a regular expression cannot be used",
    errorcodes.INVALID_ARGUMENT_FOR_POWER_FUNCTION: "POWER or SQRT has no real value here",
    errorcodes.INVALID_ARGUMENT_FOR_LOGARITHM: "LOG and LOG10 need arguments greater than zero",
    errorcodes.GROUPING_ERROR: "a column outside GROUP BY is used without an aggregate function",
    errorcodes.CARDINALITY_VIOLATION: "a subquery used as a value gives more than one row",
}
_BUSY_CLASSES: Final = frozenset({"08", "53", "55", "57", "40"})


def voiced(error: psycopg2.Error, *, timeout_s: float) -> NoReturn:
    """Say a failure of the database in our own words; nothing of the SQL is told.

    Parameters
    ----------
    error
        The driver's.
    timeout_s
        Seconds the statement was allowed.

    Raises
    ------
    QueryError
        If the user's data or expressions are at fault (SQLSTATE class 22, 21, 54).
    TimeLimitError, BusyError
        If the statement ran out of time, or the database out of something else.
    AuthorizationError
        If the role may not read what the query names.
    FatalError
        For everything else; the log has the whole.

    Notes
    -----
    PostgreSQL manual, appendix A.
    """
    code = error.pgcode or ""
    if code == errorcodes.QUERY_CANCELED:
        message = (
            f"the query was stopped after its limit of {timeout_s:g} s: ask for less with "
            "conditions on indexed columns (TAP_SCHEMA.columns says which are), or run it as an "
            "asynchronous job (TAP's async), whose limit is higher"
        )
        raise TimeLimitError(message) from error
    if code in _SENTENCES:
        raise QueryError(_SENTENCES[code]) from error
    if code[:2] == "22":
        raise QueryError(error.diag.message_primary or "a value cannot be used") from error
    if code[:2] == "54":
        message = "the query is too complex: split it into several"
        raise QueryError(message) from error
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        message = "the query names something that you may not read"
        raise AuthorizationError(message) from error
    _log.error("database error", exc_info=error, extra={"sqlstate": code})
    if code[:2] in _BUSY_CLASSES or isinstance(error, psycopg2.OperationalError):
        message = "the database cannot answer at this moment"
        raise BusyError(message) from error
    message = "the database refused the statement that the query was translated to"
    raise FatalError(message) from error
