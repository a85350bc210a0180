"""What dome and twilight flats have in common."""

from __future__ import annotations

__all__ = ["CombinedFlat", "combined_flat"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.combining import Combining
from reduction.corrected import corrected, dark_signal, measured_gain
from reduction.depends import calibration
from reduction.flatness import FLATNESS, Flatness, FlatTarget
from reduction.frame_stack import FrameStack
from reduction.parameters import parameter
from reduction.steps.flat import combine_flats
from reduction.steps.statistics import image_statistics, median_level, sub_window_statistics
from reduction.target import Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.target import Inputs, Progenitor


class CombinedFlat(FlatTarget):
    """Mean of a night's raw flats of a kind and filter, weighted by their noise, of median 1."""

    bias = calibration("BiasFrame")
    read_noise = calibration("ReadNoise")
    gain = calibration("GainLinearity", required=False)
    dark = calibration("DarkCurrent", required=False, when="dark")
    hot = calibration("HotPixelMap")
    imstat = imstat("")
    level = attribute(float, "mean level of the raw flats", unit="adu", ucd="phot.count;stat.mean")
    frames_used = attribute(int, "number of raw flats used", ucd="meta.number;obs.image")
    outliers = attribute(int, "number of values rejected", ucd="meta.number;instr.pixel")
    flatness = FLATNESS

    @dataclass(frozen=True, slots=True)
    class Parameters(Combining, Flatness):
        """Astro-WISE's names."""

        SIGMA_CLIP: float = 5.0
        MIN_FLAT_MEAN: float = parameter(
            1000.0, "flats with a lower level are left out", unit="adu", at_least=0.0
        )
        MAX_FLAT_MEAN: float = parameter(
            60000.0, "flats with a higher level are left out", unit="adu", above=0.0
        )


def combined_flat(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    parameters: CombinedFlat.Parameters,
) -> Made:
    """Combine the usable ones of some raw flats.

    Parameters
    ----------
    inputs
        With ``bias``, ``read_noise``, ``gain`` and ``dark`` (may be None), and ``hot``.
    frames
        Raw flats of one filter.
    parameters
        SIGMA_CLIP rejects, in standard deviations of photon and read noise. Frames whose median
        above the bias is not between MIN_FLAT_MEAN and MAX_FLAT_MEAN (adu) are left out.

    Returns
    -------
    Made
        Image "FLAT" of median 1, and the attributes imstat, level, frames_used, outliers and
        flatness.

    Raises
    ------
    UnprocessableError
        If no frame has a usable level; says which levels there are.
    """
    bias, good = inputs.bias.images["BIAS"], inputs.hot.images["MAP"] == 1
    usable, medians = FrameStack(inputs.scratch, len(frames)), []
    for raw in frames:
        image = corrected(raw, method=inputs.bias["overscan_correction"])
        raw.forget()
        signal = dark_signal(inputs.dark, raw)
        if signal is not None:
            image -= signal
        medians.append(median_level(image - bias, bad=~good))
        if parameters.MIN_FLAT_MEAN <= medians[-1] <= parameters.MAX_FLAT_MEAN:
            usable.add(image)
    if not usable.frames:
        found = ", ".join(f"{median:.0f}" for median in medians)
        low, high = parameters.MIN_FLAT_MEAN, parameters.MAX_FLAT_MEAN
        message = f"flats of {found} adu above the bias: expected {low:g} to {high:g}"
        raise UnprocessableError(message)
    flat = combine_flats(
        usable.frames,
        bias=bias,
        gain=measured_gain(inputs.gain, parameters.GAIN),
        read_noise=inputs.read_noise["read_noise"],
        good=good,
        sigma_clip=parameters.SIGMA_CLIP,
    )
    return Made(
        images={"FLAT": flat.image},
        attributes={
            "imstat": image_statistics(flat.image, bad=~good),
            "level": float(np.mean(flat.levels)),
            "frames_used": len(usable.frames),
            "outliers": flat.outliers,
            "flatness": sub_window_statistics(flat.image, bad=~good).flatness,
        },
    )
