"""The grid that frames are brought onto, and where its pixels lie on a frame."""

from __future__ import annotations

__all__ = ["NODE_STEP", "Mapping", "Projection", "covered", "field_grid", "part_of"]

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from reduction.instruments.base import Section
from reduction.steps.wcs import TanWcs
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

#: Grid pixels between the nodes at which the projections are evaluated.
NODE_STEP: Final = 16

_EDGE_STEP: Final = 64
_LARGEST_SIDE: Final = 100_000


class Projection(Protocol):
    """What places pixels (0-based) on the sky (degrees ICRS): a TAN system, distorted or not."""

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Pixels to sky."""

    def to_pixel(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """Sky to pixels."""


def field_grid(
    ra: float, dec: float, *, radius: float, pixel_scale: float
) -> tuple[TanWcs, tuple[int, int]]:
    """Grid of a field: a TAN square around its centre, north up, east left.

    Parameters
    ----------
    ra, dec
        Centre, degrees ICRS; it is the middle of the square.
    radius
        Half the square's side, degrees.
    pixel_scale
        Side of a pixel, arcsec.

    Returns
    -------
    tuple
        The projection, and the shape (ny, nx).

    Raises
    ------
    UnprocessableError
        If radius or pixel scale are not positive, or the side has more than 100 000 pixels.
    """
    side = 7200.0 * radius / pixel_scale if radius > 0 and pixel_scale > 0 else math.nan
    if not 0 < side <= _LARGEST_SIDE:
        message = (
            f"a field of radius {radius:g} deg with pixels of {pixel_scale:g} arcsec is no grid: "
            f"expected 1 to {_LARGEST_SIDE} pixels on a side"
        )
        raise UnprocessableError(message)
    n, step = math.ceil(side - 1e-6), pixel_scale / 3600.0
    middle = (n - 1) / 2.0
    return TanWcs(ra, dec, middle, middle, ((-step, 0.0), (0.0, step))), (n, n)


def part_of(grid: TanWcs, *, x0: int, y0: int) -> TanWcs:
    """Projection of a part of a grid that begins at a column and a row."""
    return replace(grid, x0=grid.x0 - x0, y0=grid.y0 - y0)


def covered(
    frame: Projection, shape: tuple[int, int], grid: Projection, grid_shape: tuple[int, int]
) -> Section | None:
    """Part of a grid that a frame can cover.

    Parameters
    ----------
    frame, shape
        The frame's projection and shape (ny, nx).
    grid, grid_shape
        The grid's.

    Returns
    -------
    Section or None
        Rectangle of grid pixels around the frame's outline; None where they do not meet.
    """
    ny, nx = shape
    across = np.linspace(-0.5, nx - 0.5, 2 + nx // _EDGE_STEP)
    along = np.linspace(-0.5, ny - 0.5, 2 + ny // _EDGE_STEP)
    x = np.concatenate((across, across, np.full_like(along, -0.5), np.full_like(along, nx - 0.5)))
    y = np.concatenate((np.full_like(across, -0.5), np.full_like(across, ny - 0.5), along, along))
    column, row = grid.to_pixel(*frame.to_sky(x, y))
    known = np.isfinite(column) & np.isfinite(row)
    if not known.any():
        return None
    x0, x1 = _between(column[known], grid_shape[1])
    y0, y1 = _between(row[known], grid_shape[0])
    return Section(y0, y1, x0, x1) if y0 < y1 and x0 < x1 else None


def _between(values: Array, size: int) -> tuple[int, int]:
    """First and one after last of the pixels whose centres lie within the values' range."""
    low, high = math.ceil(float(values.min())), math.floor(float(values.max())) + 1
    return min(max(low, 0), size), min(max(high, 0), size)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Frame pixels of grid pixels: exact at nodes, bilinear between.

    Attributes
    ----------
    shape
        Grid pixels (ny, nx) that it serves.
    step
        Grid pixels between nodes.
    x, y
        Frame pixel (0-based) at each node, shape (my, mx); NaN where the projection has none, as
        beyond the frame where its distortion has no inverse.
    area
        Size of a grid pixel in frame pixels at each node (the Jacobian), same shape.
    """

    shape: tuple[int, int]
    step: int
    x: Array
    y: Array
    area: Array

    @classmethod
    def of(
        cls, frame: Projection, grid: Projection, box: Section, *, step: int = NODE_STEP
    ) -> Mapping:
        """Evaluate the projections at the nodes of a part of the grid.

        Raises
        ------
        UnprocessableError
            If no node has a place on the frame.

        Notes
        -----
        Between nodes, linear interpolation is wrong by step^2 / 8 times the curvature. A cubic
        distortion of 1 pixel at 1000 pixels from the axis curves by 6e-6 a pixel: 2e-4 pixels.
        """
        ny, nx = box.shape
        rows = np.arange(0, ny - 1 + step, step, dtype=np.float64)
        columns = np.arange(0, nx - 1 + step, step, dtype=np.float64)
        if len(rows) < 2:
            rows = np.array([0.0, step])
        if len(columns) < 2:
            columns = np.array([0.0, step])
        column, row = np.meshgrid(columns + box.x0, rows + box.y0)
        x, y = frame.to_pixel(*grid.to_sky(column, row))
        x_y, x_x = np.gradient(x, step)
        y_y, y_x = np.gradient(y, step)
        area = np.abs(x_x * y_y - x_y * y_x)
        lost = ~(np.isfinite(x) & np.isfinite(y) & np.isfinite(area))
        if lost.all():
            message = "the frame's projection has no pixels for the part of the grid near it"
            raise UnprocessableError(message)
        x[lost] = y[lost] = np.nan
        area[lost] = np.median(area[~lost])
        return cls((ny, nx), step, x, y, area)

    def at(self, rows: NDArray[np.number], columns: NDArray[np.number]) -> tuple[Array, Array]:
        """Frame pixels (x, y) of grid pixels of the part, arrays that broadcast together."""
        corner, parts = self._cells(rows, columns)
        return self._between(self.x, corner, parts), self._between(self.y, corner, parts)

    def areas(self, rows: NDArray[np.number], columns: NDArray[np.number]) -> Array:
        """Sizes of grid pixels in frame pixels."""
        corner, parts = self._cells(rows, columns)
        return self._between(self.area, corner, parts)

    def _cells(
        self, rows: NDArray[np.number], columns: NDArray[np.number]
    ) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], tuple[Array, Array]]:
        my, mx = self.x.shape
        v, u = np.asarray(rows) / self.step, np.asarray(columns) / self.step
        j = np.clip(np.floor(v).astype(np.intp), 0, my - 2)
        i = np.clip(np.floor(u).astype(np.intp), 0, mx - 2)
        return (j, i), (v - j, u - i)

    @staticmethod
    def _between(
        values: Array,
        corner: tuple[NDArray[np.intp], NDArray[np.intp]],
        parts: tuple[Array, Array],
    ) -> Array:
        (j, i), (v, u) = corner, parts
        low = values[j, i] * (1.0 - u) + values[j, i + 1] * u
        high = values[j + 1, i] * (1.0 - u) + values[j + 1, i + 1] * u
        return np.asarray(low * (1.0 - v) + high * v)
