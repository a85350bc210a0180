"""FITS binary tables, read by some rows at a time; astropy reads the headers only."""

from __future__ import annotations

__all__ = ["blocks_of_fits", "read_fits"]

import re
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from astropy.io import fits

from schemas.blocks import Block, Fixed, Ragged, packed
from schemas.errors import UploadError
from tap.uploads.fits_header import RECORD, data_size, header_at
from tap.uploads.reading import Reading, declared, exactly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from schemas.columns import Column
    from tap.uploads.reading import Opener

_FORM: Final = re.compile(r"(\d*)([A-Z])(?:([A-Z])(?:\((\d*)\))?)?", re.ASCII)
_TYPES: Final[dict[str, tuple[str, np.dtype[Any]]]] = {
    "L": ("boolean", np.dtype("u1")),
    "B": ("unsignedByte", np.dtype("u1")),
    "I": ("short", np.dtype(">i2")),
    "J": ("int", np.dtype(">i4")),
    "K": ("long", np.dtype(">i8")),
    "E": ("float", np.dtype(">f4")),
    "D": ("double", np.dtype(">f8")),
    "A": ("char", np.dtype("u1")),
}
#: What an offset of half the range makes of a type: unsigned integers, and signed bytes.
_SHIFTED: Final[dict[tuple[str, float], tuple[str, np.dtype[Any]]]] = {
    ("B", -128.0): ("short", np.dtype(">i2")),
    ("I", 2.0**15): ("int", np.dtype(">i4")),
    ("J", 2.0**31): ("long", np.dtype(">i8")),
}
_PIECE: Final = 1 << 20
_ROW_BYTES: Final = 1 << 26
#: Bytes of the heap that the rows read at a time may point to.
_HEAP_BYTES: Final = 1 << 25


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of the file.

    Attributes
    ----------
    column
        Its declaration.
    code
        Letter of TFORM; that of the items where the cells are of varying length.
    item
        Type of an item in the file.
    place, count
        Byte within the row; number of items in the row.
    descriptor
        Type of the two numbers that point into the heap, None where the items are in the row.
    null
        TNULL.
    scale, zero
        TSCAL and TZERO.
    """

    column: Column
    code: str
    item: np.dtype[Any]
    place: int
    count: int
    descriptor: np.dtype[Any] | None
    null: int | None
    scale: float
    zero: float


@dataclass(frozen=True, slots=True)
class _Table:
    cells: tuple[_Cells, ...]
    rows: int
    width: int
    data: int
    heap: int
    heap_size: int


def read_fits(opener: Opener) -> Reading:
    """Read the first binary table.

    Raises
    ------
    UploadError
        If there is none, or it cannot be read.

    Notes
    -----
    Standard: FITS-4.0 7.3. TUCDn, TUTYPn, TCOMMn and TXTYPn are read as STILTS writes them.
    """
    with closing(opener()) as stream:
        table = _table(stream)
        columns = tuple(_widened(stream, table))

    def blocks() -> Iterator[Block]:
        with closing(opener()) as again:
            yield from _blocks(again, table)

    return Reading(columns, blocks)


def _widened(stream: BinaryIO, table: _Table) -> Iterator[Column]:
    """Columns as they are declared, but texts that are not ASCII: those are unicodeChar."""
    beyond: set[int] = set()
    texts = [
        (number, slice(one.place, one.place + one.count))
        for number, one in enumerate(table.cells)
        if one.code == "A" and one.descriptor is None and one.column.sql_type == "text"
    ]
    for _, rows in _pieces(stream, table) if texts else ():
        beyond.update(number for number, cells in texts if (rows[:, cells] > 127).any())
    for number, one in enumerate(table.cells):
        yield replace(one.column, datatype="unicodeChar") if number in beyond else one.column


def blocks_of_fits(stream: BinaryIO, columns: Sequence[Column]) -> Iterator[Block]:
    """Rows of a binary table whose columns a VOTable has declared (VOTable-1.4 5.2).

    Raises
    ------
    UploadError
        If the columns are not those of the file.
    """
    table = _table(stream)
    found = [(cells.column.datatype, cells.column.sql_type) for cells in table.cells]
    wanted = [
        (one.datatype, "text" if one.sql_type == "timestamp" else one.sql_type) for one in columns
    ]
    if found != wanted:
        raise UploadError(
            f"the FITS table has columns of {_listed(found)}, the FIELDs say {_listed(wanted)}: "
            "expected the same"
        )
    return _blocks(stream, table)


def _listed(types: Sequence[tuple[str, str]]) -> str:
    return ", ".join(datatype for datatype, _ in types[:20])


def _table(stream: BinaryIO) -> _Table:
    """Layout of the first binary table."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cards beside the point
            return _found(stream)
    except UploadError:
        raise
    except Exception as error:
        what = str(error).partition("\n")[0][:120]
        raise UploadError(f"not a FITS file that can be read ({what})") from error


