"""Least squares with values that repeat: what a star is off by, it is off by each time."""

from __future__ import annotations

__all__ = ["Repeats", "freedom", "repeats_of"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.grouped import eliminate, sums
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from reduction.steps.grouped import Grouped

    Array = NDArray[np.float64]
else:
    sparse = deferred("scipy.sparse")

_ROUNDS: Final = 4
_BISECTIONS: Final = 30
_LEAST: Final = 1e-4
_SETTLED: Final = 0.02

#: Frames beyond which the matrix of all pairs of them is not made.
_MANY: Final = 3000

#: Degrees of freedom within stars from which on the scatter of repeats is known.
_ENOUGH: Final = 10


@dataclass(frozen=True, slots=True)
class Repeats:
    """Variances of measurements: of each, and what all of a star have in common.

    Attributes
    ----------
    star
        Number of each measurement's star, from 0, none left out, shape (n,).
    own
        Variance of each, shape (n,).
    common
        Of each star, shape (stars,); infinite: nothing but what repeats show counts.
    """

    star: NDArray[np.intp]
    own: Array
    common: Array

    @property
    def error(self) -> Array:
        """Standard deviation of each measurement, shape (n,)."""
        return np.asarray(np.sqrt(self.own + self.common[self.star]))

    @property
    def loss(self) -> Array:
        """Part of the weight of a star's mean that is left, shape (stars,); 0: it is free."""
        return np.asarray(1.0 / (1.0 + self.common * np.bincount(self.star, 1.0 / self.own)))

    @property
    def kept(self) -> Array:
        """Part of a star's mean that is its own and not its measurements', shape (stars,)."""
        return 1.0 - self.loss

    def whitened(self, values: Array) -> Array:
        """Values, or columns of a design, made independent and of unit variance; shape as given.

        Each loses a part of its star's mean. Sums of squares are those of generalised least
        squares.
        """
        return self._less(values, 1.0 - np.sqrt(self.loss), 1.0 / np.sqrt(self.own))

    def weighted(self, values: Array) -> Array:
        """The inverse of the covariance times values, or columns of a design; shape as given."""
        return self._less(values, self.kept, 1.0 / self.own)

    def _less(self, values: Array, part: Array, scale: Array) -> Array:
        """Values less a part of their star's mean, times a scale; shape as given."""
        rows, weight = values.reshape(len(self.star), -1), 1.0 / self.own
        if not part.any():
            return np.asarray((rows * scale[:, None]).reshape(values.shape))
        total = np.maximum(np.bincount(self.star, weight), 1e-300)
        less = ((part / total)[:, None] * sums(self.star, rows, weight))[self.star]
        np.subtract(rows, less, out=less)
        less *= scale[:, None]
        return np.asarray(less.reshape(values.shape))


def repeats_of(
    design: Grouped,
    values: Array,
    error: Array,
    star: NDArray[np.intp],
    shared_error: Array,
) -> Repeats:
    """Find by how much measurements scatter, and by how much stars do, about a fit.

    Parameters
    ----------
    design, values
        Of the fit, n rows.
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
    3, with weights). Where too few repeat to tell, all scatter is taken for the stars'.
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
    return Repeats(star, own, known + extra)


def freedom(design: Grouped, repeats: Repeats) -> float:
    """Degrees of freedom that the variance of stars is known from, at least 1.

    For tests of what differs from star to star: about the number of stars, less what was fitted
    to them. Satterthwaite's, from the information that the fit leaves on the stars' variance; that
    number itself where frames are thousands, and their stars many more.
    """
    each = np.bincount(repeats.star, 1.0 / repeats.own) * repeats.loss
    share = repeats.loss[repeats.star] / repeats.own
    reduced = eliminate(design, np.zeros(len(share)), repeats)
    if reduced.rank > _MANY:
        return max(float(len(each) - reduced.fit().rank), 1.0)
    links = sparse.csr_array(sparse.coo_array((share, (repeats.star, reduced.group))))
    terms = reduced.orthonormal(sums(repeats.star, reduced.terms, share))
    groups, mixed = (links.T @ links).toarray(), links.T @ terms
    once = (links.T @ sparse.diags_array(each) @ links).toarray()
    lost = np.linalg.solve(reduced.ties.toarray(), np.hstack((groups, mixed, once)))
    number = len(groups)
    of_groups, of_mixed, of_once = np.split(lost, (number, number + terms.shape[1]), axis=1)
    information = float((each**2).sum())
    information -= 2.0 * float(np.trace(of_once) + (each[:, None] * terms**2).sum())
    information += float((of_groups * of_groups.T).sum() + 2.0 * (mixed * of_mixed).sum())
    information += float(((terms.T @ terms) ** 2).sum())
    return max(information / float(np.mean(each**2)), 1.0)


def _within(design: Grouped, values: Array, given: Array, star: NDArray[np.intp]) -> float:
    """Scatter of repeats about their star's mean beyond their errors; little if not known."""
    several = np.bincount(star)[star] > 1  # what is seen once tells nothing
    design, values, given = design.of(several), values[several], given[several]
    kinds, star = np.unique(star[several], return_inverse=True)
    extra, nothing = _LEAST, np.full(len(kinds), math.inf)
    for _ in range(_ROUNDS):
        if len(values) - len(kinds) < _ENOUGH:
            return _LEAST
        free_star = Repeats(star, given + extra**2, nothing)
        fit = eliminate(design, values, free_star).fit()
        free = len(values) - len(kinds) - fit.rank
        if free < _ENOUGH:
            return _LEAST
        miss = free_star.whitened(values - design.at(fit))
        before, squares = extra, miss**2 * free_star.own
        low, high = _LEAST, float(np.sqrt(squares.sum())) + _LEAST
        for _ in range(_BISECTIONS):
            extra = (low + high) / 2.0
            more = float((squares / (given + extra**2)).sum()) > free
            low, high = (extra, high) if more else (low, extra)
        if abs(extra - before) < _SETTLED * extra:
            break
    return extra


def _common(  # the fit, and what is known of its variances
    design: Grouped,
    values: Array,
    own: Array,
    weight: Array,
    star: NDArray[np.intp],
    known: Array,
) -> float:
    """Variance of stars beyond what is known: with it the sum of squares is as it should be.

    The fit has weights alone; columns of terms without their groups' means are at right angles to
    those of the groups, and what each kind takes away is summed by itself.
    """
    reduced = eliminate(design, values, Repeats(star, 1.0 / weight, np.zeros(len(known))))
    group, of_group = reduced.group, np.bincount(reduced.group, weight)
    terms = reduced.orthonormal(weight[:, None] * reduced.terms)
    alone = float((weight * own).sum()) - float((terms**2 * own[:, None]).sum())
    alone -= float((np.bincount(group, weight**2 * own) / of_group).sum())
    links = sparse.csr_array(sparse.coo_array((weight, (star, group))))
    shared = np.bincount(star, weight) - (sums(star, terms) ** 2).sum(axis=1)
    shared -= links.multiply(links) @ (1.0 / of_group)
    alone += float((known * shared).sum())
    total = float(shared.sum())
    return max((reduced.fit().squares - alone) / total, 0.0) if total > 0 else 0.0
