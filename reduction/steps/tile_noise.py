"""Noise of pixels from the differences of neighbours, whatever the image shows."""

from __future__ import annotations

__all__ = ["tile_noise"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Noise over the median of \|2 b - a - c\| of normal values a, b, c.
_FACTOR: Final = 1.0 / (0.6744897501960817 * 6.0**0.5)

#: Every so many rows of a tile are looked at.
_ROWS: Final = 8


def tile_noise(image: NDArray[np.float32], *, size: int = 256) -> NDArray[np.float64]:
    """Noise of the pixels in each of the tiles that an image is cut into.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit. NaN is "no value".
    size
        Of a tile's side, pixels.

    Returns
    -------
    ndarray
        One number a tile, row by row, in the image's unit; NaN where a tile has too few values.

    Notes
    -----
    Stoehr et al. 2008 (DER_SNR, ADASS XVII, 505): the differences of a pixel with those two
    columns away do not see what is smooth, nor the covariance of neighbours.
    """
    ny, nx = image.shape
    noise = []
    for y in range(0, ny, size):
        for x in range(0, nx, size):
            rows = image[y : y + size : _ROWS, x : x + size]
            bend = 2.0 * rows[:, 2:-2] - rows[:, :-4] - rows[:, 4:]
            bend = np.abs(bend[np.isfinite(bend)])
            noise.append(_FACTOR * float(np.median(bend)) if bend.size else np.nan)
    return np.array(noise)
