"""Read noise of a CCD from pairs of bias frames."""

from __future__ import annotations

__all__ = ["PairNoise", "pair_noise", "read_noise"]

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.blocks import release
from reduction.steps.statistics import clipped_statistics
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import special
else:
    special = deferred("scipy.special")

#: Differences looked at for the central interval at most: 0.1 % of error from their number.
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True)
class PairNoise:
    """What the difference of bias frames says, all in adu.

    Attributes
    ----------
    read_noise
        Noise of one frame's pixel: the standard deviation of a normal distribution with the same
        central 68.27 % of values.
    rms
        The same from the root mean square of the differences that survived.
    mean_diff, median_diff
        Of the differences that survived.
    """

    read_noise: float
    rms: float
    mean_diff: float
    median_diff: float


def pair_noise(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    threshold: float = 5.0,
    iterations: int = 5,
) -> PairNoise:
    """Measure the read noise from two bias frames.

    Parameters
    ----------
    first, second
        Bias frames, overscan corrected or not, shape (ny, nx), adu. NaN is "no value".
    threshold
        Rejection limit in standard deviations of the difference.
    iterations
        Passes of rejection at most.

    Returns
    -------
    PairNoise
        ``rms`` is rms(first - second) / sqrt(2), ``read_noise`` half the interval that holds the
        central 68.27 % of the differences, / sqrt(2).

    Raises
    ------
    UnprocessableError
        If the shapes differ or no pixel is valid.

    Notes
    -----
    Astro-WISE ``ReadNoise`` (RejectionThreshold, MaximumIterations, MeanDiff, MedianDiff), which
    takes the rms. The two agree on normal noise; the interval does not depend on the threshold,
    and on converters with uneven steps (CAFOS: interval 10.3, rms 9.96 adu) describes the core
    that a rejection limit is about. Where each frame had the mean of n overscan pixels of its
    row subtracted, the result is larger than the amplifier's noise by sqrt(1 + 1/n).
    """
    if first.shape != second.shape:
        message = f"bias frames of shapes {first.shape} and {second.shape}: expected equal shapes"
        raise UnprocessableError(message)
    difference = first - second
    left = clipped_statistics(difference, threshold=threshold, iterations=iterations)
    if left.count == 0:
        message = "the difference of the bias frames has no valid pixel: expected finite values"
        raise UnprocessableError(message)
    inside = np.abs(difference - np.float32(left.median)) <= threshold * left.stdev
    return PairNoise(
        read_noise=_central_width(difference[inside]) / sqrt(8.0),
        rms=left.stdev / sqrt(2.0),
        mean_diff=left.mean,
        median_diff=left.median,
    )


def _central_width(values: NDArray[np.float32]) -> float:
    """Width of the central 68.27 %; whole numbers are taken as rounded, not as steps.

    Between steps the cumulated distribution is interpolated as if it were normal.
    """
    sample = values[:: -(-values.size // _SAMPLE)]
    levels, counts = np.unique(sample, return_counts=True)
    if levels.size < 2:
        return 0.0
    below = counts.cumsum()[:-1] / sample.size
    edges = (levels[:-1].astype(np.float64) + levels[1:]) / 2
    low, high = np.interp([-1.0, 1.0], special.ndtri(below), edges)
    return float(high - low)


def read_noise(
    frames: Sequence[NDArray[np.float32]], *, threshold: float = 5.0, iterations: int = 5
) -> PairNoise:
    """Measure the read noise from all neighbouring pairs of a sequence of bias frames.

    Parameters
    ----------
    frames
        At least two bias frames in the order they were taken, each of shape (ny, nx), adu; may be
        in files.
    threshold, iterations
        As in :func:`pair_noise`.

    Returns
    -------
    PairNoise
        Root mean square of the pairs' noise, and the means of their differences.

    Raises
    ------
    UnprocessableError
        If there are fewer than two frames or their shapes differ.
    """
    if len(frames) < 2:
        message = f"read noise from {len(frames)} bias frames: expected at least 2"
        raise UnprocessableError(message)
    pairs = []
    for first, second in pairwise(frames):
        pairs.append(pair_noise(first, second, threshold=threshold, iterations=iterations))
        release(first, second)
    count = len(pairs)
    return PairNoise(
        read_noise=sqrt(sum(pair.read_noise**2 for pair in pairs) / count),
        rms=sqrt(sum(pair.rms**2 for pair in pairs) / count),
        mean_diff=sum(pair.mean_diff for pair in pairs) / count,
        median_diff=sum(pair.median_diff for pair in pairs) / count,
    )
