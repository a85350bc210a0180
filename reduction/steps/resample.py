"""Bring a reduced frame onto a grid: pixels, weights and mask.

Values are multiplied by the size of a grid pixel in frame pixels, so that the sum over a source
stays its flux. A grid pixel of f frame pixels of variance v adds f v to a large aperture, whatever
the kernel shares between neighbours: that is its variance here. Grid pixels more than 1.25 times
as wide as the frame's are means over sub-pixels, as SWarp's OVERSAMPLING.

Pixels without weight are replaced by a guess from their neighbours before, that their values do
not ring; saturated ones keep their value, which is more than any guess.

Compared with SWarp and reproject in tests/science/test_coadd_arrays.py.
"""

from __future__ import annotations

__all__ = ["Resampled", "fill_bad", "resample"]

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps import kernels
from reduction.steps.grid import Mapping
from reduction.steps.kernels import TAPS, Kernel, prepared, sample, value_weights
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Section
    from reduction.steps.grid import Projection

    Image = NDArray[np.float32]

_REACH: Final = 3
_SIGMA: Final = 0.8
_COARSE: Final = 1.25
_WIDE: Final = 16
_BITS: Final = tuple(int(bit) for bit in MaskBit)
#: Weightless pixels whose own value is better than a guess.
_KEPT: Final = int(MaskBit.SATURATED | MaskBit.LINEARITY)
_NON_NUMBER: Final = np.uint8(MaskBit.NON_NUMBER)


@dataclass(frozen=True, slots=True)
class Resampled:
    """A frame on a part of a grid; all arrays have the shape (ny, nx) of the part.

    Attributes
    ----------
    image
        Flux in a grid pixel, the frame's unit, float32. NaN outside the frame.
    weight
        Inverse of the variance that a grid pixel adds to the flux of a large aperture, float32;
        0 is "do not use".
    mask
        Sum of :class:`MaskBit` of the frame pixels that spoil a grid pixel, uint8; not 0 exactly
        where the weight is 0 (NON_NUMBER outside the frame).
    noise_factor
        Pixel-to-pixel rms of the sky over what the weights say: below 1, since neighbours share
        noise.
    """

    image: Image
    weight: Image
    mask: NDArray[np.uint8]
    noise_factor: float


def resample(  # a frame is three arrays, and two projections place them
    image: Image,
    weight: Image,
    mask: NDArray[np.uint8],
    *,
    frame: Projection,
    grid: Projection,
    box: Section,
    kernel: Kernel = Kernel.SPLINE3,
    limit: float = 0.05,
) -> Resampled:
    """Interpolate a frame on a part of a grid, keeping fluxes.

    Parameters
    ----------
    image
        Shape (my, mx), sky subtracted or not.
    weight
        Inverse variance of each pixel, same shape; 0 is "do not use".
    mask
        Sum of :class:`MaskBit`, same shape.
    frame, grid
        Projections of both.
    box
        The part of the grid, from :func:`reduction.steps.grid.covered`.
    kernel
        How to interpolate.
    limit
        Largest part of a value that pixels without weight may have; grid pixels above it get no
        weight themselves.

    Returns
    -------
    Resampled
        On ``box``.

    Raises
    ------
    UnprocessableError
        If shapes differ.
    """
    if not image.shape == weight.shape == mask.shape:
        message = f"image, weight and mask have the shapes {image.shape}, {weight.shape}, "
        raise UnprocessableError(message + f"{mask.shape}: expected equal ones")
    bad = ~(weight > 0) | ~np.isfinite(image)
    mended = prepared(fill_bad(image, bad, keep=(mask & _KEPT) != 0), kernel)
    mapping = Mapping.of(frame, grid, box)
    area = float(np.median(mapping.area))
    wide = math.sqrt(area)
    fold = 1 if wide <= _COARSE else math.ceil(wide)
    regrid = _by_numpy if kernels.KERNEL is None else _by_kernel
    value, taken, bits = regrid(_Frame(mended, weight, mask, bad), mapping, (kernel, limit, fold))
    return Resampled(value, taken, bits, _noise_factor(kernel, area / fold**2, fold))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame's planes, shape (my, mx): pixels from :func:`prepared`, and which ones are bad."""

    image: Image
    weight: Image
    mask: NDArray[np.uint8]
    bad: NDArray[np.bool_]


