"""Classes of nights and fields for the toy camera: the rules for many frames, seen quickly."""

from __future__ import annotations

__all__ = ["ToyCoadd", "ToyDeep", "ToyNight", "ToyPair", "ToyRegridded", "ToySum"]

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reduction.attributes import attribute
from reduction.depends import (
    calibration,
    frames_of_field,
    frames_of_night,
    in_field,
    of_frame,
    raw_frame,
)
from reduction.parameters import parameter
from reduction.target import (
    Anchor,
    CalibrationTarget,
    FieldTarget,
    FrameInFieldTarget,
    FrameTarget,
    Inputs,
    Made,
)


def _log(target: object) -> None:
    with Path(os.environ["VO_TOY_LOG"]).open("a", encoding="utf-8") as stream:
        stream.write(type(target).__name__ + "\n")


class ToyNight(CalibrationTarget):
    """Mean level of a night's images of one filter, all chips together."""

    ANCHOR = Anchor.MOSAIC_NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawScienceFrame",)
    images_of_night = frames_of_night("ToyImage")
    level = attribute(float, "mean level", unit="adu", ucd="stat.mean")
    frames = attribute(int, "frames", ucd="meta.number")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Average."""
        _log(self)
        levels = [image["level"] for image in inputs.images_of_night]
        return Made(attributes={"level": float(np.mean(levels)), "frames": len(levels)})


class ToyPair(FrameTarget):
    """An image and what is asked for in some filters only."""

    raw = raw_frame("RawScienceFrame")
    image = of_frame("ToyImage")
    night = calibration("ToyNight", when="blue")
    flat = calibration("ToyFlat", required=False, unless=("night",))
    used = attribute(str, "which", ucd="meta.code")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Say what was there."""
        _log(self)
        names = [n for n in ("night", "flat") if getattr(inputs, n) is not None]
        return Made(attributes={"used": " ".join(names)})


class ToyRegridded(FrameInFieldTarget):
    """An image for a field."""

    image = of_frame("ToyImage")
    level = attribute(float, "level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on, with the field's scale in a table."""
        _log(self)
        table = np.array([(inputs.field.pixel_scale,)], dtype=[("scale", "f8")])
        return Made(
            images={"IMAGE": inputs.image.section("IMAGE", (slice(0, 2), slice(0, 4)))},
            tables={"GRID": table},
            attributes={"level": inputs.image["level"]},
        )


class ToyCoadd(FieldTarget):
    """Mean of a field's images in one band."""

    ANCHOR = Anchor.FIELD_AND_FILTER
    regridded = frames_of_field("ToyRegridded")
    frames = attribute(int, "frames", ucd="meta.number")
    level = attribute(float, "level", unit="adu", ucd="stat.mean")
    scale = attribute(float, "pixel", unit="arcsec", ucd="pos.wcs.scale")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """One number."""

        FACTOR: float = parameter(1.0, "what levels are multiplied with", above=0.0)

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Average."""
        _log(self)
        assert inputs.band.standard == inputs.filter
        levels = [parameters.FACTOR * frame["level"] for frame in inputs.regridded]
        scale = float(inputs.regridded[0].tables["GRID"]["scale"][0])
        mean = np.mean([frame.images["IMAGE"] for frame in inputs.regridded], axis=0)
        assert mean.shape == (2, 4)
        return Made(
            attributes={"frames": len(levels), "level": float(np.mean(levels)), "scale": scale}
        )


class ToyDeep(FieldTarget):
    """A product of the coadd."""

    ANCHOR = Anchor.FIELD_AND_FILTER
    coadd = in_field("ToyCoadd")
    level = attribute(float, "level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        _log(self)
        return Made(attributes={"level": inputs.coadd["level"]})


class ToySum(FieldTarget):
    """The number of a field's images, as the camera took them."""

    ANCHOR = Anchor.FIELD_AND_FILTER
    images_of_field = frames_of_field("ToyImage")
    frames = attribute(int, "frames", ucd="meta.number")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Count."""
        _log(self)
        return Made(attributes={"frames": len(inputs.images_of_field)})
