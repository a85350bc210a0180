"""Run a translated query as the reader role and hand its rows over as they come.

The transport is COPY (FORMAT binary): it uses parallel plans, costs the server little, and its
frames are nearly BINARY2. A thread reads it into a bounded queue of blocks; the first block is
awaited before the caller has its answer, so that what fails at once fails before anything is sent.
This is one of the two modules that speak to the database driver.
"""

from __future__ import annotations

__all__ = ["Execution", "execute", "voiced"]

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psycopg2
from psycopg2 import errorcodes

from schemas.blocks import Block
from schemas.errors import (
    AuthorizationError,
    BusyError,
    FatalError,
    QueryError,
    TimeLimitError,
    VOError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812  # it is a class

    from schemas.columns import Column

_log = logging.getLogger(__name__)
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_HEADER: Final = 19
_TRAILER: Final = b"\xff\xff"
_FIRST_ROWS: Final = 256
_BLOCK_ROWS: Final = 8192
_BLOCK_BYTES: Final = 1 << 20
_ROW_BYTES: Final = 1 << 26
_QUEUED: Final = 4
_PATIENCE_S: Final = 0.2


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
    """

    def __init__(
        self,
        connection: Connection,
        sql: str,
        columns: Sequence[Column],
        *,
        limit: int | None,
        timeout_s: float,
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._columns = columns
        self._limit = limit
        self._timeout_s = timeout_s
        self._queue: queue.Queue[list[bytes] | BaseException | None] = queue.Queue(_QUEUED)
        self._gone = threading.Event()
        self._overflowed = False
        self._thread = threading.Thread(target=self._copy, name="copy", daemon=True)

    def rows(self) -> Iterator[Block]:
        """Start the query, wait for its first rows, and hand over what gives them all.

        Raises
        ------
        QueryError, TimeLimitError, BusyError, FatalError
            If the statement fails before its first rows. The iterator raises the same where it
            fails later.
        """
        self._thread.start()
        first = self._next()
        return self._blocks(first)

    def overflowed(self) -> bool:
        """Whether there were more rows than the limit; known once all rows are read."""
        return self._overflowed

    def close(self) -> None:
        """Stop the query if it still runs; the connection is free again afterwards."""
        self._gone.set()
        while self._thread.is_alive():
            self._connection.cancel()
            self._thread.join(_PATIENCE_S)

    def _blocks(self, frames: list[bytes] | None) -> Iterator[Block]:
        left = self._limit
        while frames is not None:
            if left is not None and len(frames) > left:
                self._overflowed = True
                frames = frames[:left]
            if frames:
                yield Block.from_copy(self._columns, frames)
            if self._overflowed:
                return
            left = None if left is None else left - len(frames)
            frames = self._next()

    def _next(self) -> list[bytes] | None:
        item = self._queue.get()
        if isinstance(item, VOError):
            raise item
        if isinstance(item, BaseException):
            message = "the answer cannot be read from the database"
            raise FatalError(message) from item
        return item

    def _copy(self) -> None:
        sink = _Frames(self._put)
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(f"COPY ({self._sql}) TO STDOUT (FORMAT binary)", sink)
            sink.flush()
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

    def _put(self, item: list[bytes] | BaseException | None) -> None:
        """Queue it; drop it once nobody reads, so that the driver can end the COPY in order."""
        while not self._gone.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return


class _Frames:
    """The file that COPY writes into: the driver calls ``write`` with one message, one row."""

    def __init__(self, put: Any) -> None:  # noqa: ANN401  # the queue's own put
        self._put = put
        self._frames: list[bytes] = []
        self._bytes = 0
        self._rows = _FIRST_ROWS
        self._started = False

    def write(self, message: bytes) -> int:
        """Take a message; the first begins with the header, the last is the trailer."""
        size = len(message)
        if not self._started:
            self._started = True
            if not message.startswith(_SIGNATURE):
                text = "COPY does not begin as it should"
                raise FatalError(text)
            message = message[_HEADER:]
        if not message or message == _TRAILER:
            return size
        if size > _ROW_BYTES:
            self.flush()
            text = f"a row has {size >> 20} MB, expected at most {_ROW_BYTES >> 20}: ask for less"
            self._put(QueryError(text))
            return size
        self._frames.append(message)
        self._bytes += size
        if len(self._frames) >= self._rows or self._bytes >= _BLOCK_BYTES:
            self.flush()
            self._rows = _BLOCK_ROWS
        return size

    def flush(self) -> None:
        """Hand over what has come."""
        if self._frames:
            self._put(self._frames)
        self._frames = []
        self._bytes = 0


def execute(
    connection: Connection,
    sql: str,
    columns: Sequence[Column],
    *,
    limit: int | None,
    timeout_s: float,
) -> tuple[Execution, Iterator[Block]]:
    """Run a statement and wait for its first rows; see :class:`Execution`."""
    if connection.info.parameter_status("standard_conforming_strings") != "on":
        message = "the database has standard_conforming_strings off: expected on"
        raise FatalError(message)
    execution = Execution(connection, sql, columns, limit=limit, timeout_s=timeout_s)
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
