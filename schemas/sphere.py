"""Points, circles and polygons on the sphere, in plain PostgreSQL.

A geometry is a ``float8[]`` in DALI form (DALI-1.1 3.3.5 to 3.3.7), ICRS degrees: a point is
``{ra, dec}``, a circle ``{ra, dec, radius}``, a polygon ``{ra1, dec1, ra2, dec2, ...}`` with great
circles between its corners. A polygon is the smaller of the two regions that its outline bounds,
whichever way round it is given.

:data:`FUNCTIONS` are the texts that make the functions of schema ``vo``; none needs an extension.
The loops of PL/pgSQL turn each position by one fixed rotation first: outlines through a pole or
along a meridian, which people do draw, are then no special cases.
"""

from __future__ import annotations

__all__ = [
    "FARTHEST",
    "FUNCTIONS",
    "ZONES_PER_DEGREE",
    "Cap",
    "bounding_cap",
    "box_corners",
    "ra_ranges",
    "turn_expression",
    "zone_bound",
    "zone_expression",
    "zones",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.catalogued import FUNCTIONS as _CATALOGUED
from schemas.sphere_functions import FUNCTIONS as _ON_OUTLINES
from schemas.sphere_healpix import FUNCTIONS as _ON_HEALPIX
from schemas.sphere_predicates import FUNCTIONS as _ON_REGIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Statements that make schema ``vo``, in the order in which they can run; each may run again.
FUNCTIONS: Final = (*_ON_OUTLINES, *_ON_REGIONS, *_ON_HEALPIX, *_CATALOGUED)
#: Zones of declination in the index of a table's positions: 3 arcmin each.
ZONES_PER_DEGREE: Final = 20
#: Numbers of degrees beyond this have no zone.
FARTHEST: Final = 1e6
#: Wider than rounding, in degrees: ranges for an index must not be too narrow.
_MARGIN: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap of the sphere, degrees."""

    ra: float
    dec: float
    radius: float


def zone_expression(dec: str) -> str:
    """SQL of the zone of a declination, as the index of positions has it.

    The index of a table's positions is a b-tree on this and on the right ascension.

    Parameters
    ----------
    dec
        SQL of the declination, an identifier already quoted.
    """
    return f"(floor(({dec} + 90) * {ZONES_PER_DEGREE})::int)"


def turn_expression(ra: str) -> str:
    """SQL of a right ascension brought into 0 to 360 degrees.

    The index of an uploaded table's positions has it: users' files also count from -180 to 180,
    or go on after a turn. Published right ascensions are within 0 to 360 as they are.

    Parameters
    ----------
    ra
        SQL of the right ascension, an identifier already quoted.
    """
    return f"({ra} - 360 * floor({ra} / 360))"


def zone_bound(dec: str) -> str:
    """SQL of a zone to compare others with; of a declination that is none too, whatever it is.

    Users' tables say by 1e30 that there is no declination, which no zone's number could hold.

    Parameters
    ----------
    dec
        SQL of the declination.
    """
    return zone_expression(f"least(greatest({dec}, -{FARTHEST:.0f}), {FARTHEST:.0f})")


def zones(cap: Cap) -> tuple[int, int]:
    """First and last zone that a cap reaches into."""
    low = max(cap.dec - cap.radius - _MARGIN, -90.0)
    high = min(cap.dec + cap.radius + _MARGIN, 90.0)
    return (
        math.floor((low + 90) * ZONES_PER_DEGREE),
        math.floor((high + 90) * ZONES_PER_DEGREE),
    )


def ra_ranges(cap: Cap) -> tuple[tuple[float, float], ...]:
    """Ranges of right ascension, within 0 to 360 degrees, that hold a cap.

    Returns
    -------
    tuple of pairs
        Empty where every right ascension occurs (the cap reaches a pole), two where it lies
        across zero.
    """
    if abs(cap.dec) + cap.radius >= 90.0 - _MARGIN:
        return ()
    ratio = math.sin(math.radians(cap.radius)) / math.cos(math.radians(cap.dec))
    half = math.degrees(math.asin(min(1.0, ratio))) + _MARGIN
    middle = cap.ra % 360.0
    low, high = middle - half, middle + half
    if low < 0.0:
        return ((low + 360.0, 360.0), (0.0, high))
    if high > 360.0:
        return ((low, 360.0), (0.0, high - 360.0))
    return ((low, high),)


def _vector(ra: float, dec: float) -> tuple[float, float, float]:
    lon, lat = math.radians(ra), math.radians(dec)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def bounding_cap(corners: Sequence[float]) -> Cap | None:
    """Find a cap that holds a polygon; None if the polygon is too large for a useful one.

    Parameters
    ----------
    corners
        ``ra1, dec1, ra2, dec2 ...``, degrees.

    Notes
    -----
    A cap of less than 90 degrees is convex: it holds the great circles between points in it, and
    so the smaller of the regions that they bound.
    """
    points = [_vector(*corners[n : n + 2]) for n in range(0, len(corners), 2)]
    x, y, z = (sum(axis) for axis in zip(*points, strict=True))
    length = math.sqrt(x * x + y * y + z * z)
    if length < 1e-6 * len(points):
        return None
    x, y, z = x / length, y / length, z / length
    farthest = max(
        math.atan2(
            math.dist((x, y, z), point) * math.dist((-x, -y, -z), point) / 2.0,
            x * point[0] + y * point[1] + z * point[2],
        )
        for point in points
    )
    if farthest > math.radians(80.0):
        return None
    ra, dec = math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.asin(max(-1, min(1, z))))
    return Cap(ra, dec, math.degrees(farthest) * (1 + 1e-9) + _MARGIN)


def box_corners(ra: float, dec: float, width: float, height: float) -> tuple[float, ...]:
    """Corners of a box, degrees: ``ra1, dec1 ...``, counter-clockwise on the sky.

    Raises
    ------
    ValueError
        If a side is not between 0 and 180 degrees.

    Notes
    -----
    ADQL-2.1 4.2.9: the sides are great circles that meet the arms of a cross at right angles.
    """
    if not (0.0 < width < 180.0 and 0.0 < height < 180.0):
        message = f"a box of {width:g} by {height:g} degrees, expected sides between 0 and 180"
        raise ValueError(message)
    lon, lat = math.radians(ra), math.radians(dec)
    centre = _vector(ra, dec)
    east = (-math.sin(lon), math.cos(lon), 0.0)
    north = (-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat))
    a, b = math.tan(math.radians(width) / 2), math.tan(math.radians(height) / 2)
    corners: list[float] = []
    for right, up in ((-a, -b), (a, -b), (a, b), (-a, b)):
        x, y, z = (c + right * e + up * n for c, e, n in zip(centre, east, north, strict=True))
        corners += [
            math.degrees(math.atan2(y, x)) % 360.0,
            math.degrees(math.atan2(z, math.hypot(x, y))),
        ]
    return tuple(corners)
