"""Average a stack of frames, leaving out what deviates more than its known noise allows."""

from __future__ import annotations

__all__ = ["Rows", "combine", "combine_biases"]

from dataclasses import dataclass
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

#: Largest weight over smallest up to which a plain median is as good a centre as a weighted one.
_ALIKE = 2.0


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
    weights: Sequence[float] | None = None,
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
    weights
        Of the frames in the mean, positive. None for equal ones.

    Returns
    -------
    tuple of ndarray
        Mean, shape (ny, nx), float32, NaN where no frame had a value, and the number of values
        it is of, uint16, 0 there alone.

    Raises
    ------
    UnprocessableError
        If there is no frame or the shapes differ.

    Notes
    -----
    The median of an even number lies between two values, and where these disagree, as of two
    frames of which one was hit, it is near to none. What is too much is light (cosmic rays,
    stars), so there the lower of the two is what the others are compared with.

    A frame's noise is taken to be at least that of the median, pi / 2 times the variance of the
    plain mean of all: where noisy frames make the median, it would otherwise be the best frame
    that is left out. Of two frames both are as far from the median, and have the larger noise.

    Of weights that differ by more than twice, the median is a weighted one (half of the weight
    is below it), whose variance and a frame's add: it is often the value of one frame. Where one
    has more than half of all, that is its own value, which nothing would ever leave out: where it
    is higher than the median of the others by more than the noise of both allows, theirs is what
    the values are compared with. Of two good frames and a poor one, with one of the good hit, the
    poor one's value is at times left alone.
    """
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1:
        message = f"{len(frames)} frames of shapes {sorted(shapes)}: expected one common shape"
        raise UnprocessableError(message)
    ny, nx = shapes.pop()
    mean = np.empty((ny, nx), dtype=np.float32)
    count = np.empty((ny, nx), dtype=np.uint16)  # nights have more than 255 biases
    noise = _Noise.of(sigma, photon, weights)
    step = max(_VALUES // (len(frames) * nx), 1)
    held = max(_HELD // (step * len(frames) * nx), 1)
    for start in range(0, ny, step):
        rows = slice(start, start + step)
        block = [frame[rows] for frame in frames]
        mean[rows], count[rows] = _combine_block(block, noise, sigma_clip)
        if (start // step) % held == held - 1:
            release(*frames)
    release(*frames)
    return mean, count


@dataclass(frozen=True, slots=True)
class _Noise:
    """What frames' values may deviate by, and count, one number a frame, float32.

    Attributes
    ----------
    constant, per_signal
        Variance without signal, and per unit of it.
    weight
        Of the frame in the mean, the largest 1.
    """

    constant: NDArray[np.float32]
    per_signal: NDArray[np.float32]
    weight: NDArray[np.float32]

    @property
    def differ(self) -> bool:
        """Whether the weights differ so much that the median has to be a weighted one."""
        return bool(self.weight.min() * _ALIKE < 1.0)

    @property
    def first(self) -> int | None:
        """The frame that has more than half of all weight; None for none."""
        largest = int(np.argmax(self.weight))
        return largest if 2.0 * self.weight[largest] > self.weight.sum() else None

    @classmethod
    def of(
        cls,
        sigma: NDArray[np.float32] | Sequence[float],
        photon: Sequence[float] | None,
        weights: Sequence[float] | None,
    ) -> _Noise:
        """The noise of frames as :func:`combine` is told it."""
        noise = np.asarray(sigma, dtype=np.float32)
        per_signal = np.zeros_like(noise) if photon is None else np.asarray(photon, dtype="f4")
        weight = np.ones_like(noise) if weights is None else np.asarray(weights, dtype=np.float64)
        weight = np.asarray(weight / weight.max(), dtype=np.float32)
        plain = cls(noise * noise, per_signal, weight)
        return cls(plain._about_the_centre(0), plain._about_the_centre(1), weight)

    def _about_the_centre(self, term: int) -> NDArray[np.float32]:
        """One term of the variances that frames may have from what they are compared with."""
        variance = self.per_signal if term else self.constant
        if self.differ:
            return np.asarray(variance + self.variance_of_median(slice(None))[term])
        count = len(variance)
        centre = variance.sum() * np.float32(np.pi / 2 / count**2)
        return np.asarray(np.maximum(variance, variance.max() if count <= 2 else centre))

    def variance_of_median(self, some: NDArray[np.bool_] | slice) -> tuple[np.float32, np.float32]:
        """Both terms of the weighted median of some frames: pi / 2 times those of their mean."""
        weight = self.weight[some]
        share = np.square(weight / weight.sum()) * np.float32(np.pi / 2 if len(weight) > 1 else 1)
        return (share * self.constant[some]).sum(), (share * self.per_signal[some]).sum()


def _combine_block(
    frames: list[NDArray[np.float32]], noise: _Noise, sigma_clip: float
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    differ = noise.differ
    centre = _weighted(frames, noise, sigma_clip) if differ else _median(np.stack(frames))
    mean, count = _mean_about(centre, frames, noise, sigma_clip)
    if not count.all():
        split = (count == 0) & np.isfinite(centre)
        few = [frame[split] for frame in frames]
        lower, _ = _weighted_middle(few, noise.weight) if differ else _middle(np.stack(few))
        mean[split], count[split] = _mean_about(lower, few, noise, sigma_clip)
    return mean, count


def _mean_about(
    centre: NDArray[np.float32],
    frames: list[NDArray[np.float32]],
    noise: _Noise,
    sigma_clip: float,
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Mean of the values near a centre, and their number; the centre where there is none."""
    signal = np.maximum(centre, np.float32(0.0)) if noise.per_signal.any() else np.float32(0.0)
    total = np.zeros_like(centre)
    count = np.zeros(centre.shape, dtype=np.uint16)
    weighted = (noise.weight < 1.0).any()
    share = np.zeros_like(centre) if weighted else count
    each = zip(frames, noise.constant, noise.per_signal, noise.weight, strict=True)
    for frame, constant, per_signal, weight in each:
        limit = np.sqrt(signal * per_signal + constant) * np.float32(sigma_clip)
        deviation = frame - centre
        keep = np.abs(deviation) <= limit  # not where either is NaN or infinite
        count += keep.view(np.uint8)
        np.copyto(deviation, np.float32(0.0), where=~keep)
        if weighted:
            share += keep * weight
            deviation *= weight
        total += deviation
    np.divide(total, share, out=total, where=count > 0)
    total += centre
    return total, count


