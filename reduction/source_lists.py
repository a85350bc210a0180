"""What the lists of the sources of frames and of coadds have in common."""

from __future__ import annotations

__all__ = [
    "BLEMISHED",
    "DEPTH_CHANGED",
    "DEPTH_IMPOSSIBLE",
    "FEWER_SOURCES",
    "SEEING_CHANGED",
    "SourcesTarget",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reduction.attributes import attribute
from reduction.comparison import changed, differs_in_part, fell
from reduction.detection import N_CLEAN, N_SOURCES
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.seeing import SEEING
from reduction.steps.sources import SourceFlag
from reduction.target import Made, ProcessTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase

    from reduction.declared import ClassParameters

BLEMISHED: Final = (
    SourceFlag.TRUNCATED | SourceFlag.SATURATED | SourceFlag.MASKED | SourceFlag.NO_FLUX
)
"""Bits of a source whose flux is not to be believed."""

DEPTH_IMPOSSIBLE: Final = (
    2,
    "limiting_mag is not between MINIMUM_LIMITING_MAG and MAXIMUM_LIMITING_MAG",
)
"""Bit and sentence that both lists have."""

FEWER_SOURCES: Final = (4, "fewer sources than MINIMUM_KEPT of those before")
"""Bit and sentence that both lists have."""

SEEING_CHANGED: Final = (
    8,
    "the seeing differs from before by more than MAXIMUM_SEEING_CHANGE, a part of it",
)
"""Bit and sentence that both lists have."""

DEPTH_CHANGED: Final = (
    16,
    "limiting_mag is gone, or differs from before by more than MAXIMUM_DEPTH_DIFFERENCE",
)
"""Bit and sentence that both lists have."""


class SourcesTarget(ProcessTarget):
    """A list of sources: how many, how deep, how wide stars are."""

    n_sources = N_SOURCES
    n_clean = N_CLEAN
    limiting_mag = attribute(
        float, "5 sigma in the aperture at the median noise of the sky", unit="mag", ucd="phot.mag"
    )
    seeing = SEEING

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Limits."""

        MINIMUM_LIMITING_MAG: float = parameter(
            0.0,
            "a limiting magnitude below this is of no zero point",
            unit="mag",
            at_least=-30.0,
            at_most=50.0,
        )
        MAXIMUM_LIMITING_MAG: float = parameter(
            30.0,
            "a limiting magnitude above this is of no zero point",
            unit="mag",
            at_least=-30.0,
            at_most=50.0,
        )
        MINIMUM_KEPT: float = parameter(
            0.5, "least part of the sources of before that is no loss", at_least=0.0, at_most=1.0
        )
        MAXIMUM_SEEING_CHANGE: float = parameter(
            0.2, "largest change of the seeing, a part of that of before", at_least=0.0
        )
        MAXIMUM_DEPTH_DIFFERENCE: float = parameter(
            0.3, "largest loss of depth against before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a list of sources."""

        DEPTH_IMPOSSIBLE = DEPTH_IMPOSSIBLE
        FEWER_SOURCES = FEWER_SOURCES
        SEEING_CHANGED = SEEING_CHANGED
        DEPTH_CHANGED = DEPTH_CHANGED

    def verify(self, made: Made, parameters: ClassParameters) -> int:
        """Look whether the depth can be; without magnitudes, or sources, there is none."""
        depth = made.attributes["limiting_mag"]
        low, high = parameters.MINIMUM_LIMITING_MAG, parameters.MAXIMUM_LIMITING_MAG
        impossible = math.isfinite(depth) and not low <= depth <= high
        return int(self.Flags.DEPTH_IMPOSSIBLE) if impossible else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: ClassParameters) -> int:
        """See whether sources went missing, or seeing or depth are others."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_sources", found["n_sources"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_SOURCES
        if differs_in_part(previous, "seeing", found["seeing"], parameters.MAXIMUM_SEEING_CHANGE):
            flags |= self.Flags.SEEING_CHANGED
        depth, limit = found["limiting_mag"], parameters.MAXIMUM_DEPTH_DIFFERENCE
        if changed(previous, "limiting_mag", depth, limit):
            flags |= self.Flags.DEPTH_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Positions, magnitudes, their errors, and widths."""
        from reduction.layouts import plot_sources  # noqa: PLC0415  # matplotlib is slow to import

        plot_sources(figure, self.rows)
