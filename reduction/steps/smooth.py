"""Low-pass filter of an image with holes: a Gaussian over the good pixels, mirrored at edges."""

from __future__ import annotations

__all__ = ["fill_bad_pixels", "low_pass"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.gaussian import gaussian
from reduction.steps.windows import Windows
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage
else:
    ndimage = deferred("scipy.ndimage")


def low_pass(
    image: NDArray[np.float32],
    *,
    sigma: float,
    bad: NDArray[np.bool_] | None = None,
    mirror: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Smooth an image with a Gaussian, giving bad pixels no weight.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit. NaN is "no value".
    sigma
        Standard deviation of the Gaussian, pixels.
    bad
        Pixels to leave out, same shape.
    mirror
        Pixels (y, x) that are mirrored at each edge; what lies beyond has no weight. None
        mirrors as far as the Gaussian reaches.

    Returns
    -------
    ndarray
        Same shape and unit, float32; NaN where no good pixel is within reach.

    Notes
    -----
    Astro-WISE ``MasterFlatFrame``: DigFilterSize, MirrorXpix, MirrorYpix. The product of the
    Gaussian in Fourier space is computed as two convolutions with short kernels.
    """
    good = np.isfinite(image)
    if bad is not None:
        good &= ~bad
    signal = np.where(good, image, np.float32(0.0))
    weight = good.astype(np.float32)
    crop = np.s_[:, :]
    if mirror is not None:
        pad = [(min(m, n), min(m, n)) for m, n in zip(mirror, image.shape, strict=True)]
        signal, weight = (np.pad(array, pad, mode="symmetric") for array in (signal, weight))
        crop = np.s_[
            pad[0][0] : pad[0][0] + image.shape[0], pad[1][0] : pad[1][0] + image.shape[1]
        ]
    smooth_signal, smooth_weight = (
        gaussian(array, sigma, mirrored=mirror is None) for array in (signal, weight)
    )
    enough = smooth_weight > np.float32(1e-6)
    result = np.full(signal.shape, np.nan, dtype=np.float32)
    np.divide(smooth_signal, smooth_weight, out=result, where=enough)
    return np.ascontiguousarray(result[crop])


def fill_bad_pixels(
    image: NDArray[np.float32], bad: NDArray[np.bool_], *, size: int
) -> NDArray[np.float32]:
    """Replace bad pixels by the median of the good ones around them, or of the nearest.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit. NaN counts as bad.
    bad
        Pixels to replace, same shape.
    size
        Side of the square around a bad pixel, pixels; where it holds no good pixel it is put
        around the nearest good one.

    Returns
    -------
    ndarray
        Copy without bad pixels, float32.

    Raises
    ------
    UnprocessableError
        If no pixel is good.

    Notes
    -----
    Astro-WISE ``MasterFlatFrame``: MedianFilterSize. Medians are taken at the bad pixels only.
    """
    holes = bad | ~np.isfinite(image)
    filled = image.astype(np.float32, copy=True)
    if holes.all():
        message = "every pixel is bad: expected some good pixels to fill the bad ones from"
        raise UnprocessableError(message)
    half = min(max(size // 2, 1), *image.shape)
    windows = Windows(np.where(holes, np.float32(np.nan), image), half)
    y, x = np.nonzero(holes)
    near = _sees_good(holes, y, x, half)
    filled[y[near], x[near]] = windows.median(y[near], x[near], half)
    y, x = y[~near], x[~near]
    if y.size:
        nearest = ndimage.distance_transform_edt(
            holes, return_distances=False, return_indices=True
        )
        # Far pixels share their nearest good ones, which are few: a hole's rim.
        places = np.ravel_multi_index(tuple(nearest[:, y, x]), image.shape)
        rim, which = np.unique(places, return_inverse=True)
        y_rim, x_rim = np.unravel_index(rim, image.shape)
        filled[y, x] = windows.median(y_rim, x_rim, half)[which]
    return filled


def _sees_good(
    holes: NDArray[np.bool_], y: NDArray[np.intp], x: NDArray[np.intp], half: int
) -> NDArray[np.bool_]:
    """Whether the square of a half side around positions holds a pixel that is no hole."""
    good = np.zeros((holes.shape[0] + 1, holes.shape[1] + 1), dtype=np.int32)
    np.cumsum(~holes, axis=0, out=good[1:, 1:])
    np.cumsum(good, axis=1, out=good)
    low_y, low_x = np.maximum(y - half, 0), np.maximum(x - half, 0)
    high_y, high_x = (
        np.minimum(place + half + 1, size) for place, size in zip((y, x), holes.shape, strict=True)
    )
    number = good[high_y, high_x] - good[low_y, high_x] - good[high_y, low_x] + good[low_y, low_x]
    return np.asarray(number > 0)
