"""Friends of friends: what can be reached from each other in short steps."""

from __future__ import annotations

__all__ = ["friends", "unit_vectors"]

from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse, spatial
    from scipy.sparse import csgraph

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]
else:
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")
    spatial = deferred("scipy.spatial")

_BATCH: Final = 2_000_000


def unit_vectors(ra: Array, dec: Array) -> Array:
    """Directions, degrees, as points on the unit sphere, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    across = np.cos(lat)
    return np.stack((across * np.cos(lon), across * np.sin(lon), np.sin(lat)), axis=-1)


def friends(points: Array, reach: float) -> Indices:
    """Number the groups of points that hang together by steps of at most ``reach``.

    Parameters
    ----------
    points
        Shape (n, 3).
    reach
        Largest step, same unit.

    Returns
    -------
    ndarray
        Number of each point's group, from 0 without gaps, shape (n,).

    Notes
    -----
    The same star on a hundred frames makes 5000 pairs, which nobody needs: points that share a
    cell of diagonal ``reach`` are friends already, so that only cells are paired. The points
    themselves are looked at where two cells may touch and are not yet known to hang together.
    """
    if len(points) == 0:
        return np.empty(0, np.intp)
    cell = _cells(points, reach)
    order = np.argsort(cell, kind="stable")
    begin = np.flatnonzero(np.diff(cell[order], prepend=-1))
    first = points[order[begin]]
    home = np.repeat(first, np.diff(begin, append=len(order)), axis=0)
    off = np.linalg.norm(points[order] - home, axis=1)
    radius = np.maximum.reduceat(off, begin)
    pairs = spatial.cKDTree(first).query_pairs(reach + 2.0 * radius.max(), output_type="ndarray")
    gap = np.linalg.norm(first[pairs[:, 0]] - first[pairs[:, 1]], axis=1)
    gap -= reach * (1 + 1e-12)
    sure = gap <= 0
    group = _joined(len(begin), pairs[sure])
    open_ = ~sure & (gap <= radius[pairs[:, 0]] + radius[pairs[:, 1]])
    open_ &= group[pairs[:, 0]] != group[pairs[:, 1]]
    doubtful = pairs[open_]
    if len(doubtful):
        touch = _touching(points[order], begin, doubtful, reach)
        group = _joined(len(begin), np.concatenate((pairs[sure], doubtful[touch])))
    return np.asarray(group[cell], np.intp)


def _cells(points: Array, reach: float) -> Indices:
    """Number of each point's cell: a cube of diagonal ``reach``, from 0 without gaps."""
    side = max(reach, 1e-15) / np.sqrt(3.0)
    place = np.floor((points - points.min(axis=0)) / side).astype(np.int64)
    number = place[:, 0]
    for axis in (1, 2):
        _, number = np.unique(number, return_inverse=True)
        number = number * (int(place[:, axis].max()) + 1) + place[:, axis]
    _, number = np.unique(number, return_inverse=True)
    return np.asarray(number, np.intp)


def _joined(count: int, pairs: NDArray[np.integer]) -> Indices:
    graph = sparse.coo_array(
        (np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (count, count)
    )
    _, group = csgraph.connected_components(graph, directed=False)
    return np.asarray(group, np.intp)


def _touching(
    points: Array, begin: Indices, pairs: NDArray[np.integer], reach: float
) -> NDArray[np.bool_]:
    """Whether any point of one cell is within reach of one of the other.

    Points are in the order of cells; ``begin`` says where each cell's begin.
    """
    size = np.diff(begin, append=len(points))
    work = size[pairs[:, 0]] * size[pairs[:, 1]]
    touch = np.zeros(len(pairs), np.bool_)
    edges = np.flatnonzero(np.diff(np.cumsum(work) // _BATCH, prepend=-1))
    for low, high in zip(edges, [*edges[1:], len(pairs)], strict=True):
        some, count = pairs[low:high], work[low:high]
        pair = np.repeat(np.arange(len(some)), count)
        rank = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        a, b = some[pair, 0], some[pair, 1]
        one, other = begin[a] + rank // size[b], begin[b] + rank % size[b]
        near = np.linalg.norm(points[one] - points[other], axis=1) <= reach * (1 + 1e-12)
        touch[low:high] = np.bincount(pair[near], minlength=len(some)) > 0
    return touch
