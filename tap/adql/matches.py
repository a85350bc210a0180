"""Matches of positions between tables, rearranged so that PostgreSQL looks each one up.

A plain join on "not farther than" falls to a sequential scan for every row, and ranges of right
ascension joined by OR do not use the index either. So the table whose positions are looked up
becomes a LATERAL subquery of three arms, one for each turn of the circle that the range may lie
on, after all other tables in FROM. Regions are looked up by the cap around what they shall meet.
"""

from __future__ import annotations

__all__ = ["Around", "Match", "Near", "conjuncts", "find_match", "find_outer_match"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from tap.adql import typed
from tap.adql.constants import constant
from tap.adql.functions import STANDARD
from tap.adql.grouping import parts
from tap.adql.kinds import Kind, column_of, kind_of
from tap.adql.regions import is_footprint, is_position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Match:
    """A stored table whose positions are looked up, and around what.

    Attributes
    ----------
    source
        The table; it comes last in FROM.
    others
        The relations before it.
    rest
        The conditions that are still to be tested.
    look
        Where and around what.
    """

    source: typed.Source
    others: tuple[typed.Relation, ...]
    rest: tuple[typed.Expr, ...]
    look: Around | Near


@dataclass(frozen=True, slots=True)
class Around:
    """Positions no farther than ``radius`` (degrees) from a centre, two expressions each.

    The look-up is the condition: ``operator`` is ``<`` or ``<=``.
    """

    place: tuple[typed.Reference, typed.Reference]
    centre: tuple[typed.Expr, typed.Expr]
    radius: typed.Expr
    operator: str

    @property
    def relation(self) -> str:
        """Alias of the table."""
        return self.place[0].relation


@dataclass(frozen=True, slots=True)
class Near:
    """Positions, or footprints, that the cap around a region may meet.

    The condition itself has still to be tested. ``place`` is one or the other: two coordinates, or
    the column with the footprint.
    """

    place: tuple[typed.Reference, typed.Reference] | typed.Reference
    region: typed.Expr

    @property
    def relation(self) -> str:
        """Alias of the table."""
        return (self.place if isinstance(self.place, typed.Reference) else self.place[0]).relation


def conjuncts(found: typed.Expr | None) -> Iterator[typed.Expr]:
    """Conditions that AND joins."""
    if isinstance(found, typed.Logical) and found.operator == "AND":
        for operand in found.operands:
            yield from conjuncts(operand)
    elif found is not None:
        yield found


def find_outer_match(join: typed.Join) -> Match | None:
    """Find a match in the ON of a LEFT or RIGHT join whose optional side is a stored table."""
    left, right = (join.left, join.right) if join.kind == "LEFT" else (join.right, join.left)
    if join.kind not in {"LEFT", "RIGHT"} or not isinstance(right, typed.Source):
        return None
    conditions = tuple(conjuncts(join.condition))
    for condition in conditions:
        for look in _looks(condition):
            if look.relation == right.alias:
                return Match(right, (left,), _rest(conditions, condition, look), look)
    return None


def _rest(
    conditions: Iterable[typed.Expr], condition: typed.Expr, look: Around | Near
) -> tuple[typed.Expr, ...]:
    """Conditions that a look-up leaves to be tested."""
    return tuple(each for each in conditions if isinstance(look, Near) or each is not condition)


def find_match(select: typed.Select) -> Match | None:
    """Find a match in WHERE or in the ON of inner joins; None if there is none.

    Of two tables that could both be looked up in, a published one is taken rather than an upload,
    then the one with fewer conditions of its own, and the later one if both have as many.
    """
    relations: list[typed.Relation] = []
    conditions: list[typed.Expr] = []
    for source in select.sources:
        _flatten(source, relations, conditions)
    conditions += conjuncts(select.where)
    sources = {each.alias: each for each in relations if isinstance(each, typed.Source)}
    candidates = [
        (condition, look)
        for condition in conditions
        for look in _looks(condition)
        if look.relation in sources
    ]
    order = list(sources)
    candidates.sort(
        key=lambda each: (
            sources[each[1].relation].uploaded,
            sum(_aliases(other) == {each[1].relation} for other in conditions),
            isinstance(each[1], Near),
            -order.index(each[1].relation),
        )
    )
    for condition, look in candidates:
        source = sources[look.relation]
        others = tuple(each for each in relations if each is not source)
        return Match(source, others, _rest(conditions, condition, look), look)
    return None


def _flatten(
    relation: typed.Relation, relations: list[typed.Relation], conditions: list[typed.Expr]
) -> None:
    if isinstance(relation, typed.Join) and relation.kind == "INNER":
        _flatten(relation.left, relations, conditions)
        _flatten(relation.right, relations, conditions)
        conditions += conjuncts(relation.condition)
    else:
        relations.append(relation)


_Pair: TypeAlias = tuple[typed.Expr, typed.Expr]


def _looks(condition: typed.Expr) -> Iterator[Around | Near]:
    """Ways to read a condition as a look-up in one table around what others say."""
    if not isinstance(condition, typed.Apply) or len(condition.arguments) != 2:
        return
    left, right = condition.arguments
    operator = condition.function.name
    if operator in {">", ">="}:
        left, right, operator = right, left, {">": "<", ">=": "<="}[operator]
    for call, other in ((left, right), (right, left)):
        if not isinstance(call, typed.Apply):
            continue
        name = call.function.name
        if name == "DISTANCE" and operator in {"<", "<="} and call is left:
            yield from _around(call.arguments, other, operator)
        elif name in {"CONTAINS", "INTERSECTS"} and _is_met(operator, constant(other)):
            circled = list(_in_circle(call))
            yield from circled or _near(call)


def _is_met(operator: str, value: float | None) -> bool:
    return (operator, value) in {("=", 1), ("<>", 0)}


def _around(
    arguments: Iterable[typed.Expr], radius: typed.Expr, operator: str
) -> Iterator[Around]:
    first, second = _points(arguments)
    for place, centre in ((first, second), (second, first)):
        mine = _aliases(place[0])
        used = {*_aliases(centre[0]), *_aliases(centre[1]), *_aliases(radius)}
        if is_position(place) and used and not used & mine:
            yield Around(place, centre, radius, operator)


def _in_circle(call: typed.Apply) -> Iterator[Around]:
    """Look-ups of a point in a circle, or of the circle's centre around the point."""
    one, other = call.arguments
    if call.function.name == "INTERSECTS" and kind_of(one.column) is not Kind.POINT:
        one, other = other, one
    circle = isinstance(other, typed.Apply) and other.function.name == "CIRCLE"
    if isinstance(other, typed.Apply) and circle and kind_of(one.column) is Kind.POINT:
        *centre, radius = other.arguments
        yield from _around((one, *centre), radius, "<=")


def _near(call: typed.Apply) -> Iterator[Near]:
    """Look-ups of positions or of footprints around any region.

    Around none that has a query in it: the cap around the region is written before the table,
    which the query may speak of.
    """
    for one, other in (call.arguments, call.arguments[::-1]):
        place = one.arguments if isinstance(one, typed.Apply) else ()
        used = _aliases(other)
        if not used or used & {*_aliases(one), _A_QUERY}:
            continue
        if is_footprint(one):
            yield Near(one, other)
        elif kind_of(one.column) is Kind.POINT and len(place) == 2 and is_position(place):
            yield Near(place, other)


def _points(arguments: Iterable[typed.Expr]) -> tuple[_Pair, _Pair]:
    flat: list[typed.Expr] = []
    for argument in arguments:
        if kind_of(argument.column) is not Kind.POINT:
            flat.append(argument)
        elif isinstance(argument, typed.Apply) and argument.function.name == "POINT":
            flat += argument.arguments
        else:
            flat += (typed.Apply(_DEGREES, each, (argument,)) for each in _COORDINATES)
    return (flat[0], flat[1]), (flat[2], flat[3])


_DEGREES: Final = column_of(Kind.DOUBLE)
_COORDINATES: Final = tuple(each for each in STANDARD if each.name in {"COORD1", "COORD2"})


#: In place of an alias, where an expression has a query in it.
_A_QUERY: Final = "a query"


def _aliases(found: typed.Expr) -> set[str]:
    if isinstance(found, typed.Reference):
        return {found.relation}
    if isinstance(found, typed.InQuery | typed.QueryValue):
        return {_A_QUERY}
    return {alias for part in parts(found) for alias in _aliases(part)}
