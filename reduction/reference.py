"""Reading reference catalogues from files: CSV, FITS tables, VOTables."""

from __future__ import annotations

__all__ = ["load_reference", "media_type", "read_reference"]

import csv
import gzip
import io
import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.reference_columns import FileColumns, fits_columns, named, votable_columns
from reduction.steps.reference import (
    ReferenceKind,
    ReferenceTable,
    parse_reference,
    recognise_reference,
)
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_GZIP: Final = b"\x1f\x8b"
#: Bytes at a file's beginning that say what it is, white space before XML among them.
_HEAD: Final = 1000
_FITS: Final = b"SIMPLE  ="
_XML: Final = (b"<?xml", b"<VOTABLE")
_POSITION: Final = ("name", "ra", "dec")
_AS_THEY_ARE: Final[Mapping[str, str]] = MappingProxyType({})


def load_reference(path: Path, columns: Mapping[str, str] = _AS_THEY_ARE) -> ReferenceTable:
    """Read a catalogue file: CSV, FITS or VOTable, as it is or compressed by gzip.

    Parameters
    ----------
    path
        The file; its bytes say what it is, not its name.
    columns
        The file's name of a column by ours: see
        :func:`reduction.reference_columns.named`.

    Raises
    ------
    IngestError
        If it is no table of a form that :func:`reduction.steps.reference.parse_reference`
        knows; names the file, what was found and what was expected.
    """
    return read_reference(path.read_bytes(), path.name, columns)


def read_reference(
    content: bytes, name: str, columns: Mapping[str, str] = _AS_THEY_ARE
) -> ReferenceTable:
    """Read a catalogue from a file's bytes; ``name`` is used in errors only.

    Raises
    ------
    IngestError
        As :func:`load_reference`.
    """
    try:
        there = _columns(_unpacked(content))
        found = named(there, columns)
        kind = _kind(found, list(there.texts))
        _see_rows(found)
        return parse_reference(found, kind)
    except IngestError as error:
        raise IngestError(name, error.what) from error


def _see_rows(columns: Mapping[str, Sequence[str]]) -> None:
    """See that there is a star.

    Raises
    ------
    IngestError
        If there is none.
    """
    if not any(map(len, columns.values())):
        raise IngestError("", "found a table without rows, expected at least a star")


def _kind(columns: Mapping[str, Sequence[str]], there: Sequence[str]) -> ReferenceKind:
    """Form of a catalogue with these columns under our names, of a file with those.

    Raises
    ------
    IngestError
        If it is none; where it is nearly our own, with the columns that are missing.
    """
    try:
        return recognise_reference(list(columns))
    except IngestError:
        missing = [word for word in _POSITION if word not in columns]
        if len(missing) == len(_POSITION):
            return recognise_reference(there)
        what = f"found no column for {', '.join(missing)} among {', '.join(there)}"
        what += f"; `--column {missing[0]}=COLUMN` says which it is"
        raise IngestError("", what) from None


def media_type(path: Path) -> str:
    """Media type of a catalogue file, or of what is gzipped in it, by its first bytes.

    Raises
    ------
    IngestError
        If it is a broken gzip file.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(len(_GZIP)) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(_HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise IngestError(path.name, f"found {error}, expected a whole gzip file") from error
    if content.startswith(_FITS):
        return "application/fits"
    if content.lstrip().startswith(_XML):
        return "application/x-votable+xml"
    return "text/csv"


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise IngestError("", f"found {error}, expected a whole CSV, FITS or VOTable") from error


def _columns(content: bytes) -> FileColumns:
    """Columns as the file has them."""
    if content.startswith(_FITS):
        return fits_columns(content)
    if content.lstrip().startswith(_XML):
        return votable_columns(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"found {error}, expected a whole CSV file in UTF-8, a FITS table or a VOTable"
        raise IngestError("", what) from error
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:  # as a quote that is never closed
        raise IngestError("", f"found {error}, expected a whole CSV file") from error
    if len(rows) < 2:  # a heading and a star
        raise IngestError("", f"found {len(rows)} lines, expected a heading and at least a row")
    heading, *body = rows
    twice = next((name for name in heading if name and heading.count(name) > 1), "")
    if twice:
        raise IngestError("", f"found two columns {twice}, expected names that differ")
    for number, row in enumerate(body, start=2):
        if len(row) != len(heading):
            what = f"found {len(row)} fields in row {number}, expected {len(heading)}"
            raise IngestError("", what)
    return FileColumns(dict(zip(heading, zip(*body, strict=True), strict=True)))
