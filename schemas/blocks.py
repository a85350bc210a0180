"""A block of rows held column by column: what every writer of answers can read.

It is made from a list of Python tuples here, and from what the database sends in bulk in
``schemas/frames.py``. It knows nothing of documents.
"""

from __future__ import annotations

__all__ = [
    "WIRE",
    "Block",
    "Bytes",
    "Fixed",
    "Layout",
    "Places",
    "Ragged",
    "is_wide",
    "nothing",
    "packed",
]

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.errors import FatalError

if TYPE_CHECKING:
    from schemas.columns import Column
    from schemas.dali import Rows

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
#: Bytes of a row, and of a block, beyond which an index for each byte costs more than Python for
#: each value: an index is eight times as large as its byte.
_LONG: Final = 1 << 12
_LARGE: Final = 1 << 22
#: Types of the wire that are not those of the answer.
WIRE: Final = {"unsignedByte": np.dtype(">i2")}


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

    def compact(self) -> Ragged:
        """One value after the other, nothing between."""
        ends = np.cumsum(self.sizes)
        starts = ends - self.sizes
        total = int(ends[-1]) if len(ends) else 0
        if np.array_equal(starts, self.starts):
            return Ragged(self.data[:total], starts, self.sizes, self.nulls)
        if is_wide(total, len(starts)):
            return packed(self.pieces(), self.nulls)
        source = np.repeat(self.starts - starts, self.sizes) + np.arange(total)
        return Ragged(self.data[source], starts, self.sizes, self.nulls)


def is_wide(total: int, length: int) -> bool:
    """Whether so many values of so many bytes together are better moved one by one."""
    return total > min(_LONG * length, _LARGE)


def packed(pieces: Sequence[bytes], nulls: Flags) -> Ragged:
    """Lay values one after the other."""
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
    def of(cls, columns: Sequence[Column], rows: Rows) -> Block:
        """Take what :class:`schemas.dali.TableResult` holds: tuples, a block, or bulk rows."""
        if isinstance(rows, Block):
            return rows
        if isinstance(rows, Sequence):
            return cls.from_rows(columns, rows)
        return rows.block(columns)

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


def nothing(dtype: np.dtype[Any]) -> float | int:
    """What is held where there is no value: NaN, or 0."""
    return float("nan") if dtype.kind == "f" else 0


def _field_of(layout: Layout, values: Sequence[Any]) -> Fixed | Ragged:
    nulls = np.fromiter((value is None for value in values), np.bool_, len(values))
    if layout.dtype is None:
        return packed([b"" if v is None else _text(v).encode() for v in values], nulls)
    if layout.scalar:
        filler = nothing(layout.dtype)
        full = [filler if value is None else value for value in values]
        held = np.array(full, layout.dtype) if full else np.empty(0, layout.dtype)
        if layout.dtype.kind in "iu" and not np.array_equal(held, np.array(full or held)):
            message = "a value is not a whole number of its range"
            raise ValueError(message)
        return Fixed(held, nulls)
    dtype = layout.dtype
    return packed([b"" if v is None else np.asarray(v, dtype).tobytes() for v in values], nulls)


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return value.isoformat()
    return str(value)
