"""Catalogue files, some rows at a time: CSV, FITS tables, VOTables; each may be gzipped.

What is in memory is a part of some thousand rows, however long the file is.
"""

from __future__ import annotations

__all__ = ["file_parts", "media_type"]

import csv
import gzip
import io
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from reduction.batches import batched
from reduction.reference_columns import FileColumns, quiet, table_columns
from reduction.votable_pieces import votable_pieces
from schemas.deferred import deferred
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from astropy import table
    from astropy.io import fits, votable
else:
    table = deferred("astropy.table")
    fits = deferred("astropy.io.fits")
    votable = deferred("astropy.io.votable")

_GZIP: Final = b"\x1f\x8b"
#: Bytes at a file's beginning that say what it is, white space before XML among them.
_HEAD: Final = 1000
_FITS: Final = b"SIMPLE  ="
_XML: Final = (b"<?xml", b"<VOTABLE")
#: Rows that are in memory together.
_ROWS: Final = 5_000
#: What the standard library says of a file that is no gzip, or is cut off.
_BROKEN: Final = (OSError, EOFError, zlib.error)
_UCDS: Final = {
    "meta.id;meta.main": "name",
    "pos.eq.ra;meta.main": "ra",
    "pos.eq.dec;meta.main": "dec",
}


def media_type(path: Path) -> str:
    """Media type of a catalogue file, or of what is gzipped in it, by its first bytes.

    Raises
    ------
    IngestError
        If it is a broken gzip file.
    """
    try:
        with path.open("rb") as stream, _unpacked(stream) as content:
            head = content.read(_HEAD)
    except _BROKEN as error:
        raise IngestError(path.name, f"found {error}, expected a whole gzip file") from error
    return _form(head)


def _form(head: bytes) -> str:
    if head.startswith(_FITS):
        return "application/fits"
    if head.lstrip().startswith(_XML):
        return "application/x-votable+xml"
    return "text/csv"


def file_parts(stream: BinaryIO, rows: int = _ROWS) -> Iterator[FileColumns]:
    """Columns of some rows after the others, as the file has them; all with the same columns.

    Parameters
    ----------
    stream
        The file's bytes, from their beginning.
    rows
        How many there are at most in one part; the last ones, and the only one of a file without
        rows, may have fewer.

    Raises
    ------
    IngestError
        If it cannot be read to its end; at the first part or at a later one.
    """
    try:
        with _unpacked(stream) as content:
            form = _form(content.read(_HEAD))
            content.seek(0)
            if form == "application/fits":
                yield from _fits_parts(content, rows)
            elif form == "text/csv":
                yield from _csv_parts(content, rows)
            else:
                yield from _votable_parts(content, rows)
    except _BROKEN as error:
        raise IngestError("", f"found {error}, expected a whole CSV, FITS or VOTable") from error


@contextmanager
def _unpacked(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The bytes as they were before they were packed, if they were."""
    packed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    if not packed:
        yield stream
        return
    with gzip.open(stream) as content:
        yield content  # type: ignore[misc]  # it reads bytes, as any other


def _csv_parts(stream: BinaryIO, rows: int) -> Iterator[FileColumns]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        lines = (row for row in csv.reader(text) if row)
        heading, first = next(lines, []), next(lines, [])
        if not first:  # a heading and a star
            what = f"found {int(bool(heading))} lines, expected a heading and at least a row"
            raise IngestError("", what)
        twice = next((name for name in heading if name and heading.count(name) > 1), "")
        if twice:
            raise IngestError("", f"found two columns {twice}, expected names that differ")
        number = 2
        for part in batched(chain((first,), lines), rows):
            for row in part:
                if len(row) != len(heading):
                    what = f"found {len(row)} fields in row {number}, expected {len(heading)}"
                    raise IngestError("", what)
                number += 1
            yield FileColumns(dict(zip(heading, zip(*part, strict=True), strict=True)))
    except UnicodeDecodeError as error:
        what = f"found {error}, expected a whole CSV file in UTF-8, a FITS table or a VOTable"
        raise IngestError("", what) from error
    except csv.Error as error:  # as a quote that is never closed
        raise IngestError("", f"found {error}, expected a whole CSV file") from error
    finally:
        text.detach()


def _fits_parts(stream: BinaryIO, rows: int) -> Iterator[FileColumns]:
    """Parts of the first table of a FITS file, which is mapped and not read.

    Raises
    ------
    IngestError
        If it has no table, or cannot be read.
    """
    with _file_of(stream) as name:
        try:
            with quiet(), fits.open(name, memmap=True) as hdus:
                first = next((hdu for hdu in hdus if _is_table(hdu)), None)
                if first is not None:
                    yield from _rows_of(first, rows)
                    return
        except Exception as error:  # astropy raises many kinds for a broken file
            raise IngestError("", f"found {error}, expected a whole FITS file") from error
    what = "found a FITS file without a table, expected one with a table of stars"
    raise IngestError("", f"{what}; raw frames are for `vo-service ingest`")


@contextmanager
def _file_of(stream: BinaryIO) -> Iterator[str]:
    """Name of a file with a stream's bytes: its own, or one for the time being."""
    if isinstance(stream, io.BufferedReader):
        yield str(stream.name)
        return
    with tempfile.NamedTemporaryFile(prefix="reference-") as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        yield copy.name


def _is_table(hdu: Any) -> bool:  # noqa: ANN401  # an HDU of any kind
    known = (fits.BinTableHDU, fits.TableHDU)
    return isinstance(hdu, known) and not isinstance(hdu, fits.CompImageHDU)


def _rows_of(hdu: Any, rows: int) -> Iterator[FileColumns]:  # noqa: ANN401  # a table's HDU
    for start in range(0, max(len(hdu.data), 1), rows):
        part = type(hdu)(hdu.data[start : start + rows], hdu.header.copy())
        found = table.Table.read(part)
        found.convert_bytestring_to_unicode()
        yield table_columns(found)


def _votable_parts(stream: BinaryIO, rows: int) -> Iterator[FileColumns]:
    """Parts of the first table of a VOTable; its UCDs say which are the main position.

    Raises
    ------
    IngestError
        If it cannot be read.
    """
    try:
        with quiet():
            for piece in votable_pieces(stream, rows):
                read = votable.parse_single_table(piece)
                found = read.to_table(use_names_over_ids=True)
                fields = reversed(read.fields)
                marked = {_UCDS.get(str(one.ucd).lower(), ""): one.name for one in fields}
                yield table_columns(found, marked)
    except (IngestError, *_BROKEN):
        raise
    except Exception as error:  # astropy raises many kinds for a broken document
        raise IngestError("", f"found {error}, expected a whole VOTable") from error