def _by_kernel(
    frame: _Frame, mapping: Mapping, how: tuple[Kernel, float, int]
) -> tuple[Image, Image, NDArray[np.uint8]]:
    """Values, weights and mask in one pass of the compiled kernel."""
    kernel, limit, fold = how
    value, taken = np.empty(mapping.shape, np.float32), np.empty(mapping.shape, np.float32)
    bits = np.empty(mapping.shape, np.uint8)
    kernels.KERNEL.resample(
        np.ascontiguousarray(frame.image, np.float32),
        np.ascontiguousarray(frame.weight, np.float32),
        np.ascontiguousarray(frame.mask, np.uint8),
        np.ascontiguousarray(frame.bad),
        kernels.near_bad(frame.bad),
        kernels.short_table(kernel),
        value_weights(kernel),
        frame.image.shape,
        np.ascontiguousarray(mapping.x),
        np.ascontiguousarray(mapping.y),
        *_area_rows(mapping),
        mapping.x.shape,
        float(mapping.step),
        fold,
        limit,
        int(_NON_NUMBER),
        kernels.mirrored(kernel),
        *(value, taken, bits, mapping.shape),
    )
    return value, taken, bits


def _by_numpy(
    frame: _Frame, mapping: Mapping, how: tuple[Kernel, float, int]
) -> tuple[Image, Image, NDArray[np.uint8]]:
    """The same to float32 rounding without the kernel."""
    kernel, limit, fold = how
    value, taken = np.zeros(mapping.shape, np.float32), np.zeros(mapping.shape, np.float32)
    hole = np.zeros(mapping.shape, np.bool_)
    offsets = (np.arange(fold) + 0.5) / fold - 0.5
    for shift in itertools.product(offsets, offsets):
        part = sample(
            *(frame.image, frame.weight, frame.bad, mapping),
            kernel=kernel,
            limit=limit,
            shift=shift,
        )
        value += part.value
        taken += part.weight
        hole |= part.hole
    many, area = np.float32(fold * fold), _areas(mapping)
    value, taken = value / many * area, taken / many / area
    taken[hole] = 0.0
    bits = np.where(hole, _NON_NUMBER, np.uint8(0))
    spoilt = np.nonzero(hole & np.isfinite(value))
    bits[spoilt] = _bits_near(frame.mask, frame.bad, mapping, spoilt)
    return value, taken, bits


def _area_rows(mapping: Mapping) -> tuple[Image, Image]:
    """Sizes of grid pixels in frame pixels at each row of nodes, and their rise to the next."""
    nx = mapping.shape[1]
    nodes = np.arange(mapping.area.shape[1]) * mapping.step
    across = np.stack([np.interp(np.arange(nx), nodes, row) for row in mapping.area])
    return across[:-1].astype(np.float32), np.diff(across, axis=0).astype(np.float32)


def _areas(mapping: Mapping) -> Image:
    """Sizes of all grid pixels in frame pixels, shape of the part."""
    low, rise = _area_rows(mapping)
    v = np.arange(mapping.shape[0]) / mapping.step
    j = np.minimum(v.astype(np.intp), len(low) - 1)
    part = (v - j).astype(np.float32)[:, None]
    return np.asarray(low[j] + part * rise[j])


