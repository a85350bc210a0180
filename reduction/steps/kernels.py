"""Interpolation kernels as tables, and a frame's values at fractional pixels."""

from __future__ import annotations

__all__ = [
    "KERNEL",
    "TAPS",
    "Kernel",
    "Samples",
    "mirrored",
    "near_bad",
    "prepared",
    "sample",
    "short_table",
    "value_weights",
]

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.compiled import compiled
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.steps.grid import Mapping

    Image = NDArray[np.float32]
else:
    ndimage = deferred("scipy.ndimage")

#: Frame pixels that a kernel spans in each coordinate: two before the one the position falls in,
#: three after.
TAPS: Final = 6

_BEFORE: Final = 2
_PHASES: Final = 1024
_IMPULSE: Final = 64
_BLOCK: Final = 1 << 18


class Kernel(StrEnum):
    """How values between pixels are found."""

    SPLINE3 = "SPLINE3"
    """Cubic splines: fluxes of sampled stars to 1e-3, noise keeps most of its rms."""
    LANCZOS3 = "LANCZOS3"
    """SWarp's usual one (RESAMPLING_TYPE)."""
    BILINEAR = "BILINEAR"
    """Positive; smooths stars and noise."""


#: The compiled module ``reduction._resample``, or None; asked for at every use. ``VO_KERNEL=off``
#: leaves it aside.
KERNEL: Any = compiled("reduction._resample", abi=2)


def _distances(before: int, taps: int) -> NDArray[np.float64]:
    """Distances of taps from positions, rows of phases."""
    phase = np.arange(_PHASES + 1) / _PHASES
    return np.asarray(np.arange(-before, taps - before)[None, :] - phase[:, None])


