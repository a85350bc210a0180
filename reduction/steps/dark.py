"""Dark current of every pixel, from darks of one or several exposure times."""

from __future__ import annotations

__all__ = ["DarkField", "dark_current"]

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.blocks import release
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: How well the level of a bias is known, in units of the read noise: it drifts in a night.
_DRIFT = 0.1

#: Darks whose currents differ by less than this, in units of the error, have the same.
_ALIKE = 3.0

#: Rows combined at a time, and values of all frames in them, so that the working copies of the
#: stack stay small.
_ROWS = 256
_VALUES = 1 << 22


@dataclass(frozen=True, slots=True)
class DarkField:
    """What darks say.

    Attributes
    ----------
    rate
        Dark current, adu/s, shape (ny, nx), float32; NaN where no dark had a value.
    bulk
        What is common to all pixels, adu/s.
    bulk_err
        Its error, adu/s: noise, and a drift of the bias by a tenth of the read noise.
    stray
        Level of each dark with values above that of the bulk current in its time, adu: light that
        got in, or the afterglow of an earlier exposure.
    outliers
        Number of values rejected in all frames.
    """

    rate: NDArray[np.float32]
    bulk: float
    bulk_err: float
    stray: tuple[float, ...]
    outliers: int


def dark_current(
    frames: Sequence[NDArray[np.float32]],
    exposure_times: Sequence[float],
    *,
    gain: float,
    read_noise: float,
    sigma_clip: float = 5.0,
) -> DarkField:
    """Measure the dark current of a chip.

    Parameters
    ----------
    frames
        Darks without overscan and bias, each of shape (ny, nx), adu; may be in files. NaN is "no
        value"; a dark without any is left out.
    exposure_times
        s, one a frame.
    gain
        e-/adu.
    read_noise
        adu.
    sigma_clip
        A value is left out if it deviates from its pixel's median current by more than this
        times the read and photon noise expected there: cosmic rays.

    Returns
    -------
    DarkField
        The slope of each pixel's signal against time through zero: the mean of the frames'
        currents, weighted by the squares of their times.

    Raises
    ------
    UnprocessableError
        If there is no frame with values, shapes differ, or a time is not positive.

    Notes
    -----
    Astro-WISE ``DarkCurrent``. The level common to all pixels is the mean of the darks that have
    as little of it a second as any, within the errors, and what other darks have more is taken
    out as a constant: in a warm camera whose shutter or afterglow gives light (MIT: 5 to 30 adu
    in darks of 180 s of one night) it does not grow with time, while hot pixels do. Darks of less
    than half of the longest time do not count: a bias that drifts by 0.5 adu would make 0.5 adu/s
    of a dark of 1 s. Nor does one whose level is below zero by more than its error, if others
    are not.
    """
    _check(frames, exposure_times)
    known = _levels(frames)
    if not known:
        message = f"{len(frames)} darks without a valid pixel: expected finite values"
        raise UnprocessableError(message)
    frames = [frames[number] for number in known]
    times = np.asarray(exposure_times, dtype=np.float32)[list(known)]
    levels = np.array(list(known.values()), dtype=np.float64)
    bulk, bulk_err = _bulk(levels, times.astype(np.float64), frames[0].size, gain, read_noise)
    stray = (levels - bulk * times).astype(np.float32)
    rate: NDArray[np.float32] = np.empty_like(frames[0], dtype=np.float32)
    outliers = 0
    step = max(min(_ROWS, _VALUES // (len(frames) * rate.shape[1])), 1)
    for start in range(0, rate.shape[0], step):
        rows = slice(start, start + step)
        stack = np.stack([frame[rows] for frame in frames])
        stack -= stray[:, None, None]
        stack /= times[:, None, None]
        rate[rows], rejected = _slopes(stack, times, gain, read_noise, sigma_clip)
        outliers += rejected
        release(*frames)
    return DarkField(rate, bulk, bulk_err, tuple(map(float, stray)), outliers)


def _check(frames: Sequence[NDArray[np.float32]], exposure_times: Sequence[float]) -> None:
    """See that darks can be compared."""
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1:
        message = f"{len(frames)} darks of shapes {sorted(shapes)}: expected one common shape"
        raise UnprocessableError(message)
    if not all(time > 0.0 for time in exposure_times):
        message = f"darks of {sorted(set(exposure_times))} s: expected positive exposure times"
        raise UnprocessableError(message)


def _levels(frames: Sequence[NDArray[np.float32]]) -> dict[int, float]:
    """Median of each dark that has values, adu, by its number."""
    found = {}
    for number, frame in enumerate(frames):
        if np.isfinite(frame).any():
            found[number] = float(np.nanmedian(frame))
        release(frame)
    return found


def _bulk(
    levels: NDArray[np.float64],
    times: NDArray[np.float64],
    pixels: int,
    gain: float,
    read_noise: float,
) -> tuple[float, float]:
    """Current common to all pixels, adu/s, and its error."""
    long = times >= times.max() / 2.0
    levels, times = levels[long], times[long]
    noise = np.sqrt(np.pi / 2 / pixels * (read_noise**2 + np.maximum(levels, 0.0) / gain))
    drift = _DRIFT * read_noise
    current, error = levels / times, np.hypot(noise, drift) / times
    possible = current >= -_ALIKE * error
    least = np.where(possible, current, np.inf) if possible.any() else current
    lowest = int(np.argmin(least))
    alike = least - current[lowest] <= _ALIKE * np.hypot(error, error[lowest])
    weight = np.where(alike, error**-2.0, 0.0)
    bulk = float((weight * current).sum() / weight.sum())
    common = drift / times[alike].max()  # of the bias that all darks share
    return bulk, float(np.hypot(weight.sum() ** -0.5, common))


def _slopes(
    currents: NDArray[np.float32],
    times: NDArray[np.float32],
    gain: float,
    read_noise: float,
    sigma_clip: float,
) -> tuple[NDArray[np.float32], int]:
    """Weighted mean current of each pixel without outliers, and their number.

    Where of an even number of darks the two in the middle disagree, what is too much is light: a
    cosmic ray.
    """
    valid = np.isfinite(currents)
    long = times >= times.max() / 2.0  # short darks hardly say anything of a pixel
    low, high = _middle(currents[long], valid[long])
    near = partial(_near, times=times, gain=gain, read_noise=read_noise, sigma_clip=sigma_clip)
    keep = valid & near(currents, (low + high) * np.float32(0.5))
    split = np.isfinite(low) & ~keep[long].any(axis=0)  # two that disagree: the lower is not hit
    if split.any():
        keep[:, split] = valid[:, split] & near(currents[:, split], low[split])
    t = times[:, None, None]
    weight = np.where(keep, t * t, np.float32(0.0))
    total = weight.sum(axis=0)
    mean = (weight * np.where(keep, currents, np.float32(0.0))).sum(axis=0)
    rate = np.full(total.shape, np.nan, dtype=np.float32)
    np.divide(mean, total, out=rate, where=total > 0.0)
    return rate, int(valid.sum() - keep.sum())


def _near(
    currents: NDArray[np.float32],
    middle: NDArray[np.float32],
    *,
    times: NDArray[np.float32],
    gain: float,
    read_noise: float,
    sigma_clip: float,
) -> NDArray[np.bool_]:
    """Whether currents are within their noise of the middle; all are where there is none."""
    t = times.reshape(-1, *(1,) * middle.ndim)
    variance = read_noise**2 + np.maximum(np.nan_to_num(middle), 0.0) * t / gain
    limit = (sigma_clip * np.sqrt(variance) / t).astype(np.float32)
    return np.asarray(~(np.abs(currents - middle) > limit))


def _middle(
    stack: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The two values about the middle along the first axis; NaN where none is valid."""
    ordered = np.sort(np.where(valid, stack, np.float32(np.nan)), axis=0)  # NaN last
    number = valid.sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(number - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(number // 2, len(stack) - 1)[None], axis=0)[0]
    return low, high
