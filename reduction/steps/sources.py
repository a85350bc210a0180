"""Sources of a frame: detection, positions, shapes and fluxes."""

from __future__ import annotations

__all__ = ["SOURCE_DTYPE", "SourceFlag", "extract", "flag_merged", "mend"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.quality import QualityFlags
from reduction.steps.background import (
    Background,
    background_behind,
    covered,
    estimate_background,
    unusable,
)
from reduction.steps.centroids import position_errors
from reduction.steps.correlated_noise import SkyNoise, sky_level_error
from reduction.steps.detect import detect
from reduction.steps.gaussian import gaussian
from reduction.steps.neighbours import light_of_neighbours
from reduction.steps.source_fluxes import (
    Frame,
    aperture_fluxes,
    gain_of_sources,
    point_source_fluxes,
)
from reduction.steps.wings import beyond_wings
from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray

    from reduction.steps.psf import PsfModel
else:
    sep = deferred("sep")


class SourceFlag(QualityFlags):
    """What to mind about a source; 0 is a source without blemish."""

    MERGED = (
        1,
        "neighbours have more than 3 % of the light in the aperture, and more than its error",
    )
    TRUNCATED = 2, "touches the edge of the frame"
    SATURATED = 4, "has a saturated pixel"
    MASKED = (
        8,
        "bad pixels, mended from their neighbours, carry more than 3 % of the aperture's flux",
    )
    NO_CENTROID = (
        16,
        "the windowed centroid went astray: the place is the barycentre, less exact than pos_err",
    )
    NO_FLUX = 32, "a flux could not be measured; it is NaN"


_NAMES: Final = (
    *("x", "y", "flux", "flux_err", "flux_aper", "flux_aper_err", "flux_psf", "flux_psf_err"),
    *("spread", "spread_err", "fwhm", "elongation", "a", "b", "theta", "peak", "pos_err"),
)
SOURCE_DTYPE: Final = np.dtype([*((name, "f8") for name in _NAMES), ("flags", "i4")])

_REACH: Final = 60.0
_EXTENT: Final = 3.0
_WIDEST: Final = 6.0
_NARROWEST: Final = 0.3
_GUESSED: Final = 0.03
_MISSING: Final = 0.2
_FOREIGN: Final = 0.03
_MEND_SIGMA: Final = 1.5
_MEND_WEIGHT: Final = 0.02
_SIGMA_PER_FWHM: Final = 1.0 / 2.3548200450309493


def extract(  # noqa: PLR0913  # the settings of a detection
    image: NDArray[np.floating],
    *,
    gain: float,
    mask: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.bool_] | None = None,
    background: Background | None = None,
    threshold: float = 3.0,
    min_area: int = 5,
    aperture_radius: float = 12.0,
    box: int = 64,
    flux_floor: float = 0.0,
    response: NDArray[np.float32] | None = None,
) -> NDArray[np.void]:
    """Detect and measure the sources of a frame, brightest first.

    Parameters
    ----------
    image
        Shape (ny, nx), adu, sky included. NaN is "no value".
    gain
        e-/adu, for the photon noise of the sources, where the flat is 1.
    mask
        True where a pixel must not be used, same shape.
    saturated
        True where a pixel was saturated, same shape: used, but the source is flagged.
    background
        Of this image; estimated on meshes of ``box`` pixels where not given.
    threshold
        Detection limit, units of the sky noise in each pixel, after smoothing with a small kernel.
    min_area
        Connected pixels that make a source.
    aperture_radius
        Of the fixed circular aperture, pixels.
    box
        Mesh size for the background, pixels.
    flux_floor
        Relative error of fluxes beyond the noise, of the flat field for instance.
    response
        Flat that the image was divided by, 0 where it is not known, same shape; 1 where None.

    Returns
    -------
    ndarray
        Structured as :data:`SOURCE_DTYPE`: ``x``, ``y`` windowed centroids (0-based pixels);
        ``flux`` in Kron's ellipse, ``flux_aper`` in the circle, ``flux_psf`` by the point spread
        function scaled to the circle's of bright stars, with errors (adu; NaN where not
        measurable); ``spread``, 0 for stars and positive for galaxies, with its error; ``fwhm``
        (pixels, twice the half-light radius); ``elongation`` a/b; ``a``, ``b`` (pixels, rms),
        ``theta`` (degrees from x towards y); ``peak`` (adu above sky); ``pos_err`` (pixels, one
        coordinate); ``flags``, see :class:`SourceFlag`.

    Notes
    -----
    Bertin & Arnouts 1996, A&AS 117, 393; SEP, Barbary 2016, JOSS 1, 58.
    """
    bad = unusable(image, mask)
    sky = background or estimate_background(image, mask=mask, box=box)
    pixels = np.ascontiguousarray(np.where(bad, 0, image - sky.level), dtype=np.float32)
    noise = np.ascontiguousarray(np.maximum(sky.rms, 1e-6), dtype=np.float32)
    found, segments = detect(
        pixels, threshold, err=noise, mask=bad, minarea=min_area, gain=gain, segmentation_map=True
    )
    number = np.arange(1, len(found) + 1, dtype=np.int32)
    real = (found["a"] > 0) & (found["b"] > 0)
    light, number = found[real], number[real]
    alone = beyond_wings(light, noise, threshold=threshold, min_area=min_area)
    found, number = light[alone], number[alone]
    sources = np.zeros(len(found), SOURCE_DTYPE)
    if len(found) == 0:
        return sources
    _shapes(sources, found)
    if background is None:
        sky = background_behind(image, light, sky, mask=bad, box=box)
        pixels = np.ascontiguousarray(np.where(bad, 0, image - sky.level), dtype=np.float32)
        noise = np.ascontiguousarray(np.maximum(sky.rms, 1e-6), dtype=np.float32)
    mended = mend(pixels, bad)
    _centroids(sources, found, mended, (segments, number))
    error = sky.level_error or sky_level_error(sky.global_rms, box=box)
    shared = SkyNoise.of(
        pixels,
        noise,
        covered(light, bad),
        share=sky.share,
        level_variance=sky.level_variance,
    )
    x, y = sources["x"], sources["y"]
    gains: float | NDArray[np.float64] = gain
    if response is not None:
        gains = gain_of_sources(gain, response, x, y, radius=aperture_radius)
    frame = Frame(mended, bad, noise, gains, error, shared, flux_floor)
    aperture_fluxes(
        frame, sources, aperture_radius=aperture_radius, lost_flag=int(SourceFlag.NO_FLUX)
    )
    _flag(sources, found, (mended, bad, saturated), aperture_radius)
    width = np.clip(sources["fwhm"] * _SIGMA_PER_FWHM, _NARROWEST, _WIDEST)
    sources["pos_err"] = position_errors(mended, noise, x, y, width, gain=gains)
    psf = point_source_fluxes(
        frame, sources, aperture_radius=aperture_radius, forgiven=int(SourceFlag.MERGED)
    )
    flag_merged(sources, psf, aperture_radius=aperture_radius)
    return sources[np.argsort(-found["flux"], kind="stable")]


