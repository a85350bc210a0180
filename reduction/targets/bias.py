"""Master bias of one chip and night."""

from __future__ import annotations

__all__ = ["BiasFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute, imstat
from reduction.comparison import differs
from reduction.corrected import corrected_stack
from reduction.depends import calibration, raw_frames
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.combine import combine_biases
from reduction.steps.overscan import OverscanMethod
from reduction.steps.statistics import (
    clipped_statistics,
    image_statistics,
    sub_window_statistics,
)
from reduction.target import CalibrationTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class BiasFrame(CalibrationTarget):
    """Mean of a night's raw biases, outliers left out by the measured read noise."""

    VERSION = 3
    COST_S = 0.04
    ANCHOR_CLASSES = ("RawBiasFrame",)

    raw_bias_frames = raw_frames("RawBiasFrame", at_least=2)
    read_noise = calibration("ReadNoise")
    imstat = imstat("adu")
    level = attribute(float, "mean without hot pixels", unit="adu", ucd="phot.count;stat.mean")
    scatter = attribute(
        float, "standard deviation without hot pixels", unit="adu", ucd="stat.stdev"
    )
    flatness = attribute(
        float,
        "largest minus smallest median of 32 sub-windows",
        unit="adu",
        ucd="phot.count;arith.diff;stat.max",
    )
    subwin_stdev = attribute(
        float, "largest scatter in one of 32 sub-windows", unit="adu", ucd="stat.stdev;stat.max"
    )
    overscan_correction = attribute(
        int, "overscan method; frames that the bias is subtracted from use it", ucd="meta.code"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names and published defaults."""

        SIGMA_CLIP: float = parameter(
            3.0,
            "values further than this from the median of a pixel are left out",
            unit="sigma",
            above=0.0,
        )
        OVERSCAN_CORRECTION: int = parameter(
            6,
            "how the bias level is taken from the overscan: Astro-WISE's number, 0 is not at all",
            choices=OverscanMethod,
        )
        MAXIMUM_ABS_MEAN: float = parameter(
            10.0,
            "largest mean level of either sign, after the overscan is taken off",
            unit="adu",
            at_least=0.0,
        )
        MAXIMUM_STDEV: float = parameter(
            10.0, "largest scatter of the pixels", unit="adu", at_least=0.0
        )
        MAXIMUM_STDEV_DIFFERENCE: float = parameter(
            10.0, "largest change of the scatter from before", unit="adu", at_least=0.0
        )
        MAXIMUM_SUBWIN_STDEV: float = parameter(
            1e5, "largest scatter in a sub-window", unit="adu", at_least=0.0
        )
        MAXIMUM_SUBWIN_FLATNESS: float = parameter(
            1e5, "largest difference between levels of sub-windows", unit="adu", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a master bias."""

        MEAN_TOO_LARGE = (
            1,
            "the level, overscan taken off, is farther from 0 than MAXIMUM_ABS_MEAN",
        )
        STDEV_TOO_LARGE = 2, "the scatter is above MAXIMUM_STDEV"
        STDEV_DIFFERS_FROM_PREVIOUS = (
            4,
            "the scatter differs from the previous bias's by more than MAXIMUM_STDEV_DIFFERENCE",
        )
        NOT_FLAT = 8, "the medians of 32 sub-windows spread more than MAXIMUM_SUBWIN_FLATNESS"
        SUBWIN_STDEV_TOO_LARGE = 16, "the scatter in a sub-window is above MAXIMUM_SUBWIN_STDEV"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Trim and overscan-correct each raw bias, reject, average.

        The read noise has to be that of biases corrected in the same way.
        """
        noise, method = inputs.read_noise, parameters.OVERSCAN_CORRECTION
        if noise["overscan_correction"] != method:
            message = (
                f"BiasFrame.OVERSCAN_CORRECTION is {method}, but its ReadNoise was measured with "
                f"method {noise['overscan_correction']}: set ReadNoise.OVERSCAN_CORRECTION, too"
            )
            raise UnprocessableError(message)
        frames = corrected_stack(
            inputs.raw_bias_frames,
            method=parameters.OVERSCAN_CORRECTION,
            scratch=inputs.scratch,
        )
        bias = combine_biases(
            frames, read_noise=inputs.read_noise["read_noise"], sigma_clip=parameters.SIGMA_CLIP
        )
        windows = sub_window_statistics(bias)
        clipped = clipped_statistics(bias, threshold=5.0, iterations=10)
        return Made(
            images={"BIAS": bias},
            attributes={
                "imstat": image_statistics(bias),
                "level": clipped.mean,
                "scatter": clipped.stdev,
                "flatness": windows.flatness,
                "subwin_stdev": windows.max_stdev,
                "overscan_correction": parameters.OVERSCAN_CORRECTION,
            },
            cards={"BUNIT": ("adu", "unit of the pixels")},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare level and scatter with their limits.

        Hot pixels and columns do not count: they are the HotPixelMap's matter. Without overscan
        correction the level is the amplifier's, and means nothing.
        """
        level, scatter = made.attributes["level"], made.attributes["scatter"]
        flags = self.Flags(0)
        if parameters.OVERSCAN_CORRECTION and abs(level) > parameters.MAXIMUM_ABS_MEAN:
            flags |= self.Flags.MEAN_TOO_LARGE
        if scatter > parameters.MAXIMUM_STDEV:
            flags |= self.Flags.STDEV_TOO_LARGE
        if made.attributes["flatness"] > parameters.MAXIMUM_SUBWIN_FLATNESS:
            flags |= self.Flags.NOT_FLAT
        if made.attributes["subwin_stdev"] > parameters.MAXIMUM_SUBWIN_STDEV:
            flags |= self.Flags.SUBWIN_STDEV_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        scatter = made.attributes["scatter"]
        flags = self.Flags(0)
        if differs(previous, "scatter", scatter, parameters.MAXIMUM_STDEV_DIFFERENCE):
            flags |= self.Flags.STDEV_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, sub-windows, profiles, and values beside the limits of the level."""
        from reduction.layouts import plot_calibration

        limit = self.process_params["MAXIMUM_ABS_MEAN"]
        plot_calibration(
            figure,
            self.images["BIAS"],
            title="master bias",
            unit="adu",
            lines={"level": self.level, "MAXIMUM_ABS_MEAN": limit, "its negative": -limit},
        )
