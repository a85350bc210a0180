"""What makes sums over pixels noisier than the pixels' own noise says."""

from __future__ import annotations

__all__ = ["noise_correlation", "sky_level_error"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAG: Final = 3
_ROWS: Final = 512
_CLIP: Final = 4.0


def noise_correlation(
    pixels: NDArray[np.float32], noise: NDArray[np.float32], unused: NDArray[np.bool_]
) -> float:
    """Variance of sums over many pixels of sky, over that of independent pixels.

    Parameters
    ----------
    pixels
        Frame without sky, adu, shape (ny, nx); at most 512 rows in its middle are looked at.
    noise
        Noise of each pixel, adu, same shape.
    unused
        True where there is a source or a bad pixel, same shape.

    Returns
    -------
    float
        Sum of the correlation coefficients of pixels up to 3 pixels apart in each coordinate; 1
        for independent pixels, and where too few pixels are left to tell.
    """
    ny = pixels.shape[0]
    rows = slice(max(0, (ny - _ROWS) // 2), max(0, (ny - _ROWS) // 2) + _ROWS)
    scaled = pixels[rows] / np.maximum(noise[rows], np.float32(1e-6))
    good = ~unused[rows] & (np.abs(scaled) < _CLIP)
    if good.sum() < 10_000 or min(scaled.shape) <= 2 * _LAG:
        return 1.0
    scaled = np.where(good, scaled - scaled[good].mean(dtype=np.float64), 0).astype(np.float32)
    variance = float((scaled * scaled).sum(dtype=np.float64)) / float(good.sum())
    total, height, width = 1.0, *scaled.shape
    for dy in range(_LAG + 1):
        for dx in range(-_LAG if dy else 1, _LAG + 1):
            one = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
            two = slice(dy, height), slice(max(0, dx), width - max(0, -dx))
            products = np.einsum("ij,ij->", scaled[one], scaled[two], dtype=np.float64)
            count = int(np.count_nonzero(good[one] & good[two]))
            if count:
                total += 2.0 * float(products) / count / variance  # both signs of the lag
    return max(total, 0.5)


def sky_level_error(rms: float, *, box: int) -> float:
    """Error of a sky level that is the mean over nine meshes, in the pixels' unit.

    Parameters
    ----------
    rms
        Noise of a pixel.
    box
        As :func:`reduction.steps.background.background_behind`.
    """
    return rms / (3.0 * box)
