"""What is said of every flat: by how much its level may differ over the chip, and from before."""

from __future__ import annotations

__all__ = ["FLATNESS", "FLATNESS_DIFFERS", "NOT_FLAT", "FlatTarget", "Flatness"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reduction.attributes import Attribute
from reduction.comparison import differs
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.target import Anchor, CalibrationTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reduction.declared import ClassParameters
    from reduction.target import Made

FLATNESS: Final = Attribute(
    float,
    ucd="phot.count;arith.diff;stat.max",
    description="largest minus smallest median of 32 sub-windows",
)
"""See :func:`reduction.steps.statistics.sub_window_statistics`; of a flat, which has no unit."""

NOT_FLAT: Final = "the medians of 32 sub-windows spread more than MAXIMUM_SUBWIN_FLATNESS"
"""Sentence of the flag NOT_FLAT, whatever its bit."""

FLATNESS_DIFFERS: Final = (
    "that spread differs from the previous version's by more than MAXIMUM_SUBWIN_DIFF"
)
"""Sentence of the flag FLATNESS_DIFFERS_FROM_PREVIOUS, whatever its bit."""


@dataclass(frozen=True)  # without slots, as another base may stand beside it
class Flatness:
    """Limits for the spread of the medians of sub-windows, as a part of the flat's level."""

    MAXIMUM_SUBWIN_FLATNESS: float = parameter(
        1.0, "largest difference between levels of sub-windows", at_least=0.0
    )
    MAXIMUM_SUBWIN_DIFF: float = parameter(
        0.2, "largest change from before of the difference of sub-windows", at_least=0.0
    )


class FlatTarget(CalibrationTarget):
    """A flat, of median 1; its class declares ``flatness``, which is judged here."""

    ANCHOR = Anchor.NIGHT_AND_FILTER

    class Flags(QualityFlags):
        """What can be wrong with a flat."""

        NOT_FLAT = 1, NOT_FLAT
        FLATNESS_DIFFERS_FROM_PREVIOUS = 2, FLATNESS_DIFFERS

    def verify(self, made: Made, parameters: ClassParameters) -> int:
        """Compare the flatness with its limit."""
        far = made.attributes["flatness"] > parameters.MAXIMUM_SUBWIN_FLATNESS
        return int(self.Flags.NOT_FLAT) if far else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: ClassParameters) -> int:
        """Compare the flatness with the previous version's."""
        flatness, limit = made.attributes["flatness"], parameters.MAXIMUM_SUBWIN_DIFF
        changed = differs(previous, "flatness", flatness, limit)
        return int(self.Flags.FLATNESS_DIFFERS_FROM_PREVIOUS) if changed else 0
