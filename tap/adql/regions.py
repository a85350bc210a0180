"""The geometry of ADQL-2.1 4.2 as SQL on DALI arrays and the functions of schema ``vo``.

Constants are folded. A point in a constant circle or polygon becomes, where the point is a table's
position, a list of zones and ranges of right ascension that the table's index answers, and then
the exact test.
"""

from __future__ import annotations

__all__ = [
    "Regions",
    "circles_meet",
    "footprint_columns",
    "is_footprint",
    "is_position",
    "is_published",
]

import math
from typing import TYPE_CHECKING, Final, TypeGuard

from schemas import footprints, sphere
from schemas.errors import QueryError
from tap.adql import literals, typed
from tap.adql.constants import CONSTRUCTORS, constant, constant_region
from tap.adql.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: More zones than this are said as a range, not as a list.
_MANY_ZONES: Final = 200


class Regions:
    """Writes calls of geometric functions.

    Parameters
    ----------
    write
        Writes any expression as SQL.
    """

    def __init__(self, write: Callable[[typed.Expr], str]) -> None:
        self._write = write

    def value(self, call: typed.Apply) -> str:
        """SQL of a geometric function's value."""
        name, arguments = call.function.name, call.arguments
        if name in {"CONTAINS", "INTERSECTS"}:
            return f"({self.predicate(call, found=False)})::int4"
        if name in CONSTRUCTORS:
            return self._construct(call)
        if name == "DISTANCE":
            return f"vo.distance({', '.join(self._pair(call))})"
        if name in {"COORD1", "COORD2"}:
            return self._coordinates(arguments[0])[0 if name == "COORD1" else 1]
        inner = self._write(arguments[0])
        if name == "COORDSYS":
            return f"(CASE WHEN {inner} IS NOT NULL THEN 'ICRS' END)"
        return f"vo.{name.lower()}({inner})"

    def predicate(self, call: typed.Apply, *, found: bool = True) -> str:
        """SQL of CONTAINS or INTERSECTS as a condition.

        Parameters
        ----------
        call
            The function with its arguments.
        found
            Whether rows are wanted for which it holds, and no others: then it may be false where
            the exact answer is NULL, and an index may be used.
        """
        exact = self._exactly(call, found=found)
        for one, other in (call.arguments, call.arguments[::-1]):
            if found and is_footprint(one):
                near = self._footprints_near(one, other)
                return f"({near}{exact})" if near else exact
        return exact

    def _exactly(self, call: typed.Apply, *, found: bool) -> str:
        one, other = call.arguments
        kinds = kind_of(one.column), kind_of(other.column)
        if call.function.name == "INTERSECTS":
            if Kind.POINT not in kinds:
                pair = f"{self._write(one)}, {self._write(other)}"
                return f"vo.intersects({pair})"
            if kinds[0] is not Kind.POINT:
                one, other, kinds = other, one, (kinds[1], kinds[0])
        if kinds[0] is Kind.POINT and isinstance(other, typed.Apply):
            if other.function.name == "CIRCLE":
                *centre, radius = self._flat(other.arguments)
                return self.within(self._flat((one,)), centre, radius, found=found)
            if other.function.name in {"POLYGON", "BOX"}:
                return self._in_polygon(one, other, found=found)
        return f"vo.contains({self._write(one)}, {self._write(other)})"

    def _footprints_near(self, footprint: typed.Reference, region: typed.Expr) -> str:
        """SQL that the index of footprints answers, for a constant region of use; else empty."""
        if not isinstance(region, typed.Apply):
            return ""
        numbers = self._corners(region)
        if numbers is None:
            return ""
        cap = _cap(numbers)
        if cap is None or abs(cap.dec) > 90 or not 0 <= cap.radius < 90:
            return ""
        place = footprint_columns(footprint)
        arms = " OR ".join(_arm(place, each) for each in footprints.reaches(cap))
        ra, dec, radius = (literals.double(number) for number in (cap.ra, cap.dec, cap.radius))
        return f"({arms}) AND {circles_meet(place, ra, dec, radius)} AND "

    def distance_below(
        self, call: typed.Apply, radius: typed.Expr, operator: str, *, found: bool
    ) -> str:
        """SQL of ``DISTANCE(...) < radius`` or ``<=``; ``found`` as in :meth:`predicate`."""
        flat = self._flat(call.arguments)
        return self.within(flat[:2], flat[2:], radius, operator=operator, found=found)

    def within(
        self,
        one: Sequence[typed.Expr | str],
        other: Sequence[typed.Expr | str],
        radius: typed.Expr | str,
        *,
        operator: str = "<=",
        found: bool,
    ) -> str:
        """SQL of: two positions are no farther from each other than a radius.

        ``found`` is as in :meth:`predicate`: the conditions that an index answers are false, not
        NULL, for a position whose right ascension is NULL and whose declination is elsewhere.
        """
        points = ", ".join(self.text(part) for part in (*one, *other))
        limit = None if isinstance(radius, str) else constant(radius)
        if limit is None:
            exact = f"vo.within({points}, {self.text(radius)})"
            if operator == "<":
                exact = f"vo.distance({points}) < {self.text(radius)}"
            return exact
        if limit < 0 or (limit == 0 and operator == "<"):
            return f"(vo.haversine({points}) < 0::float8)"
        bound = math.sin(math.radians(min(limit, 180.0)) / 2) ** 2
        if limit >= 180.0 + (operator == "<") * 1e-9:
            bound = 2.0
        exact = f"vo.haversine({points}) {operator} {literals.double(bound)}"
        for place, centre in ((one, other), (other, one)):
            if found and is_position(place):
                return f"({self._near(place, centre, limit)}{exact})"
        return f"({exact})"

    def _near(
        self, place: Sequence[typed.Expr | str], centre: Sequence[typed.Expr | str], radius: float
    ) -> str:
        ra, zone = self.right_ascension(place), sphere.zone_expression(self.text(place[1]))
        numbers = [None if isinstance(part, str) else constant(part) for part in centre]
        if numbers[0] is not None and numbers[1] is not None:
            if abs(numbers[1]) > 90:
                return ""
            return self._near_constant(ra, zone, sphere.Cap(numbers[0], numbers[1], radius))
        if radius > 10:
            return ""
        other = self.text(centre[1])
        low, high = (
            sphere.zone_bound(f"({other} {sign} {literals.double(radius + 1e-9)})")
            for sign in "-+"
        )
        return f"{zone} BETWEEN {low} AND {high} AND "

    def _near_constant(self, ra: str, zone: str, cap: sphere.Cap) -> str:
        first, last = sphere.zones(cap)
        if last - first < _MANY_ZONES:
            listed = ",".join(map(str, range(first, last + 1)))
            inside = f"{zone} = ANY ('{{{listed}}}'::int[])"
        else:
            inside = f"{zone} BETWEEN {first} AND {last}"
        ranges = sphere.ra_ranges(cap)
        if not ranges:
            return f"{inside} AND "
        arms = [
            f"({inside} AND {ra} BETWEEN {literals.double(low)} AND {literals.double(high)})"
            for low, high in ranges
        ]
        return f"({' OR '.join(arms)}) AND "

    def right_ascension(self, place: Sequence[typed.Expr | str]) -> str:
        """SQL of a position's right ascension, as the index of its table has it."""
        written = self.text(place[0])
        return written if is_published(place) else sphere.turn_expression(written)

    def _in_polygon(self, point: typed.Expr, polygon: typed.Apply, *, found: bool) -> str:
        place = self._flat((point,))
        ra, dec = (self.text(part) for part in place)
        exact = f"vo.outline_has(vo.outline({self._write(polygon)}), {ra}, {dec})"
        corners = self._corners(polygon)
        cap = sphere.bounding_cap(corners) if corners else None
        if cap is None:
            return exact
        bound = math.sin(math.radians(cap.radius) / 2) ** 2
        centre = f"{literals.double(cap.ra)}, {literals.double(cap.dec)}"
        exact = f"vo.haversine({ra}, {dec}, {centre}) <= {literals.double(bound)} AND {exact}"
        if found and is_position(place):
            turned = self.right_ascension(place)
            exact = self._near_constant(turned, sphere.zone_expression(dec), cap) + exact
        return f"({exact})"

    def _corners(self, call: typed.Apply) -> tuple[float, ...] | None:
        try:
            return constant_region(call)
        except ValueError as error:
            raise QueryError(str(error)) from None

    def _construct(self, call: typed.Apply) -> str:
        numbers = self._corners(call)
        if numbers is not None:
            return literals.array(numbers)
        flat = [self.text(part) for part in self._flat(call.arguments)]
        if call.function.name == "BOX":
            return f"vo.box({', '.join(flat)})"
        known = " AND ".join(f"{part} IS NOT NULL" for part in flat)
        return f"(CASE WHEN {known} THEN ARRAY[{', '.join(flat)}] END)"

    def _pair(self, call: typed.Apply) -> list[str]:
        return [self.text(part) for part in self._flat(call.arguments)]

    def _flat(self, arguments: Sequence[typed.Expr]) -> list[typed.Expr | str]:
        """Coordinates of points, and the numbers beside them, in order."""
        flat: list[typed.Expr | str] = []
        for argument in arguments:
            if kind_of(argument.column) is not Kind.POINT:
                flat.append(argument)
            elif isinstance(argument, typed.Apply) and argument.function.name == "POINT":
                flat += argument.arguments
            else:
                flat += self._coordinates(argument)
        return flat

    def _coordinates(self, point: typed.Expr) -> tuple[str, str]:
        if isinstance(point, typed.Apply) and point.function.name == "POINT":
            first, second = (self.text(part) for part in point.arguments)
            return first, second
        whole = self._write(point)
        return f"({whole})[1]", f"({whole})[2]"

    def text(self, part: typed.Expr | str) -> str:
        """SQL of a number as float8."""
        if isinstance(part, str):
            return part
        number = constant(part)
        if number is not None:
            return literals.double(number)
        written = self._write(part)
        return written if kind_of(part.column) is Kind.DOUBLE else f"{written}::float8"


