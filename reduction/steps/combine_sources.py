"""What was seen of a star on many frames as one source."""

from __future__ import annotations

__all__ = ["CombineMethod", "combine_magnitudes", "combine_positions"]

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.associate import mean_position
from reduction.steps.groups import group_mean, group_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MEDIAN_ERROR: Final = np.sqrt(np.pi / 2.0)

#: Part of a position's variance that is its own, at least: centroids are never without error.
_OWN_AT_LEAST: Final = 1e-4


class CombineMethod(StrEnum):
    """How the magnitudes of a star are combined."""

    WEIGHTED = "weighted"
    """Mean with the weights of their errors: the most accurate where errors are right."""
    MEDIAN = "median"
    """Median: what a few wrong ones do not move."""


def combine_positions(
    ra: Array,
    dec: Array,
    pos_err: Array,
    group: NDArray[np.integer],
    *,
    frame_err: Array | None = None,
    solution: NDArray[np.integer] | None = None,
) -> tuple[Array, Array, Array]:
    """Weighted mean position of each star, and its error.

    Parameters
    ----------
    ra, dec, pos_err
        Degrees, shape (n,). A position without an error weighs as little as the worst one.
    group
        Number of the star, from 0 without gaps, shape (n,).
    frame_err
        The part of each ``pos_err`` that is of its frame's place, degrees, shape (n,); NaN, or
        None for all, counts as 0.
    solution
        From 0, shape (n,): frames of one number have their places from the same reference stars.
        None: each has its own.

    Returns
    -------
    tuple of ndarray
        RA, declination, error of one coordinate: degrees, shape (stars,); the error is NaN where
        no position has one.

    Notes
    -----
    As of magnitudes (:func:`combine_magnitudes`): the least of the frames' errors in a solution
    is that of its reference stars, common to all its frames, and no number of them lessens it.
    """
    known = np.isfinite(pos_err) & (pos_err > 0)
    worst = pos_err[known].max() if known.any() else 1.0
    square = np.where(known, pos_err, worst) ** 2
    frame = np.zeros(len(ra)) if frame_err is None else np.nan_to_num(frame_err)
    origin = np.arange(len(ra)) if solution is None else solution
    common = _least(frame, origin)[origin]
    own = np.maximum(square - common**2, _OWN_AT_LEAST * square)
    part, number, first = _parts(group, origin)
    total = np.bincount(number, 1.0 / own, len(part))
    share = 1.0 / (1.0 / total + common[first] ** 2)
    weight = (share / total)[number] / own
    right, declination = mean_position(ra, dec, group, weight)
    sure = np.zeros(len(part), np.bool_)
    sure[number[known]] = True
    whole = np.bincount(part, np.where(sure, share, 0.0), len(right))
    error = np.full(len(right), np.nan)
    np.sqrt(1.0 / np.maximum(whole, 1e-300), out=error, where=whole > 0)
    return right, declination, error


def combine_magnitudes(  # measurements, what they have in common, how
    mag: Array,
    mag_err: Array,
    group: NDArray[np.integer],
    stars: int,
    *,
    zero_err: Array | None = None,
    solution: NDArray[np.integer] | None = None,
    method: CombineMethod = CombineMethod.WEIGHTED,
) -> tuple[Array, Array]:
    """Magnitude of each star from all its magnitudes in one band.

    Parameters
    ----------
    mag, mag_err
        Shape (n,); one without a finite value and a positive error takes no part. The zero
        point's error is not in it.
    group
        Number of the star, shape (n,).
    stars
        Number of stars.
    zero_err
        Error of each magnitude's zero point, shape (n,); NaN, or None for all, counts as 0.
    solution
        From 0, shape (n,): magnitudes of one number have zero points of one origin. None: each
        has its own.

    Returns
    -------
    tuple of ndarray
        Magnitude and error, shape (stars,); NaN where there is none. The error of a median is
        that for many magnitudes of these errors; two have a plain mean and its error.

    Notes
    -----
    The least of the zero points' errors z in a solution, c, is common to all its magnitudes, and
    no number of them lessens it; what a frame's exceeds it by is the frame's own. Within a
    solution the mean has the weights ``w = 1 / (e^2 + z^2 - c^2)`` and the variance
    ``v = 1 / sum(w) + c^2``; means of several solutions are averaged with the weights ``1 / v``.
    """
    known = np.isfinite(mag) & (mag_err > 0)
    mag, mag_err, group = mag[known], mag_err[known], group[known]
    zero = np.zeros(len(mag)) if zero_err is None else np.nan_to_num(zero_err[known])
    origin = np.arange(len(mag)) if solution is None else solution[known]
    common = _least(zero, origin)[origin]
    own = mag_err**2 + zero**2 - common**2
    if method is CombineMethod.MEDIAN:
        return _medians(mag, own, common, group, origin, stars)
    part, number, first = _parts(group, origin)
    total = np.bincount(number, 1.0 / own, len(part))
    means = group_mean(mag, 1.0 / own, number, len(part))
    weight = 1.0 / (1.0 / total + common[first] ** 2)
    whole = np.bincount(part, weight, stars)
    error = np.full(stars, np.nan)
    np.sqrt(1.0 / np.maximum(whole, 1e-300), out=error, where=whole > 0)
    return group_mean(means, weight, part, stars), error


def _least(error: Array, origin: NDArray[np.integer]) -> Array:
    """The least error of each solution, by its number."""
    least = np.full(int(origin.max(initial=-1)) + 1, np.inf)
    np.minimum.at(least, origin, error)
    return least


def _parts(
    group: NDArray[np.integer], origin: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.intp], NDArray[np.intp]]:
    """A star's magnitudes of one solution: the star, and of each magnitude its part; examples."""
    key = group.astype(np.int64) * (int(origin.max(initial=0)) + 1) + origin
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return group[first], number, first


def _medians(
    mag: Array,
    own: Array,
    common: Array,
    group: NDArray[np.integer],
    origin: NDArray[np.integer],
    stars: int,
) -> tuple[Array, Array]:
    """Medians and errors; ``own`` are variances, a solution counts by its part of the weights."""
    part, number, first = _parts(group, origin)
    alone = np.bincount(number, minlength=len(part))[number] == 1
    error = np.sqrt(np.where(alone, own + common**2, own))
    count = np.bincount(group, minlength=stars)
    density = np.bincount(group, 1.0 / error, stars)
    square = np.bincount(group, error**2, stars)
    share = np.bincount(number, 1.0 / error, len(part))
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(alone[first], 0.0, common[first] * share / density[part])
        independent = np.where(
            count > 2, _MEDIAN_ERROR * np.sqrt(count) / density, np.sqrt(square) / count
        )
    spread = np.sqrt(independent**2 + np.bincount(part, left**2, stars))
    return group_quantile(mag, group, stars, 0.5), spread
