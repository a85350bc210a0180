"""Sources of a reduced frame, as the classes that need them detect them."""

from __future__ import annotations

__all__ = [
    "N_CLEAN",
    "N_SOURCES",
    "aperture_fraction",
    "detect",
    "half_light_radii",
    "is_clean",
    "signal_to_noise",
    "star_fwhm",
    "star_half_light",
]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.attributes import Attribute
from reduction.steps.psf import HALF_LIGHT
from reduction.steps.sources import SourceFlag, extract
from reduction.steps.weight import MaskBit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.target import Progenitor

N_SOURCES: Final = Attribute(int, ucd="meta.number", description="number of sources")
"""How many were found, whatever their flags."""

N_CLEAN: Final = Attribute(
    int, ucd="meta.number", description="sources without flags but neighbours"
)
"""See :func:`is_clean`."""

_UNUSABLE = int(
    MaskBit.NON_NUMBER | MaskBit.HOT | MaskBit.COLD | MaskBit.SATELLITE | MaskBit.COSMIC
)

_BRIGHT = 20.0
_NARROW = 20.0


def detect(
    reduced: Progenitor,
    *,
    threshold: float,
    aperture_radius: float,
    flux_floor: float = 0.0,
    sky_ring: float = 0.0,
) -> NDArray[np.void]:
    """Detect and measure the sources of a reduced science frame.

    Parameters
    ----------
    reduced
        A ReducedScienceFrame: image "IMAGE" (adu), "MASK" (:class:`MaskBit` sums) and "WEIGHT"
        (the flat, 0 where a pixel is bad), attribute "effective_gain" (e-/adu where the flat is
        1): divided by a flat of 0.5, an adu is of half as many electrons.
    threshold
        Units of the sky noise.
    aperture_radius
        Pixels.
    flux_floor
        Relative error of fluxes beyond the noise.
    sky_ring
        Inner radius of the ring that the sky beneath the circle is told on, pixels; 0: meshes.

    Returns
    -------
    ndarray
        As :func:`reduction.steps.sources.extract`, brightest first.

    Raises
    ------
    UnprocessableError
        If the frame has no usable pixel.
    """
    image, bits = reduced.images["IMAGE"], reduced.images["MASK"]
    return extract(
        image,
        gain=reduced["effective_gain"],
        mask=(bits & _UNUSABLE) != 0,
        saturated=(bits & int(MaskBit.SATURATED)) != 0,
        threshold=threshold,
        aperture_radius=aperture_radius,
        flux_floor=flux_floor,
        sky_ring=sky_ring,
        response=reduced.images["WEIGHT"],
    )


def is_clean(sources: NDArray[np.void], *, masked: bool = False) -> NDArray[np.bool_]:
    """Whether nothing but neighbours is to be minded about a source.

    Parameters
    ----------
    sources
        As :func:`reduction.steps.sources.extract` gives them.
    masked
        Whether bad pixels in the aperture are allowed.
    """
    allowed = SourceFlag.MERGED | (SourceFlag.MASKED if masked else SourceFlag(0))
    return np.asarray((sources["flags"] & ~int(allowed)) == 0)


def signal_to_noise(sources: NDArray[np.void], name: str = "flux") -> NDArray[np.float64]:
    """Flux over its error; 0 where either is not known."""
    error = sources[name + "_err"]
    known = np.isfinite(sources[name]) & np.isfinite(error) & (error > 0)
    return np.where(known, sources[name] / np.where(known, error, 1.0), 0.0)


def half_light_radii(sources: NDArray[np.void]) -> NDArray[np.float64]:
    """Those of sources, pixels; files of before have twice of them and call it ``fwhm``."""
    if "half_light_radius" in (sources.dtype.names or ()):
        return np.asarray(sources["half_light_radius"])
    return np.asarray(sources["fwhm"] / 2.0)


def star_half_light(sources: NDArray[np.void]) -> float:
    """Radius of half of a star's light, pixels; NaN where there is no star.

    The narrowest fifth ends there: galaxies and blends are wider, and a crowded field has little
    else (in M13 the median is four times too wide).
    """
    good = is_clean(sources) & (signal_to_noise(sources) > _BRIGHT)
    if not good.any():
        return math.nan
    return float(np.percentile(sources["half_light_radius"][good], _NARROW, method="nearest"))


def star_fwhm(sources: NDArray[np.void]) -> float:
    """Full width of stars at half of their maximum, pixels: the seeing; NaN where there is none.

    That of the point spread function fitted to the frame's stars, the median over the places of
    the sources: before the pixels, which widen what is seen of it by a tenth where it is two
    pixels wide and by a hundredth from five on. Where no star could be fitted it is what a Moffat
    function of beta 4 has with the half-light radius of :func:`star_half_light`.
    """
    fitted = sources["psf_fwhm"][sources["psf_fwhm"] > 0]
    if len(fitted):
        return float(np.median(fitted))
    return 2.0 * star_half_light(sources) / HALF_LIGHT


def aperture_fraction(half_light: float, aperture_radius: float) -> float:
    """Part of a star's light inside the circular aperture; NaN where the star's radius is.

    As of a Gaussian. For any star it is below 0.5 exactly where the aperture's radius is below
    that of half of the light.

    Parameters
    ----------
    half_light
        As :func:`star_half_light`, pixels.
    aperture_radius
        Pixels.
    """
    return 1.0 - math.pow(0.5, (aperture_radius / half_light) ** 2)
