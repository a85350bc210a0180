"""Which sources of several lists are the same object: association on the sphere."""

from __future__ import annotations

__all__ = ["ASSOCIATE_DTYPE", "AssociateFlag", "AssociationType", "associate", "mean_position"]

from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.friends import friends, unit_vectors
from reduction.steps.single_out import single_out
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]
else:
    spatial = deferred("scipy.spatial")

#: A member of an association: the association's number, the source's index in the input, its
#: distance from the association's mean position (arcsec), and :class:`AssociateFlag`.
ASSOCIATE_DTYPE: Final = np.dtype(
    [("association", "i4"), ("source", "i8"), ("distance", "f8"), ("flag", "i4")]
)
_ARCSEC: Final = np.degrees(1.0) * 3600.0


class AssociationType(StrEnum):
    """How lists are associated (Astro-WISE's three types)."""

    CHAIN = "chain"
    """What can be reached in steps of at most the search distance belongs together."""
    MASTER = "master"
    """Each source of the first list gathers the sources that it is the nearest one to."""
    MATCHED = "matched"
    """One source of every list, all within the search distance of each other."""


class AssociateFlag(IntFlag):
    """What to mind about a member of an association; 0 is one without doubt."""

    ALONE = 1
    """No other source belongs to it."""
    REPEATED = 2
    """Another source of the same list belongs to the same association."""
    CONTESTED = 4
    """Sources of one list competed for the association: the closest ones were singled out."""


def associate(
    ra: Array,
    dec: Array,
    lists: NDArray[np.integer],
    *,
    search_distance: float,
    kind: AssociationType = AssociationType.CHAIN,
    single_out_closest: bool = True,
) -> NDArray[np.void]:
    """Find which sources of several lists belong together.

    Parameters
    ----------
    ra, dec
        ICRS degrees, shape (n,). A source without a finite position belongs to nothing.
    lists
        Number of the list that each source is from, shape (n,). The lowest is the master list.
    search_distance
        Arcsec, on the sky.
    kind
        See :class:`AssociationType`.
    single_out_closest
        At most one source of a list in an association: the closest pairs come first, what is left
        over is in associations of its own. (Astro-WISE: SingleOutClosestPairs.)

    Returns
    -------
    ndarray
        Structured as :data:`ASSOCIATE_DTYPE`, in the order of associations and then of sources.
        Associations are numbered from 0 in the order of their first source. Which sources belong
        together does not depend on the order of sources, nor, but for the master's, of the lists.

    Notes
    -----
    Distances are chords between unit vectors: poles and RA 0 are places like any other.
    """
    usable = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if len(usable) == 0:
        return np.zeros(0, ASSOCIATE_DTYPE)
    points = unit_vectors(ra[usable], dec[usable])
    of_list = np.asarray(lists)[usable]
    reach = 2.0 * np.sin(min(search_distance / _ARCSEC, np.pi) / 2.0)
    if kind is AssociationType.MASTER:
        labels, contested = _around_master(points, of_list, reach, single=single_out_closest)
    else:
        labels = friends(points, reach)
        contested = np.zeros(len(labels), np.bool_)
        if single_out_closest or kind is AssociationType.MATCHED:
            labels, contested = single_out(points, of_list, labels, reach)
    if kind is AssociationType.MATCHED:
        labels = _complete(points, of_list, labels, reach)
    kept = np.flatnonzero(labels >= 0)
    return _rows(points[kept], of_list[kept], labels[kept], contested[kept], usable[kept])


def mean_position(
    ra: Array, dec: Array, group: NDArray[np.integer], weight: Array | None = None
) -> tuple[Array, Array]:
    """Mean position of each group of sources, right at the poles and at RA 0.

    Parameters
    ----------
    ra, dec
        Degrees, shape (n,).
    group
        Number of each source's group, from 0 without gaps, shape (n,).
    weight
        Shape (n,); equal where not given.

    Returns
    -------
    tuple of ndarray
        RA in [0, 360) and declination, degrees, shape (groups,).
    """
    mean = _means(unit_vectors(ra, dec), group, weight)
    lon = np.degrees(np.arctan2(mean[:, 1], mean[:, 0])) % 360.0
    lat = np.degrees(np.arctan2(mean[:, 2], np.hypot(mean[:, 0], mean[:, 1])))
    return np.where(lon >= 360.0, 0.0, lon), lat


