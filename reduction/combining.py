"""Process parameters of calibrations that are combined of many frames."""

from __future__ import annotations

__all__ = ["Combining"]

from dataclasses import dataclass

from reduction.parameters import from_chip, parameter


@dataclass(frozen=True)  # without slots, as another base may stand beside it
class Combining:
    """How values of many frames are rejected."""

    SIGMA_CLIP: float = parameter(
        3.0,
        "values further than this from the median of a pixel are left out",
        unit="sigma",
        above=0.0,
    )
    GAIN: float = parameter(
        from_chip("gain"), "gain where none was measured", unit="electron/adu", above=0.0
    )
