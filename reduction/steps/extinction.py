"""How much light the atmosphere takes: from fields, from zero points, or from its physics."""

from __future__ import annotations

__all__ = [
    "Extinction",
    "Site",
    "band_extinction",
    "extinction_curve",
    "extinction_from_frames",
    "extinction_from_zero_points",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.student import student_limit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_POGSON: Final = 2.5 / math.log(10.0)

#: Scale heights of the air's density near the ground and of aerosols, m.
_AIR: Final = 7996.0
_AEROSOL: Final = 1500.0

#: Chappuis bands of ozone: wavelength and width of the Gaussian that follows them, micrometres,
#: and optical depth of 300 Dobson units at its top.
_CHAPPUIS: Final = (0.600, 0.052, 0.0412)

_STEPS: Final = 201
_ROUNDS: Final = 10
_SOFT: Final = 15


@dataclass(frozen=True, slots=True)
class Extinction:
    """Extinction and the zero point above the atmosphere that goes with it.

    Attributes
    ----------
    coefficient, error
        k, mag per airmass, and its error; NaN where there was nothing to measure it with.
    zero_point
        mag; NaN where it was given, not found.
    scatter
        Of the frames about the line, mag; NaN with fewer than three.
    used
        Which frames were used, shape (n,).
    """

    coefficient: float
    error: float
    zero_point: float
    scatter: float
    used: NDArray[np.bool_]


def extinction_from_frames(
    zero_points: Array,
    errors: Array,
    airmass: Array,
    *,
    group: NDArray[np.integer] | None = None,
    clip: float = 3.0,
) -> Extinction:
    """Slope of zero points at the ground over airmass: ``z = ZP - k X``.

    With two frames this is ``k = (z1 - z2) / (X2 - X1)``.

    Parameters
    ----------
    zero_points, errors
        Of frames, extinction not taken off, mag, shape (n,); NaN: not used.
    airmass
        X, shape (n,).
    group
        0, 1 ...: frames with one ZP (of a chip), shape (n,); all where not given.
    clip
        Frames further from the line, in units of their error or scatter, are left out: clouds.
        Where few frames say what the scatter is, as far as is equally rare (Student).
        The first line has weights that fall off with distance.

    Notes
    -----
    Astro-WISE's AtmosphericExtinctionFrames, for any number of fields. The error is that of the
    given errors or of the frames' scatter about the line, whichever is larger; a scatter from few
    is widened as Student's distribution is, so that truth is within one error in 68 of 100 nights
    of any length. ``zero_point`` is the mean of the groups'.
    """
    used = np.isfinite(zero_points) & np.isfinite(errors) & np.isfinite(airmass) & (errors > 0)
    of_group = np.zeros(len(used), np.intp) if group is None else group
    kinds, which = np.unique(of_group, return_inverse=True)
    design = np.hstack((np.eye(len(kinds))[which], -np.where(used, airmass, 0.0)[:, None]))
    sigma, z = np.where(used, errors, 1.0), np.where(used, zero_points, 0.0)
    found = _settled(design, which, z, sigma, used, clip)
    if found is None:
        return Extinction(math.nan, math.nan, math.nan, math.nan, used)
    line, share, miss = found
    there, best, covariance = line
    kept, chi2, scatter = share > 0, 1.0, math.nan
    free = int(kept.sum()) - len(there)
    if free:
        chi2 = float((miss[kept] ** 2).sum()) / free
        scatter = math.sqrt(float(((miss * sigma)[kept] ** 2).sum()) / free)
    chi2 *= student_limit(1.0, free) ** 2 if free else 1.0
    error = math.sqrt(covariance[-1, -1] * max(chi2, 1.0))
    return Extinction(float(best[-1]), error, float(best[:-1].mean()), scatter, kept)


def _settled(  # a line, its data, and which count
    design: Array,
    which: NDArray[np.intp],
    z: Array,
    sigma: Array,
    used: NDArray[np.bool_],
    clip: float,
) -> tuple[tuple[NDArray[np.intp], Array, Array], Array, Array] | None:
    """A line that far frames do not draw: it, the weights left and the misses in errors.

    None where frames cannot tell the line from their zero points.
    """
    share = used.astype(np.float64)
    for step in range(_SOFT + _ROUNDS):
        found = _line(design, which, z, np.sqrt(share) / sigma)
        if found is None:
            return None
        line, (there, best, _) = found, found
        miss = np.full(len(z), np.inf)
        known = used & np.isin(which, there)
        miss[known] = np.abs(z[known] - design[np.ix_(known, there)] @ best) / sigma[known]
        kept = share > 0
        free = int(kept.sum()) - len(there)
        if free < 2:
            break
        spread = math.sqrt(int(kept.sum()) / free) * 1.4826 * float(np.median(miss[kept]))
        scale, before = max(spread, 1.0), share
        if step < _SOFT:
            share = np.where(used, 1.0 / (1.0 + (miss / scale) ** 2), 0.0)
            continue
        share = np.where(used & (miss <= student_limit(clip, free) * scale), 1.0, 0.0)
        if (share == before).all():
            break
    return line, share, miss


def _line(
    design: Array, which: NDArray[np.intp], z: Array, root: Array
) -> tuple[NDArray[np.intp], Array, Array] | None:
    """Columns of the design that frames with weight have, their best values and covariance.

    ``root`` is the root of the weights. None where the values cannot be told from each other.
    """
    kept = root > 0
    there = np.append(np.unique(which[kept]), design.shape[1] - 1)
    part = design[np.ix_(kept, there)] * root[kept, None]
    if np.linalg.matrix_rank(part) < part.shape[1]:
        return None
    covariance = np.linalg.inv(part.T @ part)
    return there, covariance @ part.T @ (z[kept] * root[kept]), covariance


def extinction_from_zero_points(
    zero_point: float,
    zero_point_error: float,
    zero_points: Array,
    errors: Array,
    airmass: Array,
    *,
    clip: float = 3.0,
) -> Extinction:
    """Extinction from a known zero point above the atmosphere: ``k = (ZP - z) / X``.

    Parameters
    ----------
    zero_point, zero_point_error
        Above the atmosphere, from another night, mag.
    zero_points, errors, airmass, clip
        As :func:`extinction_from_frames`; frames within their own errors are never left out.

    Notes
    -----
    Astro-WISE's AtmosphericExtinctionZeropoint; weighted mean over the frames.
    """
    used = np.isfinite(zero_points) & np.isfinite(errors) & (errors > 0) & (airmass > 0)
    if not used.any():
        return Extinction(math.nan, math.nan, math.nan, math.nan, used)
    each = np.where(used, (zero_point - zero_points) / np.where(used, airmass, 1.0), np.nan)
    own = np.where(used, errors / np.where(used, airmass, 1.0), np.inf)
    for _ in range(_ROUNDS):
        middle = float(np.median(each[used]))
        free = max(int(used.sum()) - 1, 1)
        spread = math.sqrt((free + 1) / free) * 1.4826
        spread = max(spread * float(np.median(np.abs(each[used] - middle))), 1e-3)
        # few may agree by chance: one that is off by its own error is no cloud
        far = np.abs(each - middle) > student_limit(clip, free) * np.maximum(spread, own)
        again = used & ~far
        if (again == used).all() or again.sum() < 2:
            break
        used = again
    weight = np.where(used, 1.0 / own**2, 0.0)
    mean = float(np.nansum(weight * np.where(used, each, 0.0)) / weight.sum())
    scatter = float(each[used].std(ddof=1)) if used.sum() > 1 else math.nan
    common = zero_point_error * float((weight / np.where(used, airmass, 1.0)).sum() / weight.sum())
    random = 1.0 / math.sqrt(weight.sum())
    if used.sum() > 1:
        free = int(used.sum()) - 1
        chi2 = float((weight[used] * (each[used] - mean) ** 2).sum()) / free
        random *= max(student_limit(1.0, free) * math.sqrt(chi2), 1.0)
    return Extinction(mean, math.hypot(random, common), math.nan, scatter, used)


@dataclass(frozen=True, slots=True)
class Site:
    """What a clear sky's extinction depends on.

    Attributes
    ----------
    altitude
        m.
    aerosol
        Extinction of aerosols at sea level at 550 nm, mag per airmass; falls with a scale height
        of 1500 m.
    exponent
        Of the wavelength, for aerosols (Angstrom's exponent).
    ozone
        Column, Dobson units.
    """

    altitude: float
    aerosol: float = 0.12
    exponent: float = 1.3
    ozone: float = 300.0


def extinction_curve(wavelength: ArrayLike, site: Site) -> Array:
    """Extinction of a clear sky at wavelengths, mag per airmass.

    Parameters
    ----------
    wavelength
        m, 350 to 1100 nm: no lines of water and oxygen, no ozone in the ultraviolet.
    site
        Where.

    Notes
    -----
    Rayleigh scattering by Hansen & Travis 1974, Space Sci. Rev. 16, 527, eq. 2.30, scaled by the
    air above; the parts and scale heights as Hayes & Latham 1975, ApJ 197, 593.
    """
    micron = np.asarray(wavelength, np.float64) * 1e6
    inverse = micron**-2
    rayleigh = 0.008569 * inverse**2 * (1.0 + 0.0113 * inverse + 0.00013 * inverse**2)
    rayleigh *= math.exp(-site.altitude / _AIR)
    aerosol = (
        site.aerosol * math.exp(-site.altitude / _AEROSOL) * (micron / 0.55) ** -site.exponent
    )
    top, width, depth = _CHAPPUIS
    ozone = depth * site.ozone / 300.0 * np.exp(-0.5 * ((micron - top) / width) ** 2)
    return np.asarray(_POGSON * (rayleigh + ozone) + aerosol, dtype=np.float64)


def band_extinction(
    em_min: float,
    em_max: float,
    site: Site,
    *,
    transmission: tuple[ArrayLike, ArrayLike] | None = None,
) -> float:
    """Extinction in a filter at airmass 1, mag: the curve integrated over the light that passes.

    Parameters
    ----------
    em_min, em_max
        Half-power wavelengths, m; the filter counts as open between them.
    site
        Where.
    transmission
        Wavelengths (m, ascending) and relative response of photons, in the place of the former.

    Notes
    -----
    For a source with the same number of photons at all wavelengths.
    """
    if transmission is None:
        wavelength = np.linspace(em_min, em_max, _STEPS)
        response = np.ones(_STEPS)
    else:
        wavelength = np.asarray(transmission[0], np.float64)
        response = np.asarray(transmission[1], np.float64)
    passed = response * 10.0 ** (-0.4 * extinction_curve(wavelength, site))
    return float(
        -2.5 * np.log10(np.trapezoid(passed, wavelength) / np.trapezoid(response, wavelength))
    )
