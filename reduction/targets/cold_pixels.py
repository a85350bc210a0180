"""Cold pixels of one chip, night and filter."""

from __future__ import annotations

__all__ = ["ColdPixelMap"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.comparison import differs
from reduction.depends import calibration
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.pixels import cold_pixels
from reduction.target import Anchor, CalibrationTarget, Inputs, Made
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class ColdPixelMap(CalibrationTarget):
    """Pixels whose response differs from that around them, or is hardly any: 1 good, 0 bad.

    From the dome flat, or where there is none from the twilight flat, else from that of the
    night sky; made per filter, since flats are.
    """

    VERSION = 3
    COST_S = 0.15
    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawDomeFlatFrame", "RawTwilightFlatFrame", "RawScienceFrame")

    dome = calibration("DomeFlatFrame", required=False)
    twilight = calibration("TwilightFlatFrame", required=False)
    night_sky = calibration("NightSkyFlatFrame", required=False, unless=("dome", "twilight"))
    count = attribute(int, "number of cold pixels", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; the counts' limits are those of a chip of 8 million pixels."""

        THRESHOLD_LOW: float = parameter(
            0.94,
            "a pixel is bad where flat / smoothed flat is below this",
            at_least=0.0,
            at_most=1.0,
        )
        THRESHOLD_HIGH: float = parameter(
            1.06,
            "a pixel is bad where flat / smoothed flat is above this",
            at_least=1.0,
        )
        SMOOTHING: float = parameter(
            6.0,
            "standard deviation of the Gaussian that smooths the flat",
            unit="pixel",
            above=0.0,
            at_most=1000.0,
        )
        MAXIMUM_ITERATIONS: int = parameter(
            3, "rounds of leaving out at most", at_least=1, at_most=1000
        )
        MINIMUM_RESPONSE: float = parameter(
            0.1,
            "a pixel is bad where it has less than this part of the flat's light",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_COLD_PIXEL_COUNT: int = parameter(100_000, "most cold pixels", at_least=0)
        MAXIMUM_COLD_PIXEL_COUNT_DIFFERENCE: int = parameter(
            50_000, "largest change of their number from the version before", at_least=0
        )

    class Flags(QualityFlags):
        """What can be wrong with a map of cold pixels."""

        TOO_MANY = 1, "more cold pixels than MAXIMUM_COLD_PIXEL_COUNT"
        COUNT_DIFFERS_FROM_PREVIOUS = (
            2,
            "the count differs from before by more than MAXIMUM_COLD_PIXEL_COUNT_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Divide the flat by its smoothed self and flag what is far from 1."""
        flat = inputs.dome or inputs.twilight or inputs.night_sky
        if flat is None:
            message = "ColdPixelMap needs a DomeFlatFrame, TwilightFlatFrame or NightSkyFlatFrame"
            raise ProgenitorMissingError(message)
        good = cold_pixels(
            flat.images["FLAT"],
            threshold_low=parameters.THRESHOLD_LOW,
            threshold_high=parameters.THRESHOLD_HIGH,
            smoothing=parameters.SMOOTHING,
            iterations=parameters.MAXIMUM_ITERATIONS,
            least=parameters.MINIMUM_RESPONSE,
        )
        return Made(images={"MAP": good}, attributes={"count": int((good == 0).sum())})

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the number with its limit."""
        count = made.attributes["count"]
        flags = self.Flags(0)
        if count > parameters.MAXIMUM_COLD_PIXEL_COUNT:
            flags |= self.Flags.TOO_MANY
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        count = made.attributes["count"]
        flags = self.Flags(0)
        if differs(previous, "count", count, parameters.MAXIMUM_COLD_PIXEL_COUNT_DIFFERENCE):
            flags |= self.Flags.COUNT_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """The map, where cold pixels crowd, and the flat that they were found in."""
        from reduction.layouts import plot_pixel_map

        flat = self.dome or self.twilight
        plot_pixel_map(
            figure,
            self.images["MAP"],
            None if flat is None else flat.images["FLAT"],
            title="cold pixels",
        )
