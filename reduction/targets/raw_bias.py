"""Raw bias frames."""

from __future__ import annotations

__all__ = ["RawBiasFrame"]

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


class RawBiasFrame(RawCalibration):
    """A raw bias."""

    @dataclass(frozen=True, slots=True)
    class Parameters(RawCalibration.Parameters):
        """Astro-WISE's names; of the raw pixels, without outliers."""

        MAX_BIAS_LEVEL: float = parameter(5000.0, "highest level", unit="adu", above=0.0)
        MAX_BIAS_STDEV: float = parameter(50.0, "largest scatter", unit="adu", above=0.0)
        MAX_BIAS_FLATNESS: float = parameter(
            100.0, "largest difference between levels of sub-windows", unit="adu", above=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a raw bias."""

        NO_NUMBERS = NO_NUMBERS
        EMPTY = EMPTY
        SATURATED = SATURATED
        DUPLICATE = DUPLICATE
        OTHER_SHAPE = OTHER_SHAPE
        LEVEL_TOO_HIGH = 8, "the median is above MAX_BIAS_LEVEL: light got in"
        STDEV_TOO_LARGE = 16, "the scatter is above MAX_BIAS_STDEV"
        NOT_FLAT = 32, "the medians of 32 sub-windows spread by more than MAX_BIAS_FLATNESS"

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: ClassParameters) -> int:
        """Compare level, scatter and flatness, too."""
        flags = cls.Flags(super().verify(measured, parameters))
        if measured.level > parameters.MAX_BIAS_LEVEL:
            flags |= cls.Flags.LEVEL_TOO_HIGH
        if measured.scatter > parameters.MAX_BIAS_STDEV:
            flags |= cls.Flags.STDEV_TOO_LARGE
        if measured.flatness > parameters.MAX_BIAS_FLATNESS:
            flags |= cls.Flags.NOT_FLAT
        return int(flags)
