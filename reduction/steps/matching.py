"""Finding which detected source is which reference star, without knowing where the frame looks.

The scale of the pixels is known to about a percent, the pointing to some arcminutes, the rotation
and parity perhaps not at all. Nothing here projects: both sets are points of one plane.
"""

from __future__ import annotations

__all__ = ["Similarity", "find_rotation", "find_shift", "match_nearest"]

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
else:
    spatial = deferred("scipy.spatial")

_Pairs = tuple["NDArray[np.intp]", "NDArray[np.intp]"]

_BATCH: Final = 50
_CELLS: Final = 4000
_WIDE: Final = 0.2
_COMPLEX: Final = np.array([1.0, 1j])


@dataclass(frozen=True, slots=True)
class Similarity:
    """A turn, perhaps a mirror, and a shift: ``q = matrix @ p + shift``.

    Attributes
    ----------
    matrix
        Shape (2, 2).
    shift
        Shape (2,).
    matches
        How many points of the first set met one of the second.
    trials
        How many hypotheses were tried.
    """

    matrix: Array
    shift: Array
    matches: int
    trials: int = 0

    def apply(self, points: Array) -> Array:
        """Points of the first set in the plane of the second, shape (n, 2)."""
        return np.asarray(points @ self.matrix.T + self.shift)


def match_nearest(points: Array, others: Array, radius: float) -> tuple[NDArray[np.intp], ...]:
    """Pairs of points that are each other's nearest neighbour, within a radius.

    Parameters
    ----------
    points, others
        Shapes (n, 2), (m, 2), same unit as ``radius``.

    Returns
    -------
    tuple of ndarray
        Indices into ``points`` and into ``others``, same length.
    """
    if len(points) == 0 or len(others) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    distance, there = spatial.cKDTree(others).query(points, distance_upper_bound=radius)
    _, back = spatial.cKDTree(points).query(others)
    here = np.flatnonzero(np.isfinite(distance))
    here = here[back[there[here]] == here]
    return here, np.asarray(there[here], np.intp)


def find_shift(points: Array, others: Array, *, reach: float, tolerance: float) -> Similarity:
    """Shift that brings most points onto others: every pair votes for its own.

    Parameters
    ----------
    points, others
        Shapes (n, 2), (m, 2), brightest first. Of two shifts with equally many votes that which
        uses brighter points wins.
    reach
        Largest shift.
    tolerance
        Distance at which two points still are the same.

    Returns
    -------
    Similarity
        With the unit matrix; ``matches`` 0 and no shift where no pair is within reach.
    """
    shifts = (others[np.newaxis, :, :] - points[:, np.newaxis, :]).reshape(-1, 2)
    first, second = np.divmod(np.arange(len(shifts)), max(len(others), 1))
    near = np.hypot(shifts[:, 0], shifts[:, 1]) <= reach
    shifts, first, second = shifts[near], first[near], second[near]
    if len(shifts) == 0:
        return Similarity(np.eye(2), np.zeros(2), 0)
    neighbours = spatial.cKDTree(shifts).query_ball_point(shifts, tolerance)
    votes = np.array([min(len(set(first[n])), len(set(second[n]))) for n in neighbours])
    ranks = np.array([first[n].mean() for n in neighbours])
    best = neighbours[int(np.lexsort((ranks, -votes))[0])]
    return Similarity(np.eye(2), np.median(shifts[best], axis=0), int(votes.max()))


