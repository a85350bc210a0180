"""Gain of a CCD from pairs of flat fields, by the photon transfer method."""

from __future__ import annotations

__all__ = ["PairGain", "linearity", "mean_gain", "pair_gain"]

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.lit import lit_pixels
from reduction.steps.order import median
from reduction.steps.smooth import low_pass
from reduction.steps.statistics import clipped_statistics
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviation, in pixels, of the Gaussian that takes the ratio of two flats' light.
_ILLUMINATION = 24.0

#: Pixels that a gain is measured on at most, in every n-th row: an error of 0.1 %.
_PIXELS = 1 << 21


@dataclass(frozen=True, slots=True)
class PairGain:
    """What a pair of flats says.

    Attributes
    ----------
    gain
        e-/adu.
    gain_error
        Its standard error from the number of pixels, e-/adu.
    median_sum
        Median of first + second, adu.
    rms_diff
        Standard deviation of first - second (second scaled to the first's light), adu.
    """

    gain: float
    gain_error: float
    median_sum: float
    rms_diff: float


def pair_gain(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    read_noise: float,
    threshold: float = 5.0,
    iterations: int = 5,
    bad: NDArray[np.bool_] | None = None,
) -> PairGain:
    """Measure the gain from two flats of about the same level.

    Parameters
    ----------
    first, second
        Flats with overscan and bias subtracted, but not flat-fielded, shape (ny, nx), adu. NaN
        is "no value": what is saturated has to be, since it does not scatter. Pixels with less
        than a tenth of the light are left out.
    read_noise
        adu.
    threshold, iterations
        Rejection of outliers.
    bad
        Pixels to leave out, same shape.

    Returns
    -------
    PairGain
        Measured values.

    Raises
    ------
    UnprocessableError
        If the shapes differ, no pixel is valid, or the scatter is not above the read noise.

    Notes
    -----
    Astro-WISE ``GainLinearity``: gain = median(f1 + f2) / var(f1 - f2). Here r, the smoothed
    ratio of the two frames' light, takes out differences of level and illumination, and each
    pixel's difference is divided by its own Poisson expectation, so that vignetting does not
    matter: with d = f1 - r f2, var(d) = (f1 + r f1) / gain + (1 + r^2) read_noise^2.
    """
    if first.shape != second.shape:
        message = f"flats of shapes {first.shape} and {second.shape}: expected equal shapes"
        raise UnprocessableError(message)
    rows = np.s_[:: -(-first.size // _PIXELS)]
    first, second = first[rows], second[rows]
    good = lit_pixels(first) & lit_pixels(second)
    if bad is not None:
        good &= ~bad[rows]
    if not good.any():
        message = "the pair of flats has no valid pixel: expected positive values above the bias"
        raise UnprocessableError(message)
    r = _ratio(first, second, good)
    f1, scaled = first[good], r * second[good]
    difference = f1 - scaled
    # Expected electrons of the pixel in both frames: the mean of the two estimates, so that a
    # fluctuation of one frame does not weight its own deviation.
    light = (f1 + scaled) * np.float32(0.5) * (1.0 + r)
    chi = difference / np.sqrt(light)
    left = clipped_statistics(chi, threshold=threshold, iterations=iterations)
    kept = np.abs(chi - np.float32(left.median)) <= threshold * left.stdev
    read = float(np.mean(((1.0 + r * r) / light)[kept], dtype=np.float64)) * read_noise**2
    gain = 1.0 / _photon_noise(left.stdev**2 - read, read_noise)
    rms = clipped_statistics(difference, threshold=threshold, iterations=iterations).stdev
    return PairGain(
        gain=gain,
        gain_error=gain * sqrt(2.0 / max(left.count, 1)),
        median_sum=median(f1 + second[good]),
        rms_diff=rms,
    )


def _ratio(
    first: NDArray[np.float32], second: NDArray[np.float32], good: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Smoothed ratio of two frames' light, of the good pixels alone."""
    ratio = low_pass(first, sigma=_ILLUMINATION, bad=~good)
    ratio /= low_pass(second, sigma=_ILLUMINATION, bad=~good)
    return ratio[good]


def _photon_noise(variance: float, read_noise: float) -> float:
    """What is left of a variance without the read noise, which has to be something."""
    if not variance > 0.0:
        message = (
            f"the flats differ by no more than the read noise of {read_noise:.2f} adu explains: "
            "expected well exposed flats"
        )
        raise UnprocessableError(message)
    return variance


def mean_gain(pairs: Sequence[PairGain]) -> tuple[float, float]:
    """Mean of several pairs' gains, weighted by their errors.

    Parameters
    ----------
    pairs
        At least one measurement.

    Returns
    -------
    tuple of float
        Gain and its standard error, e-/adu. The error is the larger of what the pixels' number
        and what the scatter of the pairs gives.

    Raises
    ------
    UnprocessableError
        If there is no pair.
    """
    if not pairs:
        message = "no pair of flats: expected at least two flats of the same filter"
        raise UnprocessableError(message)
    gains = np.array([pair.gain for pair in pairs])
    weights = np.array([pair.gain_error for pair in pairs]) ** -2.0
    mean = float(np.average(gains, weights=weights))
    error = float(weights.sum() ** -0.5)
    if len(pairs) > 1:
        error = max(error, float(gains.std(ddof=1)) / sqrt(len(pairs)))
    return mean, error


def linearity(levels: Sequence[float], exposure_times: Sequence[float]) -> float:
    """Largest fractional deviation of exposure levels from proportionality to time.

    Parameters
    ----------
    levels
        Median levels above the bias, adu.
    exposure_times
        s, same length.

    Returns
    -------
    float
        max |level / (rate * time) - 1| with the rate that fits best in relative terms; NaN with
        fewer than two distinct times, which cannot tell.

    Notes
    -----
    Astro-WISE ``GainLinearity``: ExposureLevels against ExposureTimes.
    """
    if len(set(exposure_times)) < 2:
        return float("nan")
    rates = np.asarray(levels, dtype=np.float64) / np.asarray(exposure_times, dtype=np.float64)
    return float(np.max(np.abs(rates / rates.mean() - 1.0)))
