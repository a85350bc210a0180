"""A block of rows held column by column: what every writer of answers reads.

Two sources fill it, a list of Python tuples and the frames of PostgreSQL's COPY (FORMAT binary),
both without a Python operation per value where the width is fixed. It knows nothing of documents.
"""

from __future__ import annotations

__all__ = ["Block", "Fixed", "Layout", "Ragged"]

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column

Bytes: TypeAlias = NDArray[np.uint8]
Places: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_DTYPES: Final = {
    "boolean": np.dtype("?"),
    "unsignedByte": np.dtype("u1"),
    "short": np.dtype(">i2"),
    "int": np.dtype(">i4"),
    "long": np.dtype(">i8"),
    "float": np.dtype(">f4"),
    "double": np.dtype(">f8"),
}
_WIRE: Final = {"unsignedByte": np.dtype(">i2")}
_ARRAY_HEADER: Final = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a column's values are held (VOTable-1.4 2.1, 2.2).

    Attributes
    ----------
    dtype
        Big-endian numpy type of one item, or None for text.
    count
        Items in a value; None where it varies.
    wide
        Text of 16-bit units (unicodeChar) rather than of bytes.
    """

    dtype: np.dtype[Any] | None
    count: int | None
    wide: bool = False

    @classmethod
    def of(cls, column: Column) -> Layout:
        """Read it off a declaration.

        Raises
        ------
        FatalError
            If the datatype is none of VOTable's that the service uses.
        """
        count = _count(column.arraysize)
        if column.datatype in {"char", "unicodeChar"}:
            return cls(None, count, wide=column.datatype == "unicodeChar")
        dtype = _DTYPES.get(column.datatype)
        if dtype is None:
            message = (
                f"column {column.name} is declared with datatype {column.datatype!r}: "
                f"expected one of char, unicodeChar, {', '.join(_DTYPES)}"
            )
            raise FatalError(message)
        return cls(dtype, count)

    @property
    def scalar(self) -> bool:
        """Whether a value is one number."""
        return self.dtype is not None and self.count == 1


def _count(arraysize: str | None) -> int | None:
    if not arraysize:
        return 1
    if "*" in arraysize:
        return None
    return int(np.prod([int(part) for part in arraysize.split("x")]))


@dataclass(frozen=True, slots=True)
class Fixed:
    """Scalars of one column.

    Attributes
    ----------
    values
        Shape (n,), big-endian; 0 or NaN where there is no value.
    nulls
        Shape (n,), True where there is no value.
    """

    values: NDArray[Any]
    nulls: Flags


@dataclass(frozen=True, slots=True)
class Ragged:
    """Texts (UTF-8) or arrays (big-endian items) of one column.

    Attributes
    ----------
    data
        Bytes that hold the values, in any order and with anything between.
    starts, sizes
        Place of the first byte and number of bytes of each value, shape (n,); size 0 for null.
    nulls
        Shape (n,), True where there is no value.
    """

    data: Bytes
    starts: Places
    sizes: Places
    nulls: Flags

    def pieces(self) -> list[bytes]:
        """Each value's bytes."""
        raw = self.data.tobytes()
        ends = (self.starts + self.sizes).tolist()
        return [raw[a:b] for a, b in zip(self.starts.tolist(), ends, strict=True)]


