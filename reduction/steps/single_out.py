"""At most one source of a list in an association: the closest ones are singled out."""

from __future__ import annotations

__all__ = ["single_out"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.friends import friends
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]
else:
    spatial = deferred("scipy.spatial")

_SHRINK: Final = 0.7
_LEVELS: Final = 24


def single_out(
    points: Array, lists: NDArray[np.integer], labels: Indices, reach: float
) -> tuple[Indices, NDArray[np.bool_]]:
    """Split groups that have several sources of one list until none has.

    Parameters
    ----------
    points
        Shape (n, 3).
    lists
        Number of each point's list, shape (n,).
    labels
        Number of each point's group, from 0, shape (n,): friends within ``reach``.
    reach
        The search distance, unit of the points.

    Returns
    -------
    tuple of ndarray
        Labels, shape (n,), and whether the point's group had to be split.

    Notes
    -----
    Single linkage with a condition: the step is made shorter until each piece has at most one
    source of a list, then pieces are put together again, closest first, as long as they are within
    ``reach`` of each other and share no list.
    """
    labels = labels.copy()
    contested = _crowded(lists, labels)[labels] if len(labels) else np.empty(0, np.bool_)
    within = np.flatnonzero(contested)
    if len(within) == 0:
        return labels, contested
    parent = labels[within]
    piece = _pieces(points[within], lists[within], parent, reach)
    piece = _together(points[within], lists[within], parent, piece, reach)
    labels[within] = piece + labels.max() + 1
    _, labels = np.unique(labels, return_inverse=True)
    return np.asarray(labels, np.intp), contested


def _crowded(lists: NDArray[np.integer], labels: Indices) -> NDArray[np.bool_]:
    """Whether a group has two sources of one list, by group number."""
    order = np.lexsort((lists, labels))
    group, of_list = labels[order], lists[order]
    twice = (group[1:] == group[:-1]) & (of_list[1:] == of_list[:-1])
    crowded = np.zeros(int(labels.max()) + 1, np.bool_)
    crowded[group[1:][twice]] = True
    return crowded


def _pieces(points: Array, lists: NDArray[np.integer], parent: Indices, reach: float) -> Indices:
    """Largest pieces without two sources of one list; sources that coincide stand alone."""
    piece = np.unique(parent, return_inverse=True)[1].astype(np.intp)
    for _ in range(_LEVELS):
        open_ = np.flatnonzero(_crowded(lists, piece)[piece])
        if len(open_) == 0:
            return piece
        reach *= _SHRINK
        finer = friends(points[open_], reach)
        # of two pieces one step may have joined what an earlier one had split
        pair = piece[open_].astype(np.int64) * (int(finer.max()) + 1) + finer
        piece[open_] = np.unique(pair, return_inverse=True)[1] + piece.max() + 1
        piece = np.unique(piece, return_inverse=True)[1].astype(np.intp)
    open_ = np.flatnonzero(_crowded(lists, piece)[piece])
    piece[open_] = np.arange(len(open_)) + piece.max() + 1
    return np.unique(piece, return_inverse=True)[1].astype(np.intp)


def _together(
    points: Array, lists: NDArray[np.integer], parent: Indices, piece: Indices, reach: float
) -> Indices:
    """Join pieces of one parent, closest centres first, that share no list."""
    count = np.bincount(piece)
    centre = np.stack([np.bincount(piece, points[:, k]) / count for k in range(3)], axis=1)
    owner = np.zeros(len(count), np.intp)
    owner[piece] = parent
    pairs = spatial.cKDTree(centre).query_pairs(reach, output_type="ndarray")
    pairs = pairs[owner[pairs[:, 0]] == owner[pairs[:, 1]]]
    gap = np.linalg.norm(centre[pairs[:, 0]] - centre[pairs[:, 1]], axis=1)
    # equal gaps in an order that the numbering does not decide
    weigh = np.sort(count[pairs], axis=1)
    order = np.lexsort((weigh[:, 0], -weigh[:, 1], gap))
    members: list[set[int]] = [set() for _ in count]
    for number, of_list in zip(piece.tolist(), lists.tolist(), strict=True):
        members[number].add(of_list)
    leader = list(range(len(count)))
    for a, b in pairs[order].tolist():
        one, other = _leader(leader, a), _leader(leader, b)
        if one != other and members[one].isdisjoint(members[other]):
            leader[other] = one
            members[one] |= members[other]
    lead = np.array([_leader(leader, n) for n in range(len(count))], np.intp)
    return lead[piece]


def _leader(leader: list[int], number: int) -> int:
    while leader[number] != number:
        leader[number] = leader[leader[number]]
        number = leader[number]
    return number
