"""Errors of windowed centroids, from the pixels that they were measured on."""

from __future__ import annotations

__all__ = ["position_errors"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.mended import GUESSED_ERROR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.correlated_noise import SkyNoise
    from reduction.steps.source_fluxes import Frame

    Array = NDArray[np.float64]

_REACH: Final = 2.5
_CHUNK_PIXELS: Final = 2_000_000
_LARGEST: Final = 10.0
_ALIASING: Final = 0.004
_COARSE: Final = 2.1

#: Least part of the light in a window by which its sum falls a pixel; a star as wide has a half.
_WEAKEST: Final = 0.25

#: Widths of windows that shared noise is measured for, each to the next narrower one.
_STEP: Final = 1.4


def position_errors(frame: Frame, x: Array, y: Array, width: Array) -> Array:
    """Error of either coordinate of centroids weighted by a Gaussian window, pixels.

    Parameters
    ----------
    frame
        Where they were measured.
    x, y
        Centroids, 0-based pixels, shape (n,).
    width
        Standard deviation of each one's window, pixels.

    Returns
    -------
    ndarray
        Shape (n,), the mean of both coordinates; 10 at most.

    Notes
    -----
    The centroid is where sum(w I dx) is 0. That sum has the variance
    sum(w2 (noise2 + I / gain) dx2), and falls by sum(w I (1 - dx2 / s2)) a pixel, s being the
    window's width: half of sum(w I) where the star is as wide (Bertin, SExtractor manual,
    "windowed positional parameters"), less where the window is too narrow, as it is for faint
    stars. For a Gaussian star and a window as wide as it that is 16/9 of King's (1983, PASP 95,
    163) photon noise, and the same noise of the sky. Where pixels share noise the sky's part is
    that of sums weighted with w dx, as they scatter between the sources. Below about 2 pixels of
    full width the sampling adds some thousandths of a pixel, as measured.
    """
    found = np.full(len(x), _LARGEST)
    gains = np.broadcast_to(np.asarray(frame.gain, dtype=np.float32), found.shape)
    shared = _shared(frame.sky, width).astype(np.float32)
    order = np.argsort(width, kind="stable")
    start = 0
    while start < len(order):
        half = int(np.ceil(_REACH * width[order[start]])) + 1
        size = max(_CHUNK_PIXELS // (2 * half + 1) ** 2, 1)
        part = order[start : start + size]
        part = part[width[part] <= half / _REACH]
        windows = x[part], y[part], width[part]
        found[part] = _errors(frame, windows, half, (gains[part], shared[part]))
        start += len(part)
    fwhm = np.maximum(2.3548 * width, 1.0)
    aliasing = _ALIASING * (_COARSE / fwhm) ** 6
    return np.asarray(np.minimum(np.hypot(found, aliasing), _LARGEST))


def _shared(sky: SkyNoise | None, width: Array) -> Array:
    """Variance of the sky's part in centroids over that of independent pixels, shape (n,).

    Between a few widths; where the sky is in pieces that are too small for wide windows, the
    widest that is known counts.
    """
    if sky is None or len(width) == 0:
        return np.ones(len(width))
    steps = int(np.ceil(np.log(width.max() / width.min()) / np.log(_STEP)))
    widths = np.geomspace(width.min(), width.max(), steps + 1)
    found = np.array([_of_window(sky, float(one)) for one in widths])
    known = found != 1.0
    if not known.any():
        return np.ones(len(width))
    return np.asarray(np.interp(np.log(width), np.log(widths[known]), found[known]))


def _of_window(sky: SkyNoise, width: float) -> float:
    """The same of one window, the mean of both coordinates; 1 where it cannot be told."""
    half = int(np.ceil(_REACH * width)) + 1
    steps = np.arange(-half, half + 1)
    profile = np.exp(-(steps**2) / (2.0 * width**2))
    kernel = np.outer(profile, profile * steps)
    return (sky.factor(kernel) + sky.factor(kernel.T)) / 2.0


def _errors(
    frame: Frame,
    windows: tuple[Array, Array, Array],
    half: int,
    noise: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Array:
    """Errors by windows that are about as wide; ``noise`` are gains and factors on the sky's."""
    x, y, width = windows
    gain, shared = (values[:, np.newaxis, np.newaxis] for values in noise)
    ny, nx = frame.pixels.shape
    steps = np.arange(-half, half + 1)
    column = np.rint(x).astype(np.intp)[:, np.newaxis] + steps
    row = np.rint(y).astype(np.intp)[:, np.newaxis] + steps
    inside = ((row >= 0) & (row < ny))[:, :, np.newaxis] & ((column >= 0) & (column < nx))[
        :, np.newaxis, :
    ]
    at = np.clip(row, 0, ny - 1)[:, :, np.newaxis], np.clip(column, 0, nx - 1)[:, np.newaxis, :]
    dx2 = ((column - x[:, np.newaxis]) ** 2).astype(np.float32)[:, np.newaxis, :]
    dy2 = ((row - y[:, np.newaxis]) ** 2).astype(np.float32)[:, :, np.newaxis]
    scale = (2.0 * width**2).astype(np.float32)[:, np.newaxis]
    weight = np.exp(-dy2[:, :, 0] / scale)[:, :, np.newaxis]
    weight = weight * np.exp(-dx2[:, 0, :] / scale)[:, np.newaxis, :] * inside
    light = frame.pixels[at]
    weighted = weight * light
    total = weighted.sum(axis=(1, 2), dtype=np.float64)
    beyond = (weighted * (dx2 + dy2)).sum(axis=(1, 2), dtype=np.float64) / (2.0 * width**2)
    pull = np.clip(total - beyond, _WEAKEST * total, total)
    # in units of the light, so that no square leaves float32's range
    unit = np.where(total > 0, pull, 1.0).astype(np.float32)[:, np.newaxis, np.newaxis]
    variance = shared * (frame.noise[at] / unit) ** 2 + np.maximum(light, 0) / unit / (gain * unit)
    spread = (weight**2 * variance * (dx2 + dy2)).sum(axis=(1, 2), dtype=np.float64) / 2.0
    if frame.bad.any():
        made_up = weight * np.abs(light / unit) * frame.bad[at]
        spread += GUESSED_ERROR**2 * _both(made_up, dx2, dy2)
    return np.where(total > 0, np.sqrt(spread), _LARGEST)


def _both(
    made_up: NDArray[np.float32], dx2: NDArray[np.float32], dy2: NDArray[np.float32]
) -> Array:
    """Square of the shift by pixels that are wrong together, the mean of both coordinates."""
    across = (made_up * np.sqrt(dx2)).sum(axis=(1, 2), dtype=np.float64)
    along = (made_up * np.sqrt(dy2)).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray((across**2 + along**2) / 2.0)
