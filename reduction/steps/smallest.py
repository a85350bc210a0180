"""Inverses of normal equations that leave some directions open."""

from __future__ import annotations

__all__ = ["smallest_inverse"]

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse
    from scipy.linalg import lapack

    Array = NDArray[np.float64]
else:
    lapack = deferred("scipy.linalg.lapack")
    sparse = deferred("scipy.sparse")

#: Part of the largest diagonal number or eigenvalue below which one is nothing; part of it that
#: rounding leaves of nothing; and of a pivot that says that more directions are open.
_NOTHING: Final = 1e-11
_ROUNDING: Final = 1e-9
_OPEN: Final = 1e-9


def smallest_inverse(matrix: Array, label: NDArray[np.integer]) -> Array:
    """Pseudo-inverse of a symmetric matrix without negative eigenvalues (Moore & Penrose).

    Parameters
    ----------
    matrix
        Shape (n, n).
    label
        Shape (n,): unknowns of one label can perhaps be raised together without a change of the
        equations; -1 for those that cannot. Labels that the matrix contradicts do no harm.

    Returns
    -------
    ndarray
        Shape (n, n). Unknowns that no equation has are 0 in it.

    Notes
    -----
    With V for the open directions, normal to each other and of length 1, the inverse of
    ``A + s V V'`` is that of A, and ``V V' / s``: a tenth of the operations of eigenvalues. These
    are found where directions are open that no label says.
    """
    diagonal = np.diag(matrix)
    largest = float(diagonal.max(initial=0.0))
    known = np.flatnonzero(diagonal > _NOTHING * largest)
    if not len(known):
        return np.zeros_like(matrix)
    some = _block(known)
    groups = _open(matrix[some], label[known], largest)
    closed = matrix[some].copy(order="F")
    for group in groups:
        closed[_block(group)] += largest / len(group)
    inverse = _inverse(closed, largest)
    if inverse is None:
        return np.asarray(np.linalg.pinv(matrix, rcond=_NOTHING, hermitian=True))
    for group in groups:
        inverse[_block(group)] -= 1.0 / (largest * len(group))
    if len(known) == len(matrix):
        return inverse
    found = np.zeros_like(matrix)
    found[some] = inverse
    return found


def _block(members: NDArray[np.intp]) -> Any:  # noqa: ANN401  # an index of either kind
    """Index of the rows and columns of some unknowns; without a copy where they are even."""
    steps = np.diff(members)
    if len(steps) and (steps != steps[0]).any():
        return np.ix_(members, members)
    step = int(steps[0]) if len(steps) else 1
    even = slice(int(members[0]), int(members[-1]) + 1, step)
    return even, even


def _open(matrix: Array, label: NDArray[np.integer], largest: float) -> list[NDArray[np.intp]]:
    """Unknowns that can be raised together, group by group."""
    number = len(label)
    members = np.flatnonzero(label >= 0)
    if not len(members):
        return []
    _, group = np.unique(label[members], return_inverse=True)
    size = np.bincount(group)
    raised = sparse.csr_array((1.0 / np.sqrt(size[group]), (members, group)), (number, len(size)))
    rest = np.abs(raised.T @ matrix).max(axis=1)
    return [members[group == n] for n in np.flatnonzero(rest <= _ROUNDING * largest)]


def _inverse(matrix: Array, largest: float) -> Array | None:
    """Inverse by Cholesky's factors, in the place of the matrix; None where a pivot is nothing."""
    factor, failed = lapack.dpotrf(matrix, lower=1, clean=1, overwrite_a=1)
    if failed or float(np.diag(factor).min()) ** 2 <= _OPEN * largest:
        return None
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    both = inverse + inverse.T
    np.fill_diagonal(both, np.diag(inverse))
    return np.asarray(both)
