"""Removal of a CCD's signature from a raw frame: overscan, trim, bias, flat, in one pass."""

from __future__ import annotations

__all__ = ["check_shapes", "correct_frame", "saturated_pixels"]

from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.steps.overscan import OverscanMethod, overscan_level
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Section

#: Pixels corrected at a time: with their calibrations they stay in a core's cache.
_PIXELS: Final = 1 << 16


def check_shapes(science: Section, **calibrations: NDArray[Any]) -> None:
    """See that calibrations, by what they are called, have the shape of a frame.

    Raises
    ------
    UnprocessableError
        If one has another; names it.
    """
    for name, array in calibrations.items():
        if array.shape != science.shape:
            message = (
                f"{name} of shape {array.shape} for a frame of {science.shape}: expected equal"
            )
            raise UnprocessableError(message)


def correct_frame(
    raw: NDArray[np.generic],
    science: Section,
    *,
    bias: NDArray[np.float32],
    flat: NDArray[np.float32],
    overscan: Section | None = None,
    overscan_method: int = OverscanMethod.OVERSCAN_X_PER_ROW,
) -> NDArray[np.float32]:
    """Turn raw pixels into what the sky sent.

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

    Returns
    -------
    ndarray
        (raw - overscan level - bias) / flat, adu, shape ``science.shape``, float32; NaN where the
        flat is not positive.

    Raises
    ------
    UnprocessableError
        If a calibration has another shape, or the overscan method is impossible.

    Notes
    -----
    Each operation is done on a block of rows that is still in the cache from the one before. The
    numbers are those of the four operations on whole frames.
    """
    check_shapes(science, bias=bias, flat=flat)
    level = overscan_level(raw, science, overscan=overscan, method=overscan_method)
    light = raw[science.slices]
    image = np.empty(science.shape, dtype=np.float32)
    step = max(_PIXELS // image.shape[1], 1)
    for start in range(0, len(image), step):
        rows = slice(start, start + step)
        block, response = image[rows], flat[rows]
        block[...] = light[rows]
        block -= level[rows] if len(level) > 1 else level
        block -= bias[rows]
        responds = response > 0.0
        if responds.all():
            block /= response
        else:
            np.divide(block, response, out=block, where=responds)
            block[~responds] = np.nan
    return image


def saturated_pixels(
    raw: NDArray[np.generic], science: Section, *, saturation: float
) -> NDArray[np.bool_]:
    """Whether a pixel's raw value reaches a level.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (my, mx), adu.
    science
        The pixels that see light.
    saturation
        adu.

    Returns
    -------
    ndarray
        Shape ``science.shape``.
    """
    light: NDArray[Any] = raw[science.slices]
    whole = light.dtype.kind in "iu" and isfinite(saturation)  # such are compared without a copy
    return np.asarray(light >= (ceil(saturation) if whole else saturation))
