"""What offsets of frames are made of: a surface over the field each, one over the chip for all."""

from __future__ import annotations

__all__ = ["FOR_A_TERM", "Design", "Orders", "Surfaces"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from reduction.steps.groups import group_mean
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from reduction.steps.ensemble_fit import Observed

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    Numbers = NDArray[np.integer]
else:
    sparse = deferred("scipy.sparse")

#: Constant stars of an epoch, or observations of them on a chip, for each term that it has.
FOR_A_TERM: Final = 10

#: Observations whose errors are worked out at once, times the squared number of their terms.
_AT_ONCE: Final = 4_000_000


class Orders(NamedTuple):
    """Orders of the polynomials in the place in the field, and in that on the chip."""

    field: int = 0
    chip: int = 0

    @property
    def own(self) -> int:
        """Terms of each epoch; the first is the offset."""
        return _count(self.field)

    @property
    def first(self) -> int:
        """First of the terms in the place on the chip that its epochs share.

        Where a field drifts over the chip, x is x of the star and a shift of the epoch: a
        polynomial of one order is a level of the star and one of the epoch of the order below.
        """
        return _count(self.field + 1)

    @property
    def shared(self) -> int:
        """Terms that the epochs of a chip share."""
        return max(_count(self.chip) - self.first, 0)


def _count(order: int) -> int:
    """Terms of a polynomial in two coordinates."""
    return (order + 1) * (order + 2) // 2


@dataclass(frozen=True, slots=True)
class Surfaces:
    """What the offset of an epoch may follow besides being one number.

    Attributes
    ----------
    field
        Shape (n, 2): place in the field of each observation's star, of mean 0 and unit scatter;
        the same in all epochs, so that slopes of epochs have a mean to be measured from.
    chip
        Shape (n, 2): place of the observation on its chip, from -1 to 1. NaN takes no part.
    number
        Shape (n,): number of the chip, from 0.
    highest
        Orders that are not passed. Whether they are reached the stars say.
    """

    field: Array
    chip: Array
    number: Numbers
    highest: Orders

    @classmethod
    def none(cls, count: int) -> Surfaces:
        """Offsets that are one number, of so many observations."""
        return cls(np.zeros((count, 2)), np.zeros((count, 2)), np.zeros(count, int), Orders())

    @property
    def known(self) -> NDArray[np.bool_]:
        """Observations with a place, shape (n,)."""
        places = np.hstack((self.field, self.chip)) if self.highest.chip else self.field
        return np.asarray(np.isfinite(places).all(axis=1))

    def moved(self, data: Observed, order: int) -> Array:
        """Terms in the place on the chip, less their mean over the star's observations there."""
        known = self.known & np.isfinite(data.mag)
        terms = _terms(np.where(known[:, np.newaxis], self.chip, 0.0), order)
        chips = int(np.max(self.number, initial=-1)) + 1
        group = data.star * chips + self.number
        weight = known.astype(float)
        for column in range(terms.shape[1]):
            mean = group_mean(terms[:, column], weight, group, data.stars * chips)
            terms[:, column] -= mean[group]
        terms[~known] = 0.0
        return terms


@dataclass(frozen=True, slots=True)
class Design:
    """The linear model of offsets: for each observation its terms and the columns they are in.

    Attributes
    ----------
    terms, columns
        Shape (n, terms of an observation).
    orders
        Of its polynomials.
    first
        First term in the place on the chip that is in it.
    epochs, chips
        Their numbers: the terms of epochs come first, then those of chips.
    """

    terms: Array
    columns: Index
    orders: Orders
    first: int
    epochs: int
    chips: int

    @classmethod
    def of(
        cls,
        surfaces: Surfaces,
        data: Observed,
        orders: Orders,
        use: Index,
        *,
        whole: bool = False,
    ) -> Design:
        """Model of these orders, for stars of which some observations serve.

        Terms of observations without a place are 0, and those of epochs and chips on which
        fewer than :data:`FOR_A_TERM` observations for each term serve: a poor frame does with
        less, and the others keep what they have. Terms in the place on the chip are less their
        mean over the star's observations there: a star keeps its level, which is told from what
        the chip does to it as badly as the star moves. ``whole`` has the terms of all lower
        orders, which say the same in part.
        """
        known = surfaces.known[:, np.newaxis]
        enough = np.bincount(data.epoch[use], minlength=data.epochs)[data.epoch]
        own = _terms(np.where(known, surfaces.field, 0.0), orders.field)
        for order in range(1, orders.field + 1):
            own[enough < FOR_A_TERM * Orders(order).own, Orders(order - 1).own :] = 0.0
        parts = [own]
        columns = [data.epoch[:, np.newaxis] * orders.own + np.arange(orders.own)]
        first = Orders().first if whole else orders.first
        number = max(_count(orders.chip) - first, 0)
        chips = int(np.max(surfaces.number, initial=-1)) + 1
        if number:
            enough = np.bincount(surfaces.number[use], minlength=chips)[surfaces.number]
            shared = surfaces.moved(data, orders.chip)[:, first:]
            shared[enough < FOR_A_TERM * number] = 0.0
            parts.append(shared)
            begin = data.epochs * orders.own + surfaces.number * number
            columns.append(begin[:, np.newaxis] + np.arange(number))
        terms = np.hstack(parts)
        return cls(terms, np.hstack(columns), orders, first, data.epochs, chips)

    @property
    def shared(self) -> int:
        """Terms that the epochs of a chip share."""
        return max(_count(self.orders.chip) - self.first, 0)

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.epochs * self.orders.own + self.chips * self.shared

    def rows(self, use: Index) -> sparse.csr_array:
        """The matrix's rows of these observations, shape (len(use), size)."""
        width = self.terms.shape[1]
        pointer = np.arange(len(use) + 1) * width
        values, columns = self.terms[use].ravel(), self.columns[use].ravel()
        return sparse.csr_array((values, columns, pointer), (len(use), self.size))

    def together(self, part: Index) -> Index:
        """Labels of columns that stars' levels and slopes can make up for, shape (size,).

        The same term of all epochs of a part, whose number each epoch is given; -1 for others.
        """
        own = self.orders.own
        label = np.full(self.size, -1, np.intp)
        terms = part[:, np.newaxis] * own + np.arange(own)
        label[: self.epochs * own] = terms.ravel()
        return label

    def within(self, orders: Orders) -> Index:
        """Which columns a model of lower orders has, in its order."""
        own = np.arange(self.epochs)[:, np.newaxis] * self.orders.own + np.arange(orders.own)
        begin = self.epochs * self.orders.own + np.arange(self.chips) * self.shared
        shared = np.arange(orders.first - self.first, _count(orders.chip) - self.first)
        shared = begin[:, np.newaxis] + shared
        return np.concatenate((own.ravel(), shared.ravel()))

    def value(self, solution: Array, use: Index | slice = slice(None)) -> Array:
        """Offsets of observations, mag."""
        return np.asarray((self.terms[use] * solution[self.columns[use]]).sum(axis=1))

    def variance(self, covariance: Array, use: Index) -> Array:
        """Variances of offsets of observations, mag^2."""
        found = np.empty(len(use))
        step = max(_AT_ONCE // self.terms.shape[1] ** 2, 1)
        for begin in range(0, len(use), step):
            some = use[begin : begin + step]
            terms, columns = self.terms[some], self.columns[some]
            block = covariance[columns[:, :, np.newaxis], columns[:, np.newaxis, :]]
            found[begin : begin + step] = np.einsum("ni,nij,nj->n", terms, block, terms)
        return np.maximum(found, 0.0)


def _terms(places: Array, order: int) -> Array:
    """Terms x^i y^j up to an order, lower orders first, shape (n, terms)."""
    x, y = places.T

    def powers() -> Iterator[Array]:
        """One after the other."""
        for total in range(order + 1):
            for rise in range(total + 1):
                yield x ** (total - rise) * y**rise

    return np.stack(list(powers()), axis=1)
