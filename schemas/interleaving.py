"""Rows of bytes from columns of bytes: as BINARY2 has them, and as the database takes them."""

from __future__ import annotations

__all__ = ["Part", "interleaved"]

import itertools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from schemas.blocks import Ragged, is_wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Bytes of each row: a matrix of the same number for all, or pieces of different lengths.
Part: TypeAlias = "NDArray[np.uint8] | Ragged"


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Neighbouring matrices as one."""
    merged: list[Part] = []
    for ragged, run in itertools.groupby(parts, lambda part: isinstance(part, Ragged)):
        if ragged:
            merged.extend(run)
        else:
            matrices = [part for part in run if not isinstance(part, Ragged)]
            merged.append(np.concatenate(matrices, axis=1))
    return merged


def interleaved(parts: Sequence[Part], length: int) -> bytes:
    """Write row after row from column after column.

    Parameters
    ----------
    parts
        Bytes of the rows: matrices of shape (n, width), or pieces of different lengths.
    length
        Number of rows.

    Returns
    -------
    bytes
        Of each row, its bytes of the first part, then of the second, and so on.
    """
    parts = _merged(parts)
    if len(parts) == 1 and not isinstance(parts[0], Ragged):
        return np.ascontiguousarray(parts[0]).tobytes()
    widths = [
        part.sizes if isinstance(part, Ragged) else np.full(length, part.shape[1], np.int64)
        for part in parts
    ]
    rows = np.sum(widths, axis=0)
    if is_wide(int(rows.sum()), length):
        pieces = [
            part.pieces() if isinstance(part, Ragged) else [row.tobytes() for row in part]
            for part in parts
        ]
        return b"".join(itertools.chain.from_iterable(zip(*pieces, strict=True)))
    out = np.empty(int(rows.sum()), np.uint8)
    place = np.cumsum(rows) - rows
    for part, width in zip(parts, widths, strict=True):
        if isinstance(part, Ragged):
            total = int(width.sum())
            rank = np.arange(total) - np.repeat(np.cumsum(width) - width, width)
            source = np.repeat(part.starts, width) + rank
            out[np.repeat(place, width) + rank] = part.data[source]
        else:
            _scatter(out, place, part)
        place = place + width
    return out.tobytes()


def _scatter(out: NDArray[np.uint8], place: NDArray[np.int64], part: NDArray[np.uint8]) -> None:
    """Write each row of a matrix at its place."""
    width = part.shape[1]
    if not width or not len(place):
        return
    kind = np.dtype((np.void, width))
    everywhere = np.ndarray((len(out) - width + 1,), kind, out, strides=(1,))
    everywhere[place] = np.ascontiguousarray(part).view(kind).reshape(-1)
