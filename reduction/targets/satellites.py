"""Satellites on one frame."""

from __future__ import annotations

__all__ = ["SatelliteMap"]

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


class SatelliteMap(FrameTarget):
    """Pixels of a frame that satellites (or aeroplanes) have crossed.

    Image "MAP": 1 good, 0 bad. They are found when the frame is reduced, by that class's
    parameters DETECTION_THRESHOLD and HOUGH_THRESHOLD.
    """

    VERSION = 2

    reduced = of_frame("ReducedScienceFrame")
    count = attribute(int, "number of pixels", ucd="meta.number;instr.pixel")
    trails = attribute(int, "number of trails", ucd="meta.number")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Names in Astro-WISE's manner."""

        MAXIMUM_TRAILS: int = parameter(6, "most trails", at_least=0)
        MAXIMUM_TRAILS_DIFFERENCE: int = parameter(
            1, "largest change of their number from the version before", at_least=0
        )

    class Flags(QualityFlags):
        """What can be wrong with a map of satellites."""

        TOO_MANY = 1, "more trails than MAXIMUM_TRAILS"
        COUNT_DIFFERS_FROM_PREVIOUS = (
            2,
            "the number differs from before by more than MAXIMUM_TRAILS_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the plane out of the frame's mask."""
        del parameters
        good = plane(inputs.reduced.images["MASK"], MaskBit.SATELLITE)
        return Made(
            images={"MAP": good},
            attributes={
                "count": int((good == 0).sum()),
                "trails": inputs.reduced["satellites"],
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the number of trails with its limit."""
        limit = parameters.MAXIMUM_TRAILS
        many = made.attributes["trails"] > limit
        return int(self.Flags.TOO_MANY) if many else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        limit = parameters.MAXIMUM_TRAILS_DIFFERENCE
        differ = differs(previous, "trails", made.attributes["trails"], limit)
        return int(self.Flags.COUNT_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Where the trails are, and on what."""
        from reduction.layouts import plot_pixel_map

        found_in = None if self.reduced is None else self.reduced.images["IMAGE"]
        plot_pixel_map(figure, self.images["MAP"], found_in, title="satellites", unit="adu")
