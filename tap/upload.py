"""UPLOAD: tables of the user's own, queried as ``TAP_UPLOAD.name`` for the time of one query.

They become temporary tables of the session that runs the query: made and filled before its
read-only transaction begins, dropped when the session goes back to the pool, never seen by others.
"""

from __future__ import annotations

__all__ = ["SCHEMA", "UploadRequest", "Uploads", "opened_uploads", "parse_upload"]

import re
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import errorcodes, sql

from schemas import sphere
from schemas.columns import Table
from schemas.errors import ParameterError, TooLargeError, UploadError
from schemas.spools import opener_of
from tap.adql.words import RESERVED
from tap.execute import voiced
from tap.uploads.copying import HEADER, TRAILER, copy_frames
from tap.uploads.fetch import FetchRules, fetch
from tap.uploads.formats import read
from tap.uploads.position import position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812  # it is a class

    from schemas.columns import Column
    from schemas.dali import Upload
    from schemas.settings import LimitSettings
    from tap.uploads.reading import Opener, Reading

SCHEMA: Final = "TAP_UPLOAD"

_PAIR: Final = re.compile(r"\s*([^,]*?)\s*,\s*(.*?)\s*", re.DOTALL)
_NEXT: Final = re.compile(r';(?=\s*(?:[A-Za-z]\w*|"[^"]*")\s*,\s*[A-Za-z][A-Za-z0-9+.-]*:)')
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_PARAM: Final = "param:"
_LONGEST_NAME: Final = 63
_MOST_UPLOADS: Final = 20
#: Bytes that rows may take in the database, as a multiple of what a request may have.
_GROWTH: Final = 10


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """One pair of the parameter UPLOAD.

    Attributes
    ----------
    name
        Of the table.
    uri
        ``param:PART``, or an address.
    """

    name: str
    uri: str


def parse_upload(text: str) -> tuple[UploadRequest, ...]:
    """Read a value of UPLOAD: ``name,uri``, or several with ``;`` between.

    Raises
    ------
    ParameterError
        If it is something else, or a name cannot be a table's.

    Notes
    -----
    Standard: TAP-1.1 2.7.6; DALI-1.1 3.4.5; TAP-1.0 2.5 for the ``;``.
    """
    return tuple(_pair(part) for part in _NEXT.split(text.strip().rstrip(";")))


def _pair(text: str) -> UploadRequest:
    found = _PAIR.fullmatch(text)
    if found is None or not found[2]:
        raise ParameterError("UPLOAD", text[:200], "NAME,param:PART or NAME,http://HOST/...")
    name, uri = found[1], found[2]
    schema, dot, rest = name.rpartition(".")
    if dot and schema.upper() == SCHEMA:
        name = rest
    if not _NAME.fullmatch(name):
        expected = "a table name of letters, digits and underscores that begins with a letter"
        raise ParameterError("UPLOAD", name[:200], expected)
    if name.upper() in RESERVED:
        raise ParameterError("UPLOAD", name, "a table name that is no reserved word of ADQL")
    if len(name) > _LONGEST_NAME:
        expected = f"a table name of at most {_LONGEST_NAME} characters"
        raise ParameterError("UPLOAD", name[:200], expected)
    return UploadRequest(name, uri)


@dataclass(frozen=True, slots=True)
class _Uploaded:
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

    def __init__(self, held: Sequence[_Uploaded], limits: LimitSettings, timeout_s: float) -> None:
        self._held = held
        self._limits = limits
        self._timeout_s = timeout_s

    @property
    def tables(self) -> tuple[Table, ...]:
        """Declarations of the tables."""
        return tuple(one.table for one in self._held)

    @property
    def stored(self) -> dict[str, tuple[str, ...]]:
        """Identifiers of each in the database, by qualified name."""
        return {one.table.qualified_name: ("pg_temp", one.stored) for one in self._held}

    def load(self, connection: Connection) -> None:
        """Make the tables in a session, and fill them; on an error nothing is left of them.

        Raises
        ------
        UploadError
            If a row is wrong, or there are too many; names upload, row and column.
        TimeLimitError, BusyError, FatalError
            If the database cannot take them.
        """
        for one in self._held:
            try:
                self._load(connection, one)
            except UploadError as error:
                raise _named(error, one.table.name) from error
            except psycopg2.Error as error:
                if error.pgcode == errorcodes.PROGRAM_LIMIT_EXCEEDED:
                    message = "a row is too wide for the database: expected fewer columns"
                    raise _named(UploadError(message), one.table.name) from error
                voiced(error, timeout_s=self._timeout_s)

    def _load(self, connection: Connection, one: _Uploaded) -> None:
        name = sql.Identifier("pg_temp", one.stored)
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(f"c{number}"), sql.SQL(column.sql_type))
            for number, column in enumerate(one.table.columns, start=1)
        )
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({})").format(name, columns))
            source = _Source(self._frames(one))
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
                cursor.execute(_index_on(one))
            cursor.execute(sql.SQL("ANALYZE {}").format(name))

    def _frames(self, one: _Uploaded) -> Iterator[bytes]:
        yield HEADER
        rows = written = 0
        for block in one.reading.blocks():
            frames = copy_frames(one.table.columns, block, first=rows + 1)
            rows += block.length
            written += len(frames)
            if rows > self._limits.upload_rows:
                raise TooLargeError(
                    f"it has more than {self._limits.upload_rows} rows, which is the limit "
                    "(limits.upload_rows): upload less, or in several requests"
                )
            if written > _GROWTH * self._limits.upload_bytes:
                raise TooLargeError(
                    f"its values take more than {_GROWTH * self._limits.upload_bytes} bytes in the "
                    f"database, {_GROWTH} times what a request may have (limits.upload_bytes)"
                )
            yield frames
        yield TRAILER


