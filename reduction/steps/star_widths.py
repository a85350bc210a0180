"""Widths of known stars on an image: the same measure before, after, and on what is combined."""

from __future__ import annotations

__all__ = ["star_widths"]

from typing import TYPE_CHECKING, Final

import numpy as np
import sep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_REACH: Final = 3.0
_CHUNK: Final = 1000


def star_widths(
    image: NDArray[np.float32],
    weight: NDArray[np.float32],
    x: Array,
    y: Array,
    *,
    fwhm: Array | float,
) -> Array:
    """Half-light diameters within three times the expected width.

    Parameters
    ----------
    image
        Without sky, shape (ny, nx).
    weight
        Same shape; 0 is "do not use".
    x, y
        Places of the stars, 0-based pixels, shape (n,).
    fwhm
        Expected width, pixels.

    Returns
    -------
    ndarray
        Pixels, shape (n,); for a Gaussian its full width at half maximum. NaN for stars that
        reach over the edge or have a pixel without weight.
    """
    ny, nx = image.shape
    reach = _REACH * np.broadcast_to(np.asarray(fwhm, np.float64), x.shape)
    widths = np.full(len(x), np.nan)
    inside = (x > reach) & (y > reach) & (x < nx - 1 - reach) & (y < ny - 1 - reach)
    chosen = np.flatnonzero(inside)
    if not len(chosen):
        return widths
    unused = np.ascontiguousarray(~(weight > 0) | ~np.isfinite(image))
    pixels = np.ascontiguousarray(np.where(unused, np.float32(0), image), dtype=np.float32)
    spoilt = unused.astype(np.float32)
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        place = x[part], y[part], reach[part]
        radius, flag = sep.flux_radius(pixels, *place, 0.5, subpix=5)
        missing, _, _ = sep.sum_circle(spoilt, *place, subpix=1)
        known = (flag == 0) & (radius > 0) & (missing == 0)
        widths[part[known]] = 2.0 * radius[known]
    return widths
