"""Puts uploaded tables into the session that queries them.

They become temporary tables: made and filled before the session's read-only transaction begins,
dropped when it goes back to the pool, never seen by others.
"""

from __future__ import annotations

__all__ = ["Uploaded", "Uploads", "named"]

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import errorcodes, sql

from schemas import sphere
from schemas.errors import BusyError, TooLargeError, UploadError
from tap.execute import voiced
from tap.uploads.copying import HEADER, TRAILER, copy_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from schemas.columns import Table
    from schemas.database import Connection
    from schemas.settings import LimitSettings
    from tap.uploads.reading import Reading

#: Bytes that rows may take in the database, as a multiple of what a request may have.
_GROWTH: Final = 10


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A table, the name under which the database knows it, and where its rows come from."""

    table: Table
    stored: str
    reading: Reading


class Uploads:
    """The uploaded tables of one query.

    Parameters
    ----------
    held
        What was uploaded, columns known.
    limits
        What they may use.
    timeout_s
        Seconds that a statement may take.
    """

    def __init__(self, held: Sequence[Uploaded], limits: LimitSettings, timeout_s: float) -> None:
        self._held = held
        self._limits = limits
        self._timeout_s = timeout_s
        self._rows = self._bytes = 0
        self._astray: set[str] = set()

    @property
    def tables(self) -> tuple[Table, ...]:
        """Declarations of the tables; once they are loaded, those astray have no position."""
        return tuple(
            replace(one.table, position=None) if one.stored in self._astray else one.table
            for one in self._held
        )

    @property
    def are_astray(self) -> bool:
        """Whether a table that is loaded has declinations that no index of positions takes."""
        return bool(self._astray)

    @property
    def stored(self) -> dict[str, tuple[str, ...]]:
        """Identifiers of each in the database, by qualified name."""
        return {one.table.qualified_name: ("pg_temp", one.stored) for one in self._held}

    def load(
        self, connection: Connection, *, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Make the tables in a session, and fill them; on an error nothing is left of them.

        Parameters
        ----------
        connection
            Of the session.
        is_wanted
            Asked now and then: does anybody still wait?

        Raises
        ------
        UploadError
            If a row is wrong, or there are too many; names upload, row and column.
        TimeLimitError, BusyError, FatalError
            If the database cannot take them.
        """
        self._rows = self._bytes = 0  # of all tables, each time that they are loaded
        for one in self._held:
            try:
                self._load(connection, one, is_wanted)
            except UploadError as error:
                raise named(error, one.table.name) from error
            except psycopg2.Error as error:
                if (error.pgcode or "")[:2] == errorcodes.CLASS_PROGRAM_LIMIT_EXCEEDED:
                    message = "a row is too wide for the database: expected fewer columns"
                    raise named(UploadError(message), one.table.name) from error
                voiced(error, timeout_s=self._timeout_s)

    def _load(self, connection: Connection, one: Uploaded, is_wanted: Callable[[], bool]) -> None:
        name = sql.Identifier("pg_temp", one.stored)
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(f"c{number}"), sql.SQL(column.sql_type))
            for number, column in enumerate(one.table.columns, start=1)
        )
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({})").format(name, columns))
            source = _Source(self._frames(one, is_wanted))
            try:
                cursor.copy_expert(
                    sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(name), source
                )
            except psycopg2.Error:
                # The driver tells the server, and the server us, that the source has failed.
                if source.failure is not None:
                    raise source.failure from None
                raise
            if one.table.position:
                cursor.execute(_stray_of(one.stored, one.table.position))
                if cursor.fetchone():
                    self._astray.add(one.stored)
                else:
                    cursor.execute(_index_on(one.stored, one.table.position))
            cursor.execute(sql.SQL("ANALYZE {}").format(name))

    def _frames(self, one: Uploaded, is_wanted: Callable[[], bool]) -> Iterator[bytes]:
        yield HEADER
        rows = 0
        for block in one.reading.blocks():
            if not is_wanted():
                message = "nobody waits for the answer any more"
                raise BusyError(message)
            frames = copy_frames(one.table.columns, block, first=rows + 1)
            rows += block.length
            self._rows += block.length
            self._bytes += len(frames)
            if self._rows > self._limits.upload_rows:
                raise TooLargeError(
                    f"the request has more than {self._limits.upload_rows} rows, which is the "
                    "limit (limits.upload_rows): upload less, or in several requests"
                )
            if self._bytes > _GROWTH * self._limits.upload_bytes:
                raise TooLargeError(
                    "the request's values take more than "
                    f"{_GROWTH * self._limits.upload_bytes} bytes, {_GROWTH} times what a request "
                    "may have (limits.upload_bytes)"
                )
            yield frames
        yield TRAILER


def _index_on(stored: str, position: tuple[str, str]) -> sql.Composed:
    """The index of positions that published tables have, whatever turn a right ascension is on."""
    ra, dec = map(sql.Identifier, position)
    return sql.SQL("CREATE INDEX ON {} ({}, {})").format(
        sql.Identifier("pg_temp", stored),
        sql.SQL(sphere.zone_expression("{}")).format(dec),
        sql.SQL(sphere.turn_expression("{0}")).format(ra),
    )


def _stray_of(stored: str, position: tuple[str, str]) -> sql.Composed:
    """A row whose declination is no number of degrees, such as 1e30 where there is none."""
    return sql.SQL("SELECT 1 FROM {} WHERE {} NOT BETWEEN {} AND {} LIMIT 1").format(
        sql.Identifier("pg_temp", stored),
        sql.Identifier(position[1]),
        sql.Literal(-sphere.FARTHEST),
        sql.Literal(sphere.FARTHEST),
    )


def named(error: UploadError, name: str) -> UploadError:
    """Say which upload is at fault."""
    return type(error)(f"upload {name}: {error}")


class _Source:
    """The file that COPY reads from; keeps what went wrong, of which the driver tells a text."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._kept = b""
        self.failure: Exception | None = None

    def readline(self, size: int = -1, /) -> bytes:
        """Nothing that COPY asks for; the driver wants it to be there."""
        return self.read(size)

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, at most so many; none at the end."""
        try:
            while not self._kept:
                self._kept = next(self._frames)
        except StopIteration:
            return b""
        except Exception as error:
            self.failure = error
            raise
        size = len(self._kept) if size < 0 else size
        piece, self._kept = self._kept[:size], self._kept[size:]
        return piece
