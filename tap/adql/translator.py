"""Writes a checked query as PostgreSQL; nothing here can fail on a query that was checked."""

from __future__ import annotations

# ruff: noqa: S608  # texts come from the checked tree; users' words by tap/adql/literals.py alone

__all__ = ["Sql", "translate"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError
from tap.adql import literals, typed
from tap.adql.constants import constant
from tap.adql.functions import STANDARD
from tap.adql.kinds import INTEGRAL, Kind, kind_of, sql_type
from tap.adql.lookups import Lookups
from tap.adql.matches import find_match, find_outer_match
from tap.adql.regions import Regions
from tap.adql.values import SHAPES, dali, is_stored_so, literal, reference, sent, shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column
    from tap.adql.checker import Checked
_GEOMETRIC: Final = {
    function.name for function in STANDARD if not function.sql and function.name != "IN_UNIT"
}
_PREDICATES: Final = {"CONTAINS", "INTERSECTS"}
#: Characters that all arguments of geometry may become, those in others counted again.
_MOST_WRITTEN: Final = 50_000_000
#: How many numbers a region of each kind has.
_CORNERS: Final = {Kind.POINT: "= 2", Kind.CIRCLE: "= 3", Kind.POLYGON: "> 3"}
#: Items of IN that are said as an array.
_MANY_ITEMS: Final = 32
_TURNED_ROUND: Final = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "=", "<>": "<>"}


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement of PostgreSQL without parameters; its columns are the checked query's."""

    text: str


def translate(checked: Checked, *, limit: int | None) -> Sql:
    """Write a checked query as SQL.

    Parameters
    ----------
    checked
        From :func:`tap.adql.checker.check`.
    limit
        Rows that the answer may have at most; None for no limit.

    Returns
    -------
    Sql
        Each output expression is cast so that the database sends exactly the checked datatype:
        boolean, int2, int4, int8, float4, float8, text, float8[]; timestamps as text in DALI form.
    """
    try:
        return Sql(_Translator().answer(checked.query, limit))
    except RecursionError:
        message = "the query is nested too deeply, expected fewer operators in a row"
        raise QueryError(message) from None