def _shapes(sources: NDArray[np.void], found: NDArray[np.void]) -> None:
    for name in ("a", "b", "peak"):
        sources[name] = found[name]
    sources["theta"] = np.degrees(found["theta"])
    sources["elongation"] = found["a"] / found["b"]


def _centroids(
    sources: NDArray[np.void],
    found: NDArray[np.void],
    pixels: NDArray[np.float32],
    segments: tuple[NDArray[np.int32], NDArray[np.int32]],
) -> None:
    """Half-light radii, and from them windowed centroids; barycentres where those go astray.

    The pixels of other sources (a map of numbers, and the sources' own) are left out of the radii:
    neighbours would make a star four times too wide, and its window as large as to follow them.
    """
    x, y, a = found["x"], found["y"], found["a"]
    reach = np.minimum(_EXTENT * a, _REACH)
    radius, _ = sep.flux_radius(
        pixels, x, y, reach, 0.5, subpix=5, segmap=segments[0], seg_id=segments[1]
    )
    radius = np.where(np.isfinite(radius) & (radius > 0), radius, a)
    sources["fwhm"] = 2.0 * radius
    width = np.minimum(2.0 * radius * _SIGMA_PER_FWHM, _WIDEST)
    wx, wy, flag = sep.winpos(pixels, x, y, width)
    lost = (flag != 0) | ~(np.hypot(wx - x, wy - y) <= np.maximum(1.0, a))
    sources["x"] = np.where(lost, x, wx)
    sources["y"] = np.where(lost, y, wy)
    sources["flags"][lost] |= SourceFlag.NO_CENTROID


