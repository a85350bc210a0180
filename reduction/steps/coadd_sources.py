"""Sources on combined frames: detected on one image, measured on any other of the same grid."""

from __future__ import annotations

__all__ = ["Deep", "detect_sources", "measure_sources", "sky_noise"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import sep

from reduction.steps.background import Background, background_behind, estimate_background
from reduction.steps.correlated_noise import noise_correlation, sky_level_error
from reduction.steps.detect import detect
from reduction.steps.source_fluxes import Frame, aperture_fluxes, point_source_fluxes
from reduction.steps.sources import SOURCE_DTYPE, SourceFlag, extract, mend
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GUESSED: Final = 0.03
_MISSING: Final = 0.2
_CORE: Final = 2.0
#: Flags of a detection that hold for its measurement on another image as well.
_KEPT: Final = SourceFlag.MERGED | SourceFlag.TRUNCATED | SourceFlag.NO_CENTROID


@dataclass(frozen=True, slots=True)
class Deep:
    """A combined image, shape (ny, nx) each.

    Attributes
    ----------
    image
        Any unit; NaN is "no value".
    weight
        Inverse variance, 0 is "do not use".
    mask
        Sum of :class:`MaskBit` where the weight is 0.
    gain
        Electrons per unit.
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Pixels that were saturated on all frames: they have a value, and it is too small."""
        marked = (self.mask & np.uint8(MaskBit.SATURATED)) != 0
        return np.asarray(marked & np.isfinite(self.image))

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Pixels without a value of their own."""
        return np.asarray(~(self.weight > 0) & ~self.saturated)


def _sky(deep: Deep, box: int) -> tuple[Background, float]:
    """Sky, with the noise that the weights say; and pixel rms over that of the weights.

    Meshes are too coarse for the steps in depth of dithered frames. Sky and factor are measured
    between the sources.
    """
    unused = ~(deep.weight > 0)
    first = estimate_background(deep.image, mask=unused, box=box)
    used = ~unused & np.isfinite(deep.image)
    if not used.any():
        message = "no pixel of the combined image has weight: expected some that can be used"
        raise UnprocessableError(message)
    typical = np.float32(np.sqrt(np.median(deep.weight[used])))
    says = np.where(unused, 1 / typical, 1 / np.sqrt(np.where(unused, 1, deep.weight)))
    says = says.astype(np.float32, copy=False)
    factor = float(np.median((first.rms / says)[used]))
    noise = says * np.float32(factor)
    pixels = np.ascontiguousarray(np.where(unused, 0, deep.image - first.level), np.float32)
    found = detect(pixels, 3.0 / min(factor, 1.0), err=noise, mask=unused)
    found = found[(found["a"] > 0) & (found["b"] > 0)]
    behind = background_behind(deep.image, found, first, mask=unused | ~used, box=box)
    factor = float(np.median((behind.rms / says)[used]))
    noise = says * np.float32(factor)
    middle = float(np.median(noise[used]))
    return Background(behind.level, noise, behind.global_level, middle), factor


def sky_noise(weight: NDArray[np.float32], radius: float) -> float:
    """Noise of the sky in a circle (radius in pixels) at the median weight; NaN without any."""
    used = weight[weight > 0]
    return math.sqrt(math.pi * radius**2 / float(np.median(used))) if used.size else math.nan


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
    sky, factor = _sky(deep, box)
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
    )


def measure_sources(
    sources: NDArray[np.void],
    deep: Deep,
    *,
    offset: tuple[int, int] = (0, 0),
    aperture_radius: float = 12.0,
    box: int = 64,
    found_here: bool = False,
) -> NDArray[np.void]:
    """Measure sources that were detected elsewhere: place and shape are given, fluxes are new.

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
    ndarray
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
    rows = np.array(sources, SOURCE_DTYPE)
    rows["x"] += offset[0]
    rows["y"] += offset[1]
    rows["flags"] &= int(_KEPT)
    fluxes = ("flux", "flux_aper", "flux_psf", "spread")
    for name in fluxes:
        rows[name], rows[name + "_err"] = np.nan, np.nan
    ny, nx = deep.image.shape
    column, row = np.rint(rows["x"]).astype(np.intp), np.rint(rows["y"]).astype(np.intp)
    inside = (column >= 0) & (row >= 0) & (column < nx) & (row < ny)
    inside[inside] &= np.isfinite(deep.image[row[inside], column[inside]])
    rows["flags"][~inside] |= int(SourceFlag.NO_FLUX | SourceFlag.TRUNCATED)
    here = rows[inside]
    if len(here):
        _fluxes(here, deep, (aperture_radius, box), found_here=found_here)
        rows[inside] = here
    return rows


def _fluxes(
    rows: NDArray[np.void], deep: Deep, sizes: tuple[float, int], *, found_here: bool
) -> None:
    """Set fluxes, widths and flags, in place; sizes are the aperture's radius and the meshes'."""
    radius, box = sizes
    sky, _ = _sky(deep, box)
    bad = deep.bad | ~np.isfinite(deep.image)
    pixels = np.ascontiguousarray(np.where(bad, 0, deep.image - sky.level), np.float32)
    noise = np.ascontiguousarray(np.maximum(sky.rms, np.float32(1e-30)))
    near = bad.astype(np.uint8)
    theta = np.clip(np.radians(rows["theta"]), -np.pi / 2, np.pi / 2)
    sep.mask_ellipse(near, rows["x"], rows["y"], rows["a"], rows["b"], theta, r=6.0)
    correlation = noise_correlation(pixels, noise, near != 0)
    mended = mend(pixels, bad)
    frame = Frame(
        mended,
        bad,
        noise,
        deep.gain,
        sky_level_error(sky.global_rms, box=box),
        max(correlation, 1.0),
    )
    aperture_fluxes(frame, rows, aperture_radius=radius, lost_flag=int(SourceFlag.NO_FLUX))
    _flag(rows, deep, (mended, bad), radius)
    point_source_fluxes(
        frame,
        rows,
        aperture_radius=radius,
        forgiven=int(SourceFlag.MERGED),
        found_here=found_here,
    )


def _flag(
    rows: NDArray[np.void],
    deep: Deep,
    frame: tuple[NDArray[np.float32], NDArray[np.bool_]],
    radius: float,
) -> None:
    """Say where made-up or saturated pixels have a part."""
    mended, bad = frame
    x, y = rows["x"], rows["y"]
    ny, nx = bad.shape
    cut = (x < radius - 1) | (x > nx - radius) | (y < radius - 1) | (y > ny - radius)
    rows["flags"][cut] |= int(SourceFlag.TRUNCATED)
    guessed = np.where(bad, np.abs(mended), np.float32(0))
    guess, _, _ = sep.sum_circle(guessed, x, y, radius, subpix=1)
    missing, _, _ = sep.sum_circle(bad.astype(np.float32), x, y, radius, subpix=1)
    flux = np.nan_to_num(rows["flux_aper"], nan=0.0)
    spoilt = (missing > _MISSING * np.pi * radius**2) | (guess > _GUESSED * flux)
    rows["flags"][spoilt & (missing > 0)] |= int(SourceFlag.MASKED)
    core = np.clip(rows["fwhm"], _CORE, max(radius, _CORE))
    count, _, _ = sep.sum_circle(deep.saturated.astype(np.float32), x, y, core, subpix=1)
    rows["flags"][count > 0] |= int(SourceFlag.SATURATED)
