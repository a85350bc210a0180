"""Which detections of many exposures are the same star, and which reference star that is."""

from __future__ import annotations

__all__ = ["first_of_each", "match_exposures", "match_sky"]

from typing import TYPE_CHECKING

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
else:
    spatial = deferred("scipy.spatial")


def _vectors(ra: Array, dec: Array) -> Array:
    """Unit vectors, shape (n, 3), of degrees."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack((np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)), axis=-1)


def match_sky(
    ra: Array, dec: Array, other_ra: Array, other_dec: Array, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of positions that are each other's nearest, within a radius.

    Parameters
    ----------
    ra, dec, other_ra, other_dec
        Degrees ICRS, shapes (n,), (m,).
    radius
        Arcsec.

    Returns
    -------
    tuple of ndarray
        Indices into either set, same length.
    """
    return _mutual(_vectors(ra, dec), _vectors(other_ra, other_dec), radius)


def _mutual(
    points: Array, others: Array, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if len(points) == 0 or len(others) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    chord = 2.0 * np.sin(np.radians(radius / 3600.0) / 2.0)
    distance, there = spatial.cKDTree(others).query(points, distance_upper_bound=chord)
    here = np.flatnonzero(np.isfinite(distance))
    met = there[here]
    _, back = spatial.cKDTree(points).query(others[met])
    same = back == here
    return here[same], np.asarray(met[same], np.intp)


def match_exposures(
    ra: Array, dec: Array, exposure: NDArray[np.intp], radius: float
) -> NDArray[np.intp]:
    """Give each detection the number of its star.

    Parameters
    ----------
    ra, dec
        Of all detections of all exposures, degrees ICRS, shape (n,).
    exposure
        Number of the exposure of each.
    radius
        Arcsec within which detections of two exposures are the same star.

    Returns
    -------
    ndarray
        Numbers from 0, shape (n,): no star has two detections of one exposure.

    Notes
    -----
    Exposures join one after the other a growing list of stars, each position of which is the mean
    of its detections so far; pairs are mutual nearest neighbours.
    """
    places = _vectors(ra, dec)
    star = np.full(len(ra), -1, np.intp)
    sums, count = np.empty((0, 3)), np.empty(0)
    for number in np.unique(exposure):
        mine = np.flatnonzero(exposure == number)
        means = sums / count[:, np.newaxis]
        here, there = _mutual(places[mine], means, radius)
        star[mine[here]] = there
        sums[there] += places[mine[here]]
        count[there] += 1.0
        new = mine[star[mine] < 0]
        star[new] = len(sums) + np.arange(len(new))
        sums = np.concatenate((sums, places[new]))
        count = np.concatenate((count, np.ones(len(new))))
    return star


def first_of_each(
    ra: Array, dec: Array, table: NDArray[np.intp], *, radius: float
) -> NDArray[np.bool_]:
    """Which stars of several tables are to stay, if each shall be there once.

    Parameters
    ----------
    ra, dec
        Degrees ICRS, shape (n,).
    table
        Number of each star's table: the first that has a star keeps it.
    radius
        Arcsec within which stars of two tables are one; those of one table are different ones.

    Returns
    -------
    ndarray
        False for stars that a table before has, shape (n,).
    """
    kept = np.ones(len(ra), np.bool_)
    places = _vectors(ra, dec)
    chord = 2.0 * np.sin(np.radians(radius / 3600.0) / 2.0)
    for number in np.unique(table)[1:]:
        before, mine = kept & (table < number), np.flatnonzero(table == number)
        if before.any():
            distance, _ = spatial.cKDTree(places[before]).query(
                places[mine], distance_upper_bound=chord
            )
            kept[mine[np.isfinite(distance)]] = False
    return kept
