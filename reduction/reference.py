"""Reading reference catalogues from CSV files."""

from __future__ import annotations

__all__ = ["load_reference", "read_reference"]

import csv
import gzip
import io
import zlib
from typing import TYPE_CHECKING

from reduction.steps.reference import ReferenceTable, parse_reference
from schemas.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

_GZIP = b"\x1f\x8b"


def load_reference(path: Path) -> ReferenceTable:
    """Read a catalogue file, ``.csv`` or ``.csv.gz``.

    Raises
    ------
    IngestError
        If it is no CSV table of a form that :func:`reduction.steps.reference.parse_reference`
        knows; names the file, what was found and what was expected.
    """
    return read_reference(path.read_bytes(), path.name)


def read_reference(content: bytes, name: str) -> ReferenceTable:
    """Read a catalogue from a file's bytes; ``name`` is used in errors only.

    Raises
    ------
    IngestError
        As :func:`load_reference`.
    """
    try:
        data = gzip.decompress(content) if content.startswith(_GZIP) else content
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise IngestError(name, f"found {error}, expected a whole CSV file in UTF-8") from error
    rows = list(csv.reader(io.StringIO(text)))
    rows = [row for row in rows if row]
    if len(rows) < 2:  # a heading and a star
        raise IngestError(name, f"found {len(rows)} lines, expected a heading and at least a row")
    heading, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(heading):
            what = f"found {len(row)} fields in row {number}, expected {len(heading)}"
            raise IngestError(name, what)
    columns = dict(zip(heading, zip(*body, strict=True), strict=True))
    try:
        return parse_reference(columns)
    except IngestError as error:
        raise IngestError(name, error.what) from error
