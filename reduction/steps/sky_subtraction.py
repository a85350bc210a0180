"""Take the sky off a reduced frame, and turn its relative weights into inverse variances."""

from __future__ import annotations

__all__ = ["BackgroundSubtractionType", "SkySubtracted", "subtract_sky"]

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.background import estimate_background
from reduction.steps.weight import photon_fraction, sky_weight
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]


class BackgroundSubtractionType(IntEnum):
    """Which sky is taken off before frames are combined."""

    NONE = 0
    """None: the frames' levels have to agree already."""
    CONSTANT = 1
    """One level for the frame, which keeps extended sources whole."""
    MESH = 2
    """A surface through clipped modes on meshes (SWarp's SUBTRACT_BACK)."""


@dataclass(frozen=True, slots=True)
class SkySubtracted:
    """A frame without its sky; arrays of shape (ny, nx).

    Attributes
    ----------
    image
        adu, float32.
    weight
        Inverse variance under the sky's noise, adu^-2, float32; 0 is "do not use".
    level, rms
        The sky that was there (also where it was not taken off) and its noise, adu: medians.
    unit_weight
        Weight where the flat is 1, adu^-2.
    photon_fraction
        Part of the variance there that is the sky's photons'; the rest is of reading the frame.
    """

    image: Image
    weight: Image
    level: float
    rms: float
    unit_weight: float
    photon_fraction: float


def subtract_sky(
    image: Image,
    weight: Image,
    *,
    gain: float,
    read_noise: float,
    method: BackgroundSubtractionType,
    box: int = 128,
    filter_size: int = 3,
) -> SkySubtracted:
    """Measure the sky of a frame and take it off.

    Parameters
    ----------
    image
        adu, sky included, shape (ny, nx). NaN is "no value".
    weight
        The flat, same shape; 0 is "do not use".
    gain, read_noise
        e-/adu where the weight is 1, and adu before the flat field: what part of the noise grows
        faster than that of the sky where the flat is low. 0 read noise: none does.
    method
        What to take off.
    box, filter_size
        Mesh size, pixels, and meshes of the median filter, as SWarp's BACK_SIZE and
        BACK_FILTERSIZE.

    Raises
    ------
    UnprocessableError
        If no pixel has weight, or the frame has no noise to measure.

    Notes
    -----
    The weights' shape is :func:`reduction.steps.weight.sky_weight`'s, their unit follows from the
    noise that is measured: variance times weight is the same all over a frame, and its median is
    taken.
    """
    bad = ~(weight > 0) | ~np.isfinite(image)
    if bad.all():
        message = "no pixel has weight: expected some that can be used"
        raise UnprocessableError(message)
    sky = estimate_background(image, mask=bad, box=box, filter_size=filter_size)
    level = float(np.median(sky.level))
    weight = sky_weight(weight, level=level, gain=gain, read_noise=read_noise)
    product = float(np.median((sky.rms**2 * weight)[~bad]))
    if not product > 0.0:
        message = "the sky has no noise: expected pixels that scatter"
        raise UnprocessableError(message)
    rms = float(np.median(sky.rms[~bad]))
    rest = image
    if method is BackgroundSubtractionType.MESH:
        rest = image - sky.level
    elif method is BackgroundSubtractionType.CONSTANT:
        rest = image - np.float32(level)
    inverse = np.where(bad, np.float32(0), weight / np.float32(product))
    return SkySubtracted(
        np.asarray(rest, np.float32),
        inverse.astype(np.float32, copy=False),
        level,
        rms,
        1.0 / product,
        photon_fraction(level=level, gain=gain, read_noise=read_noise),
    )
