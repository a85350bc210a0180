"""Whether the pixels of a raw frame can be used: looked at once, when it comes in."""

from __future__ import annotations

__all__ = ["PixelSample", "RawFlags", "flaws", "raw_flags", "sample_pixels"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.instruments.base import FrameKind
from reduction.quality import QualityFlags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Chip, FrameDescription, Section

#: Frames of at least so many pixels along both sides are judged by every fourth of each.
_LARGE: Final = 1024
_STEP: Final = 4

#: Part of the pixels from which on a frame is of no use.
_MOST: Final = 0.5

#: Light in read noises: less is no flat, more no bias. Biases lie up to 5 above their overscan.
_NO_LIGHT: Final = 20.0
_LIGHT: Final = 50.0

_FLATS: Final = frozenset({FrameKind.DOME_FLAT, FrameKind.TWILIGHT_FLAT})


class RawFlags(QualityFlags):
    """What can be wrong with a raw frame; one with any of these is a progenitor of nothing."""

    EMPTY = 1, "all pixels are 0: nothing was read out"
    SATURATED = 2, "more than half of the pixels are saturated"
    NOT_FINITE = 4, "more than half of the pixels, or of the overscan, hold no number"
    TOO_DARK = 8, "a flat without light: within 20 read noises of its overscan"
    TOO_BRIGHT = 16, "a bias with light: more than 50 read noises above its overscan"


@dataclass(frozen=True, slots=True)
class PixelSample:
    """Every ``step``-th pixel of a raw frame along each axis, float32."""

    pixels: NDArray[np.float32]
    step: int

    def part(self, section: Section) -> NDArray[np.float32]:
        """The sampled pixels within a section of the raw frame."""
        y0, y1, x0, x1 = (
            -(-edge // self.step) for edge in (section.y0, section.y1, section.x0, section.x1)
        )
        return self.pixels[y0:y1, x0:x1]


def sample_pixels(pixels: np.ndarray[Any, Any]) -> PixelSample:
    """Keep what is needed to judge a frame, shape (ny, nx), so that the frame itself can go."""
    step = _STEP if min(pixels.shape) >= _LARGE else 1
    return PixelSample(pixels[::step, ::step].astype(np.float32), step)


def raw_flags(sample: PixelSample, description: FrameDescription, chip: Chip) -> RawFlags:
    """Judge a raw frame.

    Parameters
    ----------
    sample
        Of the whole raw frame.
    description
        What its headers say.
    chip
        Nominal values: saturation and read noise, adu.
    """
    flags = RawFlags(0)
    if not sample.pixels.any():
        return RawFlags.EMPTY
    science = sample.part(description.science)
    finite = np.isfinite(science)
    dark = None if description.overscan is None else sample.part(description.overscan)
    if any(
        part is not None and np.isfinite(part).mean() < 1.0 - _MOST for part in (science, dark)
    ):
        return RawFlags.NOT_FINITE
    if (science[finite] >= chip.saturation).mean() > _MOST:
        flags |= RawFlags.SATURATED
    light = _light(science[finite], dark)
    if description.kind in _FLATS and light < _NO_LIGHT * chip.read_noise:
        flags |= RawFlags.TOO_DARK
    if description.kind is FrameKind.BIAS and light > _LIGHT * chip.read_noise:
        flags |= RawFlags.TOO_BRIGHT
    return flags


def flaws(quality_flags: int) -> str:
    """Sentences of the flags that a raw frame has."""
    return "; ".join(flag.sentence for flag in RawFlags if flag & quality_flags)


def _light(science: NDArray[np.float32], dark: NDArray[np.float32] | None) -> float:
    """Level above the overscan, adu; NaN where there is no overscan."""
    if dark is None:
        return float("nan")
    return float(np.median(science) - np.median(dark[np.isfinite(dark)]))
