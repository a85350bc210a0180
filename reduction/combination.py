"""How regridded frames are combined: what all classes that do so let be chosen."""

from __future__ import annotations

__all__ = ["Combination"]

from dataclasses import dataclass

from reduction.parameters import parameter
from reduction.steps.coadd import CombineType


@dataclass(frozen=True, slots=True)
class Combination:
    """Combination as SWarp's."""

    COMBINE_TYPE: str = parameter(
        str(CombineType.CLIPPED),
        "how pixels are combined: weighted mean, or that without outliers",
        choices=CombineType,
    )
    CLIP_SIGMA: float = parameter(
        4.0,
        "CLIPPED leaves out what is further than this from the median",
        unit="sigma",
        above=0.0,
    )
    CLIP_AMPFRAC: float = parameter(
        1.5,
        "CLIPPED leaves out what is also further than this part of the largest "
        "median within three quarters of the worst seeing",
        at_least=0.0,
    )
    ZERO_POINT: float = parameter(
        25.0,
        "magnitude of a source of 1 adu/s on the coadd",
        unit="mag",
        at_least=0.0,
        at_most=50.0,
    )
