"""Reduced science frame: one chip of one exposure."""

from __future__ import annotations

__all__ = ["ReducedScienceFrame"]

from dataclasses import dataclass

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.corrected import frame_sections, measured_gain
from reduction.depends import calibration, raw_frame
from reduction.parameters import from_chip
from reduction.quality import QualityFlags
from reduction.steps.reduce import reduce_frame
from reduction.steps.statistics import image_statistics
from reduction.steps.weight import MaskBit
from reduction.target import FrameTarget, Inputs, Made


class ReducedScienceFrame(FrameTarget):
    """Raw frame without overscan, bias and flat field, with its weight and mask.

    Images: "IMAGE" (adu, NaN where there is no response), "WEIGHT" (relative, 0 is "do not
    use"), "MASK" (sum of :class:`reduction.steps.weight.MaskBit`, 0 is good). The overscan method
    is that of the bias.
    """

    VERSION = 1

    raw = raw_frame("RawScienceFrame")
    bias = calibration("BiasFrame")
    flat = calibration("MasterFlatFrame")
    hot = calibration("HotPixelMap")
    cold = calibration("ColdPixelMap")
    read_noise = calibration("ReadNoise")
    gain = calibration("GainLinearity", required=False)
    imstat = imstat("adu")
    effective_gain = attribute(
        float,
        "electrons per adu, where the flat is 1",
        unit="adu**-1",
        ucd="arith.factor;instr.det",
    )
    noise = attribute(float, "read noise", unit="adu", ucd="instr.det.noise")
    saturated_pixels = attribute(
        int, "number of saturated pixels", ucd="meta.number;instr.saturation"
    )
    cosmic_pixels = attribute(int, "number of pixels hit by cosmic rays", ucd="meta.number")
    good_fraction = attribute(
        float, "part of the pixels that can be used", ucd="meta.number;arith.ratio;instr.pixel"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """SATURATION is a raw level, adu; GAIN (e-/adu) counts where no gain was measured.

        COSMIC_THRESHOLD is in standard deviations; 0 looks for no cosmic rays.
        """

        GAIN: float = from_chip("gain")
        SATURATION: float = from_chip("saturation")
        COSMIC_THRESHOLD: float = 4.5
        MINIMUM_GOOD_FRACTION: float = 0.5

    class Flags(QualityFlags):
        """What can be wrong with a reduced frame."""

        TOO_FEW_GOOD_PIXELS = 1

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Trim, overscan, bias, flat, mask, weight."""
        science, overscan = frame_sections(inputs.raw)
        gain = measured_gain(inputs.gain, parameters.GAIN)
        noise = float(inputs.read_noise["read_noise"])
        reduced = reduce_frame(
            inputs.raw.images["RAW"],
            science,
            bias=inputs.bias.images["BIAS"],
            flat=inputs.flat.images["FLAT"],
            hot=inputs.hot.images["MAP"],
            cold=inputs.cold.images["MAP"],
            gain=gain,
            read_noise=noise,
            saturation=parameters.SATURATION,
            overscan=overscan,
            overscan_method=inputs.bias["overscan_correction"],
            cosmic_threshold=parameters.COSMIC_THRESHOLD,
        )
        bad = reduced.mask != 0
        return Made(
            images={"IMAGE": reduced.image, "WEIGHT": reduced.weight, "MASK": reduced.mask},
            attributes={
                "imstat": image_statistics(reduced.image, bad=bad),
                "effective_gain": gain,
                "noise": noise,
                "saturated_pixels": _count(reduced.mask, MaskBit.SATURATED),
                "cosmic_pixels": _count(reduced.mask, MaskBit.COSMIC),
                "good_fraction": 1.0 - float(bad.mean()),
            },
            cards={
                "BUNIT": ("adu", "unit of the pixels"),
                "EXPTIME": (inputs.raw["exptime"], "[s] integration time"),
                "MJD-OBS": (inputs.raw["mjd_obs"], "[d] start of the exposure"),
                "OBJECT": (inputs.raw["object"], "target as the observer named it"),
                "GAIN": (gain, "[e-/adu] gain"),
                "RDNOISE": (noise, "[adu] read noise"),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether enough pixels are good."""
        flags = self.Flags(0)
        if made.attributes["good_fraction"] < parameters.MINIMUM_GOOD_FRACTION:
            flags |= self.Flags.TOO_FEW_GOOD_PIXELS
        return int(flags)


def _count(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bit: MaskBit) -> int:
    return int(np.count_nonzero(mask & np.uint8(bit)))
