"""UPLOAD: tables of the user's own, queried as ``TAP_UPLOAD.name`` for the time of one query.

The parameter is read here, and its files are opened; ``tap/uploads/`` reads them, and puts them
into the session that runs the query.
"""

from __future__ import annotations

__all__ = ["SCHEMA", "UploadRequest", "opened_uploads", "parse_upload"]

import re
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.columns import Table
from schemas.errors import ParameterError, UploadError
from schemas.spools import opener_of
from tap.adql.words import RESERVED
from tap.uploads.deadline import Deadline
from tap.uploads.fetch import FetchRules, fetch
from tap.uploads.formats import read
from tap.uploads.loading import Uploaded, Uploads, named
from tap.uploads.position import position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas.columns import Column
    from schemas.dali import Upload
    from schemas.settings import LimitSettings
    from tap.uploads.reading import Opener

SCHEMA: Final = "TAP_UPLOAD"

_PAIR: Final = re.compile(r"\s*([^,]*?)\s*,\s*(.*?)\s*", re.DOTALL)
_NEXT: Final = re.compile(r';(?=\s*(?:[A-Za-z]\w*|"[^"]*")\s*,\s*[A-Za-z][A-Za-z0-9+.-]*:)')
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_PARAM: Final = "param:"
_LONGEST_NAME: Final = 63
_MOST_UPLOADS: Final = 20


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
        with ExitStack() as watching:
            fetched = _Fetched(limits, stack, watching)
            for number, one in enumerate(requested, start=1):
                try:
                    opener, media_type = _source(one, parts, fetched)
                    reading = read(opener, media_type)
                    table = _table(one.name, reading.columns)
                except UploadError as error:
                    raise named(error, one.name) from error
                held.append(Uploaded(table, f"upload_{number}", reading))
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


class _Fetched:
    """What a request fetches: one time and one number of bytes are for all of it."""

    def __init__(self, limits: LimitSettings, stack: ExitStack, watching: ExitStack) -> None:
        self._rules = FetchRules(limits.upload_bytes, limits.upload_timeout_s, limits.upload_hosts)
        self._stack = stack
        self._watching = watching
        self._deadline: Deadline | None = None
        self._bytes = 0

    def fetch(self, uri: str) -> tuple[Opener, str]:
        """What opens the file from now on, and its MIME type."""
        if self._deadline is None:
            self._deadline = self._watching.enter_context(Deadline(self._rules.timeout_s))
        sink = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the stack closes it
        media_type = fetch(uri, sink, self._rules, self._deadline, before=self._bytes)
        self._bytes += sink.tell()
        return opener_of(sink), media_type


def _source(
    one: UploadRequest, parts: Mapping[str, Upload], fetched: _Fetched
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
    return fetched.fetch(one.uri)


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