def find_rotation(
    points: Array,
    others: Array,
    *,
    reach: float,
    tolerance: float,
    scale_error: float = 0.01,
    enough: int = 30,
    most: int = 300_000,
) -> Similarity:
    """Turn, parity and shift that bring most points onto others.

    Each pair of points with each pair of others about equally far apart is a hypothesis, in both
    parities and directions; the one under which most points meet another is taken.

    Parameters
    ----------
    points, others
        Shapes (n, 2), (m, 2), brightest first, centred on where the frame may look: the middle of
        ``points`` is the origin, and lies within ``reach`` of the origin of ``others``.
    reach
        Largest distance between the middles.
    tolerance
        Distance at which two points still are the same.
    scale_error
        By which fraction the scales may differ.
    enough
        Matches at which the search may stop.
    most
        Hypotheses after which it stops, for each parity: those of the brightest points come first.

    Returns
    -------
    Similarity
        ``matches`` 0 where there is no hypothesis at all. The matrix includes the small difference
        of scale.
    """
    best, trials = Similarity(np.eye(2), np.zeros(2), 0), 0
    if min(len(points), len(others)) < 2:  # a pair has two
        return best
    chart = _Chart.of(others, tolerance)
    plain, target = points @ _COMPLEX, others @ _COMPLEX
    for mirror in (False, True):
        plane, limit = (-plain.conj() if mirror else plain), trials + most
        for pair, other in _hypotheses(plane, target, tolerance, scale_error):
            factor = (target[other[1]] - target[other[0]]) / (plane[pair[1]] - plane[pair[0]])
            shift = target[other[0]] - factor * plane[pair[0]]
            near = np.abs(shift) <= reach
            factor, shift = factor[near], shift[near]
            if len(shift) == 0:
                continue
            trials += len(shift)
            if trials > limit:
                break
            count = chart.hits(factor[:, np.newaxis] * plane + shift[:, np.newaxis])
            top = int(count.argmax())
            if count[top] > best.matches:
                best = _similarity(factor[top], shift[top], int(count[top]), mirror=mirror)
            if best.matches >= enough:
                return replace(best, trials=trials)
    return replace(best, trials=trials)


@dataclass(frozen=True, slots=True)
class _Chart:
    """Which places are within the tolerance of a point, as a fine chessboard."""

    near: NDArray[np.bool_]
    corner: complex
    cell: float

    @classmethod
    def of(cls, points: Array, tolerance: float) -> _Chart:
        """Around points, shape (n, 2); fields of half the tolerance, larger where it is far."""
        low = points.min(axis=0) - 2.0 * tolerance
        high = points.max(axis=0) + 2.0 * tolerance
        cell = max(tolerance / 2.0, float((high - low).max()) / _CELLS)
        size = np.ceil((high - low) / cell).astype(int) + 1
        near = np.zeros(size, np.bool_)
        reach = int(tolerance / cell) + 1
        middle = np.rint((points - low) / cell).astype(int)
        for i in range(-reach, reach + 1):
            for j in range(-reach, reach + 1):
                at = middle + np.array((i, j))
                close = np.hypot(*(low + at * cell - points).T) < tolerance
                close &= (at >= 0).all(axis=1) & (at < size).all(axis=1)
                near[tuple(at[close].T)] = True
        return cls(near, complex(*low), cell)

    def hits(self, places: NDArray[np.complex128]) -> NDArray[np.intp]:
        """How many of each row's places are near a point."""
        steps = (places - self.corner) / self.cell
        i, j = np.rint(steps.real).astype(np.intp), np.rint(steps.imag).astype(np.intp)
        ni, nj = self.near.shape
        inside = (i >= 0) & (i < ni) & (j >= 0) & (j < nj)
        near = self.near[np.where(inside, i, 0), np.where(inside, j, 0)] & inside
        return np.asarray(near.sum(axis=1))


def _similarity(factor: complex, shift: complex, matches: int, *, mirror: bool) -> Similarity:
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    if mirror:
        turn = turn @ np.diag([-1.0, 1.0])
    return Similarity(turn, np.array([shift.real, shift.imag]), matches)


def _hypotheses(
    points: NDArray[np.complex128],
    others: NDArray[np.complex128],
    tolerance: float,
    scale_error: float,
) -> Iterator[tuple[_Pairs, _Pairs]]:
    """Pairs of points with pairs of others of the same length, brightest first, in batches."""
    first, second = np.triu_indices(len(points), 1)
    length = np.abs(points[second] - points[first])
    wide = length > _WIDE * length.max()
    order = np.argsort((first + second)[wide], kind="stable")
    first, second, length = first[wide][order], second[wide][order], length[wide][order]
    one, two = np.triu_indices(len(others), 1)
    one, two = np.concatenate((one, two)), np.concatenate((two, one))
    size = np.abs(others[two] - others[one])
    by_size = np.argsort(size, kind="stable")
    size = size[by_size]
    low = np.searchsorted(size, length * (1.0 - scale_error) - tolerance)
    high = np.searchsorted(size, length * (1.0 + scale_error) + tolerance)
    for start in range(0, len(first), _BATCH):
        batch = np.arange(start, min(start + _BATCH, len(first)))
        edge = np.repeat(batch, high[batch] - low[batch])
        many = np.concatenate([by_size[low[i] : high[i]] for i in batch])
        if len(many):
            yield (first[edge], second[edge]), (one[many], two[many])
