"""What a column is in a FITS binary table: known once all its values have been seen."""

from __future__ import annotations

__all__ = ["FitsColumn"]

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.blocks import Fixed, Layout, Ragged, is_wide
from schemas.errors import QueryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.columns import Column

_CODES: Final = {"b": "L", "u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}
_WIDER: Final = {"u1": ">i2", "i2": ">i4", "i4": ">i8", "i8": ">i8"}


class FitsColumn:
    """A column while its blocks go by, and then as the header and the rows need it.

    Texts have the width of the longest one. Arrays whose length varies are descriptors into the
    heap. Whole numbers with nulls get a TNULL that none of their values has; where both ends of
    their range are taken the column gets the next wider type.

    Parameters
    ----------
    column
        Its declaration.

    Notes
    -----
    Standard: FITS-4.0 7.3.
    """

    def __init__(self, column: Column) -> None:
        self.column = column
        self._layout = Layout.of(column)
        self._longest = 0
        self._taken: set[int] = set()
        self._nulls = False
        self._bytes = 0
        self.is_far = False

    def see(self, field: Fixed | Ragged) -> None:
        """Take notice of a block."""
        self._nulls = self._nulls or bool(field.nulls.any())
        if isinstance(field, Ragged):
            if len(field.sizes):
                self._longest = max(self._longest, int(field.sizes.max()))
            self._bytes += int(field.sizes.sum())
            if self._item().kind in "iu" and not self.is_varying:
                self._take(np.frombuffer(field.data, self._item()))
        elif field.values.dtype.kind in "iu":
            self._take(field.values[~field.nulls])

    def _take(self, held: NDArray[Any]) -> None:
        if len(held):
            self._taken |= {end for end in self._ends() if end in (held.min(), held.max())}

    def waste(self, rows: int) -> int:
        """Bytes with which so many texts are filled up to the longest one."""
        return self._width() * rows - self._bytes if self._layout.dtype is None else 0

    @property
    def longest(self) -> int:
        """Bytes of the longest text or array."""
        return self._longest

    @property
    def heap(self) -> int:
        """Bytes of its values in the heap."""
        return self._bytes if self.is_varying else 0

    def _ends(self) -> tuple[int, int]:
        limits = np.iinfo(self._item())
        return int(limits.min), int(limits.max)

    def _item(self) -> np.dtype[Any]:
        return self._layout.dtype or np.dtype("S1")

    @property
    def is_varying(self) -> bool:
        """Whether its values are in the heap."""
        return self._layout.dtype is not None and self._layout.count is None

    @property
    def null(self) -> int | None:
        """TNULL, or None where it needs none."""
        kind = self._item().kind
        if kind not in "iu" or not self._nulls or self.is_varying:
            return None
        free = [end for end in self._ends() if end not in self._taken]
        if free:
            return free[0]
        wider = np.iinfo(self._written())
        if wider.bits == np.iinfo(self._item()).bits:
            message = (
                f"column {self.column.name} has values at both ends of its range and rows without "
                "a value, which FITS cannot tell apart: ask for another format"
            )
            raise QueryError(message)
        return int(wider.min)

    def _written(self) -> np.dtype[Any]:
        """Type of its items in the file."""
        item = self._item()
        full = item.kind in "iu" and self._nulls and self._taken.issuperset(self._ends())
        return np.dtype(_WIDER[item.str[1:]]) if full and self._layout.scalar else item

    def _width(self) -> int:
        """Items of a value."""
        if self._layout.dtype is None:
            return max(1, self._longest)
        return self._layout.count or 1

    @property
    def shape(self) -> str:
        """TDIM of an array of more than one axis, empty where there is none."""
        axes = (self.column.arraysize or "").split("x")
        if self._layout.dtype is None or self.is_varying or len(axes) < 2:
            return ""
        return f"({','.join(axes)})"

    @property
    def form(self) -> str:
        """TFORM."""
        if self._layout.dtype is None:
            return f"{self._width()}A"
        item = self._written()
        code = _CODES["b" if item.kind == "b" else item.str[1:]]
        if self.is_varying:
            pointer = "Q" if self.is_far else "P"
            return f"1{pointer}{code}({self._longest // item.itemsize})"
        return f"{self._width()}{code}"

    @property
    def dtype(self) -> tuple[Any, ...] | np.dtype[Any]:
        """Numpy's type of a value as it stands in a row."""
        if self.is_varying:
            return np.dtype((">i8" if self.is_far else ">i4", 2))
        if self._layout.dtype is None:
            return np.dtype((np.uint8, self._width()))
        item = np.dtype(np.uint8) if self._item().kind == "b" else self._written()
        return item if self._layout.scalar else np.dtype((item, self._width()))

    def fill(self, place: NDArray[Any], field: Fixed | Ragged, heap: int) -> None:
        """Write a block's values where they belong in its rows.

        Parameters
        ----------
        place
            Of this column in the rows, all zero.
        field
            The values.
        heap
            Place in the heap of the first of them, if they are there.
        """
        if isinstance(field, Fixed):
            place[...] = self._letters(field) if self._item().kind == "b" else field.values
            if self.null is not None:
                place[field.nulls] = self.null
        elif self.is_varying:
            place[:, 0] = field.sizes // self._item().itemsize
            place[:, 1] = heap + field.starts
        elif self._layout.dtype is None:
            _scatter(place, field)
            # an empty text is a blank, no text begins with NUL (FITS-4.0 7.3.3.1)
            place[(field.sizes == 0) & ~field.nulls, 0] = ord(" ")
        else:
            self._fill_arrays(place, field)

    def _fill_arrays(self, place: NDArray[Any], field: Ragged) -> None:
        if self._item().kind == "f":
            place[...] = np.nan
        elif self.null is not None:
            place[field.nulls] = self.null
        size = place.shape[1]
        for row, piece in enumerate(field.pieces()):
            items = np.frombuffer(piece, self._item())[:size]
            if self._item().kind == "b":
                items = np.where(items, ord("T"), ord("F")).astype(np.uint8)
            place[row, : len(items)] = items

    @staticmethod
    def _letters(field: Fixed) -> NDArray[np.uint8]:
        letters = np.where(field.values, np.uint8(ord("T")), np.uint8(ord("F")))
        return np.where(field.nulls, np.uint8(0), letters)

    def heap_of(self, field: Ragged) -> bytes:
        """A block's values as they stand in the heap."""
        if self._item().kind == "b":
            return np.where(field.data != 0, np.uint8(ord("T")), np.uint8(ord("F"))).tobytes()
        return field.data.tobytes()


def _scatter(place: NDArray[np.uint8], field: Ragged) -> None:
    """Texts into their rows, each from the left."""
    total = int(field.sizes.sum())
    if is_wide(total, len(field.sizes)):
        for row, piece in enumerate(field.pieces()):
            place[row, : len(piece)] = np.frombuffer(piece, np.uint8)
        return
    rank = np.arange(total) - np.repeat(field.starts, field.sizes)
    place[np.repeat(np.arange(len(field.sizes)), field.sizes), rank] = field.data[:total]
