"""Raw darks."""

from __future__ import annotations

__all__ = ["RawDarkFrame"]

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


class RawDarkFrame(RawCalibration):
    """A raw dark."""

    @dataclass(frozen=True, slots=True)
    class Parameters(RawCalibration.Parameters):
        """In Astro-WISE's manner; of the raw pixels, without outliers."""

        MAX_DARK_LEVEL: float = parameter(20000.0, "highest level", unit="adu", above=0.0)
        MAX_DARK_FLATNESS: float = parameter(
            2000.0, "largest difference between levels of sub-windows", unit="adu", above=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a raw dark."""

        NO_NUMBERS = NO_NUMBERS
        EMPTY = EMPTY
        SATURATED = SATURATED
        DUPLICATE = DUPLICATE
        OTHER_SHAPE = OTHER_SHAPE
        LEVEL_TOO_HIGH = 8, "the median is above MAX_DARK_LEVEL: light got in"
        NOT_FLAT = 16, "the medians of 32 sub-windows spread by more than MAX_DARK_FLATNESS"

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: ClassParameters) -> int:
        """Compare level and flatness, too."""
        flags = cls.Flags(super().verify(measured, parameters))
        if measured.level > parameters.MAX_DARK_LEVEL:
            flags |= cls.Flags.LEVEL_TOO_HIGH
        if measured.flatness > parameters.MAX_DARK_FLATNESS:
            flags |= cls.Flags.NOT_FLAT
        return int(flags)
