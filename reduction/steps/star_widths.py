"""Widths of known stars on an image: the same measure before, after, and on what is combined."""

from __future__ import annotations

__all__ = ["star_widths"]

from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
else:
    sep = deferred("sep")

_REACH: Final = 2.5
_ROUNDS: Final = 5
_WIDEST: Final = 3.0


def star_widths(
    image: NDArray[np.float32],
    weight: NDArray[np.float32],
    x: Array,
    y: Array,
    *,
    expected: Array | float,
) -> Array:
    """Half-light diameters of stars within two and a half times their own width.

    The circle follows the width that is found, so that the measure does not depend on what was
    expected.

    Parameters
    ----------
    image
        Without sky, shape (ny, nx).
    weight
        Same shape; 0 is "do not use".
    x, y
        Places of the stars, 0-based pixels, shape (n,).
    expected
        Expected width, pixels, to begin with.

    Returns
    -------
    ndarray
        Pixels, shape (n,); for a Gaussian its full width at half maximum. NaN for stars that
        reach over the edge, have a pixel without weight, or no end of their light in sight.
    """
    ny, nx = image.shape
    width = np.array(np.broadcast_to(np.asarray(expected, np.float64), x.shape))
    most = _WIDEST * width
    unused = np.ascontiguousarray(~(weight > 0) | ~np.isfinite(image))
    pixels = np.ascontiguousarray(np.where(unused, np.float32(0), image), dtype=np.float32)
    left = np.arange(len(x))
    for _ in range(_ROUNDS):
        reach = _REACH * width[left]
        inside = (x[left] > reach) & (y[left] > reach) & (reach < _REACH * most[left])
        inside &= (x[left] < nx - 1 - reach) & (y[left] < ny - 1 - reach)
        left, reach = left[inside], reach[inside]
        if not len(left):
            break
        radius, flag = sep.flux_radius(pixels, x[left], y[left], reach, 0.5, subpix=5)
        known = (flag == 0) & (radius > 0)
        left = left[known]
        width[left] = 2.0 * radius[known]
    widths = np.full(len(x), np.nan)
    if len(left):
        place = x[left], y[left], _REACH * width[left]
        missing, _, _ = sep.sum_circle(unused.astype(np.float32), *place, subpix=1)
        left = left[missing == 0]
        widths[left] = width[left]
    return widths
