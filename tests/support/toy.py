"""A camera of 8 x 8 pixels and a short chain: the archive's rules, seen without waiting.

It is a plugin as an operator would write one, named in ``reduction.plugins``. Every computation
is written to the file that ``VO_TOY_LOG`` names, so that tests can count real work, and takes as
many seconds as ``VO_TOY_SLEEP`` says.
"""

from __future__ import annotations

__all__ = [
    "INSTRUMENT",
    "ToyBias",
    "ToyCatalogue",
    "ToyFlat",
    "ToyImage",
    "ToyMap",
    "ToyNorm",
    "ToyTotal",
    "work_done",
    "write_frame",
]

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from reduction.attributes import attribute
from reduction.depends import calibration, of_frame, raw_frame, raw_frames
from reduction.instruments.base import (
    Band,
    Chip,
    FrameDescription,
    FrameKind,
    Instrument,
    Section,
)
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.target import Anchor, CalibrationTarget, FrameTarget, Inputs, Made
from schemas.errors import IngestError, UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE = 8


def write_frame(
    folder: Path,
    name: str,
    kind: FrameKind,
    level: float,
    *,
    night: str = "2020-01-01",
    hour: float = 0.0,
    filter: str = "V",
    camera: str = "TOY",
) -> Path:
    """Write a raw frame of one level; science frames have a star of twice that in the middle."""
    data = np.full((_SIZE, _SIZE), level, dtype=np.int32)
    if kind is FrameKind.SCIENCE:
        data[4, 4] *= 2
    hdu = fits.PrimaryHDU(data)
    hdu.header["INSTRUME"] = camera
    hdu.header["KIND"] = kind.name
    hdu.header["NIGHT"] = night
    hdu.header["HOUR"] = hour
    hdu.header["FILTER"] = filter
    path = folder / f"{name}.fits"
    hdu.writeto(path)
    return path


def _describe(headers: Sequence[fits.Header]) -> list[FrameDescription]:
    header = headers[0]
    try:
        kind = FrameKind[header["KIND"]]
    except KeyError as error:
        raise IngestError("", f"keyword KIND is {header.get('KIND')!r}") from error
    days = (np.datetime64(header["NIGHT"]) - np.datetime64("1858-11-17")).astype(int)
    whole = Section(0, _SIZE, 0, _SIZE)
    science = kind is FrameKind.SCIENCE
    return [
        FrameDescription(
            hdu=0,
            kind=kind,
            chip="t1",
            filter="" if kind is FrameKind.BIAS else header["FILTER"],
            object=kind.name,
            exptime=0.0,
            mjd_obs=float(days) + header["HOUR"] / 24,
            night=header["NIGHT"],
            science=whole,
            ra=10.0 if science else None,
            dec=20.0 if science else None,
        )
    ]


INSTRUMENT = Instrument(
    name="toy",
    title="Toy camera",
    facility="Desk",
    longitude=0.0,
    chips={"t1": Chip("t1", (_SIZE, _SIZE), 1.0, 1.0, 60000.0)},
    bands={"V": Band("V", "V", 5e-7, 6e-7), "B": Band("B", "B", 4e-7, 5e-7)},
    recognises=lambda header: header.get("INSTRUME") == "TOY",
    describe=_describe,
    pixel_scale=1.0,
    pointing_error=0.01,
    parameters={
        name: {"MIN_RANGE": 0.0, **({"MIN_FLAT_MEAN": 0.0} if "Flat" in name else {})}
        for name in (kind.value for kind in FrameKind)
    },
    validity={
        "ToyBias": (0.6, 0.6),
        "ToyMap": (0.6, 0.6),
        "ToyFlat": (5.0, 5.0),
        "ToyNorm": (5.0, 5.0),
    },
)


def _log(target: object) -> None:
    time.sleep(float(os.environ.get("VO_TOY_SLEEP", "0")))
    path = os.environ.get("VO_TOY_LOG")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(type(target).__name__ + "\n")
    if os.environ.get("VO_TOY_KILL") == type(target).__name__:
        os._exit(9)  # as the kernel ends a process that takes all memory


