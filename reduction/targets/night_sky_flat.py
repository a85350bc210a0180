"""Flat of the night sky of one chip, night and filter."""

from __future__ import annotations

__all__ = ["NightSkyFlatFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.corrected import measured_gain
from reduction.depends import calibration, raw_frames
from reduction.flatness import FLATNESS, FLATNESS_DIFFERS, NOT_FLAT, Flatness, FlatTarget
from reduction.night_sky import FRAMES_USED, SKY_LEVEL, SkyFrames, sky_frames
from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.steps.sky_flat import sky_flat
from reduction.steps.statistics import image_statistics, sub_window_statistics
from reduction.target import Inputs, Made

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


class NightSkyFlatFrame(FlatTarget):
    """Mean of a night's science frames of one filter, sources masked and rejected; of median 1.

    It needs frames of different fields or dithered ones: what is a source in all of them is
    filled from around, and counted. It does not use the master flat, which is made of it.
    """

    VERSION = 4
    ANCHOR_CLASSES = ("RawScienceFrame",)

    raw_science_frames = raw_frames("RawScienceFrame", at_least=3)
    bias = calibration("BiasFrame", when="!uncalibrated")
    read_noise = calibration("ReadNoise", when="!uncalibrated")
    gain = calibration("GainLinearity", required=False)
    hot = calibration("HotPixelMap", when="!uncalibrated")
    dark = calibration("DarkCurrent", required=False, when="dark")
    imstat = imstat("")
    level = SKY_LEVEL
    frames_used = FRAMES_USED
    filled_fraction = attribute(
        float, "part of the pixels that no frame shows the sky in", ucd="meta.number;arith.ratio"
    )
    flatness = FLATNESS

    @dataclass(frozen=True, slots=True)
    class Parameters(SkyFrames, Flatness):
        """Astro-WISE's names; levels are above the bias."""

        READ_NOISE: float = parameter(
            from_chip("read_noise"), "read noise where none was measured", unit="adu", at_least=0.0
        )
        DETECTION_THRESHOLD: float = parameter(
            4.0,
            "sources stand out of the noise of the smoothed sky by this",
            unit="sigma",
            above=0.0,
        )
        MASK_GROWTH: int = parameter(
            6, "pixels that are masked around each source", unit="pixel", at_least=0, at_most=1000
        )
        MAXIMUM_FILLED_FRACTION: float = parameter(
            0.25,
            "largest part of the pixels that no frame sees the sky in",
            at_least=0.0,
            at_most=1.0,
        )

    class Flags(QualityFlags):
        """What can be wrong with a flat of the night sky."""

        NOT_FLAT = 1, NOT_FLAT
        TOO_MUCH_FILLED = 2, "more of the flat than MAXIMUM_FILLED_FRACTION was never seen as sky"
        FLATNESS_DIFFERS_FROM_PREVIOUS = 4, FLATNESS_DIFFERS

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Debias, mask sources, normalise, reject, average."""
        frames = sky_frames(inputs, parameters)
        good = None if inputs.hot is None else inputs.hot.images["MAP"] == 1
        noise = inputs.read_noise
        flat = sky_flat(
            frames,
            gain=measured_gain(inputs.gain, parameters.GAIN),
            read_noise=parameters.READ_NOISE if noise is None else noise["read_noise"],
            good=good,
            sigma_clip=parameters.SIGMA_CLIP,
            threshold=parameters.DETECTION_THRESHOLD,
            growth=parameters.MASK_GROWTH,
        )
        bad = None if good is None else ~good
        return Made(
            images={"FLAT": flat.image},
            attributes={
                "imstat": image_statistics(flat.image, bad=bad),
                "level": float(np.mean(flat.levels)),
                "frames_used": len(frames),
                "filled_fraction": flat.filled / flat.image.size,
                "flatness": sub_window_statistics(flat.image, bad=bad).flatness,
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the flatness, and how much was never seen, with their limits."""
        flags = self.Flags(super().verify(made, parameters))
        if made.attributes["filled_fraction"] > parameters.MAXIMUM_FILLED_FRACTION:
            flags |= self.Flags.TOO_MUCH_FILLED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, and without hot ones sub-windows, profiles and values."""
        from reduction.layouts import plot_calibration

        bad = None if self.hot is None else self.hot.images["MAP"] == 0
        plot_calibration(figure, self.images["FLAT"], title="flat of the night sky", bad=bad)
