"""Reduced science frame: one chip of one exposure."""

from __future__ import annotations

__all__ = ["ReducedScienceFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.comparison import differs
from reduction.corrected import dark_signal, frame_sections, measured_gain
from reduction.depends import calibration, raw_frame
from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.steps.overscan import OverscanMethod
from reduction.steps.reduce import Fringes, Limits, Reduced, reduce_frame
from reduction.steps.statistics import image_statistics
from reduction.steps.weight import MaskBit
from reduction.target import FrameTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor


class ReducedScienceFrame(FrameTarget):
    """Raw frame without overscan, bias, dark current, flat field and fringes, weight and mask.

    Images: "IMAGE" (adu, NaN where there is no response), "WEIGHT" (relative, 0 is "do not
    use"), "MASK" (sum of :class:`reduction.steps.weight.MaskBit`, 0 is good). The overscan method
    is that of the bias. Frames of a camera that asks for "uncalibrated" are taken as they come:
    ``corrections`` says what was done.
    """

    VERSION = 5
    COST_S = 0.15

    raw = raw_frame("RawScienceFrame")
    bias = calibration("BiasFrame", when="!uncalibrated")
    flat = calibration("MasterFlatFrame", when="!uncalibrated")
    hot = calibration("HotPixelMap", when="!uncalibrated")
    cold = calibration("ColdPixelMap", when="!uncalibrated")
    read_noise = calibration("ReadNoise", when="!uncalibrated")
    gain = calibration("GainLinearity", required=False)
    dark = calibration("DarkCurrent", required=False, when="dark")
    fringe = calibration("FringeFrame", required=False, when="fringe")
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
    cosmic_events = attribute(int, "number of cosmic rays", ucd="meta.number")
    satellite_pixels = attribute(
        int, "number of pixels that satellites crossed", ucd="meta.number;instr.pixel"
    )
    satellites = attribute(int, "number of trails of satellites", ucd="meta.number")
    scale_factor = attribute(
        float,
        "what the fringes were multiplied with, 0 without sky; none where there is no pattern",
        unit="adu",
        ucd="arith.factor",
    )
    corrections = attribute(
        str, "what was done: overscan method, bias, dark, flat, fringe", ucd="meta.note"
    )
    good_fraction = attribute(
        float, "part of the pixels that can be used", ucd="meta.number;arith.ratio;instr.pixel"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Saturation, cosmic rays, satellites and fringes, and limits.

        SATURATION is Astro-WISE's ThresholdHigh and DEAD its ThresholdLow. The fringes' strength
        is measured in pixels below FRINGE_THRESHOLD_LOW and above FRINGE_THRESHOLD_HIGH. There is
        no ImageThreshold: that strength is the median over windows, which sources do not move.
        Astro-WISE's airmass at start and end is the raw frame's ``airmass``, that of mid-exposure.
        """

        GAIN: float = parameter(
            from_chip("gain"), "gain where none was measured", unit="electron/adu", above=0.0
        )
        READ_NOISE: float = parameter(
            from_chip("read_noise"), "read noise where none was measured", unit="adu", at_least=0.0
        )
        SATURATION: float = parameter(
            from_chip("saturation"),
            "level above which a raw pixel is saturated",
            unit="adu",
            above=0.0,
        )
        DEAD: float = parameter(
            0.0,
            "raw level up to which a pixel beside a saturated one is dead",
            unit="adu",
            at_least=0.0,
        )
        COSMIC_THRESHOLD: float = parameter(
            4.5, "cosmic rays stand out by this; 0 looks for none", unit="sigma", at_least=0.0
        )
        DETECTION_THRESHOLD: float = parameter(
            2.5,
            "a pixel counts for so much at most where trails are looked for; 0 looks for none",
            unit="sigma",
            at_least=0.0,
        )
        HOUGH_THRESHOLD: float = parameter(
            350.0, "shortest trail that is looked for", unit="pixel", above=0.0
        )
        FRINGE_THRESHOLD_LOW: float = parameter(
            -1.0,
            "dark fringes are below this, of the pattern",
            unit="sigma",
            at_least=-100.0,
            at_most=100.0,
        )
        FRINGE_THRESHOLD_HIGH: float = parameter(
            1.0,
            "bright fringes are above this, of the pattern",
            unit="sigma",
            at_least=-100.0,
            at_most=100.0,
        )
        MINIMUM_GOOD_FRACTION: float = parameter(
            0.5, "least part of the pixels that is good", at_least=0.0, at_most=1.0
        )
        MAXIMUM_GOOD_FRACTION_DIFFERENCE: float = parameter(
            0.1, "largest change of the good part from before", at_least=0.0, at_most=1.0
        )
        MAXIMUM_LEVEL_DIFFERENCE: float = parameter(
            0.05,
            "largest change of the median level, a part of that of before; a read "
            "noise more is no change",
            at_least=0.0,
        )

    class Flags(QualityFlags):
        """What can be wrong with a reduced frame."""

        TOO_FEW_GOOD_PIXELS = (
            1,
            "the part of the pixels that can be used is below MINIMUM_GOOD_FRACTION",
        )
        FRACTION_DIFFERS_FROM_PREVIOUS = (
            2,
            "that part differs from before by more than MAXIMUM_GOOD_FRACTION_DIFFERENCE",
        )
        LEVEL_DIFFERS_FROM_PREVIOUS = (
            4,
            "the median pixel differs from before by more than MAXIMUM_LEVEL_DIFFERENCE of it",
        )
        OTHER_CORRECTIONS = 8, "not the same was done to the raw pixels as before"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Trim, overscan, bias, dark, flat, fringes, mask, weight."""
        science, overscan = frame_sections(inputs.raw)
        gain = measured_gain(inputs.gain, parameters.GAIN)
        noise = inputs.read_noise
        noise = parameters.READ_NOISE if noise is None else float(noise["read_noise"])
        bias = inputs.bias
        reduced = reduce_frame(
            inputs.raw.images["RAW"],
            science,
            bias=_pedestal(inputs, science.shape),
            flat=_plane(inputs.flat, "FLAT", science.shape, np.float32),
            hot=_plane(inputs.hot, "MAP", science.shape, np.uint8),
            cold=_plane(inputs.cold, "MAP", science.shape, np.uint8),
            gain=gain,
            read_noise=noise,
            limits=Limits(
                saturation=parameters.SATURATION,
                dead=parameters.DEAD,
                cosmic=parameters.COSMIC_THRESHOLD,
                trail=parameters.DETECTION_THRESHOLD,
                line=parameters.HOUGH_THRESHOLD,
            ),
            overscan=overscan,
            overscan_method=OverscanMethod.NONE if bias is None else bias["overscan_correction"],
            fringes=_fringes(inputs, parameters),
        )
        return _made(inputs, reduced, gain, noise)

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether enough pixels are good."""
        flags = self.Flags(0)
        if made.attributes["good_fraction"] < parameters.MINIMUM_GOOD_FRACTION:
            flags |= self.Flags.TOO_FEW_GOOD_PIXELS
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether pixels went bad, have another level, or were corrected otherwise."""
        found, flags = made.attributes, self.Flags(0)
        limit = parameters.MAXIMUM_GOOD_FRACTION_DIFFERENCE
        if differs(previous, "good_fraction", found["good_fraction"], limit):
            flags |= self.Flags.FRACTION_DIFFERS_FROM_PREVIOUS
        level = previous.get("imstat.median") or 0.0
        limit = parameters.MAXIMUM_LEVEL_DIFFERENCE * abs(level) + found["noise"]
        if differs(previous, "imstat.median", found["imstat"].median, limit):
            flags |= self.Flags.LEVEL_DIFFERS_FROM_PREVIOUS
        if previous.get("corrections") not in (None, found["corrections"]):
            flags |= self.Flags.OTHER_CORRECTIONS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, mask, weights, and how often each value of good pixels occurs."""
        from reduction.layouts import plot_reduced

        plot_reduced(figure, self.images)


def _plane(
    progenitor: Progenitor | None, name: str, shape: tuple[int, int], dtype: type
) -> NDArray[Any]:
    """An image of a calibration; ones where there is none."""
    return np.ones(shape, dtype=dtype) if progenitor is None else progenitor.images[name]


def _pedestal(inputs: Inputs, shape: tuple[int, int]) -> NDArray[np.float32]:
    """What is subtracted from every pixel: bias, and dark current of the exposure time; adu."""
    bias = np.zeros(shape, np.float32) if inputs.bias is None else inputs.bias.images["BIAS"]
    dark = dark_signal(inputs.dark, inputs.raw)
    return bias if dark is None else bias + dark


def _fringes(inputs: Inputs, parameters: ReducedScienceFrame.Parameters) -> Fringes | None:
    if inputs.fringe is None:
        return None
    low, high = parameters.FRINGE_THRESHOLD_LOW, parameters.FRINGE_THRESHOLD_HIGH
    return Fringes(inputs.fringe.images["FRINGE"], low, high)


def _corrections(inputs: Inputs, reduced: Reduced) -> str:
    """What was done, as "overscan 6, bias, flat"; "none" for frames taken as they came."""
    bias = inputs.bias
    done = [f"overscan {bias['overscan_correction']}"] if bias is not None else []
    done += [name for name in ("bias", "dark", "flat") if getattr(inputs, name) is not None]
    done += ["fringe"] if reduced.fringe_scale else []
    return ", ".join(done) or "none"


def _made(inputs: Inputs, reduced: Reduced, gain: float, noise: float) -> Made:
    bad = reduced.mask != 0
    done = _corrections(inputs, reduced)
    return Made(
        images={"IMAGE": reduced.image, "WEIGHT": reduced.weight, "MASK": reduced.mask},
        attributes={
            "imstat": image_statistics(reduced.image, bad=bad),
            "effective_gain": gain,
            "noise": noise,
            "saturated_pixels": _count(reduced.mask, MaskBit.SATURATED),
            "cosmic_pixels": _count(reduced.mask, MaskBit.COSMIC),
            "cosmic_events": reduced.cosmic_events,
            "satellite_pixels": _count(reduced.mask, MaskBit.SATELLITE),
            "satellites": len(reduced.trails),
            "scale_factor": None if inputs.fringe is None else reduced.fringe_scale,
            "corrections": done,
            "good_fraction": 1.0 - float(bad.mean()),
        },
        cards={
            "BUNIT": ("adu", "unit of the pixels"),
            "EXPTIME": (inputs.raw["exptime"], "[s] integration time"),
            "MJD-OBS": (inputs.raw["mjd_obs"], "[d] start of the exposure"),
            "OBJECT": (inputs.raw["object"], "target as the observer named it"),
            "GAIN": (gain, "[e-/adu] gain"),
            "RDNOISE": (noise, "[adu] read noise"),
            "CORRECTN": (done, "what was done to the raw pixels"),
        },
    )


def _count(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bit: MaskBit) -> int:
    return int(np.count_nonzero(mask & np.uint8(bit)))
