"""Least squares with values that repeat: what a star is off by, it is off by each time."""

from __future__ import annotations

__all__ = ["Repeats", "repeats_of"]

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ROUNDS: Final = 4
_BISECTIONS: Final = 30
_LEAST: Final = 1e-4
_SETTLED: Final = 0.02

#: Degrees of freedom within stars from which on the scatter of repeats is known.
_ENOUGH: Final = 10


@dataclass(frozen=True, slots=True)
class Repeats:
    """Variances of measurements: of each, and what all of a star have in common.

    Attributes
    ----------
    star
        Number of each measurement's star, shape (n,).
    own
        Variance of each, shape (n,).
    common
        Of each star, shape (stars,); infinite: nothing but what repeats show counts.
    free
        Degrees of freedom that ``common`` is known from, for tests of what differs from star to
        star: about the number of stars, less what was fitted to them.
    """

    star: NDArray[np.intp]
    own: Array
    common: Array
    free: float

    @property
    def error(self) -> Array:
        """Standard deviation of each measurement, shape (n,)."""
        return np.asarray(np.sqrt(self.own + self.common[self.star]))

    def whitened(self, values: Array) -> Array:
        """Values, or columns of a design, made independent and of unit variance; shape as given.

        Each loses a part of its star's mean. Sums of squares are those of generalised least
        squares.
        """
        rows = values.reshape(len(self.star), -1)
        weight = 1.0 / self.own
        total = np.bincount(self.star, weight)
        part = 1.0 - 1.0 / np.sqrt(1.0 + self.common * total)
        means = _sums(self.star, rows * weight[:, None]) / np.maximum(total, 1e-300)[:, None]
        less = rows - (part[:, None] * means)[self.star]
        return np.asarray((less * np.sqrt(weight)[:, None]).reshape(values.shape))


def repeats_of(
    design: Array,
    values: Array,
    error: Array,
    star: NDArray[np.intp],
    shared_error: Array,
) -> Repeats:
    """Find by how much measurements scatter, and by how much stars do, about a fit.

    Parameters
    ----------
    design, values
        Of the fit, shapes (n, p), (n,).
    error
        Standard deviations of the measurements themselves, shape (n,).
    star
        Number of the star, shape (n,).
    shared_error
        Of each measurement, the part that all of its star share as far as it is known, shape (n,).

    Notes
    -----
    The scatter of a star's measurements about their mean, beyond their errors, is their own. What
    is left of the scatter about the fit is the stars' (Henderson 1953, Biometrics 9, 226, method
    3, with weights). Where too few repeat to tell, all scatter is taken for the stars'. ``free``
    is Satterthwaite's, from the information that the fit leaves on the stars' variance.
    """
    _, first, star = np.unique(star, return_index=True, return_inverse=True)
    given, known = np.square(error), np.square(shared_error[first])
    own = given + _within(design, values, given, star) ** 2
    extra = 0.0
    for _ in range(_ROUNDS):
        weight = 1.0 / (own + (known + extra)[star])
        before, extra = extra, _common(design, values, own, weight, star, known)
        if abs(extra - before) <= _SETTLED * extra:
            break
    found = Repeats(star, own, known + extra, 1.0)
    return replace(found, free=max(_free(design, found), 1.0))


def _sums(star: NDArray[np.intp], rows: Array) -> Array:
    """Sums over stars of the columns of some rows."""
    return np.stack([np.bincount(star, column) for column in rows.T], axis=1)


def _within(design: Array, values: Array, given: Array, star: NDArray[np.intp]) -> float:
    """Scatter of repeats about their star's mean beyond their errors; little if not known."""
    extra, nothing = _LEAST, np.full(int(star.max()) + 1, math.inf)
    for _ in range(_ROUNDS):
        free_star = Repeats(star, given + extra**2, nothing, 1.0)
        columns, wanted = free_star.whitened(design), free_star.whitened(values)
        best, _, rank, _ = np.linalg.lstsq(columns, wanted, rcond=1e-10)
        free = len(values) - int(star.max()) - 1 - int(rank)
        if free < _ENOUGH:
            return _LEAST
        before, squares = extra, (wanted - columns @ best) ** 2 * (given + extra**2)
        low, high = _LEAST, float(np.sqrt(squares.sum())) + _LEAST
        for _ in range(_BISECTIONS):
            extra = (low + high) / 2.0
            more = float((squares / (given + extra**2)).sum()) > free
            low, high = (extra, high) if more else (low, extra)
        if abs(extra - before) < _SETTLED * extra:
            break
    return extra


def _common(  # the fit, and what is known of its variances
    design: Array,
    values: Array,
    own: Array,
    weight: Array,
    star: NDArray[np.intp],
    known: Array,
) -> float:
    """Variance of stars beyond what is known: with it the sum of squares is as it should be."""
    root = np.sqrt(weight)
    best = np.linalg.lstsq(design * root[:, None], values * root, rcond=1e-10)[0]
    squares = float((weight * (values - design @ best) ** 2).sum())
    weighted = design * weight[:, None]
    inverse = np.linalg.pinv(design.T @ weighted, hermitian=True)
    alone = float((weight * own).sum()) - float(
        np.sum(inverse * (weighted.T @ (weighted * own[:, None])))
    )
    stars = _sums(star, weighted)
    shared = np.bincount(star, weight) - ((stars @ inverse) * stars).sum(axis=1)
    alone += float((known * shared).sum())
    total = float(shared.sum())
    return max((squares - alone) / total, 0.0) if total > 0 else 0.0


def _free(design: Array, found: Repeats) -> float:
    """Degrees of freedom of the variance of stars."""
    total = np.bincount(found.star, 1.0 / found.own)
    each = total / (1.0 + found.common * total)
    columns = found.whitened(design)
    inverse = np.linalg.pinv(columns.T @ columns, hermitian=True)
    per_star = found.whitened(np.ones(len(found.star)))
    stars = _sums(found.star, columns * per_star[:, None])
    lost = stars @ inverse
    kept = inverse @ (stars.T @ stars)
    information = float((each**2).sum()) - 2.0 * float((each[:, None] * lost * stars).sum())
    information += float((kept * kept.T).sum())
    return information / float(np.mean(each**2))
