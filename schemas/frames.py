"""Rows as PostgreSQL's COPY (FORMAT binary) sends them, and how they become a block.

The compiled part reads them where there is one, else numpy does, both without a Python operation
per value of fixed width.

Notes
-----
PostgreSQL manual, COPY, "Binary Format": int16 number of fields, then for each an int32 length (-1
for null) and that many bytes.
"""

from __future__ import annotations

__all__ = ["Frames"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas import kernel
from schemas.blocks import WIRE, Block, Fixed, Layout, Ragged, nothing, packed
from schemas.errors import FatalError
from schemas.kernel import spec_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.blocks import Bytes, Places
    from schemas.columns import Column

_ARRAY_HEADER: Final = 20


@dataclass(frozen=True, slots=True)
class Frames:
    """Some rows of an answer, as they came.

    Attributes
    ----------
    data
        Rows one after the other, without COPY's header; there may be more behind.
    length
        Number of rows.
    starts
        Where each row begins, shape (n,); None where the compiled part reads them.
    """

    data: bytes
    length: int
    starts: Places | None = None

    @classmethod
    def joined(cls, messages: Sequence[bytes]) -> Frames:
        """Take the rows one by one."""
        lengths = np.fromiter(map(len, messages), np.int64, len(messages))
        return cls(b"".join(messages), len(messages), np.cumsum(lengths) - lengths)

    def block(self, columns: Sequence[Column]) -> Block:
        """Hold them column by column.

        Raises
        ------
        FatalError
            If the database sends other types than the columns declare.
        """
        if self.starts is None:
            return self._by_kernel(columns)
        data = np.frombuffer(self.data + b"\0" * 64, np.uint8)
        place = self.starts
        if self.length and (_gather(data, place, ">i2") != len(columns)).any():
            message = f"the database sent rows that do not have {len(columns)} fields"
            raise FatalError(message)
        place = place + 2
        fields = []
        for column in columns:
            length = _gather(data, place, ">i4").astype(np.int64)
            nulls = length < 0
            sizes = np.where(nulls, 0, length)
            fields.append(_field(column, Ragged(data, place + 4, sizes, nulls)))
            place = place + 4 + sizes
        return Block(self.length, tuple(fields))

    def packed(self, columns: Sequence[Column], *, masked: bool) -> bytes | None:
        """As BINARY2, or BINARY where not masked; None where the compiled part cannot.

        Raises
        ------
        FatalError
            As :meth:`block`; and without a mask, where a value is the one that stands for none.
        """
        if self.starts is not None or not all(map(_is_plain, columns)):
            return None
        try:
            done: bytes = kernel.KERNEL.pack(self.data, self.length, spec_of(columns), masked)
        except ValueError as error:
            raise _fault(columns, error) from error
        return done

    def _by_kernel(self, columns: Sequence[Column]) -> Block:
        try:
            parts = kernel.KERNEL.columns(self.data, self.length, spec_of(columns))
        except ValueError as error:
            raise _fault(columns, error) from error
        return Block(self.length, tuple(map(_read_part, columns, parts)))


def _fault(columns: Sequence[Column], error: ValueError) -> FatalError:
    index, what = error.args
    where = f"column {columns[index].name}: " if index >= 0 else ""
    return FatalError(where + what)


def _is_plain(column: Column) -> bool:
    """Whether the compiled part packs it: not text of 16-bit units, nor arrays of booleans."""
    layout = Layout.of(column)
    return not layout.wide and (layout.dtype is None or layout.dtype.kind != "b" or layout.scalar)


def _read_part(column: Column, part: tuple[bytes, bytes, bytes | None]) -> Fixed | Ragged:
    values, flags, lengths = part
    nulls = np.frombuffer(flags, np.bool_)
    if lengths is None:
        return Fixed(np.frombuffer(values, Layout.of(column).dtype), nulls)
    sizes = np.frombuffer(lengths, np.int64)
    return Ragged(np.frombuffer(values, np.uint8), np.cumsum(sizes) - sizes, sizes, nulls)


def _gather(data: Bytes, places: Places, dtype: str | np.dtype[Any]) -> NDArray[Any]:
    """Numbers that begin at these places, shape (n,): taken from all that begin at any place."""
    kind = np.dtype(dtype)
    length = len(data) - kind.itemsize + 1
    everywhere: NDArray[Any] = np.ndarray((length,), kind, data, strides=(1,))
    return everywhere[places]


def _field(column: Column, cell: Ragged) -> Fixed | Ragged:
    layout = Layout.of(column)
    if layout.dtype is None:
        return cell
    wire = WIRE.get(column.datatype, layout.dtype)
    if layout.scalar:
        if (cell.sizes[~cell.nulls] != wire.itemsize).any():
            message = f"column {column.name}: the database sent a value of another width"
            raise FatalError(message)
        sent = _gather(cell.data, cell.starts, wire)
        values = sent.astype(layout.dtype)
        if wire != layout.dtype and (values != sent)[~cell.nulls].any():
            message = (
                f"column {column.name}: the database sent a value out of the range of its datatype"
            )
            raise FatalError(message)
        values[cell.nulls] = nothing(layout.dtype)
        return Fixed(values, cell.nulls)
    return _array(layout.dtype, wire, cell)


def _array(dtype: np.dtype[Any], wire: np.dtype[Any], cell: Ragged) -> Ragged:
    """PostgreSQL arrays to bare items.

    Notes
    -----
    src/backend/utils/adt/arrayfuncs.c, array_send: int32 dimensions, flags (1: has nulls), type;
    for each dimension int32 length and lower bound; for each item int32 length and bytes.
    """
    filled = cell.sizes >= _ARRAY_HEADER
    flags = _gather(cell.data, cell.starts + 4, ">i4")
    dimensions = _gather(cell.data, cell.starts, ">i4")
    if (filled & ((flags != 0) | (dimensions != 1))).any():
        return _awkward_array(dtype, wire, cell)
    step = 4 + wire.itemsize
    counts = np.where(filled, (cell.sizes - _ARRAY_HEADER) // step, 0)
    total = int(counts.sum())
    first = np.repeat(cell.starts + _ARRAY_HEADER + 4, counts)
    rank = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    items = _gather(cell.data, first + step * rank, wire).astype(dtype)
    sizes = counts * dtype.itemsize
    return Ragged(items.view(np.uint8), np.cumsum(sizes) - sizes, sizes, cell.nulls)


def _awkward_array(dtype: np.dtype[Any], wire: np.dtype[Any], cell: Ragged) -> Ragged:
    """As :func:`_array`, value by value: an item that is null has no bytes."""
    pieces = []
    for raw in cell.pieces():
        items, place = [], 12 + 8 * int.from_bytes(raw[:4], "big")
        while place < len(raw):
            length = int.from_bytes(raw[place : place + 4], "big", signed=True)
            place += 4
            if length < 0:
                items.append(nothing(dtype))
                continue
            items.append(np.frombuffer(raw, wire, 1, place)[0])
            place += length
        pieces.append(np.array(items, dtype).tobytes())
    return packed(pieces, cell.nulls)
