"""Rows as VOTable's TABLEDATA.

A null is an empty TD, in arrays of fixed size all NaN. Characters that no XML document may hold
become U+FFFD.

Notes
-----
Standard: VOTable-1.4 5.1.
"""

from __future__ import annotations

__all__ = ["FORBIDDEN", "table_rows"]

import re
from typing import TYPE_CHECKING, Final

from schemas import kernel
from schemas.blocks import Block, Layout
from schemas.cells import text_cells
from schemas.errors import FatalError
from schemas.lines import Lines, unescaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column
    from schemas.dali import Rows

#: Characters that XML 1.0 does not have.
FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP: Final = re.compile("[&<>\r]")
_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_INFINITY: Final = re.compile(r"(-?)Infinity")


def table_rows(columns: Sequence[Column], rows: Rows) -> bytes:
    """Write rows, each as a TR.

    Parameters
    ----------
    columns
        What the values are.
    rows
        The rows; fastest where the database sends text.
    """
    if not isinstance(rows, Lines):
        return _of_block(columns, Block.of(columns, rows))
    nothing = tuple(map(_nothing, columns))
    if kernel.KERNEL is None:
        return _of_lines(columns, rows.data, nothing)
    reals = bytes(map(_is_real, columns))
    try:
        written: bytes = kernel.KERNEL.tabledata(rows.data, tuple(map(str.encode, nothing)), reals)
    except ValueError as error:
        message = f"the database's text cannot be read: {error}"
        raise FatalError(message) from error
    return written


def _is_real(column: Column) -> bool:
    return column.datatype in {"float", "double"}


def _nothing(column: Column) -> str:
    """What stands in a TD where there is no value."""
    count = Layout.of(column).count
    return " ".join(["NaN"] * count) if count and count > 1 and _is_real(column) else ""


def _of_block(columns: Sequence[Column], block: Block) -> bytes:
    cells = []
    for column, field in zip(columns, block.fields, strict=True):
        nothing = _nothing(column)
        texts = text_cells(column, field, infinity="Inf")
        if Layout.of(column).dtype is None:
            cells.append([_escape(text) if text else "" for text in texts])
        else:
            cells.append([nothing if text is None else text for text in texts])
    rows = ("</TD><TD>".join(row) for row in zip(*cells, strict=True))
    return "".join([f"<TR><TD>{row}</TD></TR>\n" for row in rows]).encode()


def _escape(cell: str) -> str:
    if FORBIDDEN.search(cell):
        cell = FORBIDDEN.sub(_REPLACEMENT, cell)
    if not _MARKUP.search(cell):
        return cell
    cell = cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return cell.replace("\r", "&#13;")


def _of_lines(columns: Sequence[Column], data: bytes, nothing: Sequence[str]) -> bytes:
    """All rows at once, unless a cell needs to be looked at by itself."""
    awkward = (
        (b"Infinity" in data and any(map(_is_real, columns)))
        or (b"\\N" in data and any(nothing))
        or data.count(b"\\") != data.count(b"\\N")
        or len(data.translate(None, _CONTROLS)) != len(data)
        or b"\xef\xbf\xbe" in data
        or b"\xef\xbf\xbf" in data
    )
    if awkward:
        return _cell_by_cell(columns, data, nothing)
    data = data.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    data = data.replace(b"\\N", b"").replace(b"\t", b"</TD><TD>")
    data = data[:-1].replace(b"\n", b"</TD></TR>\n<TR><TD>")
    return b"<TR><TD>%b</TD></TR>\n" % data


def _cell_by_cell(columns: Sequence[Column], data: bytes, nothing: Sequence[str]) -> bytes:
    real = [_is_real(column) for column in columns]
    rows = []
    for line in data[:-1].split(b"\n"):
        cells = []
        for index, cell in enumerate(line.split(b"\t")):
            if cell == b"\\N":
                cells.append(nothing[index])
            elif real[index]:
                cells.append(_INFINITY.sub(_infinity, cell.decode()))
            else:
                cells.append(_escape(unescaped(cell).decode()))
        rows.append(f"<TR><TD>{'</TD><TD>'.join(cells)}</TD></TR>\n")
    return "".join(rows).encode()


def _infinity(found: re.Match[str]) -> str:
    return (found[1] or "+") + "Inf"
