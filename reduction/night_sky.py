"""A night's science frames as frames of the sky: what flats and fringes are made from."""

from __future__ import annotations

__all__ = ["FRAMES_USED", "SKY_LEVEL", "SkyFrames", "sky_frames"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.attributes import Attribute
from reduction.combining import Combining
from reduction.corrected import corrected, dark_signal
from reduction.parameters import parameter
from reduction.steps.overscan import OverscanMethod
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor
    from reduction.target import Inputs

SKY_LEVEL: Final = Attribute(
    float, "adu", "phot.count;stat.mean", description="mean level of the sky"
)
"""Above the bias, before anything is divided by it."""

FRAMES_USED: Final = Attribute(
    int, ucd="meta.number;obs.image", description="number of raw frames used"
)
"""Of those of the night."""

#: Multiples of it, modulo 1, fill the interval evenly.
_GOLDEN: Final = 0.618033988749895


@dataclass(frozen=True)  # without slots, as another base may stand beside it
class SkyFrames(Combining):
    """Which frames of a night are taken, and how they are combined; levels are above the bias."""

    MINIMUM_SKY_LEVEL: float = parameter(
        200.0, "frames with less sky are left out", unit="adu", at_least=0.0
    )
    MAXIMUM_SKY_LEVEL: float = parameter(
        50000.0, "frames with more sky are left out", unit="adu", above=0.0
    )
    MINIMUM_FRAMES: int = parameter(3, "frames that it takes", at_least=2)
    MAXIMUM_FRAMES: int = parameter(
        12, "frames taken at most, of more some from the whole night", at_least=2
    )


def sky_frames(inputs: Inputs, parameters: SkyFrames) -> list[NDArray[np.float32]]:
    """Debias the science frames whose sky is bright enough.

    Frames of another shape than the bias (without one, than most) are left out: a window, or
    binned.

    Parameters
    ----------
    inputs
        With ``raw_science_frames``, and ``bias``, ``dark`` and ``hot`` (may be None).
    parameters
        Frames whose median above the bias is not between MINIMUM_SKY_LEVEL and MAXIMUM_SKY_LEVEL
        are left out. MINIMUM_FRAMES will do, and MAXIMUM_FRAMES are kept in memory.

    Returns
    -------
    list of ndarray
        Frames without overscan, bias and dark current, adu, float32.

    Raises
    ------
    ProgenitorMissingError
        If too few frames are left; says which levels there are.
    """
    bias, low, high = inputs.bias, parameters.MINIMUM_SKY_LEVEL, parameters.MAXIMUM_SKY_LEVEL
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
        if low <= medians[-1] <= high:
            frames.append(frame)
        if len(frames) == parameters.MAXIMUM_FRAMES:
            break
    if len(frames) < parameters.MINIMUM_FRAMES:
        found = ", ".join(f"{median:.0f}" for median in medians) or "none of the bias's shape,"
        message = (
            f"{parameters.MINIMUM_FRAMES} science frames with a sky of {low:g} to {high:g} adu "
            f"are needed: found {found} adu"
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
