"""Errors of windowed centroids, from the pixels that they were measured on."""

from __future__ import annotations

__all__ = ["position_errors"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH: Final = 2.5
_CHUNK_PIXELS: Final = 2_000_000
_LARGEST: Final = 10.0
_ALIASING: Final = 0.004
_COARSE: Final = 2.1


def position_errors(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: NDArray[np.float64],
    *,
    gain: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Error of either coordinate of centroids weighted by a Gaussian window, pixels.

    Parameters
    ----------
    pixels, noise
        Sky-subtracted frame and the sky's noise in each pixel, adu, shape (ny, nx).
    x, y
        Centroids, 0-based pixels, shape (n,).
    width
        Standard deviation of each one's window, pixels.
    gain
        e-/adu, one number or one a source.

    Returns
    -------
    ndarray
        Shape (n,), the mean of both coordinates; 10 at most.

    Notes
    -----
    The centroid is 2 sum(w I dx) / sum(w I), so that its variance is
    4 sum(w2 (noise2 + I / gain) dx2) / sum(w I)2: Bertin, SExtractor manual, "windowed positional
    parameters". For a Gaussian star and a window as wide as it that is 16/9 of King's (1983, PASP
    95, 163) photon noise, and the same noise of the sky. Below about 2 pixels of full width
    the sampling adds some thousandths of a pixel, as measured.
    """
    found = np.full(len(x), _LARGEST)
    gains = np.broadcast_to(np.asarray(gain, dtype=np.float32), found.shape)
    order = np.argsort(width, kind="stable")
    start = 0
    while start < len(order):
        half = int(np.ceil(_REACH * width[order[start]])) + 1
        size = max(_CHUNK_PIXELS // (2 * half + 1) ** 2, 1)
        part = order[start : start + size]
        part = part[width[part] <= half / _REACH]
        found[part] = _errors(pixels, noise, (x[part], y[part], width[part]), half, gains[part])
        start += len(part)
    fwhm = np.maximum(2.3548 * width, 1.0)
    aliasing = _ALIASING * (_COARSE / fwhm) ** 6
    return np.asarray(np.minimum(np.hypot(found, aliasing), _LARGEST))


def _errors(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    windows: tuple[NDArray[np.float64], ...],
    half: int,
    gain: NDArray[np.float32],
) -> NDArray[np.float64]:
    x, y, width = windows
    ny, nx = pixels.shape
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
    light = pixels[at]
    variance = noise[at] ** 2 + np.maximum(light, 0) / gain[:, np.newaxis, np.newaxis]
    spread = (weight**2 * variance * (dx2 + dy2)).sum(axis=(1, 2), dtype=np.float64) / 2.0
    total = (weight * light).sum(axis=(1, 2), dtype=np.float64)
    return np.where(total > 0, 2.0 * np.sqrt(spread) / np.maximum(total, 1e-9), _LARGEST)
