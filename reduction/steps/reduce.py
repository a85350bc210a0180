"""Reduce a science frame: overscan, bias, flat field, mask and weight."""

from __future__ import annotations

__all__ = ["Fringes", "Limits", "Reduced", "reduce_frame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.cosmic import find_cosmics
from reduction.steps.fringe import fringes_of
from reduction.steps.isr import check_shapes, correct_frame
from reduction.steps.overscan import OverscanMethod
from reduction.steps.satellite import find_satellites
from reduction.steps.saturation import saturated_map
from reduction.steps.weight import bit_mask, weight_image
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.instruments.base import Section
    from reduction.steps.trail import Trail
else:
    ndimage = deferred("scipy.ndimage")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pixel is rejected for.

    Attributes
    ----------
    saturation, dead
        Raw levels, adu, as ``high`` and ``low`` of
        :func:`reduction.steps.saturation.saturated_map`.
    cosmic
        Standard deviations of a cosmic ray; 0 looks for none.
    trail, line
        As the thresholds of :func:`reduction.steps.satellite.find_satellites`; 0 looks for none.
    """

    saturation: float
    dead: float = 0.0
    cosmic: float = 4.5
    trail: float = 2.5
    line: float = 350.0


@dataclass(frozen=True, slots=True)
class Fringes:
    """A pattern to be taken out.

    Attributes
    ----------
    pattern
        Shape (ny, nx), a part of the sky's level, median 0.
    low, high
        As the thresholds of :func:`reduction.steps.fringe.fringe_scale`.
    """

    pattern: NDArray[np.float32]
    low: float = -1.0
    high: float = 1.0


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
    cosmic_events
        Number of cosmic rays: groups of pixels that touch.
    trails
        Of satellites.
    fringe_scale
        What the pattern was multiplied with, adu; 0 for no fringes.
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    cosmic_events: int = 0
    trails: tuple[Trail, ...] = ()
    fringe_scale: float = 0.0


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
    limits: Limits,
    overscan: Section | None = None,
    overscan_method: int = OverscanMethod.OVERSCAN_X_PER_ROW,
    fringes: Fringes | None = None,
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
        Master bias, and the dark current of the exposure time if there is one, shape
        ``science.shape``, adu.
    flat
        Master flat, median 1, same shape.
    hot, cold
        Pixel maps, 1 good, 0 bad, same shape.
    gain
        e-/adu where the flat is 1, for the noise that cosmic rays must exceed.
    read_noise
        adu.
    limits
        What pixels are rejected for.
    fringes
        Pattern to be taken out, if any.

    Returns
    -------
    Reduced
        Image, weight and mask, and what was found on the way.

    Raises
    ------
    UnprocessableError
        If a calibration has another shape, or the overscan method is impossible.

    Notes
    -----
    Astro-WISE ``ReducedScienceFrame``: trim, overscan, - bias, / flat, - ScaleFactor x fringe;
    weight = flat x maps. Image, weight and mask come of one pass, since the steps look at the
    same pixels.
    """
    check_shapes(science, hot=hot, cold=cold)
    image = correct_frame(
        *(raw, science), bias=bias, flat=flat, overscan=overscan, overscan_method=overscan_method
    )
    saturated = saturated_map(raw, science, high=limits.saturation, low=limits.dead)
    bad = (hot == 0) | (cold == 0)
    scale = _without_fringes(image, fringes, bad | saturated)
    cosmic = None
    if limits.cosmic > 0.0:
        cosmic = find_cosmics(
            image,
            gain=gain,
            read_noise=read_noise,
            response=flat,
            bad=bad,
            saturated=saturated,
            threshold=limits.cosmic,
        )
    trail, trails = _trails(image, bad, saturated, limits)
    mask = bit_mask(image, hot=hot, cold=cold, saturated=saturated, cosmic=cosmic, satellite=trail)
    events = 0 if cosmic is None else int(ndimage.label(cosmic, np.ones((3, 3)))[1])
    return Reduced(image, weight_image(flat, mask), mask, events, trails, scale)


def _trails(
    image: NDArray[np.float32],
    bad: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    limits: Limits,
) -> tuple[NDArray[np.bool_] | None, tuple[Trail, ...]]:
    """Pixels of satellites, None where none are looked for, and the trails."""
    if not limits.trail > 0.0:
        return None, ()
    trail, found = find_satellites(
        image,
        bad=bad,
        saturated=saturated,
        detection_threshold=limits.trail,
        hough_threshold=limits.line,
    )
    return trail, tuple(found)


def _without_fringes(
    image: NDArray[np.float32], fringes: Fringes | None, bad: NDArray[np.bool_]
) -> float:
    """Take fringes out, in place; what their pattern was multiplied with."""
    if fringes is None:
        return 0.0
    scale = fringes_of(
        image,
        fringes.pattern,
        threshold_low=fringes.low,
        threshold_high=fringes.high,
        bad=bad,
    )
    image -= np.float32(scale) * fringes.pattern
    return scale