def _index_on(one: _Uploaded) -> sql.Composed:
    """The index of positions that published tables have: uploads are matched with each other."""
    assert one.table.position is not None  # noqa: S101  # the caller's condition
    ra, dec = map(sql.Identifier, one.table.position)
    return sql.SQL("CREATE INDEX ON {} ({}, {})").format(
        sql.Identifier("pg_temp", one.stored),
        sql.SQL(sphere.zone_expression("{}")).format(dec),
        ra,
    )


def _named(error: UploadError, name: str) -> UploadError:
    """Say which upload is at fault."""
    return type(error)(f"upload {name}: {error}")


class _Source:
    """The file that COPY reads from; keeps what went wrong, of which the driver tells a text."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._kept = b""
        self.failure: Exception | None = None

    def read(self, size: int) -> bytes:
        """Some bytes, at most so many; none at the end."""
        try:
            while not self._kept:
                self._kept = next(self._frames)
        except StopIteration:
            return b""
        except Exception as error:
            self.failure = error
            raise
        piece, self._kept = self._kept[:size], self._kept[size:]
        return piece


@contextmanager
def opened_uploads(
    requested: Sequence[UploadRequest],
    parts: Mapping[str, Upload],
    limits: LimitSettings,
    *,
    timeout_s: float,
) -> Iterator[Uploads]:
    """Read what a request uploads, as far as the columns; what was fetched is gone afterwards.

    Parameters
    ----------
    requested
        Values of UPLOAD.
    parts
        Files of the request by name.
    limits
        What they may use.
    timeout_s
        Seconds that a statement may take.

    Raises
    ------
    ParameterError
        If two tables have one name, or a part is not there.
    UploadError
        If one cannot be fetched or read; names it.
    """
    _check_names(requested)
    with ExitStack() as stack:
        held = []
        for number, one in enumerate(requested, start=1):
            try:
                opener, media_type = _source(one, parts, limits, stack)
                reading = read(opener, media_type)
                table = _table(one.name, reading.columns)
            except UploadError as error:
                raise _named(error, one.name) from error
            held.append(_Uploaded(table, f"upload_{number}", reading))
        yield Uploads(held, limits, timeout_s)


def _check_names(requested: Sequence[UploadRequest]) -> None:
    if len(requested) > _MOST_UPLOADS:
        found = f"{len(requested)} tables"
        raise ParameterError("UPLOAD", found, f"at most {_MOST_UPLOADS} in one request")
    seen: set[str] = set()
    for one in requested:
        if one.name.lower() in seen:
            raise ParameterError("UPLOAD", one.name, "a name that no other upload has")
        seen.add(one.name.lower())


def _source(
    one: UploadRequest,
    parts: Mapping[str, Upload],
    limits: LimitSettings,
    stack: ExitStack,
) -> tuple[Opener, str]:
    """What opens an upload's file, and its MIME type."""
    if one.uri[: len(_PARAM)].lower() == _PARAM:
        wanted = one.uri[len(_PARAM) :]
        part = parts.get(wanted)
        if part is None:
            there = ", ".join(sorted(parts)) or "none"
            expected = f"the name of a file part of the request (found: {there[:500]})"
            raise ParameterError("UPLOAD", one.uri[:200], expected)
        return part.open, part.media_type
    sink = stack.enter_context(tempfile.TemporaryFile())
    rules = FetchRules(limits.upload_bytes, limits.upload_timeout_s, limits.upload_hosts)
    media_type = fetch(one.uri, sink, rules)
    return opener_of(sink), media_type


def _table(name: str, columns: tuple[Column, ...]) -> Table:
    if not columns:
        raise UploadError("the table has no columns: expected one at least")
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise UploadError(f"two columns are called {column.name[:200]!r}: expected one each")
        seen.add(column.name)
    place = position_of(columns)
    position = None if place is None else (f"c{place[0] + 1}", f"c{place[1] + 1}")
    return Table(SCHEMA, name, columns, "Uploaded with the query", position=position)