def _means(
    points: Array, group: NDArray[np.integer], weight: Array | None = None
) -> NDArray[np.float64]:
    weight = np.ones(len(points)) if weight is None else weight
    total = np.bincount(group, weight)
    sums = [np.bincount(group, weight * points[:, axis]) for axis in range(3)]
    mean: Array = np.stack(sums, axis=1) / total[:, np.newaxis]
    return mean


def _around_master(
    points: Array, lists: NDArray[np.integer], reach: float, *, single: bool
) -> tuple[Indices, NDArray[np.bool_]]:
    """Number of the nearest master source, or -1; and who had competitors."""
    labels = np.full(len(points), -1, np.intp)
    contested = np.zeros(len(points), np.bool_)
    master = np.flatnonzero(lists == lists.min())
    labels[master] = np.arange(len(master))
    others = np.flatnonzero(lists != lists.min())
    distance, nearest = spatial.cKDTree(points[master]).query(
        points[others], distance_upper_bound=np.nextafter(reach, np.inf)
    )
    near = np.isfinite(distance)
    others, distance, nearest = others[near], distance[near], nearest[near]
    labels[others] = nearest
    order = np.lexsort((distance, lists[others], nearest))
    pair = np.stack((nearest[order], lists[others][order]), axis=1)
    again = np.zeros(len(order), np.bool_)
    again[1:] = (pair[1:] == pair[:-1]).all(axis=1)
    if single:
        labels[others[order[again]]] = -1
        beaten = np.zeros(len(order), np.bool_)
        beaten[:-1] = again[1:]
        contested[others[order[beaten]]] = True
    return labels, contested


def _complete(
    points: Array, lists: NDArray[np.integer], labels: Indices, reach: float
) -> NDArray[np.intp]:
    """Labels of groups with a source of every list, all within reach of each other; else -1.

    No group has two sources of one list.
    """
    wanted = len(np.unique(lists))
    whole = np.flatnonzero((np.bincount(labels) == wanted)[labels])
    members = whole[np.argsort(labels[whole], kind="stable")].reshape(-1, wanted)
    close = np.ones(len(members), np.bool_)
    for step in range(1, wanted // 2 + 1):
        apart = points[members] - points[np.roll(members, step, axis=1)]
        close &= (np.einsum("ijk,ijk->ij", apart, apart) <= reach**2 * (1 + 1e-12)).all(axis=1)
    found = np.full(len(labels), -1, np.intp)
    found[members[close]] = labels[members[close]]
    return found


def _rows(
    points: Array,
    lists: NDArray[np.integer],
    labels: Indices,
    contested: NDArray[np.bool_],
    source: Indices,
) -> NDArray[np.void]:
    """Members in order, numbered by first source, with their distance and flags."""
    rows = np.zeros(len(labels), ASSOCIATE_DTYPE)
    if len(labels) == 0:
        return rows
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.intp)
    number[np.argsort(first, kind="stable")] = np.arange(len(first))
    group = number[group]
    centre = _means(points, group)
    centre /= np.linalg.norm(centre, axis=1)[:, np.newaxis]
    chord = np.linalg.norm(points - centre[group], axis=1)
    rows["association"], rows["source"] = group, source
    rows["distance"] = 2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)) * _ARCSEC
    rows["flag"][np.bincount(group)[group] == 1] |= AssociateFlag.ALONE
    rows["flag"][_repeated(group, lists)] |= AssociateFlag.REPEATED
    rows["flag"][contested] |= AssociateFlag.CONTESTED
    return rows[np.argsort(group, kind="stable")]


def _repeated(group: Indices, lists: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether another source of the same list is in the same group."""
    _, inverse, count = np.unique(
        group.astype(np.int64) * (int(lists.max()) - int(lists.min()) + 1) + lists - lists.min(),
        return_inverse=True,
        return_counts=True,
    )
    return np.asarray(count[inverse] > 1)