def is_position(
    place: Sequence[typed.Expr | str],
) -> TypeGuard[tuple[typed.Reference, typed.Reference]]:
    """Whether two coordinates are the position of one stored table, for which it has an index."""
    ra, dec = place
    return (
        isinstance(ra, typed.Reference)
        and isinstance(dec, typed.Reference)
        and ra.relation == dec.relation
        and ra.table is not None
        and ra.table.position == (ra.name, dec.name)
    )


def is_published(place: Sequence[typed.Expr | str]) -> bool:
    """Whether they are the position of a published table, right ascensions within 0 to 360."""
    return is_position(place) and not place[0].uploaded


def _cap(numbers: tuple[float, ...]) -> sphere.Cap | None:
    if len(numbers) > 3:
        return sphere.bounding_cap(numbers)
    return sphere.Cap(numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 0.0)


def is_footprint(found: typed.Expr) -> TypeGuard[typed.Reference]:
    """Whether an expression is the column of regions for which a stored table has an index."""
    return (
        isinstance(found, typed.Reference)
        and found.table is not None
        and found.table.footprint is not None
        and found.table.footprint[0] == found.name
    )


def footprint_columns(found: typed.Reference) -> tuple[str, str, str]:
    """SQL of centre and diameter of the circle around a footprint."""
    if found.table is None or found.table.footprint is None:
        message = f"the column {found.name} has no index of footprints"
        raise ValueError(message)
    ra, dec, diameter = (
        f"{found.relation}.{literals.identifier(name)}" for name in found.table.footprint[1:]
    )
    return ra, dec, diameter


