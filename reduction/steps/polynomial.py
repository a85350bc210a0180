"""Polynomials from pixels to the tangent plane: fits, the degree that stars support, and WCS."""

from __future__ import annotations

__all__ = ["PixelPlane", "is_significant", "polynomial_wcs"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.distortion import DEGREE, EXPONENTS, Distortion, basis
from reduction.steps.wcs import TanWcs
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import signal, stats

    Array = NDArray[np.float64]
else:
    signal = deferred("scipy.signal")
    stats = deferred("scipy.stats")

_FALSE_ALARM: Final = 1e-3


@dataclass(frozen=True, slots=True)
class PixelPlane:
    """Pixels of a frame as numbers of order one: what polynomials are written in.

    Attributes
    ----------
    x0, y0
        Middle of the frame, 0-based pixels.
    half
        Half of its longer side, pixels.
    """

    x0: float
    y0: float
    half: float

    @classmethod
    def of(cls, shape: tuple[int, int]) -> PixelPlane:
        """Plane of a frame of shape (ny, nx)."""
        ny, nx = shape
        return cls((nx - 1) / 2.0, (ny - 1) / 2.0, max(nx, ny) / 2.0)

    def terms(self, points: Array, degree: int) -> Array:
        """Terms of :func:`reduction.steps.distortion.basis` of pixels (n, 2)."""
        x, y = (points - (self.x0, self.y0)).T / self.half
        return basis(x, y, degree)

    def fit(self, points: Array, plane: Array, weights: Array, degree: int) -> tuple[Array, float]:
        """Least squares.

        Parameters
        ----------
        points, plane
            Pixels and standard coordinates (degrees), shapes (n, 2).
        weights
            Inverse variances of both coordinates, any unit, shape (n,).

        Returns
        -------
        tuple
            Coefficients, shape (terms, 2), degrees; and the weighted sum of squares.
        """
        root = np.sqrt(weights)[:, np.newaxis]
        design = self.terms(points, degree)
        found, *_ = np.linalg.lstsq(design * root, plane * root, rcond=None)
        rest = (plane - design @ found) * root
        return np.asarray(found, np.float64), float(np.sum(rest**2))


def is_significant(
    stars: int, plain: tuple[int, float], richer: tuple[int, float], *, per_term: int
) -> bool:
    """Whether a polynomial of higher degree fits better than chance lets it (F test).

    Parameters
    ----------
    stars
        Their number.
    plain, richer
        Degree and sum of squares of either fit to the same stars.
    per_term
        Fewest stars for each term of the richer one.

    Notes
    -----
    False alarm once in a thousand frames without distortion.
    """
    few, many = (_terms(degree) for degree, _ in (plain, richer))
    if stars < per_term * many or stars <= many:
        return False
    free = 2 * (stars - many)
    more = 2 * (many - few)
    if richer[1] <= 0:
        return plain[1] > 0
    ratio = (plain[1] - richer[1]) / more / (richer[1] / free)
    return bool(stats.f.sf(ratio, more, free) < _FALSE_ALARM)


def _terms(degree: int) -> int:
    return (degree + 1) * (degree + 2) // 2


def polynomial_wcs(plane: PixelPlane, coefficients: Array, ra0: float, dec0: float) -> TanWcs:
    """The WCS that a polynomial is; exact.

    Parameters
    ----------
    plane
        Where the polynomial is written.
    coefficients
        Shape (terms, 2), degrees on the tangent plane.
    ra0, dec0
        Tangent point, degrees ICRS.

    Returns
    -------
    TanWcs
        CD is the polynomial's slope in the middle of the frame and CRPIX where the straight
        continuation of it meets the tangent point, so that a reader who leaves out the distortion
        errs least on the frame. A plain TAN for degree 1.
    """
    matrix = coefficients[1:3].T / plane.half
    shift = np.linalg.solve(matrix, coefficients[0])
    (c11, c12), (c21, c22) = matrix.tolist()
    x0, y0 = plane.x0 - float(shift[0]), plane.y0 - float(shift[1])
    distortion = None
    if len(coefficients) > 3:
        inverse = np.asarray(np.linalg.inv(coefficients[1:3].T), np.float64)
        distortion = _on_the_sky(coefficients, inverse)
    return TanWcs(ra0, dec0, x0, y0, ((c11, c12), (c21, c22)), distortion)


def _on_the_sky(coefficients: Array, inverse: Array) -> Distortion:
    """The same polynomials in the intermediate world coordinates."""
    start = -inverse @ coefficients[0]
    lines = [np.array([[start[k], inverse[k, 1]], [inverse[k, 0], 0.0]]) for k in (0, 1)]
    found = np.zeros((2, DEGREE + 1, DEGREE + 1))
    for term, (i, j) in enumerate(EXPONENTS[: len(coefficients)]):
        product = np.ones((1, 1))
        for line in (*[lines[0]] * i, *[lines[1]] * j):
            product = signal.convolve2d(product, line)
        ni, nj = (min(size, DEGREE + 1) for size in product.shape)
        for axis in (0, 1):
            found[axis, :ni, :nj] += coefficients[term, axis] * product[:ni, :nj]
    xi, eta = (tuple(float(found[axis, i, j]) for i, j in EXPONENTS) for axis in (0, 1))
    return Distortion(xi, eta)
