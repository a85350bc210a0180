"""Widths of known stars on an image: the same measure before, after, and on what is combined."""

from __future__ import annotations

__all__ = ["star_widths", "summed_width"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sep
    from numpy.typing import NDArray
    from scipy import optimize

    Array = NDArray[np.float64]
else:
    sep = deferred("sep")
    optimize = deferred("scipy.optimize")

_REACH: Final = 2.5
_ROUNDS: Final = 5
_WIDEST: Final = 3.0
_SIGMA_PER_FWHM: Final = 1.0 / 2.3548200450309493


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
        """Part of the flux within a radius, less a half."""
        return float((share * np.exp(-0.5 * (radius / sigma) ** 2)).sum()) - 0.5

    if np.ptp(sigma) < 1e-9 * sigma.max():
        return float(fwhm[known][0])
    return 2.0 * float(optimize.brentq(missing, 0.0, 3.0 * float(sigma.max())))
