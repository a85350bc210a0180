"""Where stars that move are at another moment."""

from __future__ import annotations

__all__ = ["julian_year", "moved"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MAS: Final = np.pi / 180.0 / 3.6e6
_J2000: Final = 51544.5
_YEAR: Final = 365.25


def julian_year(mjd: float) -> float:
    """Moment as a year, as catalogues give their epoch: 2000.0 is MJD 51544.5."""
    return 2000.0 + (mjd - _J2000) / _YEAR


def moved(ra: Array, dec: Array, pm_ra: Array, pm_dec: Array, years: Array) -> tuple[Array, Array]:
    """Positions some years later, or earlier.

    Parameters
    ----------
    ra, dec
        Degrees ICRS, shape (n,).
    pm_ra, pm_dec
        Proper motions, mas a year, that of right ascension along the sky (times cos dec), shape
        (n,). NaN is "not known": the star stays where it is.
    years
        Julian years from the position's moment on, shape (n,); NaN as above.

    Returns
    -------
    tuple of ndarray
        Degrees, 0 <= ra < 360, shape (n,).

    Notes
    -----
    Along a straight line in space, without parallax and radial velocity: ESA 1997, The Hipparcos
    Catalogue, vol. 1, 1.5.5. Against ``SkyCoord.apply_space_motion`` in
    tests/reduction/steps/test_proper_motion.py.
    """
    right, along = np.nan_to_num(pm_ra * years) * _MAS, np.nan_to_num(pm_dec * years) * _MAS
    still = (right == 0) & (along == 0)
    alpha, delta = np.radians(ra), np.radians(dec)
    sin_a, cos_a, sin_d, cos_d = np.sin(alpha), np.cos(alpha), np.sin(delta), np.cos(delta)
    x = cos_d * cos_a - right * sin_a - along * sin_d * cos_a
    y = cos_d * sin_a + right * cos_a - along * sin_d * sin_a
    z = sin_d + along * cos_d
    new_ra = np.degrees(np.arctan2(y, x)) % 360.0
    new_dec = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.where(still, ra, new_ra), np.where(still, dec, new_dec)
