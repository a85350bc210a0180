"""Smooth functions of place on a frame or a focal plane: polynomials, fitted with clipping."""

from __future__ import annotations

__all__ = ["Surface", "fit_surface", "needed_degree", "powers"]

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy import special

    Array = NDArray[np.float64]
else:
    special = deferred("scipy.special")

_ROUNDS = 10

#: Chance by which a degree may be taken although values do not vary so.
_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Surface:
    """A polynomial of total degree in two coordinates that run from -1 to 1 over a box.

    Attributes
    ----------
    coefficients
        Of ``u^i v^j`` in the order of :func:`powers`: the constant first, then by degree.
    x0, y0, half_x, half_y
        Middle and half sides of the box.
    """

    coefficients: tuple[float, ...]
    x0: float
    y0: float
    half_x: float
    half_y: float

    @classmethod
    def constant(cls, value: float, shape: tuple[int, int]) -> Self:
        """The same value all over a frame of shape (ny, nx)."""
        return cls((float(value),), *_box(shape))

    @classmethod
    def over(cls, shape: tuple[int, int], degree: int) -> Self:
        """Zero all over a frame of shape (ny, nx), of a degree."""
        return cls((0.0,) * len(powers(degree)), *_box(shape))

    def with_coefficients(self, coefficients: ArrayLike) -> Self:
        """The same box with other coefficients."""
        return replace(self, coefficients=tuple(map(float, np.asarray(coefficients))))

    @property
    def degree(self) -> int:
        """Total degree."""
        count, degree = len(self.coefficients), 0
        while (degree + 1) * (degree + 2) // 2 < count:
            degree += 1
        return degree

    @property
    def middle(self) -> float:
        """Value in the middle of the box."""
        return self.coefficients[0]

    def at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Values at places; x and y broadcast."""
        return np.asarray(self.design(x, y) @ np.array(self.coefficients))

    def design(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Values of the terms at places; the terms are the last axis."""
        u, v = self._scaled(x, y)
        return np.stack([u**i * v**j for i, j in powers(self.degree)], axis=-1)

    def on_grid(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Values at the pixels' centres of a frame, shape (ny, nx)."""
        u, v = self._scaled(np.arange(shape[1]), np.arange(shape[0]))
        total = np.zeros(shape, np.float64)
        terms = zip(self.coefficients, powers(self.degree), strict=True)
        by_row: dict[int, Array] = {}
        for value, (i, j) in terms:
            by_row[j] = by_row.get(j, np.zeros(shape[1])) + value * u**i
        for j, row in by_row.items():
            total += (v**j)[:, None] * row
        return total.astype(np.float32)

    def _scaled(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        u = (np.asarray(x, np.float64) - self.x0) / self.half_x
        v = (np.asarray(y, np.float64) - self.y0) / self.half_y
        return u, v


def fit_surface(  # data and settings of a fit
    x: Array,
    y: Array,
    values: Array,
    *,
    shape: tuple[int, int],
    degree: int,
    clip: float,
    weights: Array | None = None,
) -> tuple[Surface, NDArray[np.bool_]]:
    """Fit a surface to values at places, leaving out outliers.

    Parameters
    ----------
    x, y, values
        Shape (n,), all finite; n at least 1.
    shape
        (ny, nx) of the frame that the coordinates are scaled with.
    degree
        Total degree; lowered until the values suffice for it twice.
    clip
        Rejection limit about the fit, units of 1.4826 times the median deviation.
    weights
        1 / variance, shape (n,).

    Returns
    -------
    tuple
        The surface, and which values were used, shape (n,).
    """
    while degree > 0 and len(values) < (degree + 1) * (degree + 2):
        degree -= 1
    root = np.ones(len(values)) if weights is None else np.sqrt(weights)
    used = np.ones(len(values), np.bool_)
    blank = Surface.over(shape, degree)
    design = blank.design(x, y)
    start = np.zeros(design.shape[1])
    start[0] = np.median(values)
    deviation = np.abs(values - start[0])
    used = deviation <= 3.0 * clip * max(1.4826 * float(np.median(deviation)), 1e-12)
    for _ in range(_ROUNDS):
        best = np.linalg.lstsq(
            design[used] * root[used, None], values[used] * root[used], rcond=1e-10
        )[0]
        miss = np.abs(values - design @ best) * root
        limit = clip * max(1.4826 * float(np.median(miss[used])), 1e-12)
        again = miss <= limit
        if (again == used).all() or again.sum() < design.shape[1]:
            break
        used = again
    return blank.with_coefficients(best), used


def needed_degree(
    x: Array,
    y: Array,
    values: Array,
    *,
    shape: tuple[int, int],
    most: int,
    weights: Array,
) -> int:
    """Degree of a surface that values demand: more than they do is noise at the frame's edges.

    Parameters
    ----------
    x, y
        Places, shape (n,).
    values
        One quantity, shape (n,), or several that vary together, shape (m, n); all finite.
    shape
        (ny, nx) of the frame.
    most
        Largest degree that may be taken.
    weights
        Relative 1 / variance, of the shape of the values.

    Returns
    -------
    int
        The largest degree whose surface is better than the one taken before by more than chance
        gives in one of a hundred cases (F test). 0 where values are too few to tell.
    """
    quantities, root = np.atleast_2d(values), np.sqrt(np.atleast_2d(weights))
    count = quantities.shape[1]
    best, before = 0, _chi2(Surface.over(shape, 0).design(x, y), quantities, root)
    for degree in range(1, most + 1):
        terms = len(powers(degree))
        if count < 2 * terms:
            break
        chi2 = _chi2(Surface.over(shape, degree).design(x, y), quantities, root)
        more = len(quantities) * (terms - len(powers(best)))
        free = len(quantities) * (count - terms)
        better = (before - chi2) / more / max(chi2 / free, 1e-300)
        if special.fdtrc(more, free, better) < _CHANCE:
            best, before = degree, chi2
    return best


def _chi2(design: Array, values: Array, root: Array) -> float:
    """Weighted squares that fits leave, of all quantities together."""
    total = 0.0
    for value, weight in zip(values, root, strict=True):
        scaled = design * weight[:, None]
        best = np.linalg.lstsq(scaled, value * weight, rcond=1e-10)[0]
        total += float(((value * weight - scaled @ best) ** 2).sum())
    return total


def _box(shape: tuple[int, int]) -> tuple[float, float, float, float]:
    ny, nx = shape
    return (nx - 1) / 2.0, (ny - 1) / 2.0, max(nx / 2.0, 1.0), max(ny / 2.0, 1.0)


def powers(degree: int) -> list[tuple[int, int]]:
    """Exponents (i, j) of the terms ``u^i v^j`` up to a total degree: the constant comes first."""
    return [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]
