"""Dome flat of one chip, night and filter."""

from __future__ import annotations

__all__ = ["DomeFlatFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute, imstat
from reduction.combined_flat import combined_flat
from reduction.corrected import differs
from reduction.depends import calibration, raw_frames
from reduction.parameters import from_chip
from reduction.quality import QualityFlags
from reduction.target import Anchor, CalibrationTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class DomeFlatFrame(CalibrationTarget):
    """Mean of a night's dome flats of one filter, of median 1."""

    VERSION = 2
    COST_S = 0.15
    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawDomeFlatFrame",)

    raw_dome_flats = raw_frames("RawDomeFlatFrame", at_least=1)
    bias = calibration("BiasFrame")
    read_noise = calibration("ReadNoise")
    gain = calibration("GainLinearity", required=False)
    dark = calibration("DarkCurrent", required=False, when="dark")
    hot = calibration("HotPixelMap")
    imstat = imstat("")
    level = attribute(float, "mean level of the raw flats", unit="adu", ucd="phot.count;stat.mean")
    frames_used = attribute(int, "number of raw flats used", ucd="meta.number;obs.image")
    outliers = attribute(int, "number of values rejected", ucd="meta.number;instr.pixel")
    flatness = attribute(
        float,
        "largest minus smallest median of 32 sub-windows",
        ucd="phot.count;arith.diff;stat.max",
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; GAIN (e-/adu) counts where no gain was measured."""

        SIGMA_CLIP: float = 5.0
        GAIN: float = from_chip("gain")
        MIN_FLAT_MEAN: float = 1000.0
        MAX_FLAT_MEAN: float = 60000.0
        MAXIMUM_SUBWIN_FLATNESS: float = 1.0
        MAXIMUM_SUBWIN_DIFF: float = 0.2

    class Flags(QualityFlags):
        """What can be wrong with a dome flat."""

        NOT_FLAT = 1, "the medians of 32 sub-windows spread more than MAXIMUM_SUBWIN_FLATNESS"
        FLATNESS_DIFFERS_FROM_PREVIOUS = (
            2,
            "that spread differs from the previous flat's by more than MAXIMUM_SUBWIN_DIFF",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Subtract bias and dark current, normalise, reject, average."""
        return combined_flat(
            inputs,
            inputs.raw_dome_flats,
            sigma_clip=parameters.SIGMA_CLIP,
            nominal_gain=parameters.GAIN,
            levels=(parameters.MIN_FLAT_MEAN, parameters.MAX_FLAT_MEAN),
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the flatness with its limit and with the previous flat's."""
        flatness = made.attributes["flatness"]
        flags = self.Flags(0)
        if flatness > parameters.MAXIMUM_SUBWIN_FLATNESS:
            flags |= self.Flags.NOT_FLAT
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        flatness = made.attributes["flatness"]
        flags = self.Flags(0)
        if differs(previous, "flatness", flatness, parameters.MAXIMUM_SUBWIN_DIFF):
            flags |= self.Flags.FLATNESS_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, sub-windows, profiles, and how often each value occurs."""
        from reduction.layouts import plot_calibration  # noqa: PLC0415  # matplotlib is slow to import

        plot_calibration(figure, self.images["FLAT"], title="dome flat")
