"""Sources of a reduced frame, as the classes that need them detect them."""

from __future__ import annotations

__all__ = ["aperture_fraction", "detect", "is_clean", "signal_to_noise", "star_width"]

import math
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.sources import SourceFlag, extract
from reduction.steps.weight import MaskBit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.target import Progenitor

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


def star_width(sources: NDArray[np.void]) -> float:
    """Width of stars (twice the half-light radius), pixels; NaN where there are none.

    The narrowest fifth ends there: galaxies and blends are wider, and a crowded field has little
    else (in M13 the median is four times too wide).
    """
    good = is_clean(sources) & (signal_to_noise(sources) > _BRIGHT)
    if not good.any():
        return math.nan
    return float(np.percentile(sources["fwhm"][good], _NARROW, method="nearest"))


def aperture_fraction(fwhm: float, aperture_radius: float) -> float:
    """Part of a star's light inside the circular aperture; NaN where the width is.

    As of a Gaussian. For any star it is below 0.5 exactly where the radius is below half of
    ``fwhm``, since that is twice the radius of half of the light.

    Parameters
    ----------
    fwhm
        As :func:`star_width`, pixels.
    aperture_radius
        Pixels.
    """
    return 1.0 - math.pow(0.5, (2.0 * aperture_radius / fwhm) ** 2)