class _Translator:
    def __init__(self) -> None:
        self._regions = Regions(self._inside_geometry)
        self._lookups = Lookups(self._regions, self._relation, self.expression)
        self._written = 0
        self._fences = 0
        self._denied = False  # whether what is written is inside NOT

    def _inside_geometry(self, found: typed.Expr) -> str:
        """SQL of an argument, which geometry writes several times: geometry in geometry grows."""
        text = self.expression(found)
        self._written += len(text)
        if self._written > _MOST_WRITTEN:
            message = "the query is too complex: write geometry inside geometry in fewer levels"
            raise QueryError(message)
        return text

    def answer(self, query: typed.Query, limit: int | None) -> str:
        if isinstance(query.body, typed.Select):
            return self._query(query, final=True, limit=limit)
        items = ", ".join(
            f"{sent(f'u.c{n}', column)} AS {literals.identifier(column.name)}"
            for n, column in enumerate(query.columns, start=1)
        )
        inner = self._query(query, final=False, limit=limit)
        return f"SELECT {items} FROM ({inner}) AS u"

    def _query(self, query: typed.Query, *, final: bool, limit: int | None = None) -> str:
        common = ""
        if query.common:
            parts = (
                f"{each.name} AS ({self._query(each.query, final=False)})" for each in query.common
            )
            common = f"WITH {', '.join(parts)} "
        if isinstance(query.body, typed.Select):
            body = self._select(query.body, final=final)
            limit = _least(query.body.top, limit)
        else:
            names = ", ".join(f"u.c{n}" for n in range(1, len(query.columns) + 1))
            body = f"SELECT {names} FROM ({self._set(query.body)}) AS u"
        tail = self._order(query)
        tail += f" LIMIT {limit}" if limit is not None else ""
        tail += f" OFFSET {query.offset}" if query.offset else ""
        return common + body + tail

    def _set(self, body: typed.SetOperation | typed.Query) -> str:
        if isinstance(body, typed.Query):
            return self._query(body, final=False)
        keep = " ALL" if body.keep_all else ""
        left, right = (self._side(side, body.columns) for side in (body.left, body.right))
        return f"({left}) {body.operator}{keep} ({right})"

    def _side(self, side: typed.Query, columns: Sequence[Column]) -> str:
        text = self._query(side, final=False)
        if all(
            sql_type(mine) == sql_type(wanted)
            for mine, wanted in zip(side.columns, columns, strict=True)
        ):
            return text
        items = ", ".join(
            f"u.c{n}::{sql_type(wanted)} AS c{n}" for n, wanted in enumerate(columns, start=1)
        )
        return f"SELECT {items} FROM ({text}) AS u"

    def _order(self, query: typed.Query) -> str:
        if not query.order:
            return ""
        distinct = isinstance(query.body, typed.Select) and query.body.distinct
        terms = []
        for term in query.order:
            if term.position and (distinct or term.expression is None):
                written = str(term.position)
            elif isinstance(term.expression, typed.Constant):
                continue  # the same for all rows
            else:
                written = self.expression(term.expression) if term.expression else ""
            terms.append(written + (" DESC" if term.descending else ""))
        return f" ORDER BY {', '.join(terms)}" if terms else ""

    def _select(self, select: typed.Select, *, final: bool) -> str:
        before, self._denied = self._denied, False
        written = self._selected(select, final=final)
        self._denied = before
        return written

    def _selected(self, select: typed.Select, *, final: bool) -> str:
        items = ", ".join(
            self._item(item, n, final=final) for n, item in enumerate(select.items, start=1)
        )
        text = f"SELECT {'DISTINCT ' if select.distinct else ''}{items} FROM "
        text += self._from_and_where(select)
        if select.groups:
            text += f" GROUP BY {', '.join(self._group(each) for each in select.groups)}"
        if select.having is not None:
            text += f" HAVING {self.condition(select.having)}"
        return text

    def _from_and_where(self, select: typed.Select) -> str:
        match = find_match(select)
        if match is None:
            text = ", ".join(self._relation(source) for source in select.sources)
            return text if select.where is None else f"{text} WHERE {self.condition(select.where)}"
        relations = [self._relation(each) for each in match.others]
        text = ", ".join([*relations, self._lookups.sql(match)])
        conditions = " AND ".join(self.condition(each) for each in match.rest)
        return f"{text} WHERE {conditions}" if conditions else text

    def _group(self, found: typed.Expr) -> str:
        written = self.expression(found)
        # A bare literal would be the number of a column, or refused.
        return f"({written} IS NULL)" if isinstance(found, typed.Constant) else written

    def _item(self, item: typed.Item, place: int, *, final: bool) -> str:
        written = self.expression(item.expression)
        if final:
            if is_stored_so(item):
                return f"{written} AS {literals.identifier(item.column.name)}"
            return f"{sent(written, item.column)} AS {literals.identifier(item.column.name)}"
        if kind_of(item.column) is Kind.NULL:
            written += "::text"
        return f"{written} AS c{place}"

    def _relation(self, relation: typed.Relation) -> str:
        if isinstance(relation, typed.Source):
            stored = ".".join(literals.identifier(part) for part in relation.stored)
            return f"{stored} AS {relation.alias}"
        if isinstance(relation, typed.Derived):
            return f"({self._query(relation.query, final=False)}) AS {relation.alias}"
        if isinstance(relation, typed.CommonUse):
            return f"{relation.name} AS {relation.alias}"
        match = find_outer_match(relation)
        if match is not None:
            (left,) = (self._relation(each) for each in match.others)
            on = " AND ".join(self.condition(each) for each in match.rest) or "TRUE"
            return f"{left} LEFT JOIN {self._lookups.sql(match)} ON {on}"
        left, right = self._relation(relation.left), self._relation(relation.right)
        if isinstance(relation.right, typed.Join):
            right = f"({right})"
        on = "TRUE" if relation.condition is None else self.condition(relation.condition)
        if relation.kind == "FULL":
            # PostgreSQL joins so where one value of each side equals one of the other: this one.
            self._fences += 1
            one, other = f"f{self._fences}", f"g{self._fences}"
            left, right = (
                f"({side} CROSS JOIN (SELECT 0 AS k OFFSET 0) AS {alias})"
                for side, alias in ((left, one), (right, other))
            )
            on = f"{one}.k = {other}.k AND {on}"
        return f"{left} {relation.kind} JOIN {right} ON {on}"

    def condition(self, found: typed.Expr) -> str:
        """SQL of an expression that is true or false."""
        if isinstance(found, typed.Logical):
            joined = f" {found.operator} ".join(self.condition(each) for each in found.operands)
            return f"({joined})"
        if isinstance(found, typed.Apply) and found.function.name in _TURNED_ROUND:
            special = self._geometric(found)
            if special:
                return special
        return self.expression(found)

    def _geometric(self, found: typed.Apply) -> str:
        """SQL of ``CONTAINS(...) = 1``, ``DISTANCE(...) < r`` and the like; "" if it is none."""
        left, right = found.arguments
        operator = found.function.name
        if isinstance(right, typed.Apply) and right.function.name in {*_PREDICATES, "DISTANCE"}:
            left, right, operator = right, left, _TURNED_ROUND[operator]
        if not isinstance(left, typed.Apply):
            return ""
        if left.function.name in _PREDICATES and operator in {"=", "<>"}:
            value = constant(right)
            if value not in {0, 1}:
                return ""
            holds = (value == 1) == (operator == "=")
            predicate = self._regions.predicate(left, found=holds and not self._denied)
            return predicate if holds else f"(NOT {predicate})"
        if left.function.name == "DISTANCE" and operator in {"<", "<="}:
            return self._regions.distance_below(left, right, operator, found=not self._denied)
        return ""

    def expression(self, found: typed.Expr) -> str:
        """SQL of any expression, in parentheses where it needs some."""
        if isinstance(found, typed.Reference):
            return reference(found)
        if isinstance(found, typed.Constant):
            return literal(found)
        if isinstance(found, typed.Apply):
            return self._apply(found)
        if isinstance(found, typed.Logical):
            return self.condition(found)
        if isinstance(found, typed.Convert):
            return self._convert(found)
        if isinstance(found, typed.InQuery):
            word = "NOT IN" if found.negated else "IN"
            query = self._query(found.query, final=False)
            if kind_of(found.query.columns[0]) is Kind.NULL:
                query = f"SELECT u.c1::{sql_type(found.operand.column)} FROM ({query}) AS u"
            return f"({self.expression(found.operand)} {word} ({query}))"
        if isinstance(found, typed.QueryValue):
            query = self._query(found.query, final=False)
            return f"EXISTS ({query})" if found.exists else f"({query})"
        message = f"no SQL for {type(found).__name__}"
        raise TypeError(message)

    def _apply(self, found: typed.Apply) -> str:
        function = found.function
        if function.name in _GEOMETRIC and not function.sql:
            return self._regions.value(found)
        if function.name == "NOT":
            return self._not(found.arguments[0])
        if function.name in _TURNED_ROUND:
            special = self._geometric(found)
            if special:
                return special
        if function.name == "IN" and isinstance(found.arguments[0], typed.Reference):
            return self._in(found)
        arguments = self._arguments(found)
        if found.distinct:
            arguments = [f"DISTINCT {arguments[0]}", *arguments[1:]]
        if "{*}" in function.sql:
            return function.sql.replace("{*}", ", ".join(arguments))
        if "{+}" in function.sql:
            rest = ", ".join(arguments[1:])
            return f"({arguments[0]} IN ({rest}))"
        return function.sql.format(*arguments)

    def _not(self, operand: typed.Expr) -> str:
        before, self._denied = self._denied, True
        written = f"(NOT {self.condition(operand)})"
        self._denied = before
        return written

    def _in(self, found: typed.Apply) -> str:
        first, *rest = found.arguments
        if kind_of(first.column) in INTEGRAL and len(rest) >= _MANY_ITEMS:
            numbers = [item.value for item in rest if isinstance(item, typed.Constant)]
            if len(numbers) == len(rest) and all(type(number) is int for number in numbers):
                listed = ",".join(map(str, numbers))
                return f"({self.expression(first)} = ANY ('{{{listed}}}'::int8[]))"
        operand, *items = (self.expression(argument) for argument in found.arguments)
        return f"({operand} IN ({', '.join(items)}))"

    def _arguments(self, found: typed.Apply) -> list[str]:
        words = found.function.words
        words += words[-1:] * (len(found.arguments) - len(words))
        written = []
        for argument, word in zip(found.arguments, words, strict=True):
            text = self.expression(argument)
            kind = kind_of(argument.column)
            if word == "DOUBLE" and kind is not Kind.DOUBLE:
                text = f"{text}::float8"
            elif word == "TIMESTAMP" and kind is Kind.TEXT:
                text = f"{text}::timestamp"
            written.append(text)
        return written

    def _convert(self, found: typed.Convert) -> str:
        operand = self.expression(found.operand)
        old, new = kind_of(found.operand.column), kind_of(found.column)
        if new is not Kind.TEXT:
            if new in SHAPES and old is Kind.TEXT:
                return shape(operand, new)
            if old is Kind.REGION and new in _CORNERS:
                return f"(CASE WHEN cardinality({operand}) {_CORNERS[new]} THEN {operand} END)"
            if old is Kind.BOOLEAN and new in INTEGRAL:
                return f"{operand}::int4::{sql_type(found.column)}"
            return f"{operand}::{sql_type(found.column)}"
        if old is Kind.TIME:
            operand = dali(operand)
        elif old is Kind.REGION:
            operand = f"vo.stcs({operand})"
        elif sql_type(found.operand.column).endswith("[]"):
            operand = f"array_to_string({operand}, ' ')"
        else:
            operand = f"{operand}::text"
        if found.length is None:
            return operand
        return f"left({operand}, {found.length})"


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
