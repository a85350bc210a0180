"""From the bands of one photometric system to those of another, by a colour."""

from __future__ import annotations

__all__ = [
    "PIVOT",
    "SDSS_TO_JOHNSON",
    "Transformation",
    "fit_color_term",
    "of_color",
    "with_transformations",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Colour at which a camera's magnitudes are those of the standard system.
PIVOT: Final = 0.5

_ROUNDS: Final = 10
_ONE_STAR: Final = 0.99


@dataclass(frozen=True, slots=True)
class Transformation:
    """``tertiary = primary + color_term (primary - secondary) + coefficient``.

    Attributes
    ----------
    primary, secondary, tertiary
        Bands: the one to start from, the other of the colour, and the one that is wanted.
    color_term, coefficient
        Of Astro-WISE's PhotTransformation.
    error
        Scatter of stars about it, mag.
    """

    primary: str
    secondary: str
    tertiary: str
    color_term: float
    coefficient: float
    error: float

    def apply(self, mags: Mapping[str, Array], errors: Mapping[str, Array]) -> tuple[Array, Array]:
        """Magnitudes and their errors in the wanted band; the scatter is not in the errors."""
        color = mags[self.primary] - mags[self.secondary]
        slope = self.color_term
        error = np.hypot((1.0 + slope) * errors[self.primary], slope * errors[self.secondary])
        return mags[self.primary] + slope * color + self.coefficient, error


#: Lupton (2005), on SDSS's page of transformations: stars, against Stetson's standards.
SDSS_TO_JOHNSON: Final = (
    Transformation("g", "r", "B", 0.3130, 0.2271, 0.0107),
    Transformation("g", "r", "V", -0.5784, -0.0038, 0.0054),
    Transformation("r", "i", "R", -0.2936, -0.1439, 0.0072),
    Transformation("r", "i", "I", -1.2444, -0.3820, 0.0078),
)


def with_transformations(
    mags: Mapping[str, Array], errors: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Magnitudes and errors with the bands added that can be had from those that are there.

    Parameters
    ----------
    mags, errors
        By band, shape (n,) each; NaN where not known. A band that is there stays as it is.
    """
    all_mags, all_errors = dict(mags), dict(errors)
    for rule in SDSS_TO_JOHNSON:
        known = {rule.primary, rule.secondary} <= mags.keys() & errors.keys()
        if known and rule.tertiary not in mags:
            all_mags[rule.tertiary], all_errors[rule.tertiary] = rule.apply(mags, errors)
    return all_mags, all_errors


def of_color(color: Array, term: float) -> Array:
    """What their colours add to stars' zero points, mag; nothing at :data:`PIVOT`.

    Parameters
    ----------
    color
        mag, shape (n,); NaN where not known: the median of the others counts.
    term
        Colour term, mag per mag.
    """
    known = np.isfinite(color)
    if term == 0.0 or not known.any():
        return np.zeros(len(color))
    filled = np.where(known, color, float(np.median(color[known])))
    return np.asarray(term * (filled - PIVOT), dtype=np.float64)


def fit_color_term(
    zero_points: Array,
    errors: Array,
    color: Array,
    group: NDArray[np.integer],
    *,
    star: NDArray[np.integer] | None = None,
    clip: float = 3.0,
    floor: float = 0.01,
) -> tuple[float, float, int]:
    """Slope of stars' zero points over their colour; each frame has its own zero point.

    Parameters
    ----------
    zero_points, errors, color
        Of the stars, mag, shape (n,); NaN: not used.
    group
        Which frame a star is on, shape (n,).
    star
        Which star it is, from 0, shape (n,); None: all are different ones.
    clip
        Rejection limit, units of the scatter about the line.
    floor
        Error added to each star's, mag.

    Returns
    -------
    tuple
        Colour term, its error, and the stars used; NaN where fewer than ten are left, all are of
        one colour, or one star alone holds the line.

    Notes
    -----
    What a star is off by on one frame - its magnitude in the catalogue, its colour, its kind - it
    is off by on others: a star's measurements are one, the residuals' sums over stars give the
    error, each enlarged by what the star pulls the line to itself (the sandwich estimator of
    clusters, with the jackknife's leverages), and it is not less than chi squared gives.
    """
    repeats = np.arange(len(group)) if star is None else star
    used = np.isfinite(zero_points) & np.isfinite(errors) & np.isfinite(color)
    weight = np.where(used, 1.0 / (np.where(used, errors, 1.0) ** 2 + floor**2), 0.0)
    slope, error = math.nan, math.nan
    for _ in range(_ROUNDS):
        if used.sum() < 10:
            return math.nan, math.nan, int(used.sum())
        share = np.where(used, weight, 0.0)
        away_z = _about_means(zero_points, share, group)
        away_c = _about_means(color, share, group)
        lever = float((share * away_c**2).sum())
        if lever <= 0:
            return math.nan, math.nan, int(used.sum())
        slope = float((share * away_c * away_z).sum()) / lever
        miss = away_z - slope * away_c
        free = max(int(used.sum()) - len(np.unique(group[used])) - 1, 1)
        chi2 = float((share * miss**2).sum()) / free
        error = math.sqrt(max(chi2, 1.0) / lever)
        pulls = np.bincount(repeats, weights=share * away_c * miss)
        hold = np.bincount(repeats, weights=share * away_c**2) / lever
        if hold.max() > _ONE_STAR:
            return math.nan, math.nan, int(used.sum())
        error = max(error, math.sqrt(float(((pulls / (1.0 - hold)) ** 2).sum())) / lever)
        scatter = 1.4826 * float(np.median(np.abs(miss[used])))
        again = used & (np.abs(miss) <= clip * max(scatter, floor))
        if (again == used).all():
            break
        used = again
    return slope, error, int(used.sum())


def _about_means(values: Array, weight: Array, group: NDArray[np.integer]) -> Array:
    """Values less the weighted mean of their group; 0 where the weight is."""
    known = np.where(weight > 0, values, 0.0)
    total = np.bincount(group, weights=weight)
    mean = np.bincount(group, weights=weight * known) / np.where(total > 0, total, 1.0)
    return np.where(weight > 0, known - mean[group], 0.0)
