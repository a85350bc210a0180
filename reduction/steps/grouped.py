"""Least squares of some terms beside a constant for each of many groups, with repeats."""

from __future__ import annotations

__all__ = ["Fit", "Grouped", "Reduced", "eliminate", "sums"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse
    from scipy.sparse import csgraph, linalg

    from reduction.steps.repeats import Repeats

    Array = NDArray[np.float64]
else:
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")
    linalg = deferred("scipy.sparse.linalg")

#: Part of a term below which what groups and stars leave of it is rounding.
_RANK: Final = 1e-9

#: Part of a matrix that is not 0 from which on it is solved as a full one.
_DENSE: Final = 0.2

#: Rows that are brought to a triangle at once.
_PART: Final = 1024


@dataclass(frozen=True, slots=True)
class Grouped:
    """A design: a constant for each group, and terms. The constants are never written as columns.

    Attributes
    ----------
    group
        From 0, shape (n,).
    terms
        Shape (n, k).
    """

    group: NDArray[np.intp]
    terms: Array

    def of(self, rows: NDArray[np.bool_]) -> Grouped:
        """Some of its rows; groups keep their numbers."""
        return Grouped(self.group[rows], self.terms[rows])

    def first(self, number: int) -> Grouped:
        """The same with its first terms alone."""
        return Grouped(self.group, self.terms[:, :number])

    def at(self, fit: Fit) -> Array:
        """Values of a fit, shape (n,); NaN in groups that it knows nothing of."""
        known = self.group < len(fit.constants)
        constants = np.where(known, fit.constants[np.where(known, self.group, 0)], np.nan)
        return np.asarray(constants + self.terms @ fit.slopes)


@dataclass(frozen=True, slots=True)
class Fit:
    """What least squares give.

    Attributes
    ----------
    constants
        Of the groups, NaN of those without a row, shape (groups,).
    slopes
        Of the terms, shape (k,).
    covariance
        Of the slopes, shape (k, k), as the variances given make it.
    squares
        Sum of squares that are left, of rows of unit variance.
    rank
        Of the design.
    """

    constants: Array
    slopes: Array
    covariance: Array
    squares: float
    rank: int


@dataclass(frozen=True, slots=True)
class Reduced:
    """Terms and values without what groups' constants tell of them.

    Attributes
    ----------
    terms
        Shape (n, k).
    triangle
        The R of Q R of terms and values, made independent and of unit variance, shape
        (k + 1, k + 1): least squares of terms and values are those of its columns.
    sizes
        Norms of the terms as they were, in the same unit, shape (k,).
    constants
        What was taken off for each group, of the terms and of the values; NaN for a group without
        a row; shape (groups, k + 1).
    group
        Of each row, of the groups that have one, from 0.
    ties
        Normal matrix of the constants of these.
    rank
        Of that.
    """

    terms: Array
    triangle: Array
    sizes: Array
    constants: Array
    group: NDArray[np.intp]
    ties: sparse.csr_array
    rank: int

    def fit(self, number: int | None = None) -> Fit:
        """Least squares of the groups' constants and the first terms (None: all)."""
        count = len(self.sizes) if number is None else number
        root, rank = self._root(count)
        wanted = self.triangle[:, -1]
        slopes = root @ (root.T @ (self.triangle[:, :count].T @ wanted))
        left = wanted - self.triangle[:, :count] @ slopes
        constants = self.constants[:, -1] - self.constants[:, :count] @ slopes
        squares = float((left**2).sum())
        return Fit(constants, slopes, root @ root.T, squares, self.rank + rank)

    def orthonormal(self, rows: Array) -> Array:
        """Linear functions of the terms, shape (m, k), in coordinates of unit variance."""
        return rows @ self._root(len(self.sizes))[0]

    def _root(self, count: int) -> tuple[Array, int]:
        """A root of the terms' covariance, a column for each that the rows tell; their number."""
        sizes = np.maximum(self.sizes[:count], 1e-300)
        _, singular, turned = np.linalg.svd(self.triangle[:, :count] / sizes)
        told = singular > _RANK
        columns = turned[: len(singular)][told].T / singular[told]
        return columns / sizes[:, None], int(told.sum())


def eliminate(design: Grouped, values: Array, repeats: Repeats) -> Reduced:
    """Take the groups' constants out of generalised least squares.

    Parameters
    ----------
    design
        Shape (n, groups + k) if it were written out.
    values
        Shape (n,).
    repeats
        Variances of the values, and what they have in common.

    Notes
    -----
    Least squares of what is left of terms and values are those of all (Frisch & Waugh 1933,
    Econometrica 1, 387; Lovell). The constants' normal matrix is found from counts of stars that
    groups share. Columns are centred on the groups' means before anything is summed, and what is
    left is never a difference of sums of squares: it is as exact as by the whole design.
    """
    there = np.bincount(design.group) > 0
    group = (np.cumsum(there) - 1)[design.group]
    rows = np.column_stack((design.terms, values))
    sizes = np.sqrt((1.0 / repeats.own) @ design.terms**2)
    means = sums(group, rows) / np.bincount(group)[:, None]
    rows -= means[group]
    ties, rank = _ties(group, repeats)
    taken = _solved(ties, rank, sums(group, repeats.weighted(rows)))
    rows -= taken[group]
    constants = np.full((len(there), rows.shape[1]), np.nan)
    constants[there] = means + taken
    triangle = _triangle(repeats.whitened(rows))
    return Reduced(rows[:, :-1], triangle, sizes, constants, group, ties, rank)


def sums(which: NDArray[np.intp], rows: Array, weight: Array | None = None) -> Array:
    """Sums of the columns of some rows, shape (n, m), over groups or stars from 0."""
    shape = len(which), int(which.max(initial=-1)) + 1
    share = np.ones(len(which)) if weight is None else weight
    one_a_row = sparse.csr_array((share, which, np.arange(len(which) + 1)), shape=shape)
    return np.asarray(one_a_row.T @ rows)


def _triangle(rows: Array) -> Array:
    """R of Q R, by parts that the processor's cache holds."""
    whole = len(rows) // _PART * _PART
    parts = rows[:whole].reshape(-1, _PART, rows.shape[1])
    triangles = np.asarray(np.linalg.qr(parts, mode="r")).reshape(-1, rows.shape[1])
    return np.asarray(np.linalg.qr(np.concatenate((triangles, rows[whole:])), mode="r"))


def _ties(group: NDArray[np.intp], repeats: Repeats) -> tuple[sparse.csr_array, int]:
    """Normal matrix of groups' constants, and its rank: where stars are free, parts are."""
    weight, total = 1.0 / repeats.own, np.bincount(repeats.star, 1.0 / repeats.own)
    alone = sparse.diags_array(np.bincount(group, weight), format="csr")
    if not repeats.common.any():
        return alone, alone.shape[0]
    links = sparse.csr_array(sparse.coo_array((weight, (repeats.star, group))))
    lost = sparse.diags_array(repeats.kept / np.maximum(total, 1e-300))
    ties = sparse.csr_array(alone - links.T @ lost @ links)
    parts = 0
    if np.isinf(repeats.common).all():
        parts, _ = csgraph.connected_components(ties, directed=False)
    return ties, alone.shape[0] - parts


def _solved(ties: sparse.csr_array, rank: int, right: Array) -> Array:
    """Constants by their normal matrix; of a part that nothing holds the first's is 0."""
    if ties.nnz == ties.shape[0] == rank:
        return np.asarray(right / ties.diagonal()[:, None])
    held = np.ones(len(right), np.bool_)
    if rank < len(right):
        _, part = csgraph.connected_components(ties, directed=False)
        held[np.unique(part, return_index=True)[1]] = False
    found = np.zeros_like(right)
    if held.any():
        matrix = ties[held][:, held]
        if matrix.nnz > _DENSE * matrix.shape[0] ** 2:
            found[held] = np.linalg.solve(matrix.toarray(), right[held])
        else:
            found[held] = linalg.splu(matrix.tocsc()).solve(right[held])
    return found
