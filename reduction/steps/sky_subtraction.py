"""Take the sky off a reduced frame, and turn its relative weights into inverse variances."""

from __future__ import annotations

__all__ = ["BackgroundSubtractionType", "SkySubtracted", "subtract_sky"]

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.background import covered, estimate_background
from reduction.steps.correlated_noise import noise_above_zero
from reduction.steps.detect import detect
from reduction.steps.digitised import step_of
from reduction.steps.weight import photon_fraction, sky_weight
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.background import Background

    Image = NDArray[np.float32]


#: Least noise of whole numbers, in units of their step.
_LEAST_STEP: Final = 0.2

#: Significance of sources that are left out of the sky, and clipping of what is between them.
_SOURCE: Final = 3.0
_CLIP: Final = 5.0

#: Part of a normal variance that meshes keep, which leave out values beyond three of their own
#: standard deviations until there are none; and part of a frame that has to be sky to do better.
_KEPT_VARIANCE: Final = 0.9699
_LEAST_SKY: Final = 0.1


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
    noise that is measured: variance times weight is the same all over a frame. Its mean between
    the sources is taken, and the mean of what meshes' modes have left there: a mode of photons is
    0.4 electrons too low, and its noise 1.5 %.
    """
    bad = np.ascontiguousarray(~(weight > 0) | ~np.isfinite(image))
    if bad.all():
        message = "no pixel has weight: expected some that can be used"
        raise UnprocessableError(message)
    sky = estimate_background(image, mask=bad, box=box, filter_size=filter_size)
    weight = sky_weight(
        weight, level=float(np.median(sky.level)), gain=gain, read_noise=read_noise
    )
    offset, product = _between_sources(image, weight, bad, sky)
    if not product > 0.0:
        message = "the sky has no noise: expected pixels that scatter"
        raise UnprocessableError(message)
    level = float(np.median(sky.level)) + offset
    rms = math.sqrt(product / float(np.median(weight[~bad])))
    rest = image
    if method is BackgroundSubtractionType.MESH:
        rest = image - (sky.level + np.float32(offset))
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


def _between_sources(
    image: Image, weight: Image, bad: NDArray[np.bool_], sky: Background
) -> tuple[float, float]:
    """Mean of the pixels over the meshes' sky, where there is no source; variance times weight."""
    rest = np.ascontiguousarray(np.where(bad, np.float32(0), image - sky.level))
    # where nearly all are one whole number, what it stands for is not known better than to a part
    step = step_of(image, bad)
    noise = replace(sky, rms=np.maximum(sky.rms, np.float32(_LEAST_STEP * step)))
    # parts of a source need not be told from each other
    found = detect(rest, _SOURCE, err=noise_above_zero(noise, rest), mask=bad, deblend_cont=1.0)
    near = covered(found[(found["a"] > 0) & (found["b"] > 0)], bad)
    # the next number is never an outlier
    limit = np.maximum(np.float32(_CLIP) * noise.rms, np.float32(1.5 * step))
    near |= ~(np.abs(rest) <= limit)
    if near.mean() > 1.0 - _LEAST_SKY:
        return 0.0, float(np.median((noise.rms**2 * weight)[~bad])) / _KEPT_VARIANCE
    between = rest[~near]
    offset = float(between.mean(dtype=np.float64))
    product = float(((between - np.float32(offset)) ** 2 * weight[~near]).mean(dtype=np.float64))
    least = (_LEAST_STEP * step) ** 2 * float(np.median(weight[~near]))
    return offset, max(product, least) if product > 0.0 else 0.0
