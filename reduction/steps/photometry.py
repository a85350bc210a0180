"""The photometric zero point of one frame against standard stars."""

from __future__ import annotations

__all__ = ["ZeroPoint", "isolated", "magnitudes", "zero_point"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_POGSON = 2.5 / math.log(10.0)


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """Magnitude of a source that gives 1 adu/s above the atmosphere.

    Attributes
    ----------
    value, error
        mag; NaN without a star. The error is that of the mean; of a single star, its own.
    scatter
        Standard deviation of the stars used, mag; NaN with fewer than two.
    n_stars
        Stars used.
    used
        Which of the stars given were used, shape (n,).
    """

    value: float
    error: float
    scatter: float
    n_stars: int
    used: NDArray[np.bool_]


def zero_point(  # what a star brings
    flux: Array,
    flux_err: Array,
    mag: Array,
    mag_err: Array,
    *,
    exptime: float,
    airmass: float = 1.0,
    extinction: float = 0.0,
    sigma_clip: float = 3.0,
) -> ZeroPoint:
    """Clipped mean of the stars' own zero points, ``mag + 2.5 log10(flux / exptime)``, plus k X.

    Parameters
    ----------
    flux, flux_err
        Of the standard stars, adu, shape (n,). NaN or not positive: not used.
    mag, mag_err
        Their catalogue magnitudes, shape (n,). NaN magnitude: not used; NaN error: taken as 0.
    exptime
        s.
    airmass, extinction
        X, and k in mag per airmass.
    sigma_clip
        Rejection limit about the median, units of the scatter (1.4826 times the median deviation),
        until nothing more is rejected.

    Notes
    -----
    Astro-WISE's PhotometricParameters: ZP = <z> + k X, error = sigma / sqrt(N).
    """
    used = np.isfinite(flux) & (flux > 0) & np.isfinite(mag) & np.isfinite(flux_err)
    if not used.any():
        return ZeroPoint(math.nan, math.nan, math.nan, 0, used)
    z = mag + 2.5 * np.log10(np.where(used, flux, 1.0) / exptime)
    z = np.where(used, z + extinction * airmass, np.nan)
    while True:
        middle = np.median(z[used])
        scatter = 1.4826 * np.median(np.abs(z[used] - middle))
        keep = used & (np.abs(z - middle) <= sigma_clip * max(float(scatter), 1e-3))
        if keep.sum() == used.sum() or keep.sum() < 2:  # a scatter needs two
            break
        used = keep
    count = int(used.sum())
    value = float(z[used].mean())
    if count == 1:
        own = np.hypot(_POGSON * flux_err[used] / flux[used], np.nan_to_num(mag_err[used]))
        return ZeroPoint(value, float(own[0]), math.nan, 1, used)
    spread = float(z[used].std(ddof=1))
    return ZeroPoint(value, spread / math.sqrt(count), spread, count, used)


def magnitudes(  # one formula
    flux: Array,
    flux_err: Array,
    zero: float,
    exptime: float,
    airmass: float = 1.0,
    extinction: float = 0.0,
) -> tuple[Array, Array]:
    """Magnitudes and errors of fluxes; NaN where a flux is not positive.

    The zero point's own error, common to all sources of a frame, is not included.
    """
    good = np.isfinite(flux) & (flux > 0)
    safe = np.where(good, flux, 1.0)
    mag = zero - extinction * airmass - 2.5 * np.log10(safe / exptime)
    return np.where(good, mag, np.nan), np.where(good, _POGSON * flux_err / safe, np.nan)


def isolated(
    x: Array, y: Array, flux: Array, *, radius: float, fraction: float = 0.02
) -> NDArray[np.bool_]:
    """Whether no neighbour within a radius has more than a fraction of a source's flux.

    Parameters
    ----------
    x, y, flux
        All sources of the frame, pixels and adu, shape (n,).
    radius
        Pixels.
    """
    alone = np.ones(len(x), np.bool_)
    pairs = cKDTree(np.column_stack((x, y))).query_pairs(radius, output_type="ndarray")
    for one, two in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        alone[one[flux[two] > fraction * flux[one]]] = False
    return alone
