"""Offsets of frames by least squares, the stars eliminated; and which surfaces stars ask for."""

from __future__ import annotations

__all__ = ["FOLDS", "Observed", "Solution", "chosen_orders", "parts_of", "solved", "solved_apart"]

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.ensemble_terms import FOR_A_TERM, Design, Orders, Surfaces
from reduction.steps.groups import group_mean
from reduction.steps.smallest import smallest_inverse
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import linalg, sparse
    from scipy.sparse import csgraph

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    Numbers = NDArray[np.integer]
else:
    linalg = deferred("scipy.linalg")
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")

#: Parts of the stars, each of which is left out once; and ways to part them, to choose by.
FOLDS: Final = 5
_WAYS: Final = 2

#: Unknowns that are solved for at most, where surfaces may be left out.
_MOST: Final = 4000

#: Standard errors by which stars that were left out have to be better off with more terms; and by
#: which the best of such models has to be better than a simpler one.
_BETTER: Final = 2.0
_BEST: Final = 1.0

#: Squared deviation, in units of its variance, that counts no more.
_OUTLIER: Final = 16.0

#: Part of numbers that are not 0 from which on a matrix is multiplied as a full one; of so many.
_SPARSE: Final = 0.05
_AT_ONCE: Final = 4_000_000

#: What is added to a diagonal, a part of it, and of the largest where rounding is all that it has.
_RIDGE: Final = 1e-10
_NOTHING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Observed:
    """Observations, one a row, and how many stars and epochs they are of."""

    star: Numbers
    epoch: Numbers
    mag: Array
    stars: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Solution:
    """Coefficients of a :class:`Design`'s columns and their covariance."""

    design: Design
    values: Array
    covariance: Array

    def offset(self, use: Index | slice = slice(None)) -> Array:
        """By how much observations are too faint, mag."""
        return self.design.value(self.values, use)

    def variance(self, use: Index) -> Array:
        """Variance of that, mag^2."""
        return self.design.variance(self.covariance, use)

    def of_epochs(self, use: Index, epoch: Numbers) -> tuple[Array, Array]:
        """Mean offsets of observations in each epoch, mag, and their variances, shape (epochs,).

        At the place of its own stars: that of a surface continued to elsewhere may be anything.
        """
        epochs = self.design.epochs
        count = np.bincount(epoch[use], minlength=epochs)
        mean = sparse.csr_array(
            (1.0 / count[epoch[use]], (epoch[use], np.arange(len(use)))), (epochs, len(use))
        )
        rows = mean @ self.design.rows(use)
        variance = rows.multiply(rows @ self.covariance).sum(axis=1)
        return np.asarray(rows @ self.values), np.asarray(variance)


def solved(data: Observed, design: Design, use: Index, weight: Array) -> Solution:
    """Least squares in all stars and epochs at once.

    Parameters
    ----------
    use, weight
        Which observations take part, and the weights of these, 1/mag^2.

    Notes
    -----
    Honeycutt 1992, PASP 104, 435. What no observation fixes - a level or slope that all epochs
    have in common is the stars' - is that of the smallest solution.
    """
    return _inverted(design, *_normal(data, design, use, weight), parts_of(data, use))


def solved_apart(
    data: Observed, design: Design, use: Index, weight: Array
) -> Iterator[tuple[int, Solution]]:
    """For each part of the stars, its number and the solution without them.

    The part of a star is what dividing its number by FOLDS leaves.

    No star has then a say in its own offsets, and takes nothing of its own variation away.
    Nothing is given for parts without which epochs would not hang together as they do with them.
    """
    matrix, right = _normal(data, design, use, weight)
    whole = parts_of(data, use)
    for fold in range(FOLDS):
        mine = data.star[use] % FOLDS == fold
        if not mine.any() or not np.array_equal(parts_of(data, use[~mine]), whole):
            continue
        less, lower = _normal(data, design, use[mine], weight[mine])
        yield fold, _inverted(design, matrix - less, right - lower, whole)


def parts_of(data: Observed, use: Index) -> Index:
    """Number of the set of epochs, connected by stars, that each epoch is in."""
    nodes = data.epochs + data.stars
    links = sparse.coo_array(
        (np.ones(len(use), np.int8), (data.epoch[use], data.epochs + data.star[use])),
        (nodes, nodes),
    )
    _, part = csgraph.connected_components(links, directed=False)
    _, number = np.unique(part[: data.epochs], return_inverse=True)
    return np.asarray(number, np.intp)


def chosen_orders(data: Observed, surfaces: Surfaces, use: Index, weight: Array) -> Orders:
    """Orders of the surfaces that make stars agree that were left out of the solution.

    Each fifth of the stars is left out once, the others tell the offsets, and the deviations of
    those left out from their own means are added up. More terms are taken where stars are better
    off by twice the standard error of what they gain; of the models that are, the simplest that
    the best is not better than by one (Breiman et al. 1984, Classification and Regression Trees,
    section 3.4.3). Such stars tell what is common to stars from what is not, however the noise of
    one star is correlated in time: sums of squares of the stars solved for do not.
    """
    models = _models(data, surfaces, use)
    if len(models) == 1:
        return models[0]
    highest = Orders(models[-1].field, max(one.chip for one in models))
    design = Design.of(surfaces, data, highest, use, whole=True)
    table = _scores(data, design, models, use, weight)
    now = 0
    while True:
        better = [n for n in range(len(models)) if _richer(models[n], models[now])]
        better = [n for n in better if _gain(table[now], table[n]) > _BETTER]
        if not better:
            return models[now]
        best = min(better, key=lambda n: float(table[n].sum()))
        now = min(
            (n for n in better if _gain(table[n], table[best]) <= _BEST),
            key=lambda n: _unknowns(models[n], data.epochs),
        )


