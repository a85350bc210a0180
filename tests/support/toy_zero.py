"""Zero points of the toy camera: bright frames have their own, others borrow the nearest."""

from __future__ import annotations

__all__ = ["ToyMeasured", "ToyNeeding", "ToyTold", "ToyZero"]

from dataclasses import dataclass

import numpy as np

from reduction.attributes import attribute
from reduction.depends import calibration, of_frame, raw_frame
from reduction.target import FrameTarget, Inputs, Made
from schemas.errors import UnprocessableError


class ToyZero(FrameTarget):
    """Level of a bright frame; others cannot be made."""

    raw_science_frame = raw_frame("RawScienceFrame")
    level = attribute(float, "median level", unit="adu", ucd="stat.median")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """What is bright."""

        LEAST: float = 1000.0

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Measure, where it is bright."""
        level = float(np.median(inputs.raw_science_frame.images["RAW"]))
        if level < parameters.LEAST:
            raise UnprocessableError("no standards")
        return Made(attributes={"level": level})


class ToyMeasured(FrameTarget):
    """The zero point that a frame takes; 0 without."""

    raw_science_frame = raw_frame("RawScienceFrame")
    zero = calibration("ToyZero", required=False, prefer_own=True)
    level = attribute(float, "that of the zero point", unit="adu", ucd="stat.median")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        return Made(attributes={"level": 0.0 if inputs.zero is None else inputs.zero["level"]})


class ToyNeeding(FrameTarget):
    """The zero point that a frame takes; it cannot be made without."""

    raw_science_frame = raw_frame("RawScienceFrame")
    zero = calibration("ToyZero", prefer_own=True)
    level = attribute(float, "that of the zero point", unit="adu", ucd="stat.median")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        return Made(attributes={"level": inputs.zero["level"]})


class ToyTold(FrameTarget):
    """What a frame's ToyNeeding has; -1 where it cannot be made."""

    raw_science_frame = raw_frame("RawScienceFrame")
    needing = of_frame("ToyNeeding", required=False)
    level = attribute(float, "that of the zero point", unit="adu", ucd="stat.median")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        return Made(
            attributes={"level": -1.0 if inputs.needing is None else inputs.needing["level"]}
        )
