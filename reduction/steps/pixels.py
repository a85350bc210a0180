"""Maps of hot pixels (from the master bias) and cold pixels (from a flat field)."""

from __future__ import annotations

__all__ = ["cold_pixels", "hot_pixels"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.lit import lit_pixels
from reduction.steps.smooth import low_pass
from reduction.steps.statistics import clipped_statistics
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray
else:
    sep = deferred("sep")


def hot_pixels(
    bias: NDArray[np.float32],
    *,
    threshold: float = 5.0,
    iterations: int = 5,
    background_size: int = 12,
) -> NDArray[np.uint8]:
    """Find the pixels of a master bias that stand out of its smooth background.

    Parameters
    ----------
    bias
        Master bias, shape (ny, nx), adu. NaN is bad.
    threshold
        A pixel is bad if it differs from the background by more than this many standard
        deviations of the good pixels.
    iterations
        Passes at most; each measures background and scatter without the bad pixels of the last.
    background_size
        Side of the meshes of the background, pixels.

    Returns
    -------
    ndarray
        1 good, 0 bad, shape (ny, nx), uint8.

    Raises
    ------
    UnprocessableError
        If no pixel has a value.

    Notes
    -----
    Astro-WISE ``HotPixelMap``: RejectionThreshold (5 sigma), MaximumIterations, SExtractor
    background. Meshes are small because a real bias bends by several adu a pixel near its edges
    (Nickel). Pixels far below the background are flagged as well.
    """
    invalid = ~np.isfinite(bias)
    if invalid.all():
        message = "the master bias has no valid pixel: expected finite values"
        raise UnprocessableError(message)
    data = np.ascontiguousarray(np.where(invalid, np.float32(0.0), bias), dtype=np.float32)
    bad = invalid
    for _ in range(iterations):
        # A 1 x 1 median filter of the meshes: a wider one is no smoothing of noise here, and
        # at the frame's edges it bends the background away from a slope.
        background = sep.Background(
            data, mask=bad, bw=background_size, bh=background_size, fw=1, fh=1
        )
        residual = data - background.back(dtype=np.float32)
        # The scatter is measured over all finite pixels anew: what was flagged by an early,
        # poor background can come back.
        spread = clipped_statistics(residual[~invalid], threshold=threshold, iterations=10)
        found = invalid | (np.abs(residual - np.float32(spread.median)) > threshold * spread.stdev)
        if np.array_equal(found, bad):
            break
        bad = found
    return (~bad).astype(np.uint8)


def cold_pixels(
    flat: NDArray[np.float32],
    *,
    threshold_low: float = 0.94,
    threshold_high: float = 1.06,
    smoothing: float = 6.0,
    iterations: int = 3,
    least: float = 0.1,
) -> NDArray[np.uint8]:
    """Find the pixels of a flat whose response differs from that of their surroundings.

    Parameters
    ----------
    flat
        Flat field, shape (ny, nx), any unit. NaN is bad.
    threshold_low, threshold_high
        A pixel is bad if flat / smoothed flat lies outside this range.
    smoothing
        Standard deviation of the Gaussian that smooths the flat, pixels.
    iterations
        Passes at most; each smooths without the bad pixels of the last.
    least
        A pixel is bad as well if it has less than this part of the flat's light: one that is
        dead or unlit together with all that surround it, where noise alone may look like 1.

    Returns
    -------
    ndarray
        1 good, 0 bad, shape (ny, nx), uint8.

    Raises
    ------
    UnprocessableError
        If no pixel is positive.

    Notes
    -----
    Astro-WISE ``ColdPixelMap``: ThresholdLow, ThresholdHigh. Too bright pixels are "cold" too.
    What has a tenth of the light is worth a hundredth of the rest, and errors of the bias and of
    scattered light are ten times as large in it.
    """
    dead = ~lit_pixels(flat, part=least)  # NaN as well
    if dead.all():
        message = "the flat has no positive pixel: expected a flat field"
        raise UnprocessableError(message)
    bad = dead
    for _ in range(iterations):
        ratio = flat
        # Twice, since at the frame's edges the mirror turns a slope into a step.
        for _stage in range(2):
            smooth = low_pass(ratio, sigma=smoothing, bad=bad)
            ratio = np.divide(ratio, smooth, out=np.zeros_like(flat), where=smooth > 0.0)
        found = dead | ~((ratio >= threshold_low) & (ratio <= threshold_high))
        if np.array_equal(found, bad):
            break
        bad = found
    return (~bad).astype(np.uint8)
