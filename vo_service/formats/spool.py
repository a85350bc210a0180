"""Blocks set aside on disk, to be read again once the last one is known."""

from __future__ import annotations

__all__ = ["Spool"]

import tempfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from schemas.blocks import Block, Fixed, Layout, Ragged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from schemas.columns import Column


class Spool:
    """A file without a name, gone with the process.

    Parameters
    ----------
    columns
        What the blocks hold.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._layouts = [Layout.of(column) for column in columns]
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="vo-answer-")  # noqa: SIM115  # closed by close

    def add(self, block: Block) -> None:
        """Set a block aside; its values must be without anything between."""
        parts: list[NDArray[Any]] = []
        for field in block.fields:
            if isinstance(field, Fixed):
                parts += [field.values, field.nulls]
            else:
                parts += [field.data, field.sizes, field.nulls]
        lengths = np.array([block.length, *(part.nbytes for part in parts)], np.int64)
        self._file.write(lengths.tobytes())
        for part in parts:
            self._file.write(np.ascontiguousarray(part).tobytes())

    def blocks(self) -> Iterator[Block]:
        """Give all of them again, in order."""
        self._file.seek(0)
        count = 1 + sum(2 if layout.scalar else 3 for layout in self._layouts)
        while head := self._file.read(8 * count):
            length, *sizes = np.frombuffer(head, np.int64).tolist()
            parts = iter([self._file.read(size) for size in sizes])
            yield Block(length, tuple(_field(layout, parts) for layout in self._layouts))

    def close(self) -> None:
        """Give the disk's room back."""
        self._file.close()


def _field(layout: Layout, parts: Iterator[bytes]) -> Fixed | Ragged:
    if layout.scalar:
        values = np.frombuffer(next(parts), layout.dtype)
        return Fixed(values, np.frombuffer(next(parts), np.bool_))
    data = np.frombuffer(next(parts), np.uint8)
    sizes = np.frombuffer(next(parts), np.int64)
    nulls = np.frombuffer(next(parts), np.bool_)
    return Ragged(data, np.cumsum(sizes) - sizes, sizes, nulls)