def work_done(path: Path) -> list[str]:
    """Classes computed since the last call, in alphabetical order."""
    done = sorted(path.read_text(encoding="utf-8").split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return done


class ToyBias(CalibrationTarget):
    """Mean of the raw biases."""

    ANCHOR_CLASSES = ("RawBiasFrame",)
    raw_bias_frames = raw_frames("RawBiasFrame", at_least=2)
    level = attribute(float, "mean level", unit="adu", ucd="stat.mean")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """One number added, and a limit."""

        OFFSET: float = parameter(
            0.0, "added to the mean", unit="adu", at_least=-100.0, at_most=10_000.0
        )
        MAXIMUM_LEVEL: float = 1000.0

    class Flags(QualityFlags):
        """What can be wrong."""

        LEVEL_TOO_HIGH = 1, "the level is above MAXIMUM_LEVEL"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Average."""
        _log(self)
        frames = [raw.images["RAW"] for raw in inputs.raw_bias_frames]
        bias = np.mean(frames, axis=0, dtype=np.float64).astype(np.float32) + np.float32(
            parameters.OFFSET
        )
        return Made(images={"BIAS": bias}, attributes={"level": float(bias.mean())})

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look at the level."""
        return int(made.attributes["level"] > parameters.MAXIMUM_LEVEL)


class ToyMap(CalibrationTarget):
    """Which pixels of the bias are above 500: seldom another when the bias is."""

    ANCHOR_CLASSES = ("RawBiasFrame",)
    bias = calibration("ToyBias")
    count = attribute(int, "pixels above", ucd="meta.number")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Compare with 500."""
        _log(self)
        bad = (inputs.bias.images["BIAS"] > 500).astype(np.uint8)
        return Made(images={"MAP": bad}, attributes={"count": int(bad.sum())})


class ToyFlat(CalibrationTarget):
    """Mean of the raw dome flats less the bias."""

    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawDomeFlatFrame",)
    raw_dome_flats = raw_frames("RawDomeFlatFrame")
    bias = calibration("ToyBias")
    level = attribute(float, "mean level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Average and subtract."""
        _log(self)
        frames = [raw.images["RAW"] for raw in inputs.raw_dome_flats]
        flat = np.mean(frames, axis=0).astype(np.float32) - inputs.bias.images["BIAS"]
        return Made(images={"FLAT": flat}, attributes={"level": float(flat.mean())})


class ToyNorm(CalibrationTarget):
    """The level of the flat that the selection gives: nights that select one flat share it."""

    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawDomeFlatFrame",)
    flat = calibration("ToyFlat")
    norm = attribute(float, "level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        _log(self)
        return Made(attributes={"norm": inputs.flat["level"]})


class ToyTotal(FrameTarget):
    """The norm of a frame's flat."""

    raw_science_frame = raw_frame("RawScienceFrame")
    norm = calibration("ToyNorm")
    total = attribute(float, "norm", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        _log(self)
        return Made(attributes={"total": inputs.norm["norm"]})


class ToyImage(FrameTarget):
    """A science frame, bias subtracted, times 100 over the flat's level."""

    raw_science_frame = raw_frame("RawScienceFrame")
    bias = calibration("ToyBias")
    pixel_map = calibration("ToyMap")
    flat = calibration("ToyFlat")
    level = attribute(float, "median level", unit="adu", ucd="stat.median")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Subtract and divide."""
        _log(self)
        raw = inputs.raw_science_frame.images["RAW"]
        if not raw.any():
            raise UnprocessableError(f"{inputs.raw_science_frame['name']} is empty")
        image = (raw - inputs.bias.images["BIAS"]) * np.float32(100 / inputs.flat["level"])
        return Made(images={"IMAGE": image}, attributes={"level": float(np.median(image))})


class ToyCatalogue(FrameTarget):
    """The pixels that stand out: seldom others when the image is."""

    image = of_frame("ToyImage")
    pixel_map = calibration("ToyMap")
    count = attribute(int, "pixels that stand out", ucd="meta.number")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Count what is above 1.5 times the median."""
        _log(self)
        image = inputs.image.images["IMAGE"]
        return Made(attributes={"count": int((image > 1.5 * np.median(image)).sum())})
