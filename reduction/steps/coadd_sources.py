"""Sources on combined frames: detected on one image, measured on any other of the same grid."""

from __future__ import annotations

__all__ = ["Measured", "detect_sources", "measure_sources", "sky_noise"]

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.background import (
    background_behind,
    estimate_background,
)
from reduction.steps.blocks import positive_median
from reduction.steps.correlated_noise import SkyNoise, noise_above_zero, sky_level_error
from reduction.steps.detect import detect
from reduction.steps.mended import add_guesses, made_up, mend
from reduction.steps.source_fluxes import (
    Frame,
    aperture_fluxes,
    gain_of_sources,
    point_source_fluxes,
)
from reduction.steps.sources import (
    SOURCE_DTYPE,
    SourceFlag,
    extract,
    flag_merged,
    half_light_radii,
)
from reduction.steps.tiles import tiles_of
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray
    from scipy import spatial

    from reduction.steps.background import Background
    from reduction.steps.deep import Deep
    from reduction.steps.tiles import Tile
else:
    sep, spatial = deferred("sep"), deferred("scipy.spatial")

_CORE: Final = 2.0

#: Signal to noise of sources that say how wide stars are; half-light radius in rms from which on a
#: star's light is cut off (a Gaussian has 1.18, cut off at 3 rms 1.16), and how often to widen.
_BRIGHT: Final = 20.0
_CUT_OFF: Final = 1.3
_WIDENINGS: Final = 5
#: Pixels by which the place of one source may differ between tiles: deblending draws lots.
_JITTER: Final = 0.5
_WEIGHTLESS: Final = "no pixel of the combined image has weight: expected some that can be used"
#: Flags of a detection that hold for its measurement on another image as well.
_KEPT: Final = SourceFlag.TRUNCATED | SourceFlag.NO_CENTROID


@dataclass(frozen=True, slots=True)
class Measured:
    """Sources as they are on a combined image.

    Attributes
    ----------
    sources
        As :data:`reduction.steps.sources.SOURCE_DTYPE`.
    sky_noise
        Of the sky in the aperture, at the median weight: as sums over the sky between the sources
        scatter, whatever the weights say. NaN where there are no sources.
    """

    sources: NDArray[np.void]
    sky_noise: float


def _sky(deep: Deep, box: int) -> tuple[Background, float, NDArray[np.int32]]:
    """Sky, with the noise that the weights say; pixel rms over that of the weights; and sources.

    The last is a map of the numbers of what stands out, 0 where nothing does.

    Meshes are too coarse for the steps in depth of dithered frames. Sky and factor are measured
    between the sources.
    """
    unused = ~(deep.weight > 0)
    first = estimate_background(deep.image, mask=unused, box=box)
    used = ~unused & np.isfinite(deep.image)
    if not used.any():
        raise UnprocessableError(_WEIGHTLESS)
    typical = np.float32(np.sqrt(np.median(deep.weight[used])))
    says = np.where(unused, 1 / typical, 1 / np.sqrt(np.where(unused, 1, deep.weight)))
    says = says.astype(np.float32, copy=False)
    factor = float(np.median((first.rms / says)[used]))
    noise = says * np.float32(factor)
    pixels = np.ascontiguousarray(np.where(unused, 0, deep.image - first.level), np.float32)
    found, segments = detect(
        pixels, 3.0 / min(factor, 1.0), err=noise, mask=unused, segmentation_map=True
    )
    found = found[(found["a"] > 0) & (found["b"] > 0)]
    behind = background_behind(deep.image, found, first, mask=unused | ~used, box=box)
    factor = float(np.median((behind.rms / says)[used]))
    noise = says * np.float32(factor)
    middle = float(np.median(noise[used]))
    level = behind.level_variance or _level_variance(box, factor)
    whole = replace(behind, rms=noise, global_rms=middle, level_variance=level)
    return whole, factor, segments


