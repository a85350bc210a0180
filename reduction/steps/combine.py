"""Average a stack of frames, leaving out what deviates more than its known noise allows."""

from __future__ import annotations

__all__ = ["Rows", "combine", "combine_biases"]

from typing import TYPE_CHECKING, Protocol

import numpy as np

from reduction.steps.blocks import release
from reduction.steps.network import median_of_planes
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Values combined at a time: with what is computed of them they stay in a core's cache.
_VALUES = 1 << 18

#: Values of all frames after which those in files are let go of.
_HELD = 1 << 23


class Rows(Protocol):
    """A frame that gives some rows at a time: an array, or what is computed of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """The values of some rows."""


def combine(
    frames: Sequence[Rows],
    sigma: NDArray[np.float32] | Sequence[float],
    *,
    sigma_clip: float,
    photon: Sequence[float] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Mean of the values that lie near the median of their pixel.

    Parameters
    ----------
    frames
        Frames of equal shape (ny, nx), any unit. NaN is "no value". They may be in files.
    sigma
        Standard deviation that does not depend on the signal, one number a frame.
    sigma_clip
        Values further than this many standard deviations from the median are left out.
    photon
        Variance per unit of signal, one number a frame: a value's variance is
        ``sigma**2 + photon * median``. None for no signal-dependent noise.

    Returns
    -------
    tuple of ndarray
        Mean, shape (ny, nx), float32, NaN where no frame had a value, and the number of values
        it is of, uint16. Where all values were rejected (two that disagree) the median stands and
        the number is 0.

    Raises
    ------
    UnprocessableError
        If there is no frame or the shapes differ.
    """
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1:
        message = f"{len(frames)} frames of shapes {sorted(shapes)}: expected one common shape"
        raise UnprocessableError(message)
    ny, nx = shapes.pop()
    mean = np.empty((ny, nx), dtype=np.float32)
    count = np.empty((ny, nx), dtype=np.uint16)  # nights have more than 255 biases
    noise = np.asarray(sigma, dtype=np.float32)
    per_signal = np.zeros_like(noise) if photon is None else np.asarray(photon, dtype=np.float32)
    step = max(_VALUES // (len(frames) * nx), 1)
    held = max(_HELD // (step * len(frames) * nx), 1)
    for start in range(0, ny, step):
        rows = slice(start, start + step)
        block = [frame[rows] for frame in frames]
        mean[rows], count[rows] = _combine_block(block, noise, per_signal, sigma_clip)
        if (start // step) % held == held - 1:
            release(*frames)
    release(*frames)
    return mean, count


def _combine_block(
    frames: list[NDArray[np.float32]],
    sigma: NDArray[np.float32],
    photon: NDArray[np.float32],
    sigma_clip: float,
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    centre = _median(np.stack(frames))
    signal = np.maximum(centre, np.float32(0.0)) if photon.any() else np.float32(0.0)
    total = np.zeros_like(centre)
    count = np.zeros(centre.shape, dtype=np.uint16)
    for frame, constant, per_signal in zip(frames, sigma, photon, strict=True):
        limit = np.sqrt(signal * per_signal + constant * constant) * np.float32(sigma_clip)
        deviation = frame - centre
        keep = np.abs(deviation) <= limit  # not where either is NaN or infinite
        count += keep.view(np.uint8)
        np.copyto(deviation, np.float32(0.0), where=~keep)
        total += deviation
    np.divide(total, count, out=total, where=count > 0)
    total += centre
    return total, count


def _median(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median along the first axis over valid values; NaN where there is none."""
    invalid = ~np.isfinite(stack)
    if not invalid.any():
        return median_of_planes(stack)
    holes = invalid.any(axis=0)
    ordered = np.sort(np.where(invalid[:, holes], np.float32(np.inf), stack[:, holes]), axis=0)
    n = len(stack) - invalid[:, holes].sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(n // 2, len(stack) - 1)[None], axis=0)[0]
    stack[invalid] = 0.0
    centre = median_of_planes(stack)
    centre[holes] = np.where(n > 0, (low + high) * np.float32(0.5), np.float32(np.nan))
    return centre


def combine_biases(
    frames: Sequence[NDArray[np.float32]], *, read_noise: float, sigma_clip: float = 3.0
) -> NDArray[np.float32]:
    """Combine bias frames of one night and chip.

    Parameters
    ----------
    frames
        Trimmed, overscan corrected bias frames, each of shape (ny, nx), adu.
    read_noise
        Measured on its own (:mod:`reduction.steps.read_noise`), adu.
    sigma_clip
        Pixels that deviate from the median by more than this times the read noise are left out.

    Returns
    -------
    ndarray
        Master bias, shape (ny, nx), adu, float32; NaN where no frame had a value.

    Raises
    ------
    UnprocessableError
        If there is no frame, the shapes differ, or the read noise is not positive.

    Notes
    -----
    Astro-WISE ``BiasFrame``: the rejection limit is the ReadNoise measurement, not the scatter
    of the sample.
    """
    if not read_noise > 0.0:
        message = f"read noise {read_noise} adu: expected a positive number"
        raise UnprocessableError(message)
    mean, _ = combine(frames, [read_noise] * len(frames), sigma_clip=sigma_clip)
    return mean
