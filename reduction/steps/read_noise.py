"""Read noise of a CCD from pairs of bias frames."""

from __future__ import annotations

__all__ = ["PairNoise", "pair_noise", "read_noise"]

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from reduction.steps.statistics import clipped_statistics
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PairNoise:
    """What the difference of bias frames says, all in adu.

    Attributes
    ----------
    read_noise
        Standard deviation of one frame's pixel.
    mean_diff, median_diff
        Of the differences that survived.
    """

    read_noise: float
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
        ``read_noise`` is rms(first - second) / sqrt(2).

    Raises
    ------
    UnprocessableError
        If the shapes differ or no pixel is valid.

    Notes
    -----
    Astro-WISE ``ReadNoise`` (RejectionThreshold, MaximumIterations, MeanDiff, MedianDiff). Where
    each frame had the mean of n overscan pixels of its row subtracted, the result is larger than
    the amplifier's noise by sqrt(1 + 1/n).
    """
    if first.shape != second.shape:
        message = f"bias frames of shapes {first.shape} and {second.shape}: expected equal shapes"
        raise UnprocessableError(message)
    left = clipped_statistics(first - second, threshold=threshold, iterations=iterations)
    if left.count == 0:
        message = "the difference of the bias frames has no valid pixel: expected finite values"
        raise UnprocessableError(message)
    return PairNoise(left.stdev / sqrt(2.0), left.mean, left.median)


def read_noise(
    frames: Sequence[NDArray[np.float32]], *, threshold: float = 5.0, iterations: int = 5
) -> PairNoise:
    """Measure the read noise from all neighbouring pairs of a sequence of bias frames.

    Parameters
    ----------
    frames
        At least two bias frames in the order they were taken, each of shape (ny, nx), adu.
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
    pairs = [
        pair_noise(first, second, threshold=threshold, iterations=iterations)
        for first, second in pairwise(frames)
    ]
    count = len(pairs)
    return PairNoise(
        read_noise=sqrt(sum(pair.read_noise**2 for pair in pairs) / count),
        mean_diff=sum(pair.mean_diff for pair in pairs) / count,
        median_diff=sum(pair.median_diff for pair in pairs) / count,
    )
