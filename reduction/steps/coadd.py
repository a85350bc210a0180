"""Combine frames on one grid, part by part: pixels, weights, mask, and where each comes from."""

from __future__ import annotations

__all__ = ["MEMBER_DTYPE", "Coadd", "CombineType", "Contribution", "coadd", "summed_width"]

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.instruments.base import Section
from reduction.steps.blocks import release
from reduction.steps.weight import MaskBit
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy import ndimage, optimize

    from reduction.scratch import Scratch

    Image = NDArray[np.float32]
    Planes = tuple[Image, Image, NDArray[np.uint8]]
else:
    ndimage = deferred("scipy.ndimage")
    optimize = deferred("scipy.optimize")

#: Grid pixels (rows, columns) that are combined at a time: 9 bytes a pixel and frame.
_TILE: Final = (256, 1024)
_ENOUGH_TO_CLIP: Final = 3
#: A median is light of a source from so many of its errors on.
_LIGHT_SIGMA: Final = 3.0
_SIGMA_PER_FWHM: Final = 1.0 / 2.3548200450309493

#: Which frames make up a set of origins.
MEMBER_DTYPE: Final = np.dtype([("origin", "i4"), ("frame", "i4")])


class CombineType(StrEnum):
    """How values of a pixel become one; SWarp's names (COMBINE_TYPE)."""

    WEIGHTED = "WEIGHTED"
    """Mean, weighted by inverse variance."""
    CLIPPED = "CLIPPED"
    """The same without values far from the median, where three or more are there."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """A frame on a part of the grid.

    Attributes
    ----------
    box
        The part.
    read
        Gives image, weight (inverse variance) and mask of a rectangle of that part, counted from
        the part's own corner; called for one piece after the other.
    scale
        What the frame's values are multiplied by to be on the coadd's scale.
    """

    box: Section
    read: Callable[[Section], Planes]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Coadd:
    """Combined frames; planes have the grid part's shape (ny, nx).

    Attributes
    ----------
    image
        On the common scale, float32; NaN where no frame has a value. Where no frame has weight,
        the plain mean of what there is.
    weight
        Inverse variance, summed, float32; 0 is "do not use".
    mask
        Where the weight is 0: why, over all frames (sum of :class:`MaskBit`), uint8; else 0.
    number
        Frames that have a part in the pixel, int16.
    origin
        Which ones: a number that ``members`` explains, int32; 0 for none.
    members
        Rows (origin, frame), :data:`MEMBER_DTYPE`; ``frame`` counts the contributions from 0.
    clipped
        Values of each frame left out because they are far from the others', shape (n,).
    """

    image: Image
    weight: Image
    mask: NDArray[np.uint8]
    number: NDArray[np.int16]
    origin: NDArray[np.int32]
    members: NDArray[np.void]
    clipped: NDArray[np.int64]


def coadd(  # the settings of SWarp's combination
    frames: Sequence[Contribution],
    box: Section,
    *,
    combine: CombineType = CombineType.CLIPPED,
    clip_sigma: float = 4.0,
    clip_fraction: float = 1.5,
    reach: int = 3,
    tile: tuple[int, int] = _TILE,
    scratch: Scratch | None = None,
) -> Coadd:
    """Combine frames.

    Parameters
    ----------
    frames
        What there is, in an order that the caller keeps.
    box
        Part of the grid to make.
    combine
        How.
    clip_sigma, clip_fraction
        A value is left out if it is further from the median than ``clip_sigma`` times the error of
        their difference plus ``clip_fraction`` times the light near by: the largest median, less
        three of its errors, within ``reach``. Seeing differs between frames, and with it the light
        in the middle of a star and in its wings, where the median alone says nothing of it.
    reach
        Pixels along each axis; three quarters of the width (fwhm) of the widest stars.
    tile
        Rows and columns combined at a time; what is in memory at once beside the result is 9
        bytes for each of its pixels and each frame that touches it.
    scratch
        Room for the result's planes, which large ones have in files; memory where None.

    Raises
    ------
    UnprocessableError
        If there is no frame.

    Notes
    -----
    Gruen, Seitz & Bernstein 2014, PASP 126, 158, for the clipping and its two limits. The error of
    a median of values with errors s is sqrt(pi / 2) / sum(1 / s): without it a deep frame among
    many shallow ones would be the outlier.

    With the defaults fluxes of stars do not depend on the seeing's differences, up to widths in
    the ratio 3 to 2, within 0.5 %. The price: on a star, what only one frame has is left out from
    about one and a half times the star's peak on; on the sky, from ``clip_sigma`` on. The frames'
    sky has to be taken off, or it counts as light.

    A pixel's set of frames is told from others by the sum of a random 64-bit number for each of
    its members (Zobrist 1970): two of a million sets are mixed up with a chance of 3e-8.
    """
    if not frames:
        message = "there is no frame to combine: expected one or more"
        raise UnprocessableError(message)
    made = _empty(box.shape, len(frames), np.full if scratch is None else scratch.full)
    origins = _Origins(len(frames))
    for y0 in range(box.y0, box.y1, tile[0]):
        for x0 in range(box.x0, box.x1, tile[1]):
            part = Section(y0, min(y0 + tile[0], box.y1), x0, min(x0 + tile[1], box.x1))
            around = _grown(part, box, reach) if combine is CombineType.CLIPPED else part
            touching = [
                i for i, frame in enumerate(frames) if _meet(frame.box, around) is not None
            ]
            if not touching:
                continue
            stack = _Stack.of([frames[i] for i in touching], around)
            own = _places(part, around)
            if combine is CombineType.CLIPPED:
                made.clipped[touching] += stack.clip(clip_sigma, clip_fraction, reach, own)
            stack = stack.cut(own)
            place = _places(part, box)
            _combine(stack, made, place)
            made.origin[place] = origins.number(stack.used, touching)
        release(made.image, made.weight, made.mask, made.number, made.origin)
    return replace(made, members=origins.table)


def _empty(
    shape: tuple[int, int], frames: int, full: Callable[[tuple[int, int], float, Any], Any]
) -> Coadd:
    """A coadd of nothing."""
    return Coadd(
        image=full(shape, np.nan, np.float32),
        weight=full(shape, 0, np.float32),
        mask=full(shape, int(MaskBit.NON_NUMBER), np.uint8),
        number=full(shape, 0, np.int16),
        origin=full(shape, 0, np.int32),
        members=np.zeros(0, MEMBER_DTYPE),
        clipped=np.zeros(frames, np.int64),
    )


def _meet(one: Section, other: Section) -> Section | None:
    """What two rectangles have in common."""
    y0, y1 = max(one.y0, other.y0), min(one.y1, other.y1)
    x0, x1 = max(one.x0, other.x0), min(one.x1, other.x1)
    return Section(y0, y1, x0, x1) if y0 < y1 and x0 < x1 else None


def _grown(part: Section, box: Section, reach: int) -> Section:
    """A part of a box and what is near it."""
    return Section(
        max(part.y0 - reach, box.y0),
        min(part.y1 + reach, box.y1),
        max(part.x0 - reach, box.x0),
        min(part.x1 + reach, box.x1),
    )


def _places(part: Section, whole: Section) -> tuple[slice, slice]:
    """Rows and columns of a rectangle in one that has it in it."""
    return (
        slice(part.y0 - whole.y0, part.y1 - whole.y0),
        slice(part.x0 - whole.x0, part.x1 - whole.x0),
    )


@dataclass(frozen=True, slots=True)
class _Stack:
    """Values of a tile on the common scale, shape (n, ny, nx)."""

    value: Image
    weight: Image
    bits: NDArray[np.uint8]
    used: NDArray[np.bool_]

    @classmethod
    def of(cls, frames: Sequence[Contribution], part: Section) -> _Stack:
        shape = (len(frames), *part.shape)
        value, weight = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
        bits = np.full(shape, int(MaskBit.NON_NUMBER), np.uint8)
        for i, frame in enumerate(frames):
            both, own = _meet(frame.box, part), frame.box
            assert both is not None  # noqa: S101  # the caller asked
            here = (i, *_places(both, part))
            there = Section(both.y0 - own.y0, both.y1 - own.y0, both.x0 - own.x0, both.x1 - own.x0)
            image, inverse, mask = frame.read(there)
            value[here] = image * np.float32(frame.scale)
            weight[here] = inverse / np.float32(frame.scale**2)
            bits[here] = mask
        used = (weight > 0) & np.isfinite(value)
        return cls(value, weight, bits, used)

    def cut(self, place: tuple[slice, slice]) -> _Stack:
        """A piece of it."""
        piece = (slice(None), *place)
        return _Stack(self.value[piece], self.weight[piece], self.bits[piece], self.used[piece])

    def clip(
        self, sigma: float, fraction: float, reach: int, place: tuple[slice, slice]
    ) -> NDArray[np.int64]:
        """Take outliers out of what is used; how many of each frame there are in a piece."""
        n = len(self.value)
        if n < _ENOUGH_TO_CLIP:
            return np.zeros(n, np.int64)
        count = self.used.sum(axis=0)
        middle = _median(np.where(self.used, self.value, np.inf), count)
        enough = count >= _ENOUGH_TO_CLIP
        lost = np.zeros(n, np.int64)
        sharpness = np.sqrt(np.where(self.used, self.weight, np.float32(0))).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.float32(math.pi / 2.0) / sharpness**2
            light = np.abs(middle) - np.float32(_LIGHT_SIGMA) * np.sqrt(own)
            light = np.where(np.isfinite(light), np.maximum(light, np.float32(0)), np.float32(0))
            allowed = np.float32(fraction) * ndimage.maximum_filter(
                light, 2 * reach + 1, mode="nearest"
            )
            for i in range(n):
                limit = np.float32(sigma) * np.sqrt(1.0 / self.weight[i] + own) + allowed
                far = enough & self.used[i] & (np.abs(self.value[i] - middle) > limit)
                lost[i] = np.count_nonzero(far[place])
                self.used[i] &= ~far
        return lost


def _median(value: Image, count: NDArray[np.int_]) -> Image:
    """Median of the first ``count`` along axis 0, once sorted; inf where there are none."""
    ordered = np.sort(np.ascontiguousarray(np.moveaxis(value, 0, -1)), axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(value) - 1)
    both = [np.take_along_axis(ordered, k[..., None], axis=-1)[..., 0] for k in (low, high)]
    with np.errstate(invalid="ignore"):
        return np.asarray((both[0] + both[1]) * np.float32(0.5))


def _combine(stack: _Stack, made: Coadd, place: tuple[slice, slice]) -> None:
    """Write mean, weight, mask and number of a tile at its place."""
    shape = stack.used.shape[1:]
    total, weight = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    plain, seen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    bits = np.zeros(shape, np.uint8)
    for value, inverse, mask, used in zip(
        stack.value, stack.weight, stack.bits, stack.used, strict=True
    ):
        share = np.where(used, inverse, np.float32(0))
        total += np.where(used, value, np.float32(0)) * share.astype(np.float64)
        weight += share
        there = np.isfinite(value)
        plain += np.where(there, value, np.float32(0))
        seen += there
        bits |= np.where(there, mask, np.uint8(0))
    good = weight > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        made.image[place] = np.where(good, total / weight, plain / seen)
    made.weight[place] = weight
    bits[seen == 0] = int(MaskBit.NON_NUMBER)
    made.mask[place] = np.where(good, np.uint8(0), bits)
    made.number[place] = stack.used.sum(axis=0)


class _Origins:
    """Numbers of sets of frames, in the order in which they appear."""

    def __init__(self, frames: int) -> None:
        self._signs = np.random.default_rng(frames).integers(1, 2**63, frames, dtype=np.uint64)
        self._known: dict[int, int] = {0: 0}
        self._rows: list[tuple[int, int]] = []

    def number(self, used: NDArray[np.bool_], frames: Sequence[int]) -> NDArray[np.int32]:
        """Number of each pixel's set, shape (ny, nx), for ``used`` of shape (n, ny, nx)."""
        sums = np.zeros(used.shape[1:], np.uint64)
        for which, frame in zip(used, frames, strict=True):
            np.add(sums, self._signs[frame], out=sums, where=which)
        found, first, inverse = np.unique(sums, return_index=True, return_inverse=True)
        numbers = np.zeros(len(found), np.int32)
        flat = used.reshape(len(used), -1)
        for k in np.argsort(first):
            name = int(found[k])
            if name not in self._known:
                self._known[name] = len(self._known)
                members = (frames[i] for i in np.flatnonzero(flat[:, first[k]]).tolist())
                self._rows += [(self._known[name], frame) for frame in members]
            numbers[k] = self._known[name]
        return np.asarray(numbers[inverse].reshape(sums.shape), np.int32)

    @property
    def table(self) -> NDArray[np.void]:
        """Members of all sets."""
        return np.array(self._rows, MEMBER_DTYPE)


def summed_width(widths: Sequence[float], weights: Sequence[float]) -> float:
    """Width of the sum of round Gaussian stars.

    Parameters
    ----------
    widths
        Full widths at half maximum (twice the half-light radius), any unit; NaN is "not known".
    weights
        Shares of the flux.

    Returns
    -------
    float
        Twice the half-light radius of the sum; NaN where no width is known.
    """
    fwhm, share = np.asarray(widths, np.float64), np.asarray(weights, np.float64)
    known = np.isfinite(fwhm) & (fwhm > 0) & (share > 0)
    if not known.any():
        return math.nan
    sigma, share = fwhm[known] * _SIGMA_PER_FWHM, share[known] / share[known].sum()

    def missing(radius: float) -> float:
        return float((share * np.exp(-0.5 * (radius / sigma) ** 2)).sum()) - 0.5

    if np.ptp(sigma) < 1e-9 * sigma.max():
        return float(fwhm[known][0])
    return 2.0 * float(optimize.brentq(missing, 0.0, 3.0 * float(sigma.max())))
