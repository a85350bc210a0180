"""Saturated pixels of one frame."""

from __future__ import annotations

__all__ = ["SaturatedPixelMap"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.comparison import differs
from reduction.depends import of_frame
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.weight import MaskBit, plane
from reduction.target import FrameTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class SaturatedPixelMap(FrameTarget):
    """Pixels of a frame that are saturated, and dead ones beside them.

    Image "MAP": 1 good, 0 bad. They are found when the frame is reduced, by that class's
    parameters SATURATION and DEAD (ThresholdHigh, ThresholdLow).
    """

    VERSION = 1

    reduced = of_frame("ReducedScienceFrame")
    count = attribute(int, "number of pixels", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names in its manner; the limits are those of a chip of 8 million pixels."""

        MAXIMUM_COUNT: int = parameter(1_000_000, "most saturated pixels", at_least=0)
        MAXIMUM_COUNT_DIFFERENCE: int = parameter(
            100_000, "largest change of their number from the version before", at_least=0
        )

    class Flags(QualityFlags):
        """What can be wrong with a map of saturated pixels."""

        TOO_MANY = 1, "more saturated pixels than MAXIMUM_COUNT"
        COUNT_DIFFERS_FROM_PREVIOUS = (
            2,
            "the number differs from before by more than MAXIMUM_COUNT_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the plane out of the frame's mask."""
        del parameters
        good = plane(inputs.reduced.images["MASK"], MaskBit.SATURATED)
        return Made(
            images={"MAP": good},
            attributes={
                "count": int((good == 0).sum()),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the number with its limit."""
        limit = parameters.MAXIMUM_COUNT
        many = made.attributes["count"] > limit
        return int(self.Flags.TOO_MANY) if many else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        limit = parameters.MAXIMUM_COUNT_DIFFERENCE
        differ = differs(previous, "count", made.attributes["count"], limit)
        return int(self.Flags.COUNT_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Where pixels are saturated, and on what."""
        from reduction.layouts import plot_pixel_map

        found_in = None if self.reduced is None else self.reduced.images["IMAGE"]
        plot_pixel_map(figure, self.images["MAP"], found_in, title="saturated pixels", unit="adu")
