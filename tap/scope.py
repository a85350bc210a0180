"""What a checked query touches: the targets that must be fresh before it is answered.

Only constraints that every row of the answer must meet narrow the scope: comparisons joined by AND
in the WHERE clause (or in the ON of an inner join) on columns of a stored table. Everything else,
and everything not understood, leaves the scope wide.
"""

from __future__ import annotations

__all__ = ["scope_of"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reduction.scope import Circle, Scope
from schemas import sphere
from tap.adql import typed
from tap.adql.constants import constant, constant_region
from tap.adql.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap.adql.checker import Checked

#: Columns, as published, whose values say which targets a row comes from.
_WORDS: Final = {
    "obs_publisher_did": "datasets",
    "instrument_name": "instruments",
    "instrument": "instruments",
    "chip": "chips",
    "filter": "filters",
}
#: Columns with a row's moment or its bounds, MJD.
_TIMES: Final = {"t_min", "t_max", "t_mid"}
_REGIONS: Final = {"s_region"}
_POSITIONS: Final = {("s_ra", "s_dec")}
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


@dataclass(slots=True)
class _Use:
    """One use of a stored table in the query, and what is known of its rows."""

    source: typed.Source
    words: dict[str, frozenset[str]] = field(default_factory=dict)
    low: float = float("-inf")
    high: float = float("inf")
    region: Circle | None = None

    def scope(self) -> Scope:
        known = self.low > float("-inf") or self.high < float("inf")
        return Scope(
            classes=frozenset(self.source.table.freshness),
            region=self.region,
            time=(self.low, self.high) if known else None,
            **self.words,
        )


def scope_of(checked: Checked) -> Scope:
    """Find what must be fresh for a query's answer to be right.

    Parameters
    ----------
    checked
        From :func:`tap.adql.check`.

    Returns
    -------
    Scope
        The union of what each use of a table in the query needs; ``classes`` is empty if no table
        of the query is filled by targets.
    """
    scopes = [use.scope() for use in _uses_in_query(checked.query)]
    needed = [scope for scope in scopes if scope.classes]
    if not needed:
        return Scope(frozenset())
    union = needed[0]
    for scope in needed[1:]:
        union = _united(union, scope)
    return union


def _united(one: Scope, other: Scope) -> Scope:
    return Scope(
        classes=one.classes | other.classes,
        instruments=_both(one.instruments, other.instruments),
        chips=_both(one.chips, other.chips),
        filters=_both(one.filters, other.filters),
        region=one.region if one.region == other.region else None,
        time=None
        if one.time is None or other.time is None
        else (min(one.time[0], other.time[0]), max(one.time[1], other.time[1])),
        datasets=_both(one.datasets, other.datasets),
    )


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other


def _uses_in_query(query: typed.Query) -> Iterator[_Use]:
    for each in query.common:
        yield from _uses_in_query(each.query)
    yield from _uses_in_body(query.body)
    for term in query.order:
        if term.expression is not None:
            yield from _uses_in_expression(term.expression)


def _uses_in_body(body: typed.Select | typed.SetOperation | typed.Query) -> Iterator[_Use]:
    if isinstance(body, typed.Query):
        yield from _uses_in_query(body)
        return
    if isinstance(body, typed.SetOperation):
        yield from _uses_in_query(body.left)
        yield from _uses_in_query(body.right)
        return
    narrowed: dict[str, _Use] = {}
    for source in body.sources:
        yield from _uses_in_relation(source, narrowed, inner=True)
    if body.where is not None:
        _narrow(body.where, narrowed)
    yield from narrowed.values()
    expressions = [item.expression for item in body.items] + list(body.groups)
    expressions += [part for part in (body.where, body.having) if part is not None]
    for expression in expressions:
        yield from _uses_in_expression(expression)


def _uses_in_relation(
    relation: typed.Relation, narrowed: dict[str, _Use], *, inner: bool
) -> Iterator[_Use]:
    """Uses that nothing narrows; those that WHERE may narrow are put into ``narrowed``."""
    if isinstance(relation, typed.Derived):
        yield from _uses_in_query(relation.query)
    elif isinstance(relation, typed.Source):
        if inner:
            narrowed[relation.alias] = _Use(relation)
        else:
            yield _Use(relation)
    elif isinstance(relation, typed.Join):
        inner = inner and relation.kind == "INNER"
        yield from _uses_in_relation(relation.left, narrowed, inner=inner)
        yield from _uses_in_relation(relation.right, narrowed, inner=inner)
        if relation.condition is not None:
            if inner:
                _narrow(relation.condition, narrowed)
            yield from _uses_in_expression(relation.condition)


def _uses_in_expression(found: typed.Expr) -> Iterator[_Use]:
    if isinstance(found, typed.InQuery | typed.QueryValue):
        yield from _uses_in_query(found.query)
    for part in _parts(found):
        yield from _uses_in_expression(part)


def _parts(found: typed.Expr) -> Iterable[typed.Expr]:
    if isinstance(found, typed.Apply):
        return found.arguments
    if isinstance(found, typed.Logical):
        return found.operands
    if isinstance(found, typed.Convert | typed.InQuery):
        return (found.operand,)
    return ()


def _narrow(condition: typed.Expr, uses: dict[str, _Use]) -> None:
    """Take from a condition that every row must meet what it says of the tables' rows."""
    if isinstance(condition, typed.Logical):
        if condition.operator == "AND":
            for operand in condition.operands:
                _narrow(operand, uses)
        return
    if not isinstance(condition, typed.Apply):
        return
    name, arguments = condition.function.name, condition.arguments
    if name == "IN":
        _narrow_words(arguments[0], arguments[1:], uses)
    elif name == "BETWEEN":
        _narrow_time(arguments[0], ">=", constant(arguments[1]), uses)
        _narrow_time(arguments[0], "<=", constant(arguments[2]), uses)
    elif name in _FLIPPED:
        left, right = arguments
        for one, other, operator in ((left, right, name), (right, left, _FLIPPED[name])):
            if operator == "=":
                _narrow_words(one, (other,), uses)
            _narrow_time(one, operator, constant(other), uses)
            _narrow_place(one, other, operator, uses)


def _use_of(found: typed.Expr, uses: dict[str, _Use]) -> _Use | None:
    if isinstance(found, typed.Reference) and found.table is not None:
        return uses.get(found.relation)
    return None


def _narrow_words(
    column: typed.Expr, values: tuple[typed.Expr, ...], uses: dict[str, _Use]
) -> None:
    use = _use_of(column, uses)
    if use is None or not isinstance(column, typed.Reference) or column.name not in _WORDS:
        return
    words = [value.value for value in values if isinstance(value, typed.Constant)]
    if len(words) != len(values):
        return
    found = frozenset(word for word in words if isinstance(word, str))
    if len(found) != len(set(words)):
        return
    role = _WORDS[column.name]
    use.words[role] = use.words.get(role, found) & found


def _narrow_time(
    column: typed.Expr, operator: str, moment: float | None, uses: dict[str, _Use]
) -> None:
    use = _use_of(column, uses)
    if use is None or not isinstance(column, typed.Reference) or moment is None:
        return
    if column.name not in _TIMES:
        return
    # A row's t_max is late enough, so its interval reaches past the moment; and so for t_min.
    if operator in {">", ">=", "="} and column.name in {"t_max", "t_mid"}:
        use.low = max(use.low, float(moment))
    if operator in {"<", "<=", "="} and column.name in {"t_min", "t_mid"}:
        use.high = min(use.high, float(moment))
    if operator in {">", ">=", "="} and column.name == "t_min":
        use.low = max(use.low, float(moment))
    if operator in {"<", "<=", "="} and column.name == "t_max":
        use.high = min(use.high, float(moment))


def _narrow_place(
    call: typed.Expr, other: typed.Expr, operator: str, uses: dict[str, _Use]
) -> None:
    limit = constant(other)
    if not isinstance(call, typed.Apply) or limit is None:
        return
    if call.function.name == "DISTANCE" and operator in {"<", "<=", "="}:
        _narrow_by_distance(call, float(limit), uses)
    elif call.function.name in {"CONTAINS", "INTERSECTS"} and operator == "=" and limit == 1:
        one, two = call.arguments
        _narrow_by_region(one, two, uses)
        _narrow_by_region(two, one, uses)


def _narrow_by_distance(call: typed.Apply, limit: float, uses: dict[str, _Use]) -> None:
    flat = _flat(call.arguments)
    if flat is None:
        return
    for place, centre in ((flat[:2], flat[2:]), (flat[2:], flat[:2])):
        ra, dec = (constant(part) for part in centre)
        if ra is not None and dec is not None:
            _narrow_to(place, Circle(ra, dec, limit), uses)


def _narrow_by_region(place: typed.Expr, region: typed.Expr, uses: dict[str, _Use]) -> None:
    circle = _circle(region)
    if circle is None:
        return
    if kind_of(place.column) is Kind.POINT:
        point = _flat((place,))
        if point is not None:
            _narrow_to(point, circle, uses)
    elif isinstance(place, typed.Reference) and place.name in _REGIONS:
        use = _use_of(place, uses)
        if use is not None:
            use.region = _smaller(use.region, circle)


def _flat(arguments: tuple[typed.Expr, ...]) -> list[typed.Expr] | None:
    """Coordinates of points given by two expressions each; None if one is given otherwise."""
    flat: list[typed.Expr] = []
    for argument in arguments:
        if kind_of(argument.column) is not Kind.POINT:
            flat.append(argument)
        elif isinstance(argument, typed.Apply) and argument.function.name == "POINT":
            flat += argument.arguments
        else:
            return None
    return flat


def _narrow_to(place: list[typed.Expr], circle: Circle, uses: dict[str, _Use]) -> None:
    ra, dec = place
    use = _use_of(ra, uses)
    if use is None or use is not _use_of(dec, uses):
        return
    if not isinstance(ra, typed.Reference) or not isinstance(dec, typed.Reference):
        return
    if (ra.name, dec.name) in {*_POSITIONS, use.source.table.position}:
        use.region = _smaller(use.region, circle)


def _smaller(one: Circle | None, other: Circle) -> Circle | None:
    if abs(other.dec) > 90.0 or other.radius < 0.0:
        return one
    return other if one is None or other.radius < one.radius else one


def _circle(region: typed.Expr) -> Circle | None:
    """A cap that holds a constant geometry."""
    try:
        numbers = constant_region(region)
    except ValueError:
        return None
    if numbers is None:
        return None
    if len(numbers) <= 3:
        return Circle(numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 0.0)
    cap = sphere.bounding_cap(numbers)
    return None if cap is None else Circle(cap.ra, cap.dec, cap.radius)
