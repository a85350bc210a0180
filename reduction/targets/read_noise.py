"""Read noise of one chip and night."""

from __future__ import annotations

__all__ = ["ReadNoise"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import differs
from reduction.corrected import corrected_stack
from reduction.depends import raw_frames
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.overscan import OverscanMethod
from reduction.steps.read_noise import read_noise
from reduction.target import CalibrationTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class ReadNoise(CalibrationTarget):
    """Noise of the amplifier, from the differences of a night's raw biases."""

    VERSION = 3
    COST_S = 0.05
    ANCHOR_CLASSES = ("RawBiasFrame",)

    raw_bias_frames = raw_frames("RawBiasFrame", at_least=2)
    read_noise = attribute(
        float, "read noise, from the central 68.27 per cent", unit="adu", ucd="instr.det.noise"
    )
    rms = attribute(float, "read noise, from the clipped rms", unit="adu", ucd="instr.det.noise")
    overscan_correction = attribute(
        int, "overscan method; biases that are clipped by this noise use it", ucd="meta.code"
    )
    mean_diff = attribute(
        float,
        "mean difference of neighbouring biases",
        unit="adu",
        ucd="phot.count;arith.diff;stat.mean",
    )
    median_diff = attribute(
        float,
        "median difference of neighbouring biases",
        unit="adu",
        ucd="phot.count;arith.diff;stat.median",
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; the limits are wide, to let any CCD through."""

        OVERSCAN_CORRECTION: int = parameter(
            6,
            "how the bias level is taken from the overscan: Astro-WISE's number, 0 is not at all",
            choices=OverscanMethod,
        )
        REJECTION_THRESHOLD: float = parameter(
            5.0, "values further than this from the middle are left out", unit="sigma", above=0.0
        )
        MAXIMUM_ITERATIONS: int = parameter(
            5, "rounds of leaving out at most", at_least=1, at_most=1000
        )
        MAXIMUM_READ_NOISE: float = parameter(20.0, "largest read noise", unit="adu", at_least=0.0)
        MAXIMUM_READ_NOISE_DIFFERENCE: float = parameter(
            2.0, "largest change of the read noise from before", unit="adu", at_least=0.0
        )
        MAXIMUM_BIAS_DIFFERENCE: float = parameter(
            10.0, "largest difference of two biases' levels", unit="adu", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a read noise."""

        READ_NOISE_TOO_LARGE = 1, "the read noise is above MAXIMUM_READ_NOISE"
        READ_NOISE_DIFFERS_FROM_PREVIOUS = (
            2,
            "the read noise differs from before by more than MAXIMUM_READ_NOISE_DIFFERENCE",
        )
        BIASES_DIFFER = (
            4,
            "neighbouring biases differ in level by more than MAXIMUM_BIAS_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Correct the biases' overscan and measure their differences."""
        frames = corrected_stack(
            inputs.raw_bias_frames,
            method=parameters.OVERSCAN_CORRECTION,
            scratch=inputs.scratch,
        )
        noise = read_noise(
            frames,
            threshold=parameters.REJECTION_THRESHOLD,
            iterations=parameters.MAXIMUM_ITERATIONS,
        )
        return Made(
            attributes={
                "read_noise": noise.read_noise,
                "rms": noise.rms,
                "overscan_correction": parameters.OVERSCAN_CORRECTION,
                "mean_diff": noise.mean_diff,
                "median_diff": noise.median_diff,
            }
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the noise, and the biases with each other, with their limits."""
        noise = made.attributes["read_noise"]
        flags = self.Flags(0)
        if noise > parameters.MAXIMUM_READ_NOISE:
            flags |= self.Flags.READ_NOISE_TOO_LARGE
        if abs(made.attributes["mean_diff"]) > parameters.MAXIMUM_BIAS_DIFFERENCE:
            flags |= self.Flags.BIASES_DIFFER
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        noise = made.attributes["read_noise"]
        flags = self.Flags(0)
        if differs(previous, "read_noise", noise, parameters.MAXIMUM_READ_NOISE_DIFFERENCE):
            flags |= self.Flags.READ_NOISE_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Difference of the first two biases, its scatter, and the read noise over time."""
        from reduction.layouts import plot_trend, science_pixels
        from reduction.plots import show_histogram, show_image

        (difference, values), (trend, spare) = figure.subplots(2, 2)
        spare.axis("off")
        first, second = (science_pixels(raw).astype("f4") for raw in self.raw_bias_frames[:2])
        first -= second
        first -= float(np.median(first))
        show_image(difference, first, title="first less second bias", unit="adu")
        noise = self.read_noise * math.sqrt(2.0)
        show_histogram(
            values,
            first,
            title="its values; read noise times root 2",
            unit="adu",
            lines={"+": noise, "-": -noise},
        )
        plot_trend(trend, self, "read_noise", unit="adu")
