"""Saturated pixels of a raw frame, and the dead ones beside them."""

from __future__ import annotations

__all__ = ["saturated_map"]

from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.steps.isr import saturated_pixels
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.instruments.base import Section
else:
    ndimage = deferred("scipy.ndimage")


def saturated_map(
    raw: NDArray[np.generic], science: Section, *, high: float, low: float
) -> NDArray[np.bool_]:
    """Find pixels whose value says nothing of the light that fell on them.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (my, mx), adu.
    science
        The pixels that see light.
    high
        Level from which a pixel is saturated, adu.
    low
        Level up to which a pixel that touches a saturated one, by itself or through others like
        it, is dead: an amplifier or a counter that overflowed, adu.

    Returns
    -------
    ndarray
        Shape ``science.shape``.

    Notes
    -----
    Astro-WISE ``SaturatedPixelMap``: ThresholdHigh, ThresholdLow.
    """
    saturated = saturated_pixels(raw, science, saturation=high)
    light: NDArray[Any] = raw[science.slices]
    dead = light <= low
    if not saturated.any() or not dead.any():
        return saturated
    joined = saturated | dead
    labels, number = ndimage.label(joined, np.ones((3, 3)))
    touches = np.zeros(number + 1, dtype=np.bool_)
    touches[labels[saturated]] = True
    touches[0] = False
    return np.asarray(touches[labels])