def flag_merged(
    sources: NDArray[np.void], psf: PsfModel | None, *, aperture_radius: float
) -> None:
    """Set MERGED where neighbours' light is in the aperture, in place.

    Parameters
    ----------
    sources
        All of a frame, with their fluxes.
    psf
        Of the frame; None where there are no sources.
    aperture_radius
        Pixels.
    """
    if psf is None:
        return
    x, y = sources["x"], sources["y"]
    light = light_of_neighbours(
        x, y, np.nan_to_num(sources["flux_psf"]), psf=psf, radius=aperture_radius
    )
    flux = np.nan_to_num(sources["flux_aper"])
    counts = light > np.maximum(_FOREIGN * flux, np.nan_to_num(sources["flux_aper_err"]))
    sources["flags"][counts] |= int(SourceFlag.MERGED)


def _flag(
    sources: NDArray[np.void],
    found: NDArray[np.void],
    frame: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_] | None],
    aperture_radius: float,
) -> None:
    mended, bad, saturated = frame
    ny, nx = bad.shape
    x, y, flags = sources["x"], sources["y"], sources["flags"]
    inside = (x > aperture_radius - 1) & (x < nx - aperture_radius)
    inside &= (y > aperture_radius - 1) & (y < ny - aperture_radius)
    truncated = (found["flag"] & sep.OBJ_TRUNC) != 0
    flags[truncated | ~inside] |= SourceFlag.TRUNCATED
    if bad.any():
        guessed = np.where(bad, np.abs(mended), np.float32(0))
        guess, _, _ = sep.sum_circle(guessed, x, y, aperture_radius, subpix=1)
        flux = np.nan_to_num(sources["flux_aper"], nan=0.0)
        missing, _, _ = sep.sum_circle(bad.astype(np.float32), x, y, aperture_radius, subpix=1)
        most = missing > _MISSING * np.pi * aperture_radius**2
        flags[most | (guess > _GUESSED * flux)] |= SourceFlag.MASKED
    if saturated is not None and saturated.any():
        core = np.clip(sources["fwhm"], 2.0, aperture_radius)
        count, _, _ = sep.sum_circle(saturated.astype(np.float32), x, y, core, subpix=1)
        flags[count > 0] |= SourceFlag.SATURATED


def mend(pixels: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give bad pixels the mean of the good ones around them, weighted by a Gaussian.

    Parameters
    ----------
    pixels
        Shape (ny, nx), sky subtracted.
    bad
        True where a pixel is to be replaced, same shape; 0 where no good one is near.
    """
    if not bad.any():
        return pixels
    weight = gaussian((~bad).astype(np.float32), _MEND_SIGMA, mirrored=False)[bad]
    known = np.where(bad, np.float32(0), pixels)
    total = gaussian(known, _MEND_SIGMA, mirrored=False)[bad]
    known[bad] = np.where(weight > _MEND_WEIGHT, total / np.maximum(weight, _MEND_WEIGHT), 0.0)
    return np.ascontiguousarray(known, dtype=np.float32)
