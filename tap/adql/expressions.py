"""Checks the expressions of a query: names, types, functions; gives each value its metadata."""

from __future__ import annotations

__all__ = ["ExpressionChecker"]

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard

from schemas.errors import QueryError, UnsupportedFeatureError
from tap.adql import nodes
from tap.adql.calls import cast_kind, geometry_arguments
from tap.adql.constants import region_constant
from tap.adql.conversions import alike, as_time, can_cast, suited
from tap.adql.functions import OPERATORS, Library, arguments_fit
from tap.adql.kinds import GEOMETRIC, Kind, column_of, kind_of
from tap.adql.results import coalesced, operated, result_of, text_of, typed_as
from tap.adql.typed import (
    Apply,
    Constant,
    Convert,
    Expr,
    InQuery,
    Logical,
    Query,
    QueryValue,
)
from tap.adql.units import factor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap.adql.functions import Function
    from tap.adql.scopes import Visibility

_BOOLEAN: Final = column_of(Kind.BOOLEAN)
_LARGEST: Final = ((2**31, Kind.INT), (2**63, Kind.LONG))
#: Characters of a number: more than any double needs.
_LONGEST: Final = 400
_UNORDERED: Final = {*GEOMETRIC, Kind.ARRAY}


def _fault(node: nodes.Expression, message: str) -> QueryError:
    return QueryError(message, line=node.line, column=node.column)