def _packed(pieces: Sequence[bytes], nulls: Flags) -> Ragged:
    """One value after the other."""
    sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
    starts = np.cumsum(sizes) - sizes
    return Ragged(np.frombuffer(b"".join(pieces), np.uint8), starts, sizes, nulls)


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of an answer.

    Attributes
    ----------
    length
        Number of rows.
    fields
        One for each column, in order.
    """

    length: int
    fields: tuple[Fixed | Ragged, ...]

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]] | Block) -> Block:
        """Take what :class:`schemas.dali.TableResult` holds: rows, or a block as it is."""
        return rows if isinstance(rows, Block) else cls.from_rows(columns, rows)

    @classmethod
    def from_rows(cls, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> Block:
        """Take rows of Python values, None where there is no value.

        Text columns take text, dates (written as DALI-1.1 3.3.3 says) and anything ``str`` says
        well; array columns take sequences of numbers.

        Raises
        ------
        FatalError
            If a value does not fit its column's datatype; names column and value.
        """
        fields = []
        for index, column in enumerate(columns):
            values = [row[index] for row in rows]
            try:
                fields.append(_field_of(Layout.of(column), values))
            except (ValueError, TypeError, OverflowError) as error:
                message = f"column {column.name} is declared {column.datatype}: {error}"
                raise FatalError(message) from error
        return cls(len(rows), tuple(fields))

    @classmethod
    def from_copy(cls, columns: Sequence[Column], frames: Sequence[bytes]) -> Block:
        """Take the frames of COPY (FORMAT binary), one tuple each, without header and trailer.

        Raises
        ------
        FatalError
            If the database sends other types than the columns declare.

        Notes
        -----
        PostgreSQL manual, COPY, "Binary Format": int16 number of fields, then for each an int32
        length (-1 for null) and that many bytes.
        """
        data, place = _joined(frames)
        if len(frames) and (_gather(data, place, ">i2") != len(columns)).any():
            message = f"the database sent rows that do not have {len(columns)} fields"
            raise FatalError(message)
        place = place + 2
        fields = []
        for column in columns:
            length = _gather(data, place, ">i4").astype(np.int64)
            nulls = length < 0
            sizes = np.where(nulls, 0, length)
            cell = Ragged(data, place + 4, sizes, nulls)
            fields.append(_field_of_wire(column, cell))
            place = place + 4 + sizes
        return cls(len(frames), tuple(fields))


def _joined(frames: Sequence[bytes]) -> tuple[Bytes, Places]:
    """All bytes, with some room behind, and the place where each frame starts."""
    lengths = np.fromiter(map(len, frames), np.int64, len(frames))
    data = np.frombuffer(b"".join([*frames, b"\0" * 64]), np.uint8)
    return data, np.cumsum(lengths) - lengths


def _gather(data: Bytes, places: Places, dtype: str | np.dtype[Any]) -> NDArray[Any]:
    """Numbers that begin at these places, shape (n,)."""
    kind = np.dtype(dtype)
    picked = data[places[:, None] + np.arange(kind.itemsize)]
    return np.ascontiguousarray(picked).view(kind).reshape(len(places))


def _field_of_wire(column: Column, cell: Ragged) -> Fixed | Ragged:
    layout = Layout.of(column)
    if layout.dtype is None:
        return cell
    wire = _WIRE.get(column.datatype, layout.dtype)
    if layout.scalar:
        if (cell.sizes[~cell.nulls] != wire.itemsize).any():
            sent = int(cell.sizes[~cell.nulls][0])
            message = (
                f"column {column.name}: the database sent {sent} bytes for a {column.datatype}"
            )
            raise FatalError(message)
        values = _gather(cell.data, cell.starts, wire).astype(layout.dtype)
        values[cell.nulls] = _nothing(layout.dtype)
        return Fixed(values, cell.nulls)
    return _array_of_wire(layout.dtype, wire, cell)


def _nothing(dtype: np.dtype[Any]) -> float | int:
    return float("nan") if dtype.kind == "f" else 0


def _array_of_wire(dtype: np.dtype[Any], wire: np.dtype[Any], cell: Ragged) -> Ragged:
    """PostgreSQL arrays (one dimension) to bare items.

    Notes
    -----
    src/backend/utils/adt/arrayfuncs.c, array_send: int32 dimensions, flags (1: has nulls), type;
    for each dimension int32 length and lower bound; for each item int32 length and bytes.
    """
    filled = cell.sizes > _ARRAY_HEADER
    flagged = filled & (_gather(cell.data, cell.starts + 4, ">i4") != 0)
    if flagged.any():
        return _array_with_nulls(dtype, wire, cell)
    step = 4 + wire.itemsize
    counts = np.where(filled, (cell.sizes - _ARRAY_HEADER) // step, 0)
    total = int(counts.sum())
    first = np.repeat(cell.starts + _ARRAY_HEADER + 4, counts)
    rank = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    items = _gather(cell.data, first + step * rank, wire).astype(dtype)
    sizes = counts * dtype.itemsize
    return Ragged(items.view(np.uint8), np.cumsum(sizes) - sizes, sizes, cell.nulls)


def _array_with_nulls(dtype: np.dtype[Any], wire: np.dtype[Any], cell: Ragged) -> Ragged:
    """As :func:`_array_of_wire`, value by value: an item that is null has no bytes."""
    pieces = []
    for raw in cell.pieces():
        items, place = [], _ARRAY_HEADER
        while place < len(raw):
            length = int.from_bytes(raw[place : place + 4], "big", signed=True)
            place += 4
            if length < 0:
                items.append(_nothing(dtype))
                continue
            items.append(np.frombuffer(raw, wire, 1, place)[0])
            place += length
        pieces.append(np.array(items, dtype).tobytes())
    return _packed(pieces, cell.nulls)


def _field_of(layout: Layout, values: Sequence[Any]) -> Fixed | Ragged:
    nulls = np.fromiter((value is None for value in values), np.bool_, len(values))
    if layout.dtype is None:
        return _packed([b"" if v is None else _text(v).encode() for v in values], nulls)
    if layout.scalar:
        nothing = _nothing(layout.dtype)
        full = [nothing if value is None else value for value in values]
        held = np.array(full, layout.dtype) if full else np.empty(0, layout.dtype)
        if layout.dtype.kind in "iu" and not np.array_equal(held, np.array(full or held)):
            message = "a value is not a whole number of its range"
            raise ValueError(message)
        return Fixed(held, nulls)
    dtype = layout.dtype
    return _packed([b"" if v is None else np.asarray(v, dtype).tobytes() for v in values], nulls)


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return value.isoformat()
    return str(value)
