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


class CombineMethod(StrEnum):
    """How the magnitudes of a star are combined."""

    WEIGHTED = "weighted"
    """Mean with the weights of their errors: the most accurate where errors are right."""
    MEDIAN = "median"
    """Median: what a few wrong ones do not move."""


def combine_positions(
    ra: Array, dec: Array, pos_err: Array, group: NDArray[np.integer]
) -> tuple[Array, Array, Array]:
    """Weighted mean position of each star, and its error.

    Parameters
    ----------
    ra, dec, pos_err
        Degrees, shape (n,). A position without an error weighs as little as the worst one.
    group
        Number of the star, from 0 without gaps, shape (n,).

    Returns
    -------
    tuple of ndarray
        RA, declination, error of one coordinate: degrees, shape (stars,); the error is NaN where
        no position has one.
    """
    known = np.isfinite(pos_err) & (pos_err > 0)
    worst = pos_err[known].max() if known.any() else 1.0
    weight = 1.0 / np.where(known, pos_err, worst) ** 2
    right, declination = mean_position(ra, dec, group, weight)
    total = np.bincount(group[known], weight[known], len(right))
    error = np.full(len(right), np.nan)
    np.sqrt(1.0 / np.maximum(total, 1e-300), out=error, where=total > 0)
    return right, declination, error


def combine_magnitudes(
    mag: Array,
    mag_err: Array,
    group: NDArray[np.integer],
    stars: int,
    *,
    method: CombineMethod = CombineMethod.WEIGHTED,
) -> tuple[Array, Array]:
    """Magnitude of each star from all its magnitudes in one band.

    Parameters
    ----------
    mag, mag_err
        Shape (n,); one without a finite value and a positive error takes no part.
    group
        Number of the star, shape (n,).
    stars
        Number of stars.

    Returns
    -------
    tuple of ndarray
        Magnitude and error, shape (stars,); NaN where there is none. The error of a median is
        that for many magnitudes of these errors; two have a plain mean and its error.
    """
    known = np.isfinite(mag) & (mag_err > 0)
    weight = np.where(known, 1.0 / np.where(known, mag_err, 1.0) ** 2, 0.0)
    total = np.bincount(group, weight, stars)
    error = np.full(stars, np.nan)
    np.sqrt(1.0 / np.maximum(total, 1e-300), out=error, where=total > 0)
    if method is CombineMethod.WEIGHTED:
        return group_mean(mag, weight, group, stars), error
    number = np.bincount(group[known], minlength=stars)
    median = group_quantile(np.where(known, mag, np.nan), group, stars, 0.5)
    density = np.bincount(group[known], 1.0 / mag_err[known], stars)
    square = np.bincount(group[known], mag_err[known] ** 2, stars)
    with np.errstate(divide="ignore", invalid="ignore"):
        few = np.sqrt(square) / number
        return median, np.where(number > 2, _MEDIAN_ERROR * np.sqrt(number) / density, few)