def _found(stream: BinaryIO) -> _Table:
    place = 0
    size = stream.seek(0, 2)
    for _ in range(1000):
        if place >= size:
            break
        header = fits.Header.fromstring(header_at(stream, place))
        data = stream.tell()
        if header.get("XTENSION", "").strip() == "BINTABLE" and not header.get("ZIMAGE"):
            return _layout(header, data)
        place = data + -(-data_size(header) // RECORD) * RECORD
    raise UploadError("the FITS file has no binary table: expected a BINTABLE extension")


def _layout(header: fits.Header, data: int) -> _Table:
    width, rows = int(header["NAXIS1"]), int(header["NAXIS2"])
    cells = []
    place = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        made, taken = _cells(header, number, place)
        cells += made
        place += taken
    if place != width or not 0 <= width <= _ROW_BYTES or rows < 0:
        raise UploadError(
            f"rows of the FITS table have {width} bytes, their columns {place}: expected as many, "
            f"and at most {_ROW_BYTES >> 20} MB"
        )
    pcount = int(header.get("PCOUNT", 0))
    heap = int(header.get("THEAP", width * rows))
    return _Table(tuple(cells), rows, width, data, data + heap, pcount + width * rows - heap)


def _cells(header: fits.Header, number: int, place: int) -> tuple[list[_Cells], int]:
    """A column, or none if it is of no width, and the bytes that it takes in a row."""
    name = str(header.get(f"TTYPE{number}", f"col{number}")).strip()
    form = _FORM.match(str(header[f"TFORM{number}"]).strip())
    if form is None:
        raise UploadError(f"column {name}: found TFORM{number} = {header[f'TFORM{number}']!r}")
    count = int(form[1] or 1)
    code, descriptor = form[2], None
    if code in "PQ":
        descriptor = np.dtype(">i4") if code == "P" else np.dtype(">i8")
        code = form[3] or ""
    if code not in _TYPES:
        raise UploadError(
            f"column {name} has the form {form[0]!r}, which no query can use: expected one of "
            "L, B, I, J, K, E, D, A, or an array of them"
        )
    datatype, item = _TYPES[code]
    taken = count * (item.itemsize if descriptor is None else 2 * descriptor.itemsize)
    if count == 0:
        return [], 0
    scale, zero = float(header.get(f"TSCAL{number}", 1)), float(header.get(f"TZERO{number}", 0))
    if (scale, zero) != (1.0, 0.0) and code not in "LA":
        datatype = _SHIFTED[code, zero][0] if _is_shift(code, scale, zero) else "double"
    null = header.get(f"TNULL{number}")
    arraysize = None if count == 1 else str(count)
    if descriptor is not None:
        arraysize = "*"
    column = declared(
        name,
        datatype,
        _shape(header.get(f"TDIM{number}"), count) or arraysize if code != "A" else "*",
        unit=str(header.get(f"TUNIT{number}", "")).strip(),
        ucd=str(header.get(f"TUCD{number}", "")).strip(),
        utype=str(header.get(f"TUTYP{number}", "")).strip(),
        xtype=str(header.get(f"TXTYP{number}", "")).strip(),
        description=str(header.get(f"TCOMM{number}", "")).strip(),
    )
    whole = None if null is None or code not in "BIJK" else int(null)
    return [_Cells(column, code, item, place, count, descriptor, whole, scale, zero)], taken


def _is_shift(code: str, scale: float, zero: float) -> bool:
    return scale == 1.0 and (code, zero) in _SHIFTED


def _shape(tdim: object, count: int) -> str:
    """Arraysize of TDIM (both have the fastest axis first); empty where it does not fit."""
    words = str(tdim or "").strip().strip("()").split(",")
    try:
        axes = [int(word) for word in words]
    except ValueError:
        return ""
    return "x".join(map(str, axes)) if np.prod(axes) == count and len(axes) > 1 else ""


def _blocks(stream: BinaryIO, table: _Table) -> Iterator[Block]:
    for first, several in _pieces(stream, table):
        for start, end in _runs(table, several):
            rows = several[start:end]
            fields = [_field(stream, table, one, rows, first + start + 1) for one in table.cells]
            yield Block(len(rows), tuple(fields))


def _runs(table: _Table, rows: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Cut rows where what they point to in the heap would be too much at a time.

    Any number of rows may point to the same bytes: a small file would fill the memory.
    """
    sizes = np.zeros(len(rows))
    for one in table.cells:
        if one.descriptor is not None:
            counts = _descriptors(one.place, one.descriptor, rows)[:, 0].astype(float)
            sizes += np.clip(counts, 0, _ROW_BYTES) * one.item.itemsize
    ends = np.cumsum(sizes)
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0.0
        end = int(np.searchsorted(ends, before + _HEAP_BYTES, side="right"))
        end = max(start + 1, end)
        yield start, end
        start = end


def _descriptors(place: int, kind: np.dtype[Any], rows: NDArray[np.uint8]) -> NDArray[Any]:
    """Numbers of items and their places in the heap, shape (n, 2), from a place in each row."""
    raw = np.ascontiguousarray(rows[:, place : place + 2 * kind.itemsize])
    return raw.view(kind).reshape(len(rows), 2)


def _pieces(stream: BinaryIO, table: _Table) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Bytes of some rows at a time, shape (n, width), and the number of the first, from 0."""
    if not table.width:
        return
    step = max(1, _PIECE // table.width)
    for first in range(0, table.rows, step):
        length = min(step, table.rows - first)
        stream.seek(table.data + first * table.width)
        raw = exactly(stream, length * table.width)
        if len(raw) < length * table.width:
            row = first + len(raw) // table.width + 1
            raise UploadError(f"the file ends within row {row}, expected {table.rows} rows")
        yield first, np.frombuffer(raw, np.uint8).reshape(length, table.width)


def _field(
    stream: BinaryIO, table: _Table, one: _Cells, rows: NDArray[np.uint8], first: int
) -> Fixed | Ragged:
    length = len(rows)
    if one.descriptor is not None:
        pairs = _descriptors(one.place, one.descriptor, rows)
        pieces = _from_heap(stream, table, one, pairs, first)
        counts = np.fromiter((len(p) // one.item.itemsize for p in pieces), np.int64, length)
        raw = np.frombuffer(b"".join(pieces), np.uint8)
    else:
        raw = rows[:, one.place : one.place + one.count * one.item.itemsize]
        pieces = []
        counts = np.full(length, one.count)
    if one.code == "A":
        return _texts(pieces or [row.tobytes() for row in raw])
    items = np.ascontiguousarray(raw).reshape(-1).view(one.item)
    values, nulls = _values(one, items)
    if one.column.arraysize is None:
        return Fixed(values, nulls)
    sizes = counts * values.dtype.itemsize
    nothing = np.zeros(length, np.bool_)
    if one.descriptor is None and values.dtype.kind == "f":
        nothing = np.isnan(values.reshape(length, one.count)).all(axis=1)
    starts = np.cumsum(sizes) - sizes
    return Ragged(values.view(np.uint8), starts, np.where(nothing, 0, sizes), nothing)


def _texts(pieces: Sequence[bytes]) -> Ragged:
    """Texts without the blanks that fill them up; an empty one is no value (FITS-4.0 7.3.3.1)."""
    texts = [piece.partition(b"\0")[0].rstrip(b" ") for piece in pieces]
    return packed(texts, np.fromiter((not text for text in texts), np.bool_, len(texts)))


def _values(one: _Cells, items: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Items in the type that the column is declared with, and which of them are no value."""
    if one.code == "L":
        true = items == ord("T")
        return true, ~(true | (items == ord("F")))
    nulls = np.zeros(len(items), np.bool_) if one.null is None else items == one.null
    if (one.scale, one.zero) == (1.0, 0.0):
        values = items.astype(">f8") if one.column.datatype == "double" else items
    elif _is_shift(one.code, one.scale, one.zero):
        dtype = _SHIFTED[one.code, one.zero][1]
        values = (items.astype(np.int64) + int(one.zero)).astype(dtype)
    else:
        with np.errstate(all="ignore"):
            values = (items * np.float64(one.scale) + one.zero).astype(">f8")
    if values.dtype.kind == "f":
        nulls = nulls | np.isnan(values)
    return values, nulls


def _from_heap(
    stream: BinaryIO, table: _Table, one: _Cells, pairs: NDArray[Any], first: int
) -> list[bytes]:
    pieces = []
    for row, (count, offset) in enumerate(pairs.tolist(), first):
        size = count * one.item.itemsize
        if not (0 <= size <= _ROW_BYTES and 0 <= offset <= table.heap_size - size):
            raise UploadError(
                f"row {row}, column {one.column.name}: points to {count} items at byte {offset} "
                f"of a heap of {table.heap_size} bytes"
            )
        stream.seek(table.heap + offset)
        piece = exactly(stream, size)
        if len(piece) < size:
            raise UploadError(f"row {row}, column {one.column.name}: the file ends within it")
        pieces.append(piece)
    return pieces
