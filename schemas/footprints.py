"""How regions are found: by the zone of their centre and the size of the circle around them.

A region near a place has its centre within its own radius of it. Radii differ by orders of
magnitude, so regions are put into classes of size, each twice as large as the one before; a search
asks each class for centres as far away as its largest member reaches. The index is a b-tree on
(:func:`size_expression`, :func:`schemas.sphere.zone_expression`, right ascension).
"""

from __future__ import annotations

__all__ = ["MARGIN", "SIZES", "Reach", "reaches", "size_expression"]

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from schemas import sphere

#: Diameters, degrees, at which a new class of size begins; those above the last reach anywhere.
SIZES: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
#: What the diameter of the circle around is multiplied by: centres need not be exact.
MARGIN: Final = 1.01
#: Classes are asked as one where that makes the search wider by no more than this.
_TOGETHER: Final = 0.3
_LISTED: Final = 32


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the centres of some classes of size can be.

    Attributes
    ----------
    sizes
        Numbers of the classes, from 0.
    zones
        First and last zone of declination.
    ranges
        Ranges of right ascension; empty where every one occurs.
    """

    sizes: tuple[int, ...]
    zones: tuple[int, int]
    ranges: tuple[tuple[float, float], ...]

    @property
    def listed(self) -> bool:
        """Whether the zones are few enough to be said one by one."""
        return self.zones[1] - self.zones[0] < _LISTED


def size_expression(diameter: str) -> str:
    """SQL of the class of size of a region.

    Parameters
    ----------
    diameter
        SQL of the diameter of the circle around it, float8, degrees.
    """
    listed = ",".join(map(str, SIZES))
    return f"width_bucket({diameter}, '{{{listed}}}'::float8[])"


def reaches(cap: sphere.Cap) -> tuple[Reach, ...]:
    """Where the centres of regions that meet a cap can be, class by class."""
    bounds = [diameter / 2 * MARGIN + 1e-6 for diameter in SIZES] + [360.0]
    starts = [0]
    for size, bound in enumerate(bounds):
        if bound > bounds[starts[-1]] + _TOGETHER * cap.radius:
            starts.append(size)
    groups = [tuple(range(low, high)) for low, high in pairwise([*starts, len(bounds)])]
    found = []
    for group in groups:
        wide = sphere.Cap(cap.ra, cap.dec, min(cap.radius + bounds[group[-1]], 180.0))
        found.append(Reach(group, sphere.zones(wide), sphere.ra_ranges(wide)))
    return tuple(found)
