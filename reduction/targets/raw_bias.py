"""Raw bias frames."""

from __future__ import annotations

__all__ = ["RawBiasFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.targets.raw import EMPTY, NO_NUMBERS, OTHER_SHAPE, SATURATED, RawCalibration

if TYPE_CHECKING:
    from reduction.steps.raw_statistics import RawStatistics


class RawBiasFrame(RawCalibration):
    """A raw bias."""

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; of the raw pixels, without outliers."""

        SATURATION: float = parameter(
            from_chip("saturation"),
            "level above which a raw pixel is saturated",
            unit="adu",
            above=0.0,
        )
        MAX_SATURATED: float = parameter(
            0.05, "largest part of saturated pixels", at_least=0.0, at_most=1.0
        )
        MAX_INVALID: float = parameter(
            0.1, "largest part of pixels without a value", at_least=0.0, at_most=1.0
        )
        MIN_RANGE: float = parameter(
            1.0, "least difference of the largest and the smallest pixel", unit="adu", at_least=0.0
        )
        SHAPE: tuple[int, int] | None = parameter(
            from_chip("shape"),
            "pixels (ny, nx) that a frame has to have; none takes any",
            unit="pixel",
        )
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
        OTHER_SHAPE = OTHER_SHAPE
        LEVEL_TOO_HIGH = 8, "the median is above MAX_BIAS_LEVEL: light got in"
        STDEV_TOO_LARGE = 16, "the scatter is above MAX_BIAS_STDEV"
        NOT_FLAT = 32, "the medians of 32 sub-windows spread by more than MAX_BIAS_FLATNESS"

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: Any) -> int:  # noqa: ANN401  # the class's Parameters
        """Compare level, scatter and flatness, too."""
        flags = cls.Flags(super().verify(measured, parameters))
        if measured.level > parameters.MAX_BIAS_LEVEL:
            flags |= cls.Flags.LEVEL_TOO_HIGH
        if measured.scatter > parameters.MAX_BIAS_STDEV:
            flags |= cls.Flags.STDEV_TOO_LARGE
        if measured.flatness > parameters.MAX_BIAS_FLATNESS:
            flags |= cls.Flags.NOT_FLAT
        return int(flags)
