"""A night's science frames as frames of the sky: what flats and fringes are made from."""

from __future__ import annotations

__all__ = ["sky_frames"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.corrected import corrected, dark_signal
from reduction.steps.overscan import OverscanMethod
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.target import Inputs


def sky_frames(
    inputs: Inputs, *, levels: tuple[float, float], at_least: int
) -> list[NDArray[np.float32]]:
    """Debias the science frames whose sky is bright enough.

    Parameters
    ----------
    inputs
        With ``raw_science_frames``, and ``bias``, ``dark`` and ``hot`` (may be None).
    levels
        Frames whose median above the bias lies outside are left out, adu.
    at_least
        Fewest frames that will do.

    Returns
    -------
    list of ndarray
        Frames without overscan, bias and dark current, adu, float32.

    Raises
    ------
    ProgenitorMissingError
        If too few frames are left; says which levels there are.
    """
    bias = inputs.bias
    method = OverscanMethod.NONE if bias is None else bias["overscan_correction"]
    frames, medians = [], []
    for raw in inputs.raw_science_frames:
        frame = corrected(raw, method=method)
        raw.forget()
        if bias is not None:
            frame -= bias.images["BIAS"]
        signal = dark_signal(inputs.dark, raw)
        if signal is not None:
            frame -= signal
        medians.append(float(np.nanmedian(frame[::4, ::4])))
        if levels[0] <= medians[-1] <= levels[1]:
            frames.append(frame)
    if len(frames) < at_least:
        found = ", ".join(f"{median:.0f}" for median in medians)
        message = (
            f"{at_least} science frames with a sky of {levels[0]:g} to {levels[1]:g} adu are "
            f"needed: found {found} adu"
        )
        raise ProgenitorMissingError(message)
    return frames
