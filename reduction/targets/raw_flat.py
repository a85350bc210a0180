"""Raw flats, of the dome and of the twilight."""

from __future__ import annotations

__all__ = ["RawDomeFlatFrame", "RawFlatFrame", "RawTwilightFlatFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.targets.raw import (
    DUPLICATE,
    EMPTY,
    NO_NUMBERS,
    OTHER_SHAPE,
    SATURATED,
    RawCalibration,
)

if TYPE_CHECKING:
    from reduction.declared import ClassParameters
    from reduction.steps.raw_statistics import RawStatistics


class RawFlatFrame(RawCalibration):
    """What raw flats have in common."""

    @dataclass(frozen=True, slots=True)
    class Parameters(RawCalibration.Parameters):
        """Astro-WISE's names; of the raw pixels."""

        MAX_SATURATED: float = 0.1
        MIN_FLAT_MEAN: float = parameter(1500.0, "lowest mean level", unit="adu", at_least=0.0)
        MAX_FLAT_MEAN: float = parameter(60000.0, "highest mean level", unit="adu", above=0.0)

    class Flags(QualityFlags):
        """What can be wrong with a raw flat."""

        NO_NUMBERS = NO_NUMBERS
        EMPTY = EMPTY
        SATURATED = SATURATED
        DUPLICATE = DUPLICATE
        OTHER_SHAPE = OTHER_SHAPE
        TOO_FAINT = 8, "the mean is below MIN_FLAT_MEAN"
        TOO_BRIGHT = 16, "the mean is above MAX_FLAT_MEAN"

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: ClassParameters) -> int:
        """Compare the mean, too."""
        flags = cls.Flags(super().verify(measured, parameters))
        if measured.imstat.mean < parameters.MIN_FLAT_MEAN:
            flags |= cls.Flags.TOO_FAINT
        if measured.imstat.mean > parameters.MAX_FLAT_MEAN:
            flags |= cls.Flags.TOO_BRIGHT
        return int(flags)


class RawDomeFlatFrame(RawFlatFrame):
    """A raw dome flat."""


class RawTwilightFlatFrame(RawFlatFrame):
    """A raw twilight flat."""
