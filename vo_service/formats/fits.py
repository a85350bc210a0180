"""A FITS binary table.

A FITS header says how many rows follow and how wide their texts are, so nothing leaves before the
last row has come: rows wait on disk, and an answer that fails is an error, never half a file.
"""

from __future__ import annotations

__all__ = ["FITS"]

import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from astropy.io import fits

from schemas.blocks import Block, Fixed, Ragged
from schemas.errors import QueryError
from schemas.votable import trailing_info
from vo_service.formats.base import Format
from vo_service.formats.fits_columns import FitsColumn
from vo_service.formats.names import distinct
from vo_service.formats.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from schemas.dali import Info, TableResult

_UNIT: Final = 2880
_MOST_COLUMNS: Final = 999
_KEYWORD_TEXT: Final = 68
#: Bytes of rows that are written at a time.
_PIECE: Final = 1 << 22
#: Bytes with which texts may be filled up to one width, and as a multiple of all other bytes.
_WASTE: Final = 1 << 28
_WASTED_TIMES: Final = 8
#: Bytes of a heap whose places need numbers of 64 bits.
_FAR: Final = 2**31


def _write(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write a primary HDU without data, and the table.

    Notes
    -----
    Standard: FITS-4.0 7.3. TUCDn, TUTYPn, TXTYPn and TCOMMn are a usage that STIL and others read.
    Texts are UTF-8, the same as ASCII wherever ASCII says them; header cards are ASCII. All
    texts of a column have the width of the longest: an answer that would grow beyond measure by
    this is refused. (In the heap, each character of a text takes astropy as much memory as the
    whole text.)
    """
    del base_url
    if len(result.columns) > _MOST_COLUMNS:
        message = (
            f"the answer has {len(result.columns)} columns, expected at most {_MOST_COLUMNS} in "
            "FITS: ask for fewer, or for another format"
        )
        raise QueryError(message)
    columns = [FitsColumn(column) for column in result.columns]
    with closing(Spool(result.columns)) as spool:
        rows = 0
        for some in result.rows:
            block = _compact(Block.of(result.columns, some))
            for column, field in zip(columns, block.fields, strict=True):
                column.see(field)
            spool.add(block)
            rows += block.length
            yield b""  # nothing leaves yet, but who waits may look whether the client still does
        trailing = trailing_info(result)
        _settle(columns, rows)
        yield _primary((*result.infos, *trailing))
        yield _header(columns, rows, trailing[0].value if trailing else "OK")
        yield from _table(columns, spool, rows)


def _settle(columns: Sequence[FitsColumn], rows: int) -> None:
    """Look at the columns once everything has been seen."""
    wasted = sum(column.waste(rows) for column in columns)
    rest = rows * _row(columns).itemsize - wasted
    if wasted > max(_WASTE, _WASTED_TIMES * rest):
        worst = max(columns, key=lambda column: column.waste(rows))
        message = (
            f"column {worst.column.name} has a text of {worst.longest} bytes, and FITS would fill "
            f"up all of its {rows} rows to that, {wasted >> 20} MB more: cut it with CAST(... AS "
            "VARCHAR(n)), or ask for another format"
        )
        raise QueryError(message)
    is_far = sum(column.heap for column in columns) >= _FAR
    for column in columns:
        column.is_far = is_far


def _compact(block: Block) -> Block:
    fields = [field.compact() if isinstance(field, Ragged) else field for field in block.fields]
    return Block(block.length, tuple(fields))


def _row(columns: Sequence[FitsColumn]) -> np.dtype[Any]:
    return np.dtype([(f"c{index}", column.dtype) for index, column in enumerate(columns)])


def _table(columns: Sequence[FitsColumn], spool: Spool, rows: int) -> Generator[bytes]:
    """The rows, then the heap, filled up to a whole unit."""
    dtype = _row(columns)
    step = max(1, _PIECE // dtype.itemsize)
    heap = 0
    for block in _slices(spool, step):
        written = np.zeros(block.length, dtype)
        for index, (column, field) in enumerate(zip(columns, block.fields, strict=True)):
            column.fill(written[f"c{index}"], field, heap)
            if column.is_varying and isinstance(field, Ragged):
                heap += len(field.data)
        yield written.tobytes()
    if heap:
        for block in _slices(spool, step):
            for column, field in zip(columns, block.fields, strict=True):
                if column.is_varying and isinstance(field, Ragged):
                    yield column.heap_of(field)
    yield b"\0" * (-(rows * dtype.itemsize + heap) % _UNIT)


def _slices(spool: Spool, step: int) -> Iterator[Block]:
    """The rows, so many at a time at most."""
    for block in spool.blocks():
        for start in range(0, block.length, step):
            end = min(start + step, block.length)
            fields = [_part(field, start, end) for field in block.fields]
            yield Block(end - start, tuple(fields))


def _part(field: Fixed | Ragged, start: int, end: int) -> Fixed | Ragged:
    """Some rows of a field that has nothing between its values."""
    nulls = field.nulls[start:end]
    if isinstance(field, Fixed):
        return Fixed(field.values[start:end], nulls)
    sizes = field.sizes[start:end]
    first = int(field.starts[start])
    data = field.data[first : first + int(sizes.sum())]
    return Ragged(data, field.starts[start:end] - first, sizes, nulls)


def _primary(infos: Sequence[Info]) -> bytes:
    """The answer as a whole is spoken of here: STIL makes parameters of a table's comments."""
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = 8
    header["NAXIS"] = 0
    header["EXTEND"] = True
    for info in infos:
        header.add_comment(_ascii(" ".join(filter(None, (info.name, "=", info.value, info.text)))))
    return str(header.tostring()).encode()


def _header(columns: Sequence[FitsColumn], rows: int, status: str) -> bytes:
    header = fits.Header()
    header["XTENSION"] = "BINTABLE"
    header["BITPIX"] = 8
    header["NAXIS"] = 2
    header["NAXIS1"] = _row(columns).itemsize
    header["NAXIS2"] = rows
    header["PCOUNT"] = sum(column.heap for column in columns)
    header["GCOUNT"] = 1
    header["TFIELDS"] = len(columns)
    header["EXTNAME"] = "RESULT"
    header["QSTATUS"] = status, "status of the query (DALI)"
    names = [_short(column.column.name) for column in columns]
    names = distinct(names, folded=True, longest=_KEYWORD_TEXT)
    for number, (column, name) in enumerate(zip(columns, names, strict=True), 1):
        _describe(header, column, number, name)
    return str(header.tostring()).encode()


def _describe(header: fits.Header, column: FitsColumn, number: int, name: str) -> None:
    said = column.column
    header[f"TTYPE{number}"] = name
    header[f"TFORM{number}"] = column.form
    if column.null is not None:
        header[f"TNULL{number}"] = column.null
    facts = {
        "TDIM": column.shape,
        "TUNIT": said.unit,
        "TUCD": said.ucd,
        "TUTYP": said.utype,
        "TXTYP": said.xtype or "",
        "TCOMM": said.description,
    }
    for keyword, text in facts.items():
        if text:
            header[f"{keyword}{number}"] = _short(text)


def _short(text: str) -> str:
    """As much as one card holds, quotes doubled."""
    text = _ascii(text)
    while len(text) + text.count("'") > _KEYWORD_TEXT:
        text = text[:-1]
    return text


def _ascii(text: str) -> str:
    """Without accents; what has no ASCII becomes a question mark, line ends become blanks."""
    plain = unicodedata.normalize("NFKD", text)
    marks = "".join(c for c in plain if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" or not c.isascii() else " " for c in marks)
    return printable.encode("ascii", "replace").decode()


FITS: Final = Format("application/fits", ("fits",), "", "fits", _write)
