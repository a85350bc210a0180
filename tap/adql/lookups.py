"""The LATERAL subqueries that look positions or footprints up, one row of the others at a time."""

from __future__ import annotations

# ruff: noqa: S608  # texts come from the checked tree; users' words by tap/adql/literals.py alone

__all__ = ["Lookups"]

import math
from typing import TYPE_CHECKING, Final

from schemas import footprints, sphere
from tap.adql import literals, typed
from tap.adql.constants import constant
from tap.adql.matches import Around
from tap.adql.regions import circles_meet, footprint_columns, is_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap.adql.matches import Match, Near
    from tap.adql.regions import Regions

#: More zones than this, each an expression, are said as a range.
_FEW_ZONES: Final = 24
#: Turns of right ascension, and how far is looked on each where a pole is near: all, or nothing.
_TURNS: Final = (("", "360"), (" + 360", "-1"), (" - 360", "-1"))


class Lookups:
    """Writes the table of a match as a subquery that the table's index answers.

    Parameters
    ----------
    regions
        Writes geometry.
    relation
        Writes a table with its alias.
    write
        Writes any expression.
    """

    def __init__(
        self,
        regions: Regions,
        relation: Callable[[typed.Relation], str],
        write: Callable[[typed.Expr], str],
    ) -> None:
        self._regions, self._relation, self._write = regions, relation, write

    def sql(self, match: Match) -> str:
        """The subquery, under the alias of the table."""
        alias = match.source.alias
        source = self._relation(match.source)
        if isinstance(match.look, Around):
            arms = " UNION ALL ".join(
                f"SELECT {alias}.* FROM {source} WHERE {arm}" for arm in self._around(match.look)
            )
            return f"LATERAL ({arms}) AS {alias}"
        # OFFSET 0: the cap is computed once a row, not at each of its uses.
        cap = f"(SELECT vo.cap({self._write(match.look.region)}) AS c OFFSET 0) AS k"
        if isinstance(match.look.place, typed.Reference):
            found = self._footprints(match.look.place, source)
        else:
            found = self._positions(match.look, alias, source)
        return f"LATERAL (SELECT near.* FROM {cap}, LATERAL ({found}) AS near) AS {alias}"

    def _around(self, look: Around) -> Iterator[str]:
        ra, dec = self._regions.right_ascension(look.place), self._regions.text(look.place[1])
        around, latitude = (self._regions.text(part) for part in look.centre)
        if not is_published(look.centre):
            around = sphere.turn_expression(around)
        radius = self._regions.text(look.radius)
        exact = self._regions.within(
            look.place, look.centre, look.radius, operator=look.operator, found=False
        )
        inside = self._zones_near(sphere.zone_expression(dec), latitude, look.radius)
        for turn, pole in _TURNS:
            reach = f"vo.ra_reach({latitude}, {radius}, {pole})"
            middle = f"{around}{turn}"
            within = f"{ra} BETWEEN {middle} - {reach} AND {middle} + {reach}"
            yield f"{inside} AND {within} AND {exact}"

    def _zones_near(self, zone: str, latitude: str, radius: typed.Expr) -> str:
        limit = constant(radius)
        wide = min(limit or 0.0, 180.0)
        text = self._regions.text(radius) if limit is None else literals.double(wide)
        low = sphere.zone_bound(f"({latitude} - {text} - 1e-9)")
        count = 2 + math.floor(2 * (wide + 2e-9) * sphere.ZONES_PER_DEGREE) if wide else 0
        if not 0 < count <= _FEW_ZONES:
            high = sphere.zone_bound(f"({latitude} + {text} + 1e-9)")
            return f"{zone} BETWEEN {low} AND {high}"
        listed = ", ".join(f"{low} + {n}" for n in range(count))
        return f"{zone} = ANY (ARRAY[{listed}])"

    def _positions(self, look: Near, alias: str, source: str) -> str:
        """Positions in the cap ``k.c``; whether they are in the region is tested afterwards."""
        place: Sequence[typed.Expr] = look.place  # type: ignore[assignment]  # a pair
        ra, dec = self._regions.right_ascension(place), self._regions.text(place[1])
        inside = _zones(sphere.zone_expression(dec), "k.c[3]")
        return " UNION ALL ".join(
            f"SELECT {alias}.* FROM {source} WHERE {inside} AND {_range(ra, turn, 'k.c[3]', pole)}"
            for turn, pole in _TURNS
        )

    def _footprints(self, place: typed.Reference, source: str) -> str:
        """Footprints whose centre is as far from the cap ``k.c`` as their size reaches."""
        columns = footprint_columns(place)
        ra, zone = columns[0], sphere.zone_expression(columns[1])
        size = footprints.size_expression(columns[2])
        meets = circles_meet(columns, "k.c[1]", "k.c[2]", "k.c[3]")
        bounds = [f"{diameter / 2 * footprints.MARGIN + 1e-6}" for diameter in footprints.SIZES]
        classes = ", ".join(f"({n}, {bound}::float8)" for n, bound in enumerate([*bounds, "360"]))
        radius = "least(k.c[3] + z.reach, 180)"
        inside = _zones(zone, radius)
        return " UNION ALL ".join(
            f"SELECT {place.relation}.* FROM (VALUES {classes}) AS z (size, reach), {source}"
            f" WHERE {size} = z.size AND {inside} AND {_range(ra, turn, radius, pole)} AND {meets}"
            for turn, pole in _TURNS
        )


def _zones(zone: str, radius: str) -> str:
    low = sphere.zone_bound(f"(k.c[2] - {radius} - 1e-9)")
    high = sphere.zone_bound(f"(k.c[2] + {radius} + 1e-9)")
    return f"{zone} BETWEEN {low} AND {high}"


def _range(ra: str, turn: str, radius: str, pole: str) -> str:
    middle = f"{sphere.turn_expression('k.c[1]')}{turn}"
    reach = f"vo.ra_reach(k.c[2], {radius}, {pole})"
    return f"{ra} BETWEEN {middle} - {reach} AND {middle} + {reach}"