class ExpressionChecker:
    """Turns expressions as written into checked ones.

    Parameters
    ----------
    library
        The functions that exist.
    scope
        What names mean here.
    subquery
        Checks a query inside the expression, which sees ``scope`` around it.
    """

    def __init__(
        self,
        library: Library,
        scope: Visibility,
        subquery: Callable[[nodes.Query, Visibility], Query],
    ) -> None:
        self._library, self._scope, self._subquery = library, scope, subquery

    def check(self, node: nodes.Expression) -> Expr:
        """Check one expression.

        Raises
        ------
        QueryError
            With the place, what is wrong and what would be right.
        """
        return self._checks[type(node)](self, node)

    def condition(self, node: nodes.Expression) -> Expr:
        """Check an expression that must be true or false."""
        found = self.check(node)
        if kind_of(found.column) is not Kind.BOOLEAN:
            message = f"found {kind_of(found.column)}, expected a condition such as a comparison"
            raise _fault(node, message)
        return found

    def _number(self, node: nodes.Number) -> Expr:
        text = node.text
        if len(text) > _LONGEST:
            raise _fault(node, f"found a number of {len(text)} digits, expected fewer")
        if text.isdigit() or text[:2].lower() == "0x":
            value = int(text, 0) if not text.isdigit() else int(text)
            for limit, kind in _LARGEST:
                if value < limit:
                    return Constant(column_of(kind), value)
        if text[:2].lower() == "0x":
            raise _fault(node, f"found {text}, expected a hexadecimal number of 63 bits at most")
        number = float(text)
        if number == float("inf"):
            raise _fault(node, f"found {text}, expected a number below 1.8e308")
        return Constant(column_of(Kind.DOUBLE), number)

    def _string(self, node: nodes.String) -> Expr:
        if "\0" in node.text:
            raise _fault(node, "found a NUL character in a text, expected none")
        return Constant(text_of(node.text), node.text)

    def _boolean(self, node: nodes.Boolean) -> Expr:
        return Constant(_BOOLEAN, node.truth)

    def _null(self, _node: nodes.Null) -> Expr:
        return Constant(column_of(Kind.NULL), None)

    def _column(self, node: nodes.ColumnName) -> Expr:
        return self._scope.column(node.parts)

    def _unary(self, node: nodes.Unary) -> Expr:
        operand = self.check(node.operand)
        if node.operator == "+":
            self._fit(node, OPERATORS["NEGATIVE"], [operand])
            return operand
        if node.operator == "-" and isinstance(operand, Constant) and _is_number(operand.value):
            return replace(operand, value=-operand.value)
        return self._operate(node, "NEGATIVE" if node.operator == "-" else "~", [operand])

    def _binary(self, node: nodes.Binary) -> Expr:
        return self._operate(node, node.operator, [self.check(node.left), self.check(node.right)])

    def _comparison(self, node: nodes.Comparison) -> Expr:
        left, right = self.check(node.left), self.check(node.right)
        pair = self._comparable(node, [left, right], ordered=node.operator not in {"=", "<>"})
        return Apply(_BOOLEAN, OPERATORS[node.operator], pair)

    def _between(self, node: nodes.Between) -> Expr:
        three = [self.check(part) for part in (node.operand, node.low, node.high)]
        found = Apply(_BOOLEAN, OPERATORS["BETWEEN"], self._comparable(node, three, ordered=True))
        return _negated(found, node.negated)

    def _in(self, node: nodes.In) -> Expr:
        operand = self.check(node.operand)
        if node.query is not None:
            query = self._subquery(node.query, self._scope)
            self._one_column(node, query)
            inner = Constant(query.columns[0], None)
            operand, _ = self._comparable(node, [operand, inner], ordered=False)
            return InQuery(_BOOLEAN, operand, query, node.negated)
        items = [operand, *(self.check(item) for item in node.items)]
        found = Apply(_BOOLEAN, OPERATORS["IN"], self._comparable(node, items, ordered=False))
        return _negated(found, node.negated)

    def _like(self, node: nodes.Like) -> Expr:
        pair = [self.check(node.operand), self.check(node.pattern)]
        found = self._operate(node, "ILIKE" if node.nocase else "LIKE", pair)
        return _negated(found, node.negated)

    def _is_null(self, node: nodes.IsNull) -> Expr:
        found = Apply(_BOOLEAN, OPERATORS["IS_NULL"], (self.check(node.operand),))
        return _negated(found, node.negated)

    def _exists(self, node: nodes.Exists) -> Expr:
        return QueryValue(_BOOLEAN, self._subquery(node.query, self._scope), exists=True)

    def _value_of_query(self, node: nodes.Subquery) -> Expr:
        query = self._subquery(node.query, self._scope)
        self._one_column(node, query)
        return QueryValue(query.columns[0], query)

    def _not(self, node: nodes.Not) -> Expr:
        return _negated(self.condition(node.operand), negated=True)

    def _logical(self, node: nodes.Logical) -> Expr:
        operands = tuple(self.condition(operand) for operand in node.operands)
        return Logical(_BOOLEAN, node.operator, operands)

    def _cast(self, node: nodes.Cast) -> Expr:
        operand, kind = self.check(node.operand), cast_kind(node.target)
        found = kind_of(operand.column)
        if not can_cast(found, kind):
            raise _fault(node, f"found {found}, which does not convert to {node.target}")
        if kind is Kind.TIME:
            operand = as_time(node, operand)
        column = replace(operand.column, sql_type="")
        column = replace(typed_as(column, kind), utype="")
        if node.target == "CHAR":
            return Convert(column, operand, node.length or 1)
        return Convert(column, operand, node.length)

    def _call(self, node: nodes.Call) -> Expr:
        arguments = [self.check(argument) for argument in geometry_arguments(node)]
        kinds = [kind_of(argument.column) for argument in arguments]
        function = self._library.find(node, kinds)
        if function.name == "IN_UNIT":
            return self._in_unit(node, arguments)
        if function.name == "REGION":
            return self._region(node, arguments[0])
        if function.name == "COALESCE":
            arguments, kind = alike(node, arguments)
            if kind is None:
                raise _fault(node, f"COALESCE has {' and '.join(kinds)}, expected one type")
            return Apply(coalesced(arguments, kind), function, tuple(arguments))
        arguments = suited(node, function, arguments)
        column = result_of(function, arguments)
        return Apply(column, function, tuple(arguments), node.distinct)

    def _in_unit(self, node: nodes.Call, arguments: Sequence[Expr]) -> Expr:
        value, unit = arguments
        if not isinstance(unit, Constant) or not isinstance(unit.value, str):
            raise _fault(node, "IN_UNIT takes its unit as a literal text such as 'mas'")
        try:
            number = factor(value.column.unit, unit.value)
        except ValueError as error:
            raise _fault(node, str(error)) from None
        column = replace(typed_as(value.column, Kind.DOUBLE), unit=unit.value)
        scale = Constant(column_of(Kind.DOUBLE), number)
        return Apply(column, OPERATORS["*"], (value, scale))

    def _region(self, node: nodes.Call, text: Expr) -> Expr:
        if not isinstance(text, Constant) or not isinstance(text.value, str):
            raise _fault(node, "REGION takes a literal text such as 'CIRCLE ICRS 10 20 0.5'")
        try:
            name, numbers = region_constant(text.value)
        except ValueError as error:
            message = str(error)
            raise UnsupportedFeatureError(message, line=node.line, column=node.column) from None
        arguments = tuple(Constant(column_of(Kind.DOUBLE), number) for number in numbers)
        call = nodes.Call(node.line, node.column, name, (), standard=True)
        function = self._library.find(call, [Kind.DOUBLE] * len(arguments))
        return Apply(result_of(function, arguments), function, arguments)

    def _operate(self, node: nodes.Expression, word: str, arguments: list[Expr]) -> Expr:
        function = OPERATORS[word]
        self._fit(node, function, arguments)
        arguments = suited(node, function, arguments)
        return Apply(operated(word, arguments, function), function, tuple(arguments))

    def _fit(self, node: nodes.Expression, function: Function, arguments: list[Expr]) -> None:
        kinds = [kind_of(argument.column) for argument in arguments]
        if not arguments_fit(function, kinds):
            expected = _EXPECTED.get(function.name, "numbers")
            raise _fault(node, f"found {' and '.join(kinds)}, expected {expected}")

    def _comparable(
        self, node: nodes.Expression, found: list[Expr], *, ordered: bool
    ) -> tuple[Expr, ...]:
        together, kind = alike(node, found)
        if kind is None:
            names = " and ".join(dict.fromkeys(kind_of(each.column) for each in found))
            raise _fault(node, f"found {names}, which cannot be compared with each other")
        if ordered and kind in _UNORDERED:
            raise _fault(node, f"found {kind}, expected values that have an order")
        return tuple(together)

    @staticmethod
    def _one_column(node: nodes.Expression, query: Query) -> None:
        if len(query.columns) != 1:
            message = f"the query here has {len(query.columns)} columns, expected one"
            raise _fault(node, message)

    _checks: ClassVar[dict[type[nodes.Expression], Callable[[ExpressionChecker, Any], Expr]]] = {
        nodes.Number: _number,
        nodes.String: _string,
        nodes.Boolean: _boolean,
        nodes.Null: _null,
        nodes.ColumnName: _column,
        nodes.Unary: _unary,
        nodes.Binary: _binary,
        nodes.Call: _call,
        nodes.Cast: _cast,
        nodes.Subquery: _value_of_query,
        nodes.Comparison: _comparison,
        nodes.Between: _between,
        nodes.In: _in,
        nodes.Like: _like,
        nodes.IsNull: _is_null,
        nodes.Exists: _exists,
        nodes.Not: _not,
        nodes.Logical: _logical,
    }


_EXPECTED: Final = {
    "||": "texts",
    "LIKE": "texts",
    "ILIKE": "texts",
    "NOT": "a condition",
    **dict.fromkeys("&|^~", "integers"),
}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _negated(found: Expr, negated: bool) -> Expr:  # noqa: FBT001  # a node's flag
    return Apply(_BOOLEAN, OPERATORS["NOT"], (found,)) if negated else found