def _level_variance(box: int, factor: float) -> float:
    """Variance of a level among sources, over a pixel's: sums have the noise that weights say."""
    return (sky_level_error(1.0, box=box) / min(factor, 1.0)) ** 2


def sky_noise(weight: NDArray[np.float32], radius: float) -> float:
    """Noise of the sky in a circle (radius in pixels) at the median weight; NaN without any."""
    return math.sqrt(math.pi * radius**2 / positive_median(weight))


def detect_sources(
    deep: Deep,
    *,
    threshold: float = 3.0,
    min_area: int = 5,
    aperture_radius: float = 12.0,
    box: int = 64,
) -> NDArray[np.void]:
    """Detect sources.

    Parameters
    ----------
    deep
        Where.
    threshold
        Units of the noise that the weights say: what the pixels' rms would be if they did not
        share noise.
    min_area, aperture_radius, box
        As :func:`reduction.steps.sources.extract`.

    Returns
    -------
    ndarray
        As :func:`reduction.steps.sources.extract`, brightest first.

    Raises
    ------
    UnprocessableError
        If no pixel has weight.
    """
    tiles = tiles_of(deep.image.shape, mesh=box)
    settings = (threshold, min_area, aperture_radius, box)
    if len(tiles) == 1:
        return _detected(deep, settings)
    parts = []
    for number, tile in enumerate(tiles):
        part = deep.part(tile.outer)
        if not ((part.weight > 0) & np.isfinite(part.image)).any():
            continue
        found = _detected(part, settings)
        found["x"] += tile.outer.x0
        found["y"] += tile.outer.y0
        own = found[tile.owns(found["x"], found["y"], more=_JITTER)]
        parts.append((np.full(len(own), number), own))
    if not parts:
        raise UnprocessableError(_WEIGHTLESS)
    numbers, sources = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    sources = sources[_once(sources, numbers)]
    return sources[np.argsort(-np.nan_to_num(sources["flux"]), kind="stable")]


def _detected(deep: Deep, settings: tuple[float, int, float, int]) -> NDArray[np.void]:
    """Sources of an image, or of a tile as if it were one."""
    threshold, min_area, aperture_radius, box = settings
    sky, factor, _ = _sky(deep, box)
    return extract(
        deep.image,
        gain=deep.gain,
        mask=deep.bad,
        saturated=deep.saturated,
        background=sky,
        threshold=threshold / min(factor, 1.0),
        min_area=min_area,
        aperture_radius=aperture_radius,
        box=box,
        response=deep.response,
    )


