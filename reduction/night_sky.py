"""A night's science frames as frames of the sky: what flats and fringes are made from."""

from __future__ import annotations

__all__ = ["sky_frames"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.corrected import corrected, dark_signal
from reduction.steps.overscan import OverscanMethod
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor
    from reduction.target import Inputs


#: Multiples of it, modulo 1, fill the interval evenly.
_GOLDEN: Final = 0.618033988749895


def sky_frames(
    inputs: Inputs, *, levels: tuple[float, float], at_least: int, at_most: int
) -> list[NDArray[np.float32]]:
    """Debias the science frames whose sky is bright enough.

    Frames of another shape than the bias (without one, than most) are left out: a window, or
    binned.

    Parameters
    ----------
    inputs
        With ``raw_science_frames``, and ``bias``, ``dark`` and ``hot`` (may be None).
    levels
        Frames whose median above the bias lies outside are left out, adu.
    at_least, at_most
        Fewest frames that will do, and how many are kept in memory: of more, some from the whole
        night.

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
    raws = _of_one_shape(inputs.raw_science_frames, bias)
    # any beginning of this order is spread over the night
    for number in sorted(range(len(raws)), key=lambda i: i * _GOLDEN % 1.0):
        raw = raws[number]
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
        if len(frames) == at_most:
            break
    if len(frames) < at_least:
        found = ", ".join(f"{median:.0f}" for median in medians) or "none of the bias's shape,"
        message = (
            f"{at_least} science frames with a sky of {levels[0]:g} to {levels[1]:g} adu are "
            f"needed: found {found} adu"
        )
        raise ProgenitorMissingError(message)
    return frames


def _of_one_shape(raws: Sequence[Progenitor], bias: Progenitor | None) -> list[Progenitor]:
    """Those of the bias's shape, or of that of most."""
    shapes = [raw["science"].shape for raw in raws]
    if bias is not None:
        shape = bias.images["BIAS"].shape
    else:
        shape = max(shapes, key=shapes.count, default=None)
    return [raw for raw, own in zip(raws, shapes, strict=True) if own == shape]
