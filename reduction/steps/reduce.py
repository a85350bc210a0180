"""Reduce a science frame: overscan, bias, flat field, mask and weight."""

from __future__ import annotations

__all__ = ["Reduced", "reduce_frame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.steps.cosmic import find_cosmics
from reduction.steps.isr import correct_frame, saturated_pixels
from reduction.steps.overscan import OverscanMethod
from reduction.steps.weight import bit_mask, weight_image
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reduction.instruments.base import Section


@dataclass(frozen=True, slots=True)
class Reduced:
    """A reduced science frame; all arrays have shape (ny, nx).

    Attributes
    ----------
    image
        adu, float32; NaN where the flat has no response.
    weight
        Relative inverse variance, float32; 0 is "do not use".
    mask
        Sum of :class:`reduction.steps.weight.MaskBit`, uint8; 0 is good.
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]


def reduce_frame(  # noqa: PLR0913 - everything the step may see is named, nothing is a dict
    raw: NDArray[np.generic],
    science: Section,
    *,
    bias: NDArray[np.float32],
    flat: NDArray[np.float32],
    hot: NDArray[np.uint8],
    cold: NDArray[np.uint8],
    gain: float,
    read_noise: float,
    saturation: float,
    overscan: Section | None = None,
    overscan_method: int = OverscanMethod.OVERSCAN_X_PER_ROW,
    cosmic_threshold: float = 4.5,
) -> Reduced:
    """Turn raw pixels into calibrated ones.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (my, mx), adu.
    science, overscan, overscan_method
        As in :func:`reduction.steps.overscan.correct_overscan`; the bias must have been made with
        the same method.
    bias
        Master bias, shape ``science.shape``, adu.
    flat
        Master flat, median 1, same shape.
    hot, cold
        Pixel maps, 1 good, 0 bad, same shape.
    gain
        e-/adu, for the noise that cosmic rays must exceed.
    read_noise
        adu.
    saturation
        Raw level, adu, from which a pixel counts as saturated.
    cosmic_threshold
        Standard deviations; 0 looks for no cosmic rays.

    Returns
    -------
    Reduced
        Image, weight and mask.

    Raises
    ------
    UnprocessableError
        If a calibration has another shape, or the overscan method is impossible.

    Notes
    -----
    Astro-WISE ``ReducedScienceFrame``: trim, overscan, - bias, / flat; weight = flat x maps.
    """
    for name, array in (("hot", hot), ("cold", cold)):
        if array.shape != science.shape:
            message = (
                f"{name} of shape {array.shape} for a frame of {science.shape}: expected equal"
            )
            raise UnprocessableError(message)
    image = correct_frame(
        raw,
        science,
        bias=bias,
        flat=flat,
        overscan=overscan,
        overscan_method=overscan_method,
    )
    saturated = saturated_pixels(raw, science, saturation=saturation)
    mask = bit_mask(image, hot=hot, cold=cold, saturated=saturated)
    if cosmic_threshold > 0.0:
        cosmic = find_cosmics(
            image,
            gain=gain,
            read_noise=read_noise,
            bad=(hot == 0) | (cold == 0),
            saturated=saturated,
            threshold=cosmic_threshold,
        )
        mask = bit_mask(image, hot=hot, cold=cold, saturated=saturated, cosmic=cosmic)
    return Reduced(image=image, weight=weight_image(flat, mask), mask=mask)
