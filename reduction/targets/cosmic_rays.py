"""Cosmic rays of one frame."""

from __future__ import annotations

__all__ = ["CosmicMap"]

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


class CosmicMap(FrameTarget):
    """Pixels of a frame that cosmic rays have hit.

    Image "MAP": 1 good, 0 bad. They are found when the frame is reduced, by that class's
    parameter COSMIC_THRESHOLD.
    """

    VERSION = 1

    reduced = of_frame("ReducedScienceFrame")
    count = attribute(int, "number of pixels", ucd="meta.number;instr.pixel")
    events = attribute(int, "number of cosmic rays", ucd="meta.number")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Names in Astro-WISE's manner; the limits are those of a chip of 8 million pixels."""

        MAXIMUM_EVENTS: int = parameter(50_000, "most cosmic rays", at_least=0)
        MAXIMUM_EVENTS_DIFFERENCE: int = parameter(
            5_000, "largest change of their number from the version before", at_least=0
        )

    class Flags(QualityFlags):
        """What can be wrong with a map of cosmic rays."""

        TOO_MANY = 1, "more cosmic rays than MAXIMUM_EVENTS"
        COUNT_DIFFERS_FROM_PREVIOUS = (
            2,
            "the number differs from before by more than MAXIMUM_EVENTS_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the plane out of the frame's mask."""
        del parameters
        good = plane(inputs.reduced.images["MASK"], MaskBit.COSMIC)
        return Made(
            images={"MAP": good},
            attributes={
                "count": int((good == 0).sum()),
                "events": inputs.reduced["cosmic_events"],
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the number of events with its limit."""
        limit = parameters.MAXIMUM_EVENTS
        many = made.attributes["events"] > limit
        return int(self.Flags.TOO_MANY) if many else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        limit = parameters.MAXIMUM_EVENTS_DIFFERENCE
        differ = differs(previous, "events", made.attributes["events"], limit)
        return int(self.Flags.COUNT_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Where the cosmic rays are, and on what."""
        from reduction.layouts import plot_pixel_map

        found_in = None if self.reduced is None else self.reduced.images["IMAGE"]
        plot_pixel_map(figure, self.images["MAP"], found_in, title="cosmic rays", unit="adu")