def circles_meet(place: tuple[str, str, str], ra: str, dec: str, radius: str) -> str:
    """SQL of: the circle around a footprint meets another one; cheap, and never too seldom."""
    around = f"{radius} + {footprints.MARGIN / 2} * {place[2]} + 1e-6"
    return f"vo.within({place[0]}, {place[1]}, {ra}, {dec}, {around})"


def _arm(place: tuple[str, str, str], reach: footprints.Reach) -> str:
    """SQL of: the centre is where those of some classes of size can be."""
    ra, zone = place[0], sphere.zone_expression(place[1])
    size = footprints.size_expression(place[2])
    first, last = reach.zones
    sizes = ",".join(map(str, reach.sizes))
    said = f"{size} = ANY ('{{{sizes}}}'::int[])"
    if reach.listed:
        listed = ",".join(map(str, range(first, last + 1)))
        said += f" AND {zone} = ANY ('{{{listed}}}'::int[])"
    else:
        said += f" AND {zone} BETWEEN {first} AND {last}"
    if not reach.ranges:
        return f"({said})"
    ranges = " OR ".join(
        f"({said} AND {ra} BETWEEN {literals.double(low)} AND {literals.double(high)})"
        for low, high in reach.ranges
    )
    return f"({ranges})" if len(reach.ranges) > 1 else ranges
