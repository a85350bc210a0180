"""What a raw frame is judged by: statistics of the pixels that see light, as they were read."""

from __future__ import annotations

__all__ = ["RawStatistics", "raw_statistics"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.overscan import trim
from reduction.steps.statistics import (
    ImageStatistics,
    clipped_statistics,
    image_statistics,
    sub_window_statistics,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Section


@dataclass(frozen=True, slots=True)
class RawStatistics:
    """Of one raw frame, adu.

    Attributes
    ----------
    imstat
        Of all pixels that see light.
    level, scatter
        Median, and standard deviation without outliers, of every fourth pixel in x and y.
    flatness
        Largest minus smallest median of 32 sub-windows, of every second pixel in x and y.
    saturated, invalid
        Parts of the pixels that are saturated, and that are no numbers; of the overscan where
        more of it is no number.
    shape
        (ny, nx) of the pixels that see light.
    """

    imstat: ImageStatistics
    level: float
    scatter: float
    flatness: float
    saturated: float
    invalid: float
    shape: tuple[int, int]


def raw_statistics(
    raw: NDArray[np.generic],
    science: Section,
    *,
    saturation: float,
    overscan: Section | None = None,
) -> RawStatistics:
    """Measure a raw frame.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (ny, nx), adu.
    science
        The pixels that see light.
    saturation
        Level from which a pixel is saturated, adu.
    overscan
        The pixels that do not; without them a frame has no level.

    Returns
    -------
    RawStatistics
        NaN, and 0 for numbers, where no pixel is a number.

    Raises
    ------
    UnprocessableError
        If the section reaches outside the frame.
    """
    light = trim(raw, science)
    valid = np.isfinite(light)
    dark = np.isfinite(light if overscan is None else trim(raw, overscan))
    if not valid.any():
        nan = float("nan")
        nothing = ImageStatistics(nan, nan, nan, nan, nan, 0)
        return RawStatistics(nothing, nan, nan, nan, 0.0, 1.0, science.shape)
    clipped = clipped_statistics(light[::4, ::4], threshold=5.0, iterations=10)
    few = light[::2, ::2]
    return RawStatistics(
        imstat=image_statistics(light),
        level=clipped.median,
        scatter=clipped.stdev,
        flatness=sub_window_statistics(few if np.isfinite(few).any() else light).flatness,
        saturated=float((light >= saturation).mean()),
        invalid=1.0 - min(float(valid.mean()), float(dark.mean())),
        shape=science.shape,
    )
