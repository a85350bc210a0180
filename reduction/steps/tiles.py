"""Overlapping tiles of an image too large to be worked on as a whole."""

from __future__ import annotations

__all__ = ["Tile", "tiles_of"]

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from reduction.instruments.base import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Pixels of an image that is one tile, and side and overlap of the tiles of larger ones.
_WHOLE: Final = 16_000_000
_SIDE: Final = 2560
_OVERLAP: Final = 384


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image.

    Attributes
    ----------
    inner
        What is the tile's own: those of all tiles together are the image.
    outer
        The same and what is near it.
    """

    inner: Section
    outer: Section

    def owns(
        self, x: NDArray[np.float64], y: NDArray[np.float64], *, more: float = 0.0
    ) -> NDArray[np.bool_]:
        """Whether places (pixels of the image) are in the inner part, or so little beside it.

        What lies beyond the image's edge belongs to the tile at that edge.
        """
        own, around = self.inner, self.outer
        limits = (
            own.y0 - 0.5 - more if own.y0 > around.y0 else -math.inf,
            own.y1 - 0.5 + more if own.y1 < around.y1 else math.inf,
            own.x0 - 0.5 - more if own.x0 > around.x0 else -math.inf,
            own.x1 - 0.5 + more if own.x1 < around.x1 else math.inf,
        )
        return _within(x, y, limits)

    def reaches(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places are in the outer part."""
        part = self.outer
        return _within(x, y, (part.y0 - 0.5, part.y1 - 0.5, part.x0 - 0.5, part.x1 - 0.5))


def tiles_of(
    shape: tuple[int, ...],
    *,
    mesh: int = 1,
    whole: int = _WHOLE,
    side: int = _SIDE,
    overlap: int = _OVERLAP,
) -> list[Tile]:
    """Tiles of an image, row by row; an image that is not large is one.

    Parameters
    ----------
    shape
        Of the image, (ny, nx).
    mesh
        Pixels: tiles begin at multiples of it, so that meshes are the same in all of them.
    whole
        Pixels of the largest image that is one tile.
    side, overlap
        Pixels of an inner part's side at most, and what a tile has beyond it, in whole meshes.
    """
    ny, nx = shape
    if ny * nx <= whole:
        one = Section(0, ny, 0, nx)
        return [Tile(one, one)]
    side = max(side // mesh, 1) * mesh
    overlap = math.ceil(overlap / mesh) * mesh
    return [
        Tile(
            Section(y0, y1, x0, x1),
            Section(
                max(y0 - overlap, 0),
                min(y1 + overlap, ny),
                max(x0 - overlap, 0),
                min(x1 + overlap, nx),
            ),
        )
        for y0, y1 in pairwise(_edges(ny, side, mesh))
        for x0, x1 in pairwise(_edges(nx, side, mesh))
    ]


def _edges(size: int, side: int, mesh: int) -> list[int]:
    """Where tiles begin and end: as many as have to be, of about one size."""
    count = math.ceil(size / side)
    step = math.ceil(size / count / mesh) * mesh
    return [*range(0, size, step), size]


def _within(
    x: NDArray[np.float64], y: NDArray[np.float64], limits: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    y0, y1, x0, x1 = limits
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
