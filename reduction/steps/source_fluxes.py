"""Fluxes of detected sources: in Kron's ellipse, in a circle, and by the point spread function."""

from __future__ import annotations

__all__ = ["Frame", "aperture_fluxes", "gain_of_sources", "point_source_fluxes"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.neighbours import light_of_neighbours
from reduction.steps.photometry import isolated, proportional_scatter
from reduction.steps.psf import HALF_LIGHT, fit_psf
from reduction.steps.psf_flux import psf_fluxes
from reduction.steps.surface import Surface, fit_surface, needed_degree
from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray

    from reduction.steps.correlated_noise import SkyNoise
    from reduction.steps.psf import PsfModel
    from reduction.steps.psf_flux import PsfFluxes

    Array = NDArray[np.float64]
    Sources = NDArray[np.void]
else:
    sep = deferred("sep")

_KRON_FACTOR: Final = 2.5
_KRON_MINIMUM: Final = 3.5

#: Stars that the point spread function is fitted to: signal to noise, and how many at most.
_BRIGHT: Final = 40.0
_FEWEST: Final = 10
_MOST: Final = 120

#: Error of the part of the light in the circle where the function is a guess.
_GUESSED: Final = 0.05

#: Widths of stars, in units of that of the narrowest fifth of sources; elongation.
_WIDTHS: Final = (0.7, 1.3)
_ELONGATION: Final = 2.0

_CLIP: Final = 3.0

#: Between which parts of its value in the frame's middle the aperture correction may lie.
_VARIES: Final = (0.5, 2.0)

#: Signal to noise from which on the bias of a found place is the first order's.
_CERTAIN: Final = 3.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame to measure sources on.

    Attributes
    ----------
    pixels
        Without sky, adu, bad pixels mended; shape (ny, nx), float32.
    bad
        True where the value is made up, same shape.
    noise
        Of the sky in each pixel, adu, same shape.
    gain
        e-/adu, one number or one a source: see :func:`gain_of_sources`.
    sky_error
        Error of the sky's level, adu.
    sky
        Between the sources, for how pixels share noise; None: they do not.
    floor
        Relative error that no flux is better than: of the flat field, for instance.
    """

    pixels: NDArray[np.float32]
    bad: NDArray[np.bool_]
    noise: NDArray[np.float32]
    gain: float | Array
    sky_error: float = 0.0
    sky: SkyNoise | None = None
    floor: float = 0.0

    def total_error(self, flux: Array, error: Array, area: Array | float) -> Array:
        """Add what is common to all pixels of a source, in quadrature."""
        return np.sqrt(error**2 + (self.sky_error * area) ** 2 + (self.floor * flux) ** 2)


def gain_of_sources(
    gain: float, response: NDArray[np.float32], x: Array, y: Array, *, radius: float
) -> Array:
    """Electrons an adu of each source, e-/adu, shape (n,).

    Divided by a flat of 0.5, an adu is of half as many electrons as where the flat is 1.

    Parameters
    ----------
    gain
        Where the flat is 1, e-/adu.
    response
        Flat that the pixels were divided by, 0 where it is not known, shape (ny, nx).
    x, y
        Places of sources, 0-based pixels, shape (n,).
    radius
        Of the circle that its mean is taken in, pixels; it is 1 where nothing of it is known.
    """
    known = (response > 0).astype(np.float32)
    total, _, _ = sep.sum_circle(response * known, x, y, radius, subpix=1)
    count, _, _ = sep.sum_circle(known, x, y, radius, subpix=1)
    flat = np.ones(len(x))
    np.divide(total, count, out=flat, where=count > 0)
    return gain * flat


def aperture_fluxes(
    frame: Frame, sources: Sources, *, aperture_radius: float, lost_flag: int
) -> float:
    """Set ``flux`` (Kron's ellipse), ``flux_aper`` (circle) and their errors, in place.

    Parameters
    ----------
    frame, sources
        Where; x, y, a, b, theta of the sources are used.
    aperture_radius
        Of the circle, pixels.
    lost_flag
        Set in ``flags`` where a flux could not be measured.

    Returns
    -------
    float
        Variance of sums over the sky in the circle, over that of independent pixels.

    Notes
    -----
    Kron 1980, ApJS 43, 305; factor 2.5 and smallest radius 3.5 as SExtractor's defaults.
    """
    x, y = sources["x"], sources["y"]
    shared = 1.0 if frame.sky is None else frame.sky.factor_of_circle(aperture_radius)
    noise = frame.noise * np.float32(math.sqrt(shared))
    flux, error, _ = sep.sum_circle(frame.pixels, x, y, aperture_radius, subpix=5, err=noise)
    error = _with_photons(flux, error, frame.gain)
    area = math.pi * aperture_radius**2
    sources["flux_aper"] = flux
    sources["flux_aper_err"] = frame.total_error(flux, error, area)
    a, b = sources["a"], sources["b"]
    theta = np.clip(np.radians(sources["theta"]), -np.pi / 2, np.pi / 2)
    kron, _ = sep.kron_radius(frame.pixels, x, y, a, b, theta, 6.0)
    kron = np.where(np.isfinite(kron), kron, 0.0)
    scale = np.maximum(_KRON_FACTOR * kron, _KRON_MINIMUM)
    flux, error, _ = sep.sum_ellipse(frame.pixels, x, y, a, b, theta, scale, subpix=5, err=noise)
    error = _with_photons(flux, error, frame.gain)
    sources["flux"] = flux
    sources["flux_err"] = frame.total_error(flux, error, np.pi * a * b * scale**2)
    for name in ("flux", "flux_aper"):
        lost = ~np.isfinite(sources[name]) | ~np.isfinite(sources[name + "_err"])
        sources[name][lost] = np.nan
        sources[name + "_err"][lost] = np.nan
        sources["flags"][lost] |= lost_flag
    return shared


def _with_photons(flux: Array, error: Array, gain: float | Array) -> Array:
    """Add the noise of a source's own photons, in quadrature."""
    return np.sqrt(error**2 + np.maximum(flux, 0.0) / gain)


def point_source_fluxes(
    frame: Frame,
    sources: Sources,
    *,
    aperture_radius: float,
    forgiven: int,
    found_here: bool = True,
) -> PsfModel | None:
    """Set ``flux_psf``, ``spread``, their errors, and ``psf_fwhm``; gives the function fitted.

    ``flux_psf`` is scaled to ``flux_aper`` of the frame's bright stars, a linear function of place
    where there are enough of them, so that one zero point serves for both.

    Parameters
    ----------
    frame, sources
        As above; the fluxes in the circle and the flags are used.
    aperture_radius
        Of the circle, pixels.
    forgiven
        Flags that a star for the fit may have.
    found_here
        Whether the places were found on these pixels: noise has drawn them to where it adds to
        the flux, by 1 / (S/N)^2, which is taken off.

    Notes
    -----
    Bias of the flux at a place found on the same pixels: Portillo, Speagle & Finkbeiner 2020,
    AJ 159, 165.
    """
    if len(sources) == 0:
        return None
    stars = _stars(sources, aperture_radius, forgiven)
    psf = _function(frame, sources, stars)
    x, y = sources["x"], sources["y"]
    found = psf_fluxes(
        *(frame.pixels, frame.bad, frame.noise, x, y),
        psf=psf,
        gain=frame.gain,
        sky_error=frame.sky_error,
        sky=frame.sky,
    )
    correction, misfit = _correction(frame, sources, found, stars, aperture_radius, psf)
    low, high = (part * correction.middle for part in _VARIES)
    scale = np.clip(correction.at(x, y), low, high)
    flux, error = found.flux * scale, found.flux_err * scale
    if found_here:
        flux = _without_bias(flux, error)
    sources["flux_psf"] = flux
    floor = math.hypot(frame.floor, misfit)
    sources["flux_psf_err"] = np.hypot(error, floor * np.nan_to_num(flux))
    sources["spread"], sources["spread_err"] = found.spread, found.spread_err
    sources["psf_fwhm"] = psf.fwhm(x, y) if psf.n_stars else np.nan
    return psf


def _function(frame: Frame, sources: Sources, stars: NDArray[np.intp]) -> PsfModel:
    """Point spread function of the stars; a guess from the clearest sources without any."""
    guess = sources[stars] if len(stars) else sources[_clearest(sources)]
    fwhm = 2.0 * float(np.median(guess["half_light_radius"])) / HALF_LIGHT
    x, y = sources["x"][stars], sources["y"][stars]
    return fit_psf(frame.pixels, frame.bad, x, y, fwhm=max(fwhm, 1.0))


def _clearest(sources: Sources) -> NDArray[np.bool_]:
    """Sources at least half as significant as the ten most significant, clean ones if any are.

    What is but noise is narrower than stars, and most of what a low threshold finds.
    """
    error = np.where(sources["flux_err"] > 0, sources["flux_err"], np.inf)
    snr = np.nan_to_num(sources["flux"] / error)
    clean = sources["flags"] == 0
    usable = clean if clean.any() else np.ones(len(sources), np.bool_)
    highest = np.sort(snr[usable])[-_FEWEST:]
    return np.asarray(usable & (snr >= 0.5 * np.median(highest)))


def _without_bias(flux: Array, error: Array) -> Array:
    """Fluxes less what noise adds at places that it had a part in finding."""
    significant = flux > _CERTAIN * error
    relative = error / np.where(significant, flux, 1.0)
    return np.where(significant, flux / (1.0 + relative**2), flux)


def _stars(sources: Sources, aperture_radius: float, forgiven: int) -> NDArray[np.intp]:
    """Bright, clean, isolated sources of the common smallest width, brightest first."""
    good = (sources["flags"] & ~forgiven) == 0
    error = np.where(sources["flux_aper_err"] > 0, sources["flux_aper_err"], np.inf)
    snr = np.nan_to_num(sources["flux_aper"] / error)
    good &= (sources["elongation"] < _ELONGATION) & (snr > _FEWEST)
    if not good.any():
        return np.zeros(0, np.intp)
    alone = isolated(
        sources["x"], sources["y"], np.nan_to_num(sources["flux"]), radius=aperture_radius
    )
    if (good & alone).sum() >= _FEWEST:
        good &= alone
    bright = good & (snr > _BRIGHT)
    if bright.sum() >= _FEWEST:
        good = bright
    radius = sources["half_light_radius"]
    width = np.percentile(radius[good], 20.0, method="nearest")
    low, high = _WIDTHS
    good &= (radius > low * width) & (radius < high * width)
    order = np.flatnonzero(good)
    return np.asarray(order[np.argsort(-snr[order], kind="stable")][:_MOST])


def _inside(psf: PsfModel, aperture_radius: float) -> float:
    """Part of a star's light in the circle, by the function in the middle of the frame."""
    beta = 1.0 / psf.wings
    width2 = psf.xx.middle / (4.0 * (2.0**psf.wings - 1.0))
    return float(1.0 - (1.0 + aperture_radius**2 / width2) ** (1.0 - beta))


def _by_faint_sources(sources: Sources, circle: Array, found: PsfFluxes, inside: float) -> float:
    """Flux in the circle over that of the function where no source is bright, by the clearest.

    Each says little, and the function was guessed: both count by their errors.
    """
    error = sources["flux_aper_err"]
    clean = (sources["flags"] == 0) & _clearest(sources) & (error > 0) & np.isfinite(circle)
    clean &= np.nan_to_num(found.flux) > 0
    weighed = found.flux[clean] / error[clean]
    known = float(np.sum(weighed**2)) + _GUESSED**-2
    theirs = float(np.sum(weighed * circle[clean] / error[clean]))
    return (theirs + inside * _GUESSED**-2) / known


def _expected(circle: Array, found: PsfFluxes, stars: NDArray[np.intp]) -> Array:
    """Flux in the circle that the function expects of stars."""
    light = found.flux[stars]
    return light * float(np.median(circle[stars] / light)) if len(stars) else light


def _significant(
    circle: Array, error: Array, found: PsfFluxes, stars: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Stars whose expected flux in the circle is so far above the limit that noise chose none."""
    usable = stars[(found.flux[stars] > 0) & (circle[stars] > 0)]
    expected = _expected(circle, found, usable)
    return usable[expected > (_FEWEST + _CLIP) * error[usable]]


def _correction(  # a frame's fluxes of two kinds
    frame: Frame,
    sources: Sources,
    found: PsfFluxes,
    stars: NDArray[np.intp],
    aperture_radius: float,
    psf: PsfModel,
) -> tuple[Surface, float]:
    """Flux in the circle, without neighbours' light, over that of the function, over the frame.

    The light of neighbours is taken off the circle: the function has none of it. Stars are chosen
    and weighed by what the function says of them: by the circle itself, those that noise makes
    brighter would count more.

    And by how much the function's flux is wrong beyond noise, a part of it: where it is not the
    stars'. What the ratio of both scatters beyond noise may be either's (neighbours too faint to
    be found, a width that the function misses), so that half of its variance is counted. It is
    known where enough stars are bright.
    """
    light = np.nan_to_num(found.flux)
    bright = sources["flux_aper"] - light_of_neighbours(
        sources["x"], sources["y"], light, psf=psf, radius=aperture_radius
    )
    usable = _significant(bright, sources["flux_aper_err"], found, stars)
    shape = frame.pixels.shape
    if len(usable) == 0:
        inside = _by_faint_sources(sources, bright, found, _inside(psf, aperture_radius))
        return Surface.constant(inside, shape), 0.0
    x, y = sources["x"][usable], sources["y"][usable]
    ratio = bright[usable] / found.flux[usable]
    relative = sources["flux_aper_err"][usable] / _expected(bright, found, usable)
    surface = _of_ratio(x, y, ratio, relative, shape)
    if len(usable) < _FEWEST:
        return surface, 0.0
    miss = ratio / surface.at(x, y) - 1.0
    gain = frame.gain[usable] if isinstance(frame.gain, np.ndarray) else frame.gain
    # most of the photons are the same ones in both fluxes, and their pixels' noise too
    theirs = found.flux_err[usable] / found.flux[usable]
    apart = relative**2 - theirs**2 + 2.0 / 3.0 / (gain * bright[usable])
    both = proportional_scatter(miss, np.sqrt(np.maximum(apart, 0.0)))
    return surface, both / math.sqrt(2.0)


def _of_ratio(
    x: Array, y: Array, ratio: Array, relative: Array, shape: tuple[int, int]
) -> Surface:
    """Ratio of fluxes over the frame, linear in place where stars demand it and it stays one."""
    weights = 1.0 / (relative**2 + 0.005**2)
    surface, used = fit_surface(x, y, ratio, shape=shape, degree=1, clip=_CLIP, weights=weights)
    degree = needed_degree(
        x[used], y[used], ratio[used], shape=shape, most=1, weights=weights[used]
    )
    if degree < surface.degree or surface.middle <= 0:
        surface, _ = fit_surface(x, y, ratio, shape=shape, degree=0, clip=_CLIP, weights=weights)
    return surface
