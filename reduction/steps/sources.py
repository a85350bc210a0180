"""Sources of a frame: detection, positions, shapes and fluxes."""

from __future__ import annotations

__all__ = [
    "SOURCE_DTYPE",
    "SourceFlag",
    "extract",
    "flag_merged",
    "half_light_radii",
]

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
from reduction.steps.correlated_noise import SkyNoise, noise_above_zero, sky_level_error
from reduction.steps.detect import detect
from reduction.steps.local_sky import take_off_ring_sky
from reduction.steps.mended import add_guesses, made_up, mend
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
    *("spread", "spread_err", "half_light_radius", "psf_fwhm", "elongation", "a", "b", "theta"),
    *("peak", "pos_err"),
)
SOURCE_DTYPE: Final = np.dtype([*((name, "f8") for name in _NAMES), ("flags", "i4")])
"""A source: ``x``, ``y`` windowed centroids (0-based pixels); ``flux`` in Kron's ellipse,
``flux_aper`` in the circle, ``flux_psf`` by the point spread function scaled to the circle's of
bright stars, with errors (adu; NaN where not measurable); ``spread``, 0 for stars and positive
for galaxies, with its error; ``half_light_radius`` (pixels); ``psf_fwhm``, full width at half
maximum of the point spread function fitted to the frame's stars, at the source's place (pixels;
NaN where there was none to fit); ``elongation`` a/b; ``a``, ``b`` (pixels, rms), ``theta``
(degrees from x towards y); ``peak`` (adu above sky); ``pos_err`` (pixels, one coordinate);
``flags``, see :class:`SourceFlag`."""

_REACH: Final = 60.0
_EXTENT: Final = 3.0
_WIDEST: Final = 6.0
_NARROWEST: Final = 0.3
_FOREIGN: Final = 0.03
#: Standard deviation of a Gaussian in units of the radius of half of its light.
_SIGMA_PER_HALF_LIGHT: Final = 2.0 / 2.3548200450309493


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
    sky_ring: float = 0.0,
) -> NDArray[np.void]:
    """Detect and measure the sources of a frame, brightest first, as :data:`SOURCE_DTYPE`.

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
    sky_ring
        Inner radius of the ring that the sky beneath the circle is told on, pixels; 0: meshes.

    Notes
    -----
    Bertin & Arnouts 1996, A&AS 117, 393; SEP, Barbary 2016, JOSS 1, 58.
    """
    bad = unusable(image, mask)
    sky = background or estimate_background(image, mask=mask, box=box)
    light, alone, segments = _detected(image, bad, sky, gain, (threshold, min_area))
    found = light[alone]
    sources = np.zeros(len(found), SOURCE_DTYPE)
    if len(found) == 0:
        return sources
    if background is None:
        sky = background_behind(image, light, sky, mask=bad, box=box)
    pixels, noise = _over_sky(image, bad, sky)
    mended = mend(pixels, bad)
    _shapes(sources, found)
    _centroids(sources, found, mended, segments)
    gains = _gains(gain, response, sources, aperture_radius)
    shared = SkyNoise.behind(pixels, noise, covered(light, bad), sky)
    error = sky.level_error or sky_level_error(sky.global_rms, box=box)
    frame = Frame(mended, bad, noise, gains, error, shared, flux_floor)
    _measure(sources, found, frame, saturated, (aperture_radius, sky_ring))
    return sources[np.argsort(-found["flux"], kind="stable")]


def _gains(
    gain: float, response: NDArray[np.float32] | None, sources: NDArray[np.void], radius: float
) -> float | NDArray[np.float64]:
    """Electrons an adu, of each source where the flat is known."""
    if response is None:
        return gain
    return gain_of_sources(gain, response, sources["x"], sources["y"], radius=radius)


