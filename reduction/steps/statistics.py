"""Statistics of an image: Astro-WISE's ``imstat`` and its sub-windows."""

from __future__ import annotations

__all__ = [
    "ClippedStatistics",
    "ImageStatistics",
    "SubWindowStatistics",
    "clipped_statistics",
    "image_statistics",
    "median_level",
    "sub_window_statistics",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.order import median, moments, within
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sub-windows of a frame in y and x: 32, as Astro-WISE's ``SubWinStat``.
_WINDOWS = (4, 8)

#: Median absolute deviation of a normal distribution of unit standard deviation.
_MAD_OF_UNIT_NORMAL = 0.6744897501960817


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Astro-WISE's ``imstat``: statistics over the valid pixels, in the image's unit.

    Attributes
    ----------
    min, max, mean, median, stdev
        Of the valid pixels; ``stdev`` is about the mean, population form.
    npix
        Number of valid pixels.
    """

    min: float
    max: float
    mean: float
    median: float
    stdev: float
    npix: int


@dataclass(frozen=True, slots=True)
class SubWindowStatistics:
    """How flat an image is, from 32 sub-windows (4 in y, 8 in x).

    Attributes
    ----------
    flatness
        Largest minus smallest median of the sub-windows.
    max_stdev
        Largest standard deviation inside a sub-window.
    """

    flatness: float
    max_stdev: float


@dataclass(frozen=True, slots=True)
class ClippedStatistics:
    """Statistics of what is left after iterated rejection.

    Attributes
    ----------
    mean, median, stdev
        Of the survivors; NaN if there are none.
    count
        Number of survivors.
    """

    mean: float
    median: float
    stdev: float
    count: int


def _valid(image: NDArray[np.float32], bad: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    good = np.isfinite(image)
    if bad is not None:
        good &= ~bad
    return image.ravel() if good.all() else image[good]


def median_level(image: NDArray[np.float32], *, bad: NDArray[np.bool_] | None = None) -> float:
    """Median of the valid pixels.

    Parameters
    ----------
    image, bad
        As :func:`image_statistics`.

    Returns
    -------
    float
        In the image's unit; NaN where no pixel is valid.
    """
    return median(_valid(image, bad))


def _valid_pixels(
    image: NDArray[np.float32], bad: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    values = _valid(image, bad)
    if values.size == 0:
        message = "the image has no valid pixel: expected at least one finite, unmasked value"
        raise UnprocessableError(message)
    return values


def image_statistics(
    image: NDArray[np.float32], *, bad: NDArray[np.bool_] | None = None
) -> ImageStatistics:
    """Measure an image over its valid pixels.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit. NaN and infinities are "no value".
    bad
        Pixels to leave out, same shape.

    Returns
    -------
    ImageStatistics
        In the image's unit.

    Raises
    ------
    UnprocessableError
        If no pixel is valid.

    Notes
    -----
    Astro-WISE ``imstat``.
    """
    values = _valid_pixels(image, bad)
    mean, stdev = moments(values)
    return ImageStatistics(
        min=float(values.min()),
        max=float(values.max()),
        mean=mean,
        median=median(values),
        stdev=stdev,
        npix=int(values.size),
    )


def sub_window_statistics(
    image: NDArray[np.float32], *, bad: NDArray[np.bool_] | None = None
) -> SubWindowStatistics:
    """Measure medians and scatter in 32 sub-windows.

    Parameters
    ----------
    image
        Shape (ny, nx) with ny >= 4 and nx >= 8, any unit. NaN is "no value".
    bad
        Pixels to leave out, same shape.

    Returns
    -------
    SubWindowStatistics
        In the image's unit; windows without a valid pixel do not count.

    Raises
    ------
    UnprocessableError
        If no pixel is valid.

    Notes
    -----
    Astro-WISE ``SubWinStat``: "min minus max of medians of 32 sub-regions".
    """
    medians, stdevs = [], []
    good = np.isfinite(image) if bad is None else np.isfinite(image) & ~bad
    for rows in np.array_split(np.arange(image.shape[0]), _WINDOWS[0]):
        for columns in np.array_split(np.arange(image.shape[1]), _WINDOWS[1]):
            if rows.size == 0 or columns.size == 0:
                continue
            window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            values = image[window][good[window]]
            if values.size:
                medians.append(median(values))
                stdevs.append(moments(values)[1])
    if not medians:
        message = "no sub-window has a valid pixel: expected finite, unmasked values"
        raise UnprocessableError(message)
    return SubWindowStatistics(flatness=max(medians) - min(medians), max_stdev=max(stdevs))


def clipped_statistics(
    values: NDArray[np.floating], *, threshold: float, iterations: int
) -> ClippedStatistics:
    """Mean and scatter with outliers rejected again and again until none is left.

    Parameters
    ----------
    values
        Any shape and unit. NaN is "no value".
    threshold
        Rejection limit in standard deviations about the median. The first pass takes the
        standard deviation from the median absolute deviation, so that it does not matter how
        far out the outliers are.
    iterations
        Passes at most.

    Returns
    -------
    ClippedStatistics
        In the unit of the values.
    """
    finite = np.isfinite(values)
    left = values.ravel() if finite.all() else values[finite]
    if left.size == 0:
        return ClippedStatistics(mean=np.nan, median=np.nan, stdev=np.nan, count=0)
    centre = median(left)
    deviation = np.abs(left - np.result_type(left, np.float32).type(centre))
    sigma = median(deviation) / _MAD_OF_UNIT_NORMAL
    mean, stdev = moments(left)
    if sigma == 0.0:
        sigma = stdev
    for _ in range(iterations):
        inside = within(left, centre, threshold * sigma)
        if inside.size in {left.size, 0}:
            break
        left = inside
        mean, stdev = moments(left)
        centre, sigma = median(left), stdev
    return ClippedStatistics(mean=mean, median=centre, stdev=stdev, count=int(left.size))
