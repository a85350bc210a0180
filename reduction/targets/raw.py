"""What raw frames have in common, and reference catalogues: ingested, never made, sacred."""

from __future__ import annotations

__all__ = [
    "DUPLICATE",
    "EMPTY",
    "NO_NUMBERS",
    "OTHER_SHAPE",
    "SATURATED",
    "RawCalibration",
    "RawFrame",
    "ReferenceCatalogue",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reduction.attributes import attribute, imstat
from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.target import DBObject

if TYPE_CHECKING:
    from reduction.declared import ClassParameters
    from reduction.steps.raw_statistics import RawStatistics

NO_NUMBERS: Final = (1, "more of the pixels than MAX_INVALID hold no number")
"""Bit and sentence that all raw frames have."""

EMPTY: Final = (2, "the pixels differ by less than MIN_RANGE")
"""Bit and sentence that all raw frames have."""

SATURATED: Final = (4, "more of the pixels than MAX_SATURATED are saturated")
"""Bit and sentence that all raw frames have."""


OTHER_SHAPE: Final = (64, "the pixels that see light are not SHAPE (ny, nx), as the chip's are")
"""Bit and sentence that all raw calibrations have: one that does not fit would stop the others."""


DUPLICATE: Final = (128, "the exposure came in another file before (duplicate_of), which is used")
"""Bit and sentence that all raw frames have."""


class RawFrame(DBObject):
    """One CCD of one exposure, as the telescope wrote it.

    It is judged when it is ingested. One with quality flags is not used, until a person who has
    looked at it sets its ``is_valid`` to 2.
    """

    name = attribute(str, "name of the raw file", ucd="meta.id;meta.file")
    object = attribute(str, "target or calibration as the observer named it", ucd="meta.id;src")
    exptime = attribute(float, "exposure time", unit="s", ucd="time.duration;obs.exposure")
    mjd_obs = attribute(float, "start of the exposure (UTC)", unit="d", ucd="time.start;obs")
    ra = attribute(float, "pointing, right ascension (ICRS)", unit="deg", ucd="pos.eq.ra")
    dec = attribute(float, "pointing, declination (ICRS)", unit="deg", ucd="pos.eq.dec")
    airmass = attribute(float, "airmass at mid-exposure", ucd="obs.airMass")
    imstat = imstat("adu")
    level = attribute(float, "median of the pixels that see light", unit="adu", ucd="phot.count")
    scatter = attribute(
        float, "their standard deviation without outliers", unit="adu", ucd="stat.stdev"
    )
    flatness = attribute(
        float,
        "largest minus smallest median of 32 sub-windows",
        unit="adu",
        ucd="phot.count;arith.diff;stat.max",
    )
    saturated = attribute(
        float, "part of the pixels that is saturated", ucd="instr.saturation;arith.ratio"
    )
    duplicate_of = attribute(
        int, "object_id of the frame that was used for this exposure when it came", ucd="meta.id"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Limits, which instruments may set otherwise."""

        SATURATION: float = parameter(
            from_chip("saturation"),
            "level above which a raw pixel is saturated",
            unit="adu",
            above=0.0,
        )
        MAX_SATURATED: float = parameter(
            0.5, "largest part of saturated pixels", at_least=0.0, at_most=1.0
        )
        MAX_INVALID: float = parameter(
            0.5, "largest part of pixels without a value", at_least=0.0, at_most=1.0
        )
        MIN_RANGE: float = parameter(
            1.0, "least difference of the largest and the smallest pixel", unit="adu", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a raw frame."""

        NO_NUMBERS = NO_NUMBERS
        EMPTY = EMPTY
        SATURATED = SATURATED
        DUPLICATE = DUPLICATE

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: ClassParameters) -> int:
        """Compare a frame with absolute limits.

        Returns
        -------
        int
            Bits of the class's ``Flags``.
        """
        flags = cls.Flags(0)
        if measured.invalid > parameters.MAX_INVALID:
            flags |= cls.Flags.NO_NUMBERS
        if measured.imstat.max - measured.imstat.min < parameters.MIN_RANGE:  # not for NaN
            flags |= cls.Flags.EMPTY
        if measured.saturated > parameters.MAX_SATURATED:
            flags |= cls.Flags.SATURATED
        return int(flags)


class RawCalibration(RawFrame):
    """A raw frame that is combined with others of its kind."""

    @dataclass(frozen=True, slots=True)
    class Parameters(RawFrame.Parameters):
        """Limits, which instruments may set otherwise."""

        MAX_SATURATED: float = 0.05
        MAX_INVALID: float = 0.1
        SHAPE: tuple[int, int] | None = parameter(
            from_chip("shape"),
            "pixels (ny, nx) that a frame has to have; none takes any",
            unit="pixel",
        )

    class Flags(QualityFlags):
        """What can be wrong with a raw calibration."""

        NO_NUMBERS = NO_NUMBERS
        EMPTY = EMPTY
        SATURATED = SATURATED
        DUPLICATE = DUPLICATE
        OTHER_SHAPE = OTHER_SHAPE

    @classmethod
    def verify(cls, measured: RawStatistics, parameters: ClassParameters) -> int:
        """Compare the shape, too; a SHAPE of None allows any."""
        flags = cls.Flags(super().verify(measured, parameters))
        if parameters.SHAPE is not None and measured.shape != tuple(parameters.SHAPE):
            flags |= cls.Flags.OTHER_SHAPE
        return int(flags)


class ReferenceCatalogue(DBObject):
    """A catalogue of stars with known positions, and magnitudes in some bands."""

    name = attribute(str, "name of the catalogue", ucd="meta.id;meta.dataset")
    n_stars = attribute(int, "number of stars", ucd="meta.number")
