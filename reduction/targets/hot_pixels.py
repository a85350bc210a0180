"""Hot pixels of one chip and night."""

from __future__ import annotations

__all__ = ["HotPixelMap"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.comparison import differs
from reduction.depends import calibration
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.pixels import hot_pixels
from reduction.target import CalibrationTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class HotPixelMap(CalibrationTarget):
    """Pixels that stand out of the master bias, or have a large dark current: 1 good, 0 bad.

    A large dark current is subtracted as well, but its photon noise stays, and such pixels are
    often unstable.
    """

    VERSION = 2
    COST_S = 0.2
    ANCHOR_CLASSES = ("RawBiasFrame",)

    bias = calibration("BiasFrame")
    dark = calibration("DarkCurrent", required=False, when="dark")
    count = attribute(int, "number of hot pixels", ucd="meta.number;instr.pixel")
    dark_count = attribute(
        int, "number of those with a large dark current", ucd="meta.number;instr.pixel"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; the counts' limits are those of a chip of 8 million pixels.

        MAXIMUM_DARK_CURRENT is where a pixel counts as hot: of the pixels that stand out of MIT's
        frames of 180 and 240 s, subtraction alone leaves 4 %, a map with this limit alone 20 to
        30 %, both together none but cosmic rays.
        """

        REJECTION_THRESHOLD: float = parameter(
            5.0,
            "pixels of the bias further than this above their surroundings are hot",
            unit="sigma",
            above=0.0,
        )
        MAXIMUM_ITERATIONS: int = parameter(
            5, "rounds of leaving out at most", at_least=1, at_most=1000
        )
        BACKGROUND_SIZE: int = parameter(
            12,
            "meshes on which the surroundings are measured",
            unit="pixel",
            at_least=4,
            at_most=10_000,
        )
        MAXIMUM_DARK_CURRENT: float = parameter(
            1.0,
            "pixels of a dark further than this above the chip's median are hot",
            unit="adu/s",
            at_least=0.0,
        )
        MAXIMUM_HOT_PIXEL_COUNT: int = parameter(100_000, "most hot pixels", at_least=0)
        MAXIMUM_HOT_PIXEL_COUNT_DIFFERENCE: int = parameter(
            50_000, "largest change of their number from the version before", at_least=0
        )

    class Flags(QualityFlags):
        """What can be wrong with a map of hot pixels."""

        TOO_MANY = 1, "more hot pixels than MAXIMUM_HOT_PIXEL_COUNT"
        COUNT_DIFFERS_FROM_PREVIOUS = (
            2,
            "the count differs from before by more than MAXIMUM_HOT_PIXEL_COUNT_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Subtract the bias's smooth background and flag what stands out."""
        good = hot_pixels(
            inputs.bias.images["BIAS"],
            threshold=parameters.REJECTION_THRESHOLD,
            iterations=parameters.MAXIMUM_ITERATIONS,
            background_size=parameters.BACKGROUND_SIZE,
        )
        dark = 0
        if inputs.dark is not None:
            rate = inputs.dark.images["DARK"]
            # NaN, too: no dark had a value there
            hot = ~(rate - inputs.dark["bulk"] <= parameters.MAXIMUM_DARK_CURRENT)
            good[hot] = 0
            dark = int(hot.sum())
        count = int((good == 0).sum())
        return Made(images={"MAP": good}, attributes={"count": count, "dark_count": dark})

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the number with its limit."""
        count = made.attributes["count"]
        flags = self.Flags(0)
        if count > parameters.MAXIMUM_HOT_PIXEL_COUNT:
            flags |= self.Flags.TOO_MANY
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        count = made.attributes["count"]
        flags = self.Flags(0)
        if differs(previous, "count", count, parameters.MAXIMUM_HOT_PIXEL_COUNT_DIFFERENCE):
            flags |= self.Flags.COUNT_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """The map, where hot pixels crowd, and the bias that they were found in."""
        from reduction.layouts import plot_pixel_map

        plot_pixel_map(
            figure, self.images["MAP"], self.bias.images["BIAS"], title="hot pixels", unit="adu"
        )
