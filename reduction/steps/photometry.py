"""The photometric zero point of one frame against standard stars."""

from __future__ import annotations

__all__ = [
    "ZeroPoint",
    "aperture_sky_noise",
    "expected_errors",
    "intrinsic_scatter",
    "isolated",
    "limiting_magnitude",
    "magnitudes",
    "proportional_scatter",
    "star_zero_points",
    "zero_point",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.few_standards import FEW, right_standards
from reduction.steps.student import student_limit
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
else:
    spatial = deferred("scipy.spatial")

_POGSON = 2.5 / math.log(10.0)
_LIMIT_SIGMA = 5.0
_ROUNDS = 20
_BISECTIONS = 30
_EXACT = 10


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """Magnitude of a source that gives 1 adu/s above the atmosphere.

    Attributes
    ----------
    value, error
        mag; NaN without a star. The error is that of the mean; of a single star, its own.
    scatter
        Standard deviation of the stars used, weighted as their mean, mag; NaN with fewer than two.
    excess
        Scatter that they have beyond their own errors, mag; NaN with fewer than two.
    n_stars
        Stars used.
    used
        Which of the stars given were used, shape (n,).
    doubt
        Of few stars, the probability that one of those used is wrong; else 0.
    """

    value: float
    error: float
    scatter: float
    excess: float
    n_stars: int
    used: NDArray[np.bool_]
    doubt: float = 0.0


def star_zero_points(
    flux: Array, flux_err: Array, mag: Array, mag_err: Array, exptime: float
) -> tuple[Array, Array]:
    """Raw zero point of each standard star, ``mag + 2.5 log10(flux / exptime)``, and its error.

    Parameters
    ----------
    flux, flux_err
        Of the stars, adu, shape (n,). NaN or not positive: the zero point is NaN.
    mag, mag_err
        Their catalogue magnitudes, shape (n,); NaN error: taken as 0.
    exptime
        s.
    """
    good = np.isfinite(flux) & (flux > 0) & np.isfinite(mag) & np.isfinite(flux_err)
    safe = np.where(good, flux, 1.0)
    error = np.hypot(_POGSON * flux_err / safe, np.nan_to_num(mag_err))
    z = mag + 2.5 * np.log10(safe / exptime)
    return np.where(good, z, np.nan), np.where(good, error, np.nan)


def expected_errors(error: Array, excess: Array) -> Array:
    """Errors of magnitudes as they are at the brightness expected, not the one measured.

    A star that noise makes brighter than it is has a smaller relative error, weighs more, and
    passes a limit that it would not: by 1.6 / (S/N)^2 mag the mean is too bright. What is expected
    is the same for all stars of a brightness.

    Parameters
    ----------
    error
        Of the magnitudes measured, mag, shape (n,).
    excess
        By how much they are brighter than expected, mag, same shape.
    """
    return np.asarray(error * 10.0 ** (0.4 * excess), dtype=np.float64)


def zero_point(
    zero_points: Array,
    errors: Array,
    *,
    airmass: float = 1.0,
    extinction: float = 0.0,
    sigma_clip: float = 3.0,
    usual: float = 0.05,
) -> ZeroPoint:
    """Clipped mean of the stars' own zero points, plus k X.

    Parameters
    ----------
    zero_points, errors
        Of stars, as :func:`star_zero_points` gives them, shape (n,); NaN: not used. What a colour
        or a place on the chip adds has been taken off.
    airmass, extinction
        X, and k in mag per airmass.
    sigma_clip
        Rejection limit, units of a star's own error and of the scatter beyond it together, wider
        for few stars (Student's: as rare); about the median at first, then about the mean, until
        nothing changes. Of three stars it leaves out none.
    usual
        What good standards scatter beyond their errors, mag: of three to six stars those are
        left out that are wrong in nine of ten cases by that
        (:func:`reduction.steps.few_standards.right_standards`). One of which it is not so clear is
        in the error.

    Notes
    -----
    Astro-WISE's PhotometricParameters: ZP = <z> + k X, error = sigma / sqrt(N), and not less than
    the stars' own errors give: a few stars may agree by chance. A scatter from few is widened as
    Student's distribution is, so that truth is within one error in 68 of 100 frames. The mean is
    weighted with the stars' errors and their intrinsic scatter, so that faint stars neither spoil
    it nor are lost; sigma is the scatter so weighted, and N the stars used.
    """
    known = np.isfinite(zero_points) & np.isfinite(errors)
    if not known.any():
        return ZeroPoint(math.nan, math.nan, math.nan, math.nan, 0, known)
    z, own = np.where(known, zero_points, np.nan), np.where(known, errors, 0.0)
    likely, doubt, few = known.copy(), 0.0, None
    if 2 < known.sum() <= FEW:
        few = right_standards(z[known], own[known], usual)
        likely[known] = few.likely
    used = _clipped(z, own, likely, sigma_clip)
    count = int(used.sum())
    if few is not None:
        doubt = few.doubt(used[known])
    extra = intrinsic_scatter(z[used], own[used], robust=False)
    weight = 1.0 / np.maximum(np.hypot(own[used], extra), 1e-6) ** 2
    value = float((weight * z[used]).sum() / weight.sum()) + extinction * airmass
    if count == 1:
        return ZeroPoint(value, float(own[used][0]), math.nan, math.nan, 1, used, doubt)
    miss = z[used] + extinction * airmass - value
    chi2 = float((weight * miss**2).sum()) / (count - 1)
    scatter = math.sqrt(chi2 * count / float(weight.sum()))
    formal = float((np.maximum(own[used], 1e-6) ** -2.0).sum()) ** -0.5
    stated = max(student_limit(1.0, count - 1) * scatter / math.sqrt(count), formal)
    return ZeroPoint(value, stated, scatter, extra, count, used, doubt)


def _clipped(z: Array, own: Array, known: NDArray[np.bool_], clip: float) -> NDArray[np.bool_]:
    """Which of some stars are near their mean: see :func:`zero_point`."""
    used = known
    for step in range(_ROUNDS):
        extra = intrinsic_scatter(z[used], own[used], robust=step == 0)
        error = np.maximum(np.hypot(own, extra), 1e-6)
        middle = float(np.median(z[used]))
        if step:
            middle = float((z[used] / error[used] ** 2).sum() / (error[used] ** -2.0).sum())
        far = student_limit(clip, max(int(used.sum()) - 1, 1))
        keep = known & (np.abs(z - middle) <= np.maximum(far * error, 1e-3))
        if keep.sum() < 2 or (step and (keep == used).all()):  # a scatter needs two
            break
        used = keep
    return used


def intrinsic_scatter(z: Array, own: Array, *, robust: bool) -> float:
    """Scatter that values have beyond their own errors: with it, pulls have unit scatter.

    Parameters
    ----------
    z, own
        Values and their errors, one unit, shape (n,).
    robust
        Whether outliers do not count.

    Returns
    -------
    float
        In the unit of the values; 0 for fewer than two.

    Notes
    -----
    Paule & Mandel 1982, J. Res. NBS 87, 377; or, robust, with the median deviation in the place of
    the standard deviation.
    """
    if len(z) < 2:
        return 0.0
    low, high = 0.0, float(np.ptp(z)) + 1e-6
    for _ in range(_BISECTIONS):
        extra = (low + high) / 2.0
        error = np.maximum(np.hypot(own, extra), 1e-6)
        if robust and len(z) > 2:  # a median deviation of two is half their distance
            miss = np.abs(z - np.median(z)) / error
            too_small = 1.4826 * float(np.median(miss)) > 1.0
        else:
            mean = (z / error**2).sum() / (error**-2.0).sum()
            too_small = float((((z - mean) / error) ** 2).sum()) > len(z) - 1
        low, high = (extra, high) if too_small else (low, extra)
    return low


def proportional_scatter(z: Array, own: Array) -> float:
    """Scatter that relative values of bright sources have beyond their own errors; robust.

    As :func:`intrinsic_scatter`, each value by what it tells of a scatter that is the same part of
    all fluxes: the inverse square of its variance. What is the same light whatever a source's own
    is (neighbours too faint to be seen, structure of the sky) shows in faint ones alone.

    Parameters
    ----------
    z, own
        Values and their errors, parts of the fluxes, shape (n,).

    Returns
    -------
    float
        A part of the fluxes; 0 for fewer than three.

    Notes
    -----
    The weighted median of deviations is taken, so that outliers do not count, and no value counts
    more than the tenth most exact, so that it never rests on a few.
    """
    if len(z) <= 2:
        return 0.0
    low, high = 0.0, float(np.ptp(z)) + 1e-6
    for _ in range(_BISECTIONS):
        extra = (low + high) / 2.0
        error = np.maximum(np.hypot(own, extra), 1e-6)
        share = np.maximum(error, np.sort(error)[min(_EXACT, len(z)) - 1]) ** -4.0
        miss = np.abs(z - _weighted_median(z, share)) / error
        too_small = 1.4826 * _weighted_median(miss, share) > 1.0
        low, high = (extra, high) if too_small else (low, extra)
    return low


def _weighted_median(values: Array, weights: Array) -> float:
    """Value that half of the weight lies below, between two where it falls between them."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(0.5 * weights.sum(), share, values[order]))


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


def limiting_magnitude(noise: float, zero: float) -> float:
    """Magnitude of a source whose flux is five times the noise of the sky in the aperture.

    What ``limiting_mag`` means everywhere: of single frames' lists, of coadds and of their lists.

    Parameters
    ----------
    noise
        Of the sky in the aperture, the frame's median, in a unit per second; NaN where not known.
    zero
        Magnitude of 1 unit per second: at the ground.
    """
    return zero - 2.5 * math.log10(_LIMIT_SIGMA * noise) if noise > 0 else math.nan


def aperture_sky_noise(flux: Array, flux_err: Array, gain: float, *, floor: float = 0.0) -> float:
    """Median noise of the sky in the aperture, from the errors of sources' fluxes.

    The sources' own photons, and the relative error that all fluxes have, are taken out.

    Parameters
    ----------
    flux, flux_err
        Of sources in the aperture, adu, shape (n,); NaN: not used.
    gain
        e-/adu.
    floor
        Relative error beyond the noise.

    Returns
    -------
    float
        adu; NaN without a source.
    """
    known = np.isfinite(flux) & np.isfinite(flux_err)
    if not known.any():
        return math.nan
    light = np.maximum(flux[known], 0.0)
    variance = flux_err[known] ** 2 - light / gain - (floor * light) ** 2
    return math.sqrt(max(float(np.median(variance)), 0.0))


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
    pairs = spatial.cKDTree(np.column_stack((x, y))).query_pairs(radius, output_type="ndarray")
    for one, two in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        alone[one[flux[two] > fraction * flux[one]]] = False
    return alone
