"""Coordinates in which a field lies on the equator: it is flat, wherever it is on the sky."""

from __future__ import annotations

__all__ = ["FieldAxes"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.distortion import DEGREE
from reduction.steps.polynomial import PixelPlane, polynomial_wcs
from reduction.steps.wcs import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.steps.mosaic import FrameSources
    from reduction.steps.wcs import TanWcs

    Array = NDArray[np.float64]

_GRID: Final = 9


@dataclass(frozen=True, slots=True)
class FieldAxes:
    """A rotation of the sphere: the middle of a field is at (180, 0), and north there is north.

    Attributes
    ----------
    matrix
        Of unit vectors, from the sky to the field's coordinates, shape (3, 3).
    """

    matrix: Array

    @classmethod
    def of(cls, frames: Sequence[FrameSources]) -> FieldAxes:
        """Axes of a field: about the mean direction of its frames' middles."""
        middles = [f.wcs.to_sky((f.shape[1] - 1) / 2.0, (f.shape[0] - 1) / 2.0) for f in frames]
        ra, dec = np.array(middles, np.float64).reshape(-1, 2).T
        x, y, z = _vectors(ra, dec).sum(axis=0).tolist()
        alpha, delta = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
        (ca, sa), (cd, sd) = ((np.cos(angle), np.sin(angle)) for angle in (alpha, delta))
        middle, east, north = (cd * ca, cd * sa, sd), (-sa, ca, 0.0), (-sd * ca, -sd * sa, cd)
        return cls(np.array((middle, east, north)) * np.array([[-1.0], [-1.0], [1.0]]))

    def to_field(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Positions, degrees ICRS, in the field's coordinates, degrees."""
        return _angles(_vectors(ra, dec) @ self.matrix.T)

    def to_sky(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Positions in the field's coordinates, degrees, as ICRS."""
        return _angles(_vectors(ra, dec) @ self.matrix)

    def of_field(self, wcs: TanWcs, shape: tuple[int, int]) -> TanWcs:
        """A frame's solution in the field's coordinates."""
        return _carried(wcs, shape, self)

    def of_sky(self, wcs: TanWcs, shape: tuple[int, int]) -> TanWcs:
        """A frame's solution, in the field's coordinates, as one on the sky."""
        return _carried(wcs, shape, FieldAxes(np.ascontiguousarray(self.matrix.T)))


def _carried(wcs: TanWcs, shape: tuple[int, int], axes: FieldAxes) -> TanWcs:
    """The same projection in turned coordinates: its plane turned about its tangent point, exact.

    The polynomial is found from as many places as hold one of its degree.
    """
    ny, nx = shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, _GRID), np.linspace(0, ny - 1, _GRID))
    points = np.stack((x.ravel(), y.ravel()), axis=-1)
    (ra0,), (dec0,) = axes.to_field(np.array([wcs.ra0]), np.array([wcs.dec0]))
    tangent = float(ra0), float(dec0)
    there = project(*axes.to_field(*wcs.to_sky(*points.T)), *tangent)
    plane = PixelPlane.of(shape)
    coefficients, _ = plane.fit(points, np.stack(there, axis=-1), np.ones(len(points)), DEGREE)
    return polynomial_wcs(plane, coefficients, *tangent)


def _vectors(ra: Array, dec: Array) -> Array:
    alpha, delta = np.radians(ra), np.radians(dec)
    return np.stack(
        (np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)), axis=-1
    )


def _angles(vectors: Array) -> tuple[Array, Array]:
    x, y, z = vectors.T
    return np.mod(np.degrees(np.arctan2(y, x)), 360.0), np.degrees(np.arctan2(z, np.hypot(x, y)))
