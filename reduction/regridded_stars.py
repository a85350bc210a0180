"""Bright stars of a frame, and how wide they are before and after it is regridded."""

from __future__ import annotations

__all__ = ["STAR_DTYPE", "bright_stars"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.detection import is_clean, signal_to_noise
from reduction.steps.star_widths import star_widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.resample import Resampled
    from reduction.steps.sky_subtraction import SkySubtracted
    from reduction.steps.wcs import TanWcs

_BRIGHT: Final = 30.0
_STARS: Final = 200

#: Stars of a frame: place (degrees), and widths (diameters of half of their light) on the grid and
#: on the frame (arcsec).
STAR_DTYPE: Final = np.dtype(
    [("ra", "f8"), ("dec", "f8"), ("width", "f8"), ("width_before", "f8")]
)


def bright_stars(
    sources: NDArray[np.void],
    sky: SkySubtracted,
    made: Resampled,
    places: tuple[TanWcs, TanWcs],
) -> NDArray[np.void]:
    """Bright stars and their widths before and after, brightest first (:data:`STAR_DTYPE`).

    Parameters
    ----------
    sources
        The Catalog's, brightest first.
    sky, made
        The frame without sky, and on its part of the grid.
    places
        Where both look.
    """
    frame, part = places
    chosen = sources[is_clean(sources) & (signal_to_noise(sources) > _BRIGHT)][:_STARS]
    found = np.zeros(len(chosen), STAR_DTYPE)
    found["ra"], found["dec"] = frame.to_sky(chosen["x"], chosen["y"])
    radius = chosen["half_light_radius"]
    typical = 2.0 * float(np.median(radius)) if len(chosen) else math.nan
    before = star_widths(sky.image, sky.weight, chosen["x"], chosen["y"], expected=typical)
    found["width_before"] = before * frame.pixel_scale
    x, y = part.to_pixel(found["ra"], found["dec"])
    expected = typical * frame.pixel_scale / part.pixel_scale
    after = star_widths(made.image, made.weight, x, y, expected=expected)
    found["width"] = after * part.pixel_scale
    known = np.isfinite(found["width"]) & np.isfinite(found["width_before"])
    return np.asarray(found[known])
