"""Values of several frames in the same pixels: without their outliers, and as one."""

from __future__ import annotations

__all__ = ["KERNEL", "Clipping", "Combined", "Frames", "Room", "Stack", "combined"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.steps.weight import MaskBit
from schemas.compiled import compiled
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.instruments.base import Section

    Image = NDArray[np.float32]
else:
    ndimage = deferred("scipy.ndimage")

_ENOUGH_TO_CLIP: Final = 3
#: A median is light of a source from so many of its errors on.
_LIGHT_SIGMA: Final = 3.0
_NOTHING: Final = int(MaskBit.NON_NUMBER)
_NO_FACTOR: Final = np.empty(0, np.float32)


#: The compiled module ``reduction._combine``, or None; asked for at every use. ``VO_KERNEL=off``
#: leaves it aside.
KERNEL: Any = compiled("reduction._combine", abi=3)


@dataclass(frozen=True, slots=True)
class Clipping:
    """Which values are outliers: see :func:`reduction.steps.coadd.coadd`."""

    sigma: float
    fraction: float
    reach: int


@dataclass(frozen=True, slots=True)
class Frames:
    """What is known of a stack's frames.

    Attributes
    ----------
    sign
        A random number for each, shape (n,), uint64: sets of frames are told apart by their sums.
    photons
        Shape (n, 3), float64: :meth:`reduction.steps.photons.Photons.terms` of each.
    """

    sign: NDArray[np.uint64]
    photons: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stack:
    """Values of a tile on the common scale, shape (n, ny, nx) for n frames.

    Attributes
    ----------
    value
        float32, NaN where a frame has none.
    weight
        Inverse variances, float32; 0 is "do not use".
    bits
        Sums of :class:`MaskBit`, uint8.
    factor
        What illumination multiplied the values by, float32; None where nothing did.
    """

    value: Image
    weight: Image
    bits: NDArray[np.uint8]
    factor: Image | None = None

    def used(self, y: Any = slice(None), x: Any = slice(None)) -> NDArray[np.bool_]:  # noqa: ANN401  # any index
        """Which values count, of all pixels or of some."""
        return np.asarray((self.weight[:, y, x] > 0) & np.isfinite(self.value[:, y, x]))


class Room:
    """Memory that the stacks of one tile after the other are in."""

    def __init__(self) -> None:
        self._value, self._weight = np.empty(0, np.float32), np.empty(0, np.float32)
        self._bits, self._factor = np.empty(0, np.uint8), np.empty(0, np.float32)

    def stack(self, n: int, shape: tuple[int, int], *, lit: bool = False) -> Stack:
        """A stack of nothing in particular, until the next is asked for; with factors if lit."""
        size = n * shape[0] * shape[1]
        if size > len(self._value):
            self._value, self._weight = np.empty(size, np.float32), np.empty(size, np.float32)
            self._bits = np.empty(size, np.uint8)
        whole = (n, *shape)
        value, weight = self._value[:size].reshape(whole), self._weight[:size].reshape(whole)
        bits = self._bits[:size].reshape(whole)
        if not lit:
            return Stack(value, weight, bits)
        if size > len(self._factor):
            self._factor = np.empty(size, np.float32)
        return Stack(value, weight, bits, self._factor[:size].reshape(whole))


@dataclass(frozen=True, slots=True)
class Combined:
    """What becomes of a part of a stack, shape (ny, nx) of the part.

    Attributes
    ----------
    image, weight, mask, number, gain
        As :class:`reduction.steps.coadd.Coadd`.
    origin
        Which frames have a part in a pixel: equal sets have equal numbers, in the order in which
        they appear row by row; int32.
    first
        Where each set appears first, shape (sets,): indices of the part's flat pixels.
    lost
        Values of each frame that were left out, shape (n,).
    """

    image: Image
    weight: Image
    mask: NDArray[np.uint8]
    number: NDArray[np.int16]
    gain: Image
    origin: NDArray[np.int32]
    first: NDArray[np.int32]
    lost: NDArray[np.int64]


def combined(stack: Stack, own: Section, frames: Frames, clipping: Clipping | None) -> Combined:
    """Combine the values of each pixel.

    Parameters
    ----------
    stack
        What is left out as an outlier loses its weight in it.
    own
        The pixels that are wanted; the others only say what light is near by.
    frames
        What is known of the frames.
    clipping
        Which values are left out; None for none.

    Notes
    -----
    The compiled and the numpy way give the same bits.
    """
    if len(stack.value) < _ENOUGH_TO_CLIP:
        clipping = None
    if KERNEL is None:
        return _by_numpy(stack, own, frames, clipping)
    return _by_kernel(stack, own, frames, clipping)


def _by_kernel(stack: Stack, own: Section, frames: Frames, clipping: Clipping | None) -> Combined:
    """The compiled way."""
    image, weight = np.empty(own.shape, np.float32), np.empty(own.shape, np.float32)
    mask, number = np.empty(own.shape, np.uint8), np.empty(own.shape, np.int16)
    gain = np.empty(own.shape, np.float32)
    origin, first = np.empty(own.shape, np.int32), np.empty(image.size, np.int32)
    lost = np.zeros(len(stack.value), np.int64)
    sets = KERNEL.combine(
        *(stack.value, stack.weight, stack.bits),
        *(_NO_FACTOR if stack.factor is None else stack.factor, stack.value.shape),
        (own.y0, own.y1, own.x0, own.x1),
        _limits(clipping),
        *(frames.sign, frames.photons),
        _NOTHING,
        *(image, weight, mask, number, gain, origin, first, lost),
    )
    return Combined(image, weight, mask, number, gain, origin, first[:sets], lost)


def _limits(clipping: Clipping | None) -> tuple[float, float, int, float, float] | None:
    """What the kernel wants to know of clipping."""
    if clipping is None:
        return None
    return clipping.sigma, clipping.fraction, clipping.reach, _LIGHT_SIGMA, math.pi / 2.0


def _by_numpy(stack: Stack, own: Section, frames: Frames, clipping: Clipping | None) -> Combined:
    """The same without the kernel."""
    lost = np.zeros(len(stack.value), np.int64)
    if clipping is not None:
        _clip(stack, clipping, own.slices, lost)
    piece = (slice(None), *own.slices)
    factor = None if stack.factor is None else stack.factor[piece]
    part = Stack(stack.value[piece], stack.weight[piece], stack.bits[piece], factor)
    used = part.used()
    sums = np.zeros(own.shape, np.uint64)
    for which, one in zip(used, frames.sign, strict=True):
        np.add(sums, one, out=sums, where=which)
    gain = _gain(part, used, frames.photons)
    return Combined(*_mean(part, used), gain, *_numbered(sums), lost)


def _clip(
    stack: Stack, clipping: Clipping, own: tuple[slice, slice], lost: NDArray[np.int64]
) -> None:
    """Take the weight of outliers; count those of each frame in a part."""
    used = stack.used()
    count = used.sum(axis=0)
    middle = _median(np.where(used, stack.value, np.inf), count)
    sharpness = np.sqrt(np.where(used, stack.weight, np.float32(0))).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.float32(math.pi / 2.0) / sharpness**2
        light = np.abs(middle) - np.float32(_LIGHT_SIGMA) * np.sqrt(variance)
        light = np.where(np.isfinite(light), np.maximum(light, np.float32(0)), np.float32(0))
        allowed = np.float32(clipping.fraction) * ndimage.maximum_filter(
            light, 2 * clipping.reach + 1, mode="nearest"
        )
        far = np.empty(used.shape, np.bool_)
        for value, weight, out in zip(stack.value, stack.weight, far, strict=True):
            limit = np.float32(clipping.sigma) * np.sqrt(1.0 / weight + variance) + allowed
            np.greater(np.abs(value - middle), limit, out=out)
    far &= used & (count >= _ENOUGH_TO_CLIP)
    far &= far.sum(axis=0) < count  # an even number may lie half above the median, half below
    stack.weight[far] = 0
    lost += np.count_nonzero(far[(slice(None), *own)], axis=(1, 2))


def _median(value: Image, count: NDArray[np.int_]) -> Image:
    """Median of the first ``count`` along axis 0, once sorted; inf where there are none."""
    ordered = np.sort(np.ascontiguousarray(np.moveaxis(value, 0, -1)), axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(value) - 1)
    both = [np.take_along_axis(ordered, k[..., None], axis=-1)[..., 0] for k in (low, high)]
    with np.errstate(invalid="ignore"):
        return np.asarray((both[0] + both[1]) * np.float32(0.5))


def _mean(
    part: Stack, used: NDArray[np.bool_]
) -> tuple[Image, Image, NDArray[np.uint8], NDArray[np.int16]]:
    """Mean, weight, mask and number."""
    shape = used.shape[1:]
    total, weight = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    plain, seen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    bits = np.zeros(shape, np.uint8)
    for value, inverse, mask, which in zip(part.value, part.weight, part.bits, used, strict=True):
        share = np.where(which, inverse, np.float32(0))
        total += np.where(which, value, np.float32(0)) * share.astype(np.float64)
        weight += share
        there = np.isfinite(value)
        plain += np.where(there, value, np.float32(0))
        seen += there
        bits |= np.where(there, mask, np.uint8(0))
    good = weight > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        image = np.where(good, total / weight, plain / seen).astype(np.float32)
    bits[seen == 0] = _NOTHING
    bits[good] = 0
    return image, weight.astype(np.float32), bits, used.sum(axis=0, dtype=np.int16)


def _gain(part: Stack, used: NDArray[np.bool_], photons: NDArray[np.float64]) -> Image:
    """Electrons a unit of the mean, 0 where not known."""
    shape = used.shape[1:]
    total, weight = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    factors = part.factor if part.factor is not None else np.ones(len(used), np.float32)
    for inverse, which, terms, one in zip(part.weight, used, photons, factors, strict=True):
        linear, square, unit = terms.astype(np.float32)
        share = np.where(which, inverse, np.float32(0))
        weight += share
        with np.errstate(divide="ignore", invalid="ignore"):
            before = share * one * one
            rise = linear * before
            flat = rise + np.sqrt(rise * rise + square * before)
            total += np.where(which, share / flat * unit * share * one, np.float32(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, weight * weight / total, 0.0).astype(np.float32)


def _numbered(sums: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers of sums in the order in which they appear, and where they first do."""
    _, first, inverse = np.unique(sums, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order))
    return number[inverse].reshape(sums.shape), first[order].astype(np.int32)
