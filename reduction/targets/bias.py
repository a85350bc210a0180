"""Master bias of one chip and night."""

from __future__ import annotations

__all__ = ["BiasFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import imstat
from reduction.depends import calibration, raw_frames
from reduction.quality import QualityFlags
from reduction.steps.combine import combine_biases
from reduction.steps.overscan import correct_overscan
from reduction.steps.statistics import image_statistics
from reduction.target import CalibrationTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping


class BiasFrame(CalibrationTarget):
    """Mean of a night's raw biases, outliers left out by the measured read noise."""

    VERSION = 1
    ANCHOR_CLASSES = ("RawBiasFrame",)

    raw_bias_frames = raw_frames("RawBiasFrame", at_least=2)
    read_noise = calibration("ReadNoise")
    imstat = imstat("adu")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names and published defaults."""

        SIGMA_CLIP: float = 3.0
        OVERSCAN_CORRECTION: int = 6
        MAXIMUM_ABS_MEAN: float = 10.0
        MAXIMUM_STDEV: float = 10.0
        MAXIMUM_STDEV_DIFFERENCE: float = 10.0

    class Flags(QualityFlags):
        """What can be wrong with a master bias."""

        MEAN_TOO_LARGE = 1
        STDEV_TOO_LARGE = 2
        STDEV_DIFFERS_FROM_PREVIOUS = 4

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Trim and overscan-correct each raw bias, reject, average."""
        stack = np.stack(
            [
                correct_overscan(
                    raw.images["RAW"],
                    science=raw["science"],
                    overscan=raw["overscan"],
                    method=parameters.OVERSCAN_CORRECTION,
                )
                for raw in inputs.raw_bias_frames
            ]
        )
        bias = combine_biases(
            stack, read_noise=inputs.read_noise["read_noise"], sigma_clip=parameters.SIGMA_CLIP
        )
        return Made(images={"BIAS": bias}, attributes={"imstat": image_statistics(bias)})

    def verify(
        self, made: Made, previous: Mapping[str, Any] | None, parameters: Parameters
    ) -> int:
        """Compare level and scatter with their limits, and the scatter with the previous bias."""
        stat = made.attributes["imstat"]
        flags = self.Flags(0)
        if parameters.OVERSCAN_CORRECTION and abs(stat.mean) > parameters.MAXIMUM_ABS_MEAN:
            flags |= self.Flags.MEAN_TOO_LARGE
        if stat.stdev > parameters.MAXIMUM_STDEV:
            flags |= self.Flags.STDEV_TOO_LARGE
        if previous is not None:
            change = abs(stat.stdev - previous["imstat.stdev"])
            if change > parameters.MAXIMUM_STDEV_DIFFERENCE:
                flags |= self.Flags.STDEV_DIFFERS_FROM_PREVIOUS
        return int(flags)
