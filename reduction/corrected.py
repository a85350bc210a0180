"""What recipes of the detector share: corrected raw frames, dark current and gain."""

from __future__ import annotations

__all__ = ["corrected", "corrected_stack", "dark_signal", "frame_sections", "measured_gain"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.frame_stack import FrameStack
from reduction.steps.overscan import correct_overscan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.instruments.base import Section
    from reduction.scratch import Scratch
    from reduction.target import Progenitor


def frame_sections(raw: Progenitor) -> tuple[Section, Section | None]:
    """Science and overscan sections of a raw frame."""
    science: Section = raw["science"]
    overscan: Section | None = raw["overscan"]
    return science, overscan


def corrected(raw: Progenitor, *, method: int) -> NDArray[np.float32]:
    """Trim a raw frame and correct its overscan.

    Parameters
    ----------
    raw
        The frame.
    method
        One of :class:`reduction.steps.overscan.OverscanMethod`. Frames that a master bias is
        subtracted from take that bias's ``overscan_correction``, so that the two always agree.

    Returns
    -------
    ndarray
        Shape of the science section, adu, float32.

    Raises
    ------
    UnprocessableError
        If the frame has no pixels for the method.
    """
    science, overscan = frame_sections(raw)
    image = correct_overscan(raw.images["RAW"], science, overscan=overscan, method=method)
    raw.forget()
    return image


def corrected_stack(
    raws: Sequence[Progenitor], *, method: int, scratch: Scratch
) -> list[NDArray[np.float32]]:
    """Frames as :func:`corrected` makes them, in a file where they are too many for memory.

    Raises
    ------
    UnprocessableError
        As :func:`corrected`.
    StorageError
        If the disk has no room for them.
    """
    stack = FrameStack(scratch, len(raws))
    for raw in raws:
        stack.add(corrected(raw, method=method))
    return stack.frames


def dark_signal(dark: Progenitor | None, raw: Progenitor) -> NDArray[np.float32] | None:
    """What the dark current left in a frame of its exposure time, adu; None without a dark.

    Pixels whose current is not known get none: they are the HotPixelMap's matter.
    """
    if dark is None:
        return None
    return np.nan_to_num(dark.images["DARK"]) * np.float32(raw["exptime"])


def measured_gain(gain: Progenitor | None, nominal: float) -> float:
    """Gain of a GainLinearity if there is one, else the chip's nominal gain, e-/adu."""
    return nominal if gain is None or gain["gain"] is None else float(gain["gain"])