def _weighted(
    frames: list[NDArray[np.float32]], noise: _Noise, sigma_clip: float
) -> NDArray[np.float32]:
    """Weighted median; that of the others where the frame with most weight is far above it."""
    first = noise.first
    if first is None:
        low, high = _weighted_middle(frames, noise.weight)
        return (low + high) * np.float32(0.5)
    rest = np.arange(len(frames)) != first
    others = [frame for frame, other in zip(frames, rest, strict=True) if other]
    low, high = _weighted_middle(others, noise.weight[rest])
    other = (low + high) * np.float32(0.5)
    constant, per_signal = noise.variance_of_median(rest)
    constant, per_signal = constant + noise.constant[first], per_signal + noise.per_signal[first]
    centre = frames[first]
    with np.errstate(invalid="ignore"):
        limit = np.sqrt(np.maximum(centre, np.float32(0.0)) * per_signal + constant)
        known = np.isfinite(centre) & ~(centre - other > limit * np.float32(sigma_clip))
    return np.where(known, centre, other)


def _weighted_middle(
    frames: list[NDArray[np.float32]], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The values below and above half of the weight; NaN where none is valid, else often equal."""
    stack = np.stack(frames, axis=-1)
    stack = np.where(np.isfinite(stack), stack, np.float32(np.nan))  # NaN is sorted last
    order = np.argsort(stack, axis=-1, kind="stable")
    ordered = np.take_along_axis(stack, order, axis=-1)
    below = np.cumsum(np.where(np.isfinite(ordered), weight[order], 0.0), axis=-1)
    half = 0.5 * below[..., -1:]
    low, high = (np.argmax(over, axis=-1) for over in (below >= half, below > half))
    one, two = (np.take_along_axis(ordered, k[..., None], axis=-1)[..., 0] for k in (low, high))
    return one, two


def _median(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median along the first axis over valid values; NaN where there is none."""
    invalid = ~np.isfinite(stack)
    if not invalid.any():
        return median_of_planes(stack)
    holes = invalid.any(axis=0)
    low, high = _middle(stack[:, holes])
    stack[invalid] = 0.0
    centre = median_of_planes(stack)
    centre[holes] = (low + high) * np.float32(0.5)
    return centre


def _middle(stack: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The two values about the middle along the first axis; NaN where none is valid.

    Of an odd number of valid values both are the one in the middle.
    """
    valid = np.isfinite(stack)
    ordered = np.sort(np.where(valid, stack, np.float32(np.nan)), axis=0)  # NaN last
    number = valid.sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(number - 1, 0) // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(number // 2, len(stack) - 1), axis=0)[0]
    return low, high


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
