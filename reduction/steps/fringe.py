"""Fringes of the night sky's emission lines in a thin CCD: their pattern, and its removal."""

from __future__ import annotations

__all__ = ["fringe_pattern", "fringe_scale", "fringes_of"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.combine import combine
from reduction.steps.sky_flat import mask_sources
from reduction.steps.smooth import low_pass
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviation of the Gaussian that frame and pattern are smoothed with, pixels.
_SMOOTHING: Final = 2.0

#: Sub-windows of a frame in y and x that the fringes' strength is measured in.
_WINDOWS: Final = (8, 8)

#: Detection limits of the sources that are masked, pass by pass, in the noise of the smoothed sky:
#: as long as the pattern is not known, its bright fringes must not be taken for sources.
_THRESHOLDS: Final = (25.0, 6.0, 4.0)

#: Rounds in which the strength of fringes is measured, at most, and its last change, a fraction.
_ROUNDS: Final = 4
_SETTLED: Final = 0.01

#: Fewest pixels of bright and of dark fringes with which a window counts.
_FEWEST: Final = 20


def fringe_pattern(
    frames: Sequence[NDArray[np.float32]],
    *,
    noise: Sequence[float],
    bad: NDArray[np.bool_] | None = None,
    sigma_clip: float = 3.0,
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Take the fringes from reduced frames of different fields.

    Parameters
    ----------
    frames
        Flat-fielded frames with their sky, each of shape (ny, nx), adu. NaN is "no value".
    noise
        Of each frame's sky, adu.
    bad
        Pixels to leave out of levels, same shape.
    sigma_clip
        A value is left out if it deviates from its pixel's median by more than this times the
        noise.

    Returns
    -------
    tuple
        Fringes as a part of the sky's level, shape (ny, nx), float32, of median 0, 0 where no
        frame showed the sky; and the level of each frame, adu.

    Raises
    ------
    UnprocessableError
        If there is no frame, shapes differ, or a frame has no sky.

    Notes
    -----
    Astro-WISE ``FringeFrame``: mask the sources, divide by the level, median, subtract 1. Sources
    are masked three times, in the end with the fringes of the pass before taken out.
    """
    pattern = np.zeros_like(frames[0])
    levels: list[float] = []
    for threshold in _THRESHOLDS:
        normalised, levels = [], []
        for frame in frames:
            level = _level(frame, bad)
            mask = mask_sources(frame - np.float32(level) * pattern, bad=bad, threshold=threshold)
            levels.append(_level(frame, mask))
            normalised.append(np.where(mask, np.float32(np.nan), frame / np.float32(levels[-1])))
        relative = [one / level for one, level in zip(noise, levels, strict=True)]
        pattern, _ = combine(normalised, relative, sigma_clip=sigma_clip)
        _centre(pattern)
    return pattern, tuple(levels)


def _median(frame: NDArray[np.float32], bad: NDArray[np.bool_] | None) -> float:
    usable = np.isfinite(frame) if bad is None else np.isfinite(frame) & ~bad
    return float(np.median(frame[usable])) if usable.any() else float("nan")


def _level(frame: NDArray[np.float32], bad: NDArray[np.bool_] | None) -> float:
    level = _median(frame, bad)
    if not level > 0.0:
        message = f"a frame with a sky of {level} adu: fringes need a sky that is bright"
        raise UnprocessableError(message)
    return level


def _centre(pattern: NDArray[np.float32]) -> None:
    """Give a pattern the median 0, and 0 where nothing is known, in place."""
    known = np.isfinite(pattern)
    if not known.any():
        message = "no frame shows the sky anywhere: expected fields with empty sky"
        raise UnprocessableError(message)
    pattern -= np.float32(np.median(pattern[known]))
    pattern[~known] = 0.0


def fringe_scale(
    image: NDArray[np.float32],
    fringe: NDArray[np.float32],
    *,
    threshold_low: float = -1.0,
    threshold_high: float = 1.0,
    bad: NDArray[np.bool_] | None = None,
) -> float:
    """Measure how strong the fringes of a frame are.

    Parameters
    ----------
    image
        Flat-fielded image with its sky, shape (ny, nx), adu.
    fringe
        Pattern of median 0, same shape.
    threshold_low, threshold_high
        Pixels with a pattern below the one and above the other are compared, in standard
        deviations of the pattern.
    bad
        Pixels to leave out (sources too), same shape.

    Returns
    -------
    float
        Factor by which the pattern is to be multiplied before it is subtracted, adu; 0 where
        the pattern is flat.

    Raises
    ------
    UnprocessableError
        If too few pixels can be compared.

    Notes
    -----
    Astro-WISE ``ReducedScienceFrame``: FringeThresholdLow, FringeThresholdHigh, ScaleFactor.
    Both are smoothed alike, since the noise of the pattern would make its fringes look stronger
    than those of the frame. Bright and dark fringes are compared inside each of 64 windows, so
    that a slope of the sky does not matter, and the windows' median is taken, so that a galaxy
    does not.
    """
    usable = np.isfinite(image) if bad is None else np.isfinite(image) & ~bad
    if not usable.any() or not fringe[usable].any():
        return 0.0
    image, fringe = (low_pass(array, sigma=_SMOOTHING, bad=~usable) for array in (image, fringe))
    deviation = float(fringe[usable].std())
    bright = usable & (fringe > threshold_high * deviation)
    dark = usable & (fringe < threshold_low * deviation)
    scales, weights = [], []
    for rows in np.array_split(np.arange(image.shape[0]), _WINDOWS[0]):
        for columns in np.array_split(np.arange(image.shape[1]), _WINDOWS[1]):
            if rows.size == 0 or columns.size == 0:
                continue
            window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            high, low = bright[window], dark[window]
            if min(high.sum(), low.sum()) < _FEWEST:
                continue
            contrast = float(fringe[window][high].mean() - fringe[window][low].mean())
            found = float(image[window][high].mean() - image[window][low].mean())
            scales.append(found / contrast)
            weights.append(contrast**2 * min(high.sum(), low.sum()))
    if not scales:
        message = "too few pixels of bright and dark fringes are free of sources"
        raise UnprocessableError(message)
    order = np.argsort(scales)
    share = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(scales)[order][np.searchsorted(share, share[-1] / 2.0)])


def fringes_of(
    image: NDArray[np.float32],
    fringe: NDArray[np.float32],
    *,
    threshold_low: float = -1.0,
    threshold_high: float = 1.0,
    bad: NDArray[np.bool_] | None = None,
) -> float:
    """Measure how strong the fringes of a frame are, its sources masked.

    Parameters
    ----------
    image, fringe, threshold_low, threshold_high, bad
        As in :func:`fringe_scale`; sources need not be masked.

    Returns
    -------
    float
        As :func:`fringe_scale`; 0 where the frame has no sky above 0, as a short exposure of a
        standard: no sky, no fringes. Sources are looked for with the fringes of the pass before
        taken out: else bright fringes would be taken for sources, and the rest be too weak.

    Raises
    ------
    UnprocessableError
        If too few pixels can be compared.
    """
    scale = _median(image, bad)
    if not scale > 0.0:
        return 0.0
    for _ in range(_ROUNDS):
        sources = mask_sources(image - np.float32(scale) * fringe, bad=bad)
        before, scale = (
            scale,
            fringe_scale(
                image,
                fringe,
                threshold_low=threshold_low,
                threshold_high=threshold_high,
                bad=sources,
            ),
        )
        if abs(scale - before) < _SETTLED * abs(before):
            break
    return scale