def fill_bad(
    image: Image, bad: NDArray[np.bool_], *, keep: NDArray[np.bool_] | None = None
) -> Image:
    """Give bad pixels the mean of the good ones near, weighted by a narrow Gaussian.

    Parameters
    ----------
    image
        Shape (ny, nx).
    bad
        True where a pixel is to be replaced, same shape.
    keep
        True where a bad pixel keeps its value if it is finite.

    Returns
    -------
    ndarray
        Finite everywhere: what has no good pixel within three gets the median of the good ones
        (0 where there is none).
    """
    todo = bad if keep is None else bad & ~(keep & np.isfinite(image))
    filled = np.array(image, np.float32, order="C")
    if kernels.KERNEL is None:
        alone = _fill(filled, bad, todo)
    else:
        alone = kernels.KERNEL.fill(
            *(filled, np.ascontiguousarray(bad), np.ascontiguousarray(todo), filled.shape),
            _shares(),
        )
    if alone:
        good = ~bad
        filled[np.isnan(filled)] = np.median(image[good]) if good.any() else 0.0
    return filled


@cache
def _shares() -> NDArray[np.float64]:
    """Weights of the pixels around one that is filled, shape (7, 7)."""
    away = np.arange(-_REACH, _REACH + 1)
    squares = (away[:, None] ** 2 + away**2).tolist()
    return np.array([[math.exp(-0.5 * square / _SIGMA**2) for square in row] for row in squares])


def _fill(image: Image, bad: NDArray[np.bool_], todo: NDArray[np.bool_]) -> int:
    """Fill pixels, with NaN where no good one is near; how many of these there are."""
    rows, columns = np.nonzero(todo)
    ny, nx = image.shape
    total, weights = np.zeros(len(rows)), np.zeros(len(rows))
    for (j, i), share in np.ndenumerate(_shares()):
        y, x = rows + (j - _REACH), columns + (i - _REACH)
        inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        y, x = np.where(inside, y, 0), np.where(inside, x, 0)
        good = inside & ~bad[y, x]
        total += np.where(good, np.float32(share) * np.where(good, image[y, x], 0.0), 0.0)
        weights += np.where(good, share, 0.0)
    alone = weights == 0.0
    image[rows, columns] = np.where(alone, np.nan, total / np.where(alone, 1.0, weights))
    return int(np.count_nonzero(alone))


def _bits_near(
    mask: NDArray[np.uint8],
    bad: NDArray[np.bool_],
    mapping: Mapping,
    at: tuple[NDArray[np.intp], ...],
) -> NDArray[np.uint8]:
    """What is wrong with the frame pixels under the kernels of some grid pixels."""
    ny, nx = mask.shape
    x, y = mapping.at(*at)
    ix, iy = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    found = np.zeros(len(ix), np.uint8)
    for reach in (range(2), range(-2, TAPS - 2)):
        # what is nearest says why; what is further away only where that says nothing
        todo = np.flatnonzero(found == 0)
        for j in reach:
            row = np.clip(iy[todo] + j, 0, ny - 1)
            for i in reach:
                pixel = row, np.clip(ix[todo] + i, 0, nx - 1)
                said = mask[pixel]
                found[todo] |= np.where(bad[pixel] & (said == 0), _NON_NUMBER, said)
    found[found == 0] = _NON_NUMBER
    return found


def _noise_factor(kernel: Kernel, area: float, fold: int) -> float:
    """Pixel rms over the rms that weights say, for independent noise in the frame's pixels.

    With sub-pixels that are far apart, noise is shared by few neighbours and the factor is near
    that of one sub-pixel of ``area`` frame pixels.
    """
    weights = value_weights(kernel, _WIDE).astype(np.float64)
    if fold == 1:
        shared = float((weights[:-1] ** 2).sum(axis=1).mean()) ** 2
        return math.sqrt(area * shared)
    wide = math.sqrt(area)
    return math.sqrt(_averaged(weights, wide, fold)) * wide * fold


def _averaged(table: NDArray[np.float64], wide: float, fold: int) -> float:
    """Square of the summed squares of a kernel averaged over sub-pixels ``wide`` frame pixels."""
    sums = []
    for phase in np.arange(32) / 32.0:
        weights = np.zeros(math.ceil(wide * fold) + 2 * _WIDE)
        for k in range(fold):
            place = phase + k * wide
            i = int(place)
            weights[i : i + _WIDE] += table[int((place - i) * (len(table) - 1))] / fold
        sums.append(float((weights**2).sum()))
    return float(np.mean(sums)) ** 2