def _basis(kernel: Kernel, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is summed over the (prepared) pixels, at distances in pixels."""
    away = np.abs(distance)
    if kernel is Kernel.BILINEAR:
        return np.clip(1.0 - away, 0.0, None)
    if kernel is Kernel.LANCZOS3:
        table = np.where(away < 3.0, np.sinc(distance) * np.sinc(distance / 3.0), 0.0)
        return np.asarray(table / table.sum(axis=1, keepdims=True))
    near = 2.0 / 3.0 - away**2 + away**3 / 2.0
    return np.where(away < 1.0, near, np.clip(2.0 - away, 0.0, None) ** 3 / 6.0)


@cache
def _table(kernel: Kernel) -> NDArray[np.float32]:
    """Weights of the taps by phase, shape (1025, 6); row k for k / 1024 past a pixel."""
    return np.ascontiguousarray(_basis(kernel, _distances(_BEFORE, TAPS)), dtype=np.float32)


@cache
def short_table(kernel: Kernel) -> NDArray[np.float32]:
    """The same without the outer taps where they are nothing, shape (1025, 4) or (1025, 6)."""
    table = _table(kernel)
    return table if table[:, [0, -1]].any() else np.ascontiguousarray(table[:, 1:-1])


@cache
def value_weights(kernel: Kernel, taps: int = TAPS) -> NDArray[np.float32]:
    """Weights of the pixels' own values in an interpolated one.

    Parameters
    ----------
    kernel
        Which.
    taps
        How many pixels around the position to give, even; splines reach on for ever, fourfold
        weaker with every pixel.

    Returns
    -------
    ndarray
        Shape (1025, taps), float32; row k for a position k / 1024 past a pixel.
    """
    before = taps // 2 - 1
    if kernel is not Kernel.SPLINE3:
        return np.ascontiguousarray(_basis(kernel, _distances(before, taps)), np.float32)
    half = _IMPULSE // 2
    impulse = np.zeros(_IMPULSE)
    impulse[half] = 1.0
    response = ndimage.spline_filter1d(impulse, order=3, mode="mirror")
    basis = _basis(kernel, _distances(half, _IMPULSE))
    weights = np.stack([np.convolve(row, response) for row in basis])
    start = 2 * half - before
    return np.ascontiguousarray(weights[:, start : start + taps], np.float32)


def prepared(image: Image, kernel: Kernel) -> Image:
    """Pixels as the kernel's sums want them: coefficients for splines, else themselves.

    Parameters
    ----------
    image
        Shape (ny, nx), finite everywhere; may be written over.
    """
    if kernel is not Kernel.SPLINE3:
        return image
    if KERNEL is None:
        return np.asarray(ndimage.spline_filter(image, order=3, output=np.float32, mode="mirror"))
    coefficients = np.ascontiguousarray(image, np.float32)
    KERNEL.spline(coefficients, coefficients.shape)
    return coefficients


@dataclass(frozen=True, slots=True)
class Samples:
    """A frame at the positions of a part of the grid; shape (ny, nx) of the part.

    Attributes
    ----------
    value
        In the frame's unit, float32; NaN outside the frame.
    weight
        That of the nearest frame pixel, float32; 0 in holes.
    hole
        True where bad pixels, or what is beyond the frame's edge, have too large a share of the
        value.
    """

    value: Image
    weight: Image
    hole: NDArray[np.bool_]


def near_bad(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the kernel of a position within a pixel has a bad pixel, shape of the frame."""
    near = bad
    for _ in (0, 1):
        # the window of pixel i is i - 2 ... i + 3: three pairs
        n = len(near)
        padded = np.zeros((n + TAPS - 1, near.shape[1]), np.bool_)
        padded[_BEFORE : _BEFORE + n] = near
        pairs = padded[:-1] | padded[1:]
        near = pairs[:n] | pairs[2 : n + 2]
        near |= pairs[4:]
        near = np.ascontiguousarray(near.T)
    return near


def sample(  # a frame is three arrays
    image: Image,
    weight: Image,
    bad: NDArray[np.bool_],
    mapping: Mapping,
    *,
    kernel: Kernel = Kernel.SPLINE3,
    limit: float = 0.05,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Samples:
    """Interpolate a frame at the grid's pixels, by numpy.

    Parameters
    ----------
    image
        From :func:`prepared`, shape (my, mx); finite everywhere: bad pixels hold a guess.
    weight
        Same shape.
    bad
        True where a pixel must not count, same shape.
    mapping
        Frame pixels of the grid's.
    kernel
        How to interpolate.
    limit
        Largest part of the absolute weights of a value that bad pixels may have.
    shift
        Added to the grid's (row, column): for sub-pixels.

    Notes
    -----
    Thevenaz, Blu & Unser 2000, IEEE Trans. Med. Imaging 19, 739, for splines.
    """
    ny, nx = mapping.shape
    value, taken = np.empty((ny, nx), np.float32), np.empty((ny, nx), np.float32)
    hole = np.empty((ny, nx), np.bool_)
    blemishes, how = (bad, near_bad(bad)), (kernel, limit)
    rows = max(1, _BLOCK // nx)
    for start in range(0, ny, rows):
        part = slice(start, min(start + rows, ny))
        place = np.arange(part.start, part.stop)[:, None] + shift[0]
        position = mapping.at(place, np.arange(nx)[None, :] + shift[1])
        value[part], taken[part], hole[part] = _block(image, weight, blemishes, position, how)
    return Samples(value, taken, hole)


def _block(
    image: Image,
    weight: Image,
    blemishes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    position: tuple[NDArray[np.float64], NDArray[np.float64]],
    how: tuple[Kernel, float],
) -> tuple[Image, Image, NDArray[np.bool_]]:
    """Values, weights and holes at some positions."""
    (ny, nx), (bad, near), (x, y) = image.shape, blemishes, position
    outside = ~((x >= -0.5) & (y >= -0.5) & (x <= nx - 0.5) & (y <= ny - 0.5))
    x, y = np.where(outside, 0.0, x), np.where(outside, 0.0, y)
    ix, iy = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    wx, wy = _taps(_table(how[0]), x - ix), _taps(_table(how[0]), y - iy)
    value = np.zeros(x.shape, np.float32)
    pixel_of = _mirrored if mirrored(how[0]) else _within
    columns = [pixel_of(ix + i - _BEFORE, nx) for i in range(TAPS)]
    for j in range(TAPS):
        row = pixel_of(iy + j - _BEFORE, ny) * nx
        total = np.zeros(x.shape, np.float32)
        for i in range(TAPS):
            total += image.ravel()[row + columns[i]] * wx[i]
        value += wy[j] * total
    value[outside] = np.nan
    inside = (ix >= _BEFORE) & (iy >= _BEFORE) & (ix + 4 <= nx) & (iy + 4 <= ny)
    doubtful = near[np.clip(iy, 0, ny - 1), np.clip(ix, 0, nx - 1)]
    doubtful |= ~inside
    hole = outside.copy()
    at = np.nonzero(doubtful & ~outside)
    reach = value_weights(how[0])
    taps = _taps(reach, x[at] - ix[at]), _taps(reach, y[at] - iy[at])
    hole[at] = _share(bad, (ix[at], iy[at]), taps) > np.float32(how[1])
    nearest_x = np.clip(np.floor(x + 0.5).astype(np.intp), 0, nx - 1)
    nearest_y = np.clip(np.floor(y + 0.5).astype(np.intp), 0, ny - 1)
    return value, np.where(hole, np.float32(0), weight[nearest_y, nearest_x]), hole


def mirrored(kernel: Kernel) -> bool:
    """Whether a frame goes on as its mirror beyond its edge, as splines' coefficients do.

    For the others the pixels at the edge are repeated.
    """
    return kernel is Kernel.SPLINE3


def _mirrored(place: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Pixels of places, mirrored about the middle of the outermost ones."""
    period = max(2 * (size - 1), 1)
    at = place % period
    return np.minimum(at, period - at) if size > 1 else np.zeros_like(place)


def _within(place: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Pixels of places, the outermost ones beyond the edge."""
    return np.clip(place, 0, size - 1)


def _taps(table: NDArray[np.float32], part: NDArray[np.float64]) -> Image:
    """Weights of the taps, shape (6, ...)."""
    at = part * (len(table) - 1)
    k = np.minimum(at.astype(np.intp), len(table) - 2)
    t = (at - k).astype(np.float32)
    flat = table.ravel()
    return np.stack([_tap(flat, k * TAPS + i, t) for i in range(TAPS)])


def _tap(flat: NDArray[np.float32], k: NDArray[np.intp], t: Image) -> Image:
    """Weights between those of two phases."""
    low = flat[k]
    return np.asarray(low + t * (flat[k + TAPS] - low))


def _share(
    bad: NDArray[np.bool_],
    pixel: tuple[NDArray[np.intp], NDArray[np.intp]],
    taps: tuple[Image, Image],
) -> Image:
    """Part of the kernel's absolute weight that is on bad pixels or beyond the edge."""
    (ny, nx), (ix, iy), (wx, wy) = bad.shape, pixel, taps
    lost, total = np.zeros(ix.shape, np.float32), np.zeros(ix.shape, np.float32)
    for j in range(TAPS):
        for i in range(TAPS):
            x, y = ix + i - _BEFORE, iy + j - _BEFORE
            beyond = (x < 0) | (y < 0) | (x >= nx) | (y >= ny)
            share = np.abs(wx[i] * wy[j])
            total += share
            lost += np.where(
                beyond | bad[np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)], share, np.float32(0)
            )
    return np.asarray(lost / total)
