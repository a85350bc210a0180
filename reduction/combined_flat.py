"""The common recipe of dome and twilight flats."""

from __future__ import annotations

__all__ = ["combined_flat"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.corrected import corrected, dark_signal, measured_gain
from reduction.steps.flat import combine_flats
from reduction.steps.statistics import image_statistics, median_level, sub_window_statistics
from reduction.target import Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.target import Inputs, Progenitor


def combined_flat(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    *,
    sigma_clip: float,
    nominal_gain: float,
    levels: tuple[float, float],
) -> Made:
    """Combine the usable ones of some raw flats.

    Parameters
    ----------
    inputs
        With ``bias``, ``read_noise``, ``gain`` and ``dark`` (may be None), and ``hot``.
    frames
        Raw flats of one filter.
    sigma_clip
        Rejection limit in standard deviations of photon and read noise.
    nominal_gain
        e-/adu, where no gain was measured.
    levels
        Frames whose median above the bias lies outside are left out, adu.

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
    images = []
    for raw in frames:
        image = corrected(raw, method=inputs.bias["overscan_correction"])
        signal = dark_signal(inputs.dark, raw)
        images.append(image if signal is None else image - signal)
    medians = [median_level(image - bias, bad=~good) for image in images]
    usable = [
        image
        for image, median in zip(images, medians, strict=True)
        if levels[0] <= median <= levels[1]
    ]
    if not usable:
        found = ", ".join(f"{median:.0f}" for median in medians)
        message = f"flats of {found} adu above the bias: expected {levels[0]:g} to {levels[1]:g}"
        raise UnprocessableError(message)
    flat = combine_flats(
        usable,
        bias=bias,
        gain=measured_gain(inputs.gain, nominal_gain),
        read_noise=inputs.read_noise["read_noise"],
        good=good,
        sigma_clip=sigma_clip,
    )
    return Made(
        images={"FLAT": flat.image},
        attributes={
            "imstat": image_statistics(flat.image, bad=~good),
            "level": float(np.mean(flat.levels)),
            "frames_used": len(usable),
            "outliers": flat.outliers,
            "flatness": sub_window_statistics(flat.image, bad=~good).flatness,
        },
    )
