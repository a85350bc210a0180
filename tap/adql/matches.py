"""Matches of positions between tables, rearranged so that PostgreSQL looks each one up.

A plain join on "not farther than" falls to a sequential scan for every row, and ranges of right
ascension joined by OR do not use the index either. So the table whose positions are looked up
becomes a LATERAL subquery of three arms, one for each turn of the circle that the range may lie
on, after all other tables in FROM.
"""

from __future__ import annotations

__all__ = ["Match", "conjuncts", "find_match", "find_outer_match"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap.adql import typed
from tap.adql.grouping import parts
from tap.adql.kinds import Kind, kind_of
from tap.adql.regions import constant, is_position

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
    condition
        The condition that the look-up fulfils.
    rest
        All other conditions.
    place, centre
        Coordinates in the table, and those around which is looked; two expressions each.
    radius
        Degrees.
    operator
        ``<`` or ``<=``.
    """

    source: typed.Source
    others: tuple[typed.Relation, ...]
    condition: typed.Expr
    rest: tuple[typed.Expr, ...]
    place: tuple[typed.Expr, typed.Expr]
    centre: tuple[typed.Expr, typed.Expr]
    radius: typed.Expr
    operator: str


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
        for place, centre, radius, operator in _pairs(condition):
            if place[0].relation == right.alias:
                rest = tuple(each for each in conditions if each is not condition)
                return Match(right, (left,), condition, rest, place, centre, radius, operator)
    return None


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
        (condition, *pair)
        for condition in conditions
        for pair in _pairs(condition)
        if pair[0][0].relation in sources
    ]
    order = list(sources)
    candidates.sort(
        key=lambda each: (
            sources[each[1][0].relation].uploaded,
            sum(_aliases(other) == {each[1][0].relation} for other in conditions),
            -order.index(each[1][0].relation),
        )
    )
    for condition, place, centre, radius, operator in candidates:
        source = sources[place[0].relation]
        others = tuple(each for each in relations if each is not source)
        rest = tuple(each for each in conditions if each is not condition)
        return Match(source, others, condition, rest, place, centre, radius, operator)
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


_Place = tuple[typed.Reference, typed.Reference]
_Pair = tuple[_Place, tuple[typed.Expr, typed.Expr], typed.Expr, str]


def _pairs(condition: typed.Expr) -> Iterator[_Pair]:
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
        points: _Points | None = None
        radius: typed.Expr | None = other
        if name == "DISTANCE" and operator in {"<", "<="} and call is left:
            points = _points(call.arguments)
        elif name in {"CONTAINS", "INTERSECTS"} and operator == "=" and constant(other) == 1:
            points, radius = _point_and_circle(call)
            operator = "<="
        if points is None or radius is None:
            continue
        for place, centre in (points, points[::-1]):
            mine = _aliases(place[0])
            used = {*_aliases(centre[0]), *_aliases(centre[1]), *_aliases(radius)}
            if is_position(place) and used and not used & mine:
                yield place, centre, radius, operator  # type: ignore[misc]  # a position is


_Points = tuple[tuple[typed.Expr, typed.Expr], tuple[typed.Expr, typed.Expr]]


def _point_and_circle(call: typed.Apply) -> tuple[_Points | None, typed.Expr | None]:
    one, other = call.arguments
    if call.function.name == "INTERSECTS" and kind_of(one.column) is not Kind.POINT:
        one, other = other, one
    if not isinstance(other, typed.Apply) or other.function.name != "CIRCLE":
        return None, None
    *centre, radius = other.arguments
    return _points((one, *centre)), radius


def _points(arguments: Iterable[typed.Expr]) -> _Points | None:
    flat: list[typed.Expr] = []
    for argument in arguments:
        if kind_of(argument.column) is not Kind.POINT:
            flat.append(argument)
        elif isinstance(argument, typed.Apply) and argument.function.name == "POINT":
            flat += argument.arguments
        else:
            return None
    return ((flat[0], flat[1]), (flat[2], flat[3])) if len(flat) == 4 else None


def _aliases(found: typed.Expr) -> set[str]:
    if isinstance(found, typed.Reference):
        return {found.relation}
    if isinstance(found, typed.InQuery | typed.QueryValue):
        return {"a query"}
    return {alias for part in parts(found) for alias in _aliases(part)}
