"""Dark current of one chip and night."""

from __future__ import annotations

__all__ = ["DarkCurrent"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.comparison import differs
from reduction.corrected import corrected
from reduction.depends import calibration, raw_frames
from reduction.frame_stack import FrameStack
from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.steps.dark import dark_current
from reduction.steps.statistics import image_statistics
from reduction.target import CalibrationTarget, Inputs, Made
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase

#: How many errors below zero a current cannot be.
_ERRORS = 3.0


class DarkCurrent(CalibrationTarget):
    """Dark current of every pixel, from a night's darks of any exposure times.

    Image "DARK" (adu/s). It is subtracted, times the exposure time, from the frames of cameras
    that ask for the correction "dark".
    """

    VERSION = 3
    ANCHOR_CLASSES = ("RawDarkFrame",)

    raw_dark_frames = raw_frames("RawDarkFrame", at_least=1)
    bias = calibration("BiasFrame")
    read_noise = calibration("ReadNoise")
    imstat = imstat("adu/s")
    bulk = attribute(
        float, "dark current common to all pixels", unit="adu/s", ucd="arith.rate;phot.count"
    )
    bulk_err = attribute(float, "error of the bulk", unit="adu/s", ucd="stat.error;phot.count")
    stray_light = attribute(
        float,
        "largest level of a dark that does not grow with its time",
        unit="adu",
        ucd="phot.count;stat.max",
    )
    frames_used = attribute(int, "number of raw darks used", ucd="meta.number;obs.image")
    longest = attribute(
        float, "longest exposure time of the darks", unit="s", ucd="time.duration;stat.max"
    )
    outliers = attribute(int, "number of values rejected", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Names in Astro-WISE's manner."""

        SIGMA_CLIP: float = parameter(
            5.0,
            "values further than this from the median of a pixel are left out",
            unit="sigma",
            above=0.0,
        )
        GAIN: float = parameter(
            from_chip("gain"),
            "for the photon noise of the dark current",
            unit="electron/adu",
            above=0.0,
        )
        MINIMUM_EXPTIME: float = parameter(1.0, "shorter darks are left out", unit="s", above=0.0)
        MAXIMUM_BULK_CURRENT: float = parameter(
            5.0, "largest current of the chip, either sign", unit="adu/s", at_least=0.0
        )
        MAXIMUM_STRAY_LIGHT: float = parameter(
            200.0, "largest level that does not grow with time", unit="adu", at_least=0.0
        )
        MAXIMUM_BULK_CURRENT_DIFFERENCE: float = parameter(
            0.5, "largest change of the current from before", unit="adu/s", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a dark current."""

        CURRENT_TOO_LARGE = 1, "the bulk current is above MAXIMUM_BULK_CURRENT"
        STRAY_LIGHT = 2, "a dark has a level above MAXIMUM_STRAY_LIGHT that no current explains"
        CURRENT_DIFFERS_FROM_PREVIOUS = (
            4,
            "the bulk current differs from before by more than MAXIMUM_BULK_CURRENT_DIFFERENCE",
        )
        CURRENT_NEGATIVE = 8, "the bulk current is below zero by more than three errors"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Debias, reject cosmic rays, fit a current to each pixel."""
        bias = inputs.bias
        used = [r for r in inputs.raw_dark_frames if r["exptime"] >= parameters.MINIMUM_EXPTIME]
        if not used:
            message = f"DarkCurrent needs a dark of {parameters.MINIMUM_EXPTIME:g} s or more"
            raise ProgenitorMissingError(message)
        times = [float(raw["exptime"]) for raw in used]
        stack = FrameStack(inputs.scratch, len(used))
        for raw in used:
            frame = corrected(raw, method=bias["overscan_correction"])
            stack.add(np.subtract(frame, bias.images["BIAS"], out=frame))
            raw.forget()
        dark = dark_current(
            stack.frames,
            times,
            gain=parameters.GAIN,
            read_noise=inputs.read_noise["read_noise"],
            sigma_clip=parameters.SIGMA_CLIP,
        )
        return Made(
            images={"DARK": dark.rate},
            attributes={
                "imstat": image_statistics(dark.rate),
                "bulk": dark.bulk,
                "bulk_err": dark.bulk_err,
                "stray_light": max(dark.stray),
                "frames_used": len(dark.stray),
                "longest": max(times),
                "outliers": dark.outliers,
            },
            cards={"BUNIT": ("adu/s", "unit of the pixels")},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the current, and what is no current, with their limits."""
        flags = self.Flags(0)
        if abs(made.attributes["bulk"]) > parameters.MAXIMUM_BULK_CURRENT:
            flags |= self.Flags.CURRENT_TOO_LARGE
        if made.attributes["bulk"] < -_ERRORS * made.attributes["bulk_err"]:
            flags |= self.Flags.CURRENT_NEGATIVE
        if made.attributes["stray_light"] > parameters.MAXIMUM_STRAY_LIGHT:
            flags |= self.Flags.STRAY_LIGHT
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        limit = parameters.MAXIMUM_BULK_CURRENT_DIFFERENCE
        differ = differs(previous, "bulk", made.attributes["bulk"], limit)
        return int(self.Flags.CURRENT_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Currents, sub-windows, profiles, and how often each current occurs."""
        from reduction.layouts import plot_calibration

        lines = {"median": self.bulk} if self.bulk is not None else None
        dark = self.images["DARK"]
        plot_calibration(figure, dark, title="dark current", unit="adu/s", lines=lines)