def _models(data: Observed, surfaces: Surfaces, use: Index) -> list[Orders]:
    """Orders that there are stars for, of the field in rising order."""
    stars = int(np.bincount(data.epoch[use], minlength=1).max())
    seen = int(np.bincount(surfaces.number[use], minlength=1).max())
    field, chip = surfaces.highest.field, surfaces.highest.chip
    while field > 0 and stars < FOR_A_TERM * Orders(field).own:
        field -= 1
    while field > 0 and Orders(field).own * data.epochs > _MOST:
        field -= 1
    while chip > 0 and seen < FOR_A_TERM * Orders(0, chip).shared:
        chip -= 1
    return [
        Orders(own, shared)
        for own in range(field + 1)
        for shared in range(chip + 1)
        if shared == 0 or Orders(own, shared).shared
    ]


def _unknowns(orders: Orders, epochs: int) -> int:
    return orders.own * epochs + orders.shared


def _richer(one: Orders, other: Orders) -> bool:
    return one != other and one.field >= other.field and one.chip >= other.chip


def _gain(poorer: Array, richer: Array) -> float:
    """By how many standard errors stars are better off with the second."""
    gain = poorer - richer
    error = float(np.std(gain)) / np.sqrt(len(gain))
    return float(np.mean(gain)) / error if error > 0 else 0.0


def _scores(
    data: Observed, design: Design, models: list[Orders], use: Index, weight: Array
) -> Array:
    """Deviations of each star left out, in each model of a design that holds them all.

    The mean of some ways to part the stars: which ones are left out together is a matter of their
    numbers, and moves a gain by a third of its error. A way that leaves all stars out together
    says nothing.
    """
    matrix, right = _normal(data, design, use, weight)
    stars, star = np.unique(data.star[use], return_inverse=True)
    found = np.zeros((len(models), len(stars)))
    parted = [stars // FOLDS**way % FOLDS for way in range(_WAYS)]
    parted = [folds for folds in parted if len(np.unique(folds)) > 1]
    for folds, fold in itertools.product(parted, range(FOLDS)):
        mine = folds[star] == fold
        if not mine.any():
            continue
        some, inverse = use[mine], weight[mine]
        less, lower = _normal(data, design, some, inverse)
        less, lower = matrix - less, right - lower
        for number, one in enumerate(models):
            columns = design.within(one)
            values = np.zeros(design.size)
            values[columns] = _smallest(less[np.ix_(columns, columns)], lower[columns])
            rest = data.mag[some] - design.value(values, some)
            rest -= group_mean(rest, inverse, star[mine], len(stars))[star[mine]]
            square = np.minimum(inverse * rest**2, _OUTLIER)
            found[number] += np.bincount(star[mine], square, len(stars)) / len(parted)
    return found


def _normal(data: Observed, design: Design, use: Index, weight: Array) -> tuple[Array, Array]:
    """Matrix and right side of the normal equations; those of sets of stars add up."""
    rows = design.rows(use)
    members = sparse.csr_array(
        (np.ones(len(use)), (np.arange(len(use)), data.star[use])), (len(use), data.stars)
    )
    total = members.T @ weight
    total = np.where(total > 0, total, 1.0)
    weighted = sparse.diags_array(weight) @ rows
    cross = members.T @ weighted
    mag = weight * data.mag[use]
    right = rows.T @ mag - cross.T @ ((members.T @ mag) / total)
    matrix = (rows.T @ weighted).toarray()
    if cross.nnz < _SPARSE * cross.shape[0] * cross.shape[1]:
        matrix -= (cross.T @ sparse.diags_array(1.0 / total) @ cross).toarray()
        return matrix, right
    step = max(_AT_ONCE // cross.shape[1], 1)
    for begin in range(0, cross.shape[0], step):
        block = cross[begin : begin + step].toarray()
        matrix -= block.T @ (block / total[begin : begin + step, np.newaxis])
    return matrix, right


def _inverted(design: Design, matrix: Array, right: Array, part: Index) -> Solution:
    covariance = smallest_inverse(matrix, design.together(part))
    return Solution(design, covariance @ right, covariance)


def _smallest(matrix: Array, right: Array) -> Array:
    """Solution of equations some of which may be empty or say the same."""
    diagonal = np.diag(matrix)
    matrix = matrix.copy()
    least = max(float(diagonal.max(initial=0.0)), 1e-300) * _NOTHING
    matrix.flat[:: len(matrix) + 1] += np.maximum(_RIDGE * diagonal, least)
    return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix), right))
