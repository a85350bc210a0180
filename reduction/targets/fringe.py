"""Fringes of one chip, night and filter."""

from __future__ import annotations

__all__ = ["FringeFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.comparison import differs
from reduction.corrected import measured_gain
from reduction.depends import calibration, raw_frames
from reduction.night_sky import SkyFrames, sky_frames
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.fringe import fringe_pattern
from reduction.steps.statistics import clipped_statistics, image_statistics
from reduction.target import Anchor, CalibrationTarget, Inputs, Made
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class FringeFrame(CalibrationTarget):
    """Fringes of a night's science frames of one filter, as a part of the sky's level.

    Made only in filters (or cameras) that ask for the correction "fringe". Image "FRINGE" has
    the median 0.
    """

    VERSION = 2
    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawScienceFrame",)

    raw_science_frames = raw_frames("RawScienceFrame", at_least=3, when="fringe")
    bias = calibration("BiasFrame", when="fringe")
    flat = calibration("MasterFlatFrame", when="fringe")
    hot = calibration("HotPixelMap", when="fringe")
    cold = calibration("ColdPixelMap", when="fringe")
    read_noise = calibration("ReadNoise", when="fringe")
    gain = calibration("GainLinearity", required=False, when="fringe")
    dark = calibration("DarkCurrent", required=False, when="dark")
    imstat = imstat("")
    amplitude = attribute(
        float, "scatter of the fringes, a part of the sky's level", ucd="stat.stdev"
    )
    level = attribute(float, "mean level of the sky", unit="adu", ucd="phot.count;stat.mean")
    frames_used = attribute(int, "number of raw frames used", ucd="meta.number;obs.image")

    @dataclass(frozen=True, slots=True)
    class Parameters(SkyFrames):
        """Astro-WISE's names; levels are above the bias."""

        MAXIMUM_AMPLITUDE: float = parameter(
            0.2, "largest amplitude, a part of the sky", at_least=0.0
        )
        MAXIMUM_AMPLITUDE_DIFFERENCE: float = parameter(
            0.02, "largest change of the amplitude from before", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with fringes."""

        AMPLITUDE_TOO_LARGE = 1, "the fringes' scatter is above MAXIMUM_AMPLITUDE"
        AMPLITUDE_DIFFERS_FROM_PREVIOUS = (
            2,
            "the scatter differs from before by more than MAXIMUM_AMPLITUDE_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Reduce, mask sources, divide by the level, reject, average, subtract 1."""
        if not inputs.raw_science_frames:
            message = f"filter {inputs.filter} does not ask for the correction 'fringe'"
            raise ProgenitorMissingError(message)
        frames = sky_frames(inputs, parameters)
        flat = inputs.flat.images["FLAT"]
        bad = (inputs.hot.images["MAP"] == 0) | (inputs.cold.images["MAP"] == 0) | ~(flat > 0.0)
        gain = measured_gain(inputs.gain, parameters.GAIN)
        read, noise = inputs.read_noise["read_noise"], []
        for frame in frames:
            np.divide(frame, flat, out=frame, where=flat > 0.0)
            frame[bad] = np.nan
            level = max(float(np.nanmedian(frame[::4, ::4])), 0.0)
            noise.append(float(np.sqrt(level / gain + read**2)))
        pattern, levels = fringe_pattern(
            frames, noise=noise, bad=bad, sigma_clip=parameters.SIGMA_CLIP
        )
        amplitude = clipped_statistics(pattern[~bad], threshold=5.0, iterations=5).stdev
        return Made(
            images={"FRINGE": pattern},
            attributes={
                "imstat": image_statistics(pattern, bad=bad),
                "amplitude": amplitude,
                "level": float(np.mean(levels)),
                "frames_used": len(frames),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the amplitude with its limit."""
        large = made.attributes["amplitude"] > parameters.MAXIMUM_AMPLITUDE
        return int(self.Flags.AMPLITUDE_TOO_LARGE) if large else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        amplitude = made.attributes["amplitude"]
        limit = parameters.MAXIMUM_AMPLITUDE_DIFFERENCE
        differ = differs(previous, "amplitude", amplitude, limit)
        return int(self.Flags.AMPLITUDE_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """The pattern, and without bad pixels sub-windows, profiles and values."""
        from reduction.layouts import plot_calibration

        pattern = self.images["FRINGE"]
        bad = np.zeros(pattern.shape, dtype=bool)
        for found in (self.hot, self.cold):
            if found is not None:
                bad |= found.images["MAP"] == 0
        lines = None
        if self.amplitude is not None:
            lines = {"-amplitude": -self.amplitude, "+amplitude": self.amplitude}
        plot_calibration(
            figure, pattern, title="fringes", unit="part of the sky", lines=lines, bad=bad
        )
