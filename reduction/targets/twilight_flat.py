"""Twilight flat of one chip, night and filter."""

from __future__ import annotations

__all__ = ["TwilightFlatFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.combined_flat import CombinedFlat, combined_flat
from reduction.depends import raw_frames
from reduction.flatness import FLATNESS_DIFFERS, NOT_FLAT
from reduction.parameters import parameter
from reduction.quality import QualityFlags

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from reduction.target import Inputs, Made


class TwilightFlatFrame(CombinedFlat):
    """Weighted mean of a night's twilight flats of one filter, stars rejected, of median 1."""

    VERSION = 4
    ANCHOR_CLASSES = ("RawTwilightFlatFrame",)

    raw_twilight_flats = raw_frames("RawTwilightFlatFrame", at_least=1)

    @dataclass(frozen=True, slots=True)
    class Parameters(CombinedFlat.Parameters):
        """Those of any flat; the part of the values that may be rejected.

        Astro-WISE's MaximumNumberOfOutliers is a number: as a part of the values it holds for
        chips of any size and nights of any number of flats.
        """

        MAXIMUM_OUTLIER_FRACTION: float = parameter(
            0.05, "largest part of the values that were left out", at_least=0.0, at_most=1.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a twilight flat."""

        NOT_FLAT = 1, NOT_FLAT
        FLATNESS_DIFFERS_FROM_PREVIOUS = 2, FLATNESS_DIFFERS
        TOO_MANY_OUTLIERS = (
            4,
            "more values were rejected than MAXIMUM_OUTLIER_FRACTION: stars, or clouds",
        )

    def compute(self, inputs: Inputs, parameters: CombinedFlat.Parameters) -> Made:
        """Subtract bias and dark current, normalise, reject, average."""
        return combined_flat(inputs, inputs.raw_twilight_flats, parameters)

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the outliers with their limit, too."""
        flags = self.Flags(super().verify(made, parameters))
        values = made.attributes["imstat"].npix * made.attributes["frames_used"]
        if made.attributes["outliers"] > parameters.MAXIMUM_OUTLIER_FRACTION * values:
            flags |= self.Flags.TOO_MANY_OUTLIERS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, sub-windows, profiles, and how often each value occurs."""
        from reduction.layouts import plot_calibration

        plot_calibration(figure, self.images["FLAT"], title="twilight flat")
