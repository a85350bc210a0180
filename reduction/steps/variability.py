"""Statistics of light curves, all stars at once."""

from __future__ import annotations

__all__ = ["VARIABILITY_DTYPE", "light_curve_statistics"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.groups import group_mean, group_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Statistics of a star's light curve; see :func:`light_curve_statistics`.
VARIABILITY_DTYPE: Final = np.dtype(
    [
        ("n_epochs", "i4"),
        *(
            (name, "f8")
            for name in (
                *("mag", "mag_err", "median", "rms", "mad", "chi2", "worst", "amplitude"),
                "stetson",
            )
        ),
    ]
)
_MAD: Final = 1.4826
_MANY: Final = 0.05


def light_curve_statistics(
    star: NDArray[np.integer],
    time: Array,
    mag: Array,
    err: Array,
    *,
    stars: int,
) -> NDArray[np.void]:
    """Say of each star how bright it is and how much it varies.

    Parameters
    ----------
    star
        Number of the star of each observation, from 0, shape (n,).
    time
        When it was observed, any unit, shape (n,).
    mag, err
        Magnitude and its error, shape (n,). An observation with a NaN takes no part.
    stars
        Number of stars.

    Returns
    -------
    ndarray
        Structured as :data:`VARIABILITY_DTYPE`, shape (stars,): ``n_epochs``; ``mag`` the weighted
        mean and ``mag_err`` its error; ``median``; ``rms`` the standard deviation; ``mad`` the
        median absolute deviation from the median, times 1.4826; ``chi2`` the chi-square of a
        constant magnitude over the degrees of freedom; ``worst`` the largest deviation from the
        mean in errors of that deviation; ``amplitude`` from the 5th to the 95th
        percentile; ``stetson`` the index J of pairs of consecutive observations: about 0 for a
        star that is constant or varies from one observation to the next without memory.
        NaN where there are not enough observations.

    Notes
    -----
    Stetson 1996, PASP 108, 851, section 2, with pairs of neighbours in time instead of pairs of
    bands and equal weights.
    """
    use = np.flatnonzero(np.isfinite(mag) & (err > 0))
    use = use[np.lexsort((time[use], star[use]))]
    star, mag, err = star[use], mag[use], err[use]
    weight = 1.0 / err**2
    table = np.zeros(stars, VARIABILITY_DTYPE)
    number = np.bincount(star, minlength=stars)
    table["n_epochs"] = number
    table["mag"] = group_mean(mag, weight, star, stars)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["mag_err"] = np.where(number > 0, np.bincount(star, weight, stars) ** -0.5, np.nan)
        freedom = np.where(number > 1, number - 1.0, np.nan)
        plain = np.bincount(star, mag, stars) / number
        table["rms"] = np.sqrt(np.bincount(star, (mag - plain[star]) ** 2, stars) / freedom)
        off = (mag - table["mag"][star]) / err
        table["chi2"] = np.bincount(star, off**2, stars) / freedom
        scale = np.sqrt(number / freedom)
    worst = np.zeros(stars)
    np.maximum.at(worst, star, np.abs(off))
    table["worst"] = np.where(number > 1, worst * scale, np.nan)
    table["median"] = group_quantile(mag, star, stars, 0.5)
    apart = np.abs(mag - table["median"][star])
    table["mad"] = _MAD * group_quantile(apart, star, stars, 0.5)
    table["mad"][number < 2] = np.nan  # one value is its own median
    high, low = (group_quantile(mag, star, stars, q) for q in (1.0 - _MANY, _MANY))
    table["amplitude"] = high - low
    table["stetson"] = _stetson(star, off * scale[star], number)
    return table


def _stetson(star: NDArray[np.integer], delta: Array, number: NDArray[np.intp]) -> Array:
    """Mean of the signed roots of the products of consecutive deviations."""
    pair = star[1:] == star[:-1]
    product = delta[1:][pair] * delta[:-1][pair]
    total = np.bincount(
        star[1:][pair], np.sign(product) * np.sqrt(np.abs(product)), minlength=len(number)
    )
    return np.where(number > 1, total / np.maximum(number - 1, 1), np.nan)