def _over_sky(
    image: NDArray[np.floating], bad: NDArray[np.bool_], sky: Background
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels less their sky, 0 where they are bad, and their noise."""
    pixels = np.ascontiguousarray(np.where(bad, 0, image - sky.level), dtype=np.float32)
    return pixels, noise_above_zero(sky, pixels)


def _detected(
    image: NDArray[np.floating],
    bad: NDArray[np.bool_],
    sky: Background,
    gain: float,
    limits: tuple[float, int],
) -> tuple[NDArray[np.void], NDArray[np.bool_], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Light above a threshold on so many pixels, and which of it is more than another's wings.

    And a map of the numbers of all, with the own numbers of those that are.
    """
    pixels, noise = _over_sky(image, bad, sky)
    threshold, area = limits
    found, segments = detect(
        pixels, threshold, err=noise, mask=bad, minarea=area, gain=gain, segmentation_map=True
    )
    number = np.arange(1, len(found) + 1, dtype=np.int32)
    real = (found["a"] > 0) & (found["b"] > 0)
    light = found[real]
    alone = beyond_wings(light, noise, threshold=threshold, min_area=area)
    return light, alone, (segments, number[real][alone])


def _measure(
    sources: NDArray[np.void],
    found: NDArray[np.void],
    frame: Frame,
    saturated: NDArray[np.bool_] | None,
    radii: tuple[float, float],
) -> None:
    """Set fluxes, their errors, those of places, and flags, in place.

    ``radii`` are the circle's, and of the ring that the sky is told on, 0 for none.
    """
    radius, ring = radii
    aperture_fluxes(frame, sources, aperture_radius=radius, lost_flag=int(SourceFlag.NO_FLUX))
    add_guesses(frame, sources, aperture_radius=radius)
    if ring:
        take_off_ring_sky(frame, sources, aperture_radius=radius, inner=ring)
    _flag(sources, found, (frame.pixels, frame.bad, saturated), radius)
    width = np.clip(sources["half_light_radius"] * _SIGMA_PER_HALF_LIGHT, _NARROWEST, _WIDEST)
    sources["pos_err"] = position_errors(frame, sources["x"], sources["y"], width)
    psf = point_source_fluxes(
        frame, sources, aperture_radius=radius, forgiven=int(SourceFlag.MERGED)
    )
    flag_merged(sources, psf, aperture_radius=radius)


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
    radius = half_light_radii(pixels, found, segments=segments)
    sources["half_light_radius"] = radius
    width = np.minimum(radius * _SIGMA_PER_HALF_LIGHT, _WIDEST)
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
    spoilt = made_up(mended, bad, sources, aperture_radius=aperture_radius)
    flags[spoilt] |= SourceFlag.MASKED
    if saturated is not None and saturated.any():
        core = np.clip(2.0 * sources["half_light_radius"], 2.0, aperture_radius)
        count, _, _ = sep.sum_circle(saturated.astype(np.float32), x, y, core, subpix=1)
        flags[count > 0] |= SourceFlag.SATURATED


def half_light_radii(  # as sep's function
    pixels: NDArray[np.float32],
    sources: NDArray[np.void],
    *,
    segments: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
    wider: float = 1.0,
) -> NDArray[np.float64]:
    """Radii of half of the light within three isophotal rms, pixels; ``a`` where there is none.

    Parameters
    ----------
    pixels
        Without sky, bad ones mended, shape (ny, nx).
    sources
        With ``x``, ``y`` and ``a``.
    segments
        A map of numbers and the sources' own, whose others' pixels are left out; None: none are.
    wider
        Factor on the rms, where they are those of a sharper image.
    """
    x, y, a = sources["x"], sources["y"], wider * sources["a"]
    reach = np.minimum(_EXTENT * a, _REACH)
    others = {} if segments is None else {"segmap": segments[0], "seg_id": segments[1]}
    radius, _ = sep.flux_radius(pixels, x, y, reach, 0.5, subpix=5, **others)
    return np.where(np.isfinite(radius) & (radius > 0), radius, a)