def _once(sources: NDArray[np.void], tiles: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Leaves out what two tiles have found at one place, on the seam between them."""
    kept = np.ones(len(sources), np.bool_)
    places = np.column_stack((sources["x"], sources["y"]))
    pairs = spatial.cKDTree(places).query_pairs(2.0 * _JITTER, output_type="ndarray")
    pairs = pairs[tiles[pairs[:, 0]] != tiles[pairs[:, 1]]]
    kept[pairs[:, 1]] = False  # the later one: pairs are in order
    return kept


def measure_sources(
    sources: NDArray[np.void],
    deep: Deep,
    *,
    offset: tuple[int, int] = (0, 0),
    aperture_radius: float = 12.0,
    box: int = 64,
    found_here: bool = False,
) -> Measured:
    """Measure sources that were detected elsewhere: place and ellipse are given, the rest is new.

    Parameters
    ----------
    sources
        As :func:`detect_sources` gives them.
    deep
        Where to measure.
    offset
        (x, y) of the detection image's first pixel on this one.
    aperture_radius, box
        As :func:`reduction.steps.sources.extract`.
    found_here
        Whether they were detected on these very pixels, as
        :func:`reduction.steps.source_fluxes.point_source_fluxes`.

    Returns
    -------
    Measured
        The same rows in the same order, x and y on this image. Fluxes are NaN, with the flag
        NO_FLUX, where the source lies beyond the image or on pixels without value.

    Raises
    ------
    UnprocessableError
        If no pixel has weight.

    Notes
    -----
    The dual-image mode of SExtractor (Bertin & Arnouts 1996, A&AS 117, 393).
    """
    rows, inside = _unmeasured(sources, deep, offset)
    tiles = tiles_of(deep.image.shape, mesh=box)
    factors: list[tuple[float, float]] = []
    for tile in tiles:
        own = inside & tile.owns(rows["x"], rows["y"])
        if own.any():
            near = inside & tile.reaches(rows["x"], rows["y"])
            part = deep if len(tiles) == 1 else deep.part(tile.outer)
            here = rows[near]
            factors.append(
                _fluxes_of_tile(here, part, tile, (aperture_radius, box), found_here=found_here)
            )
            rows[own] = here[own[near]]
    pixels = sum(count for _, count in factors)
    if not pixels:
        return Measured(rows, math.nan)
    factor = sum(one * count for one, count in factors) / pixels
    return Measured(rows, sky_noise(deep.weight, aperture_radius) * math.sqrt(factor))


def _unmeasured(
    sources: NDArray[np.void], deep: Deep, offset: tuple[int, int]
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """Sources at their places on an image, without fluxes; and which are on pixels with values."""
    rows = np.array(sources, SOURCE_DTYPE)
    rows["x"] += offset[0]
    rows["y"] += offset[1]
    rows["flags"] &= int(_KEPT)
    for name in ("flux", "flux_aper", "flux_psf", "spread"):
        rows[name], rows[name + "_err"] = np.nan, np.nan
    rows["psf_fwhm"] = rows["half_light_radius"] = np.nan
    ny, nx = deep.image.shape
    column, row = np.rint(rows["x"]).astype(np.intp), np.rint(rows["y"]).astype(np.intp)
    inside = (column >= 0) & (row >= 0) & (column < nx) & (row < ny)
    inside[inside] &= np.isfinite(deep.image[row[inside], column[inside]])
    rows["flags"][~inside] |= int(SourceFlag.NO_FLUX | SourceFlag.TRUNCATED)
    return rows, inside


def _fluxes_of_tile(
    rows: NDArray[np.void],
    part: Deep,
    tile: Tile,
    sizes: tuple[float, int],
    *,
    found_here: bool,
) -> tuple[float, float]:
    """Measure a tile's sources, and those near it as their neighbours, in place.

    Gives the variance of sums over its sky over what the weights say, and its pixels with weight.
    """
    seen = (part.weight > 0) & np.isfinite(part.image)
    if not seen.any():
        if tile.inner != tile.outer:
            rows["flags"] |= int(SourceFlag.NO_FLUX)
            return 1.0, 0.0
        raise UnprocessableError(_WEIGHTLESS)
    rows["x"] -= tile.outer.x0
    rows["y"] -= tile.outer.y0
    factor = _fluxes(rows, part, sizes, found_here=found_here)
    rows["x"] += tile.outer.x0
    rows["y"] += tile.outer.y0
    return factor, float(np.count_nonzero(seen))


def _fluxes(
    rows: NDArray[np.void], deep: Deep, sizes: tuple[float, int], *, found_here: bool
) -> float:
    """Set fluxes, widths and flags, in place; sizes are the aperture's radius and the meshes'.

    Gives the variance of sums over the sky in the aperture over what the weights say.
    """
    radius, box = sizes
    sky, factor, segments = _sky(deep, box)
    frame = _frame(rows, deep, sky, sizes)
    shared = aperture_fluxes(
        frame, rows, aperture_radius=radius, lost_flag=int(SourceFlag.NO_FLUX)
    )
    add_guesses(frame, rows, aperture_radius=radius)
    rows["half_light_radius"] = _half_light_radii(frame.pixels, rows, segments)
    _flag(rows, deep, frame, radius)
    psf = point_source_fluxes(
        frame,
        rows,
        aperture_radius=radius,
        forgiven=int(SourceFlag.MERGED),
        found_here=found_here,
    )
    flag_merged(rows, psf, aperture_radius=radius)
    level = (frame.sky_error / sky.global_rms) ** 2 * math.pi * radius**2
    return factor**2 * (shared + level)


def _half_light_radii(
    pixels: NDArray[np.float32], rows: NDArray[np.void], segments: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Half-light radii, looked for as far as this image's stars need.

    The ellipses are those of another image, which may be sharper: where half of what is within
    reach of bright sources comes near its end, there is more beyond it.
    """
    numbers = _segment_of(rows, segments)
    error = np.where(rows["flux_aper_err"] > 0, rows["flux_aper_err"], np.inf)
    bright = np.nan_to_num(rows["flux_aper"] / error) > _BRIGHT
    wider = 1.0
    for _ in range(_WIDENINGS):
        found = half_light_radii(pixels, rows, segments=(segments, numbers), wider=wider)
        part = found[bright] / (wider * rows["a"][bright])
        if not len(part) or float(np.median(part)) < _CUT_OFF:
            break
        wider *= 1.5
    return found


def _segment_of(rows: NDArray[np.void], segments: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number at each source's place; one that no other has where nothing stands out."""
    ny, nx = segments.shape
    column = np.clip(np.rint(rows["x"]), 0, nx - 1).astype(np.intp)
    row = np.clip(np.rint(rows["y"]), 0, ny - 1).astype(np.intp)
    found = segments[row, column]
    number = np.where(found > 0, found, segments.max(initial=0) + 1)
    return np.asarray(number, np.int32)


def _frame(rows: NDArray[np.void], deep: Deep, sky: Background, sizes: tuple[float, int]) -> Frame:
    """What fluxes are measured on: pixels over their sky, and its noise between the sources."""
    radius, _ = sizes
    bad = deep.bad | ~np.isfinite(deep.image)
    pixels = np.ascontiguousarray(np.where(bad, 0, deep.image - sky.level), np.float32)
    noise = noise_above_zero(sky, pixels)
    near = bad.astype(np.uint8)
    theta = np.clip(np.radians(rows["theta"]), -np.pi / 2, np.pi / 2)
    sep.mask_ellipse(near, rows["x"], rows["y"], rows["a"], rows["b"], theta, r=6.0)
    shared = SkyNoise.behind(pixels, noise, near != 0, sky)
    gain = _gain(deep, rows, radius)
    return Frame(mend(pixels, bad), bad, noise, gain, sky.level_error, shared)


def _gain(deep: Deep, rows: NDArray[np.void], radius: float) -> float | NDArray[np.float64]:
    """Electrons per unit, of each source where its pixels are of different frames."""
    response = deep.response
    if response is None:
        return deep.gain
    return gain_of_sources(deep.gain, response, rows["x"], rows["y"], radius=radius)


def _flag(rows: NDArray[np.void], deep: Deep, frame: Frame, radius: float) -> None:
    """Say where made-up or saturated pixels have a part."""
    x, y = rows["x"], rows["y"]
    ny, nx = frame.bad.shape
    cut = (x < radius - 1) | (x > nx - radius) | (y < radius - 1) | (y > ny - radius)
    rows["flags"][cut] |= int(SourceFlag.TRUNCATED)
    spoilt = made_up(frame.pixels, frame.bad, rows, aperture_radius=radius)
    rows["flags"][spoilt] |= int(SourceFlag.MASKED)
    core = np.clip(2.0 * rows["half_light_radius"], _CORE, max(radius, _CORE))
    count, _, _ = sep.sum_circle(deep.saturated.astype(np.float32), x, y, core, subpix=1)
    rows["flags"][count > 0] |= int(SourceFlag.SATURATED)
