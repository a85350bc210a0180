"""The language in which people say what an attribute is, or which sources they want.

It has numbers, names of attributes, arithmetic, comparisons, ``and or not``, bits (``&``), and the
functions of :mod:`reduction.collection.functions`. Python's parser reads it and only what is
listed here is let through: nothing is ever evaluated as Python. The same expression becomes SQL
or numpy, with one meaning: what has no value (NULL, NaN, a logarithm of less than nothing, a
division by zero) compares as false with everything and gives no value in arithmetic.
"""

from __future__ import annotations

__all__ = ["Expression", "parse_expression"]

import ast
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
)

from reduction.collection.functions import FUNCTIONS, known, only_finite
from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement

_LONGEST: Final = 2000
_LARGEST: Final = 300
#: Up to here a double has all whole numbers, whose bits can be looked at.
_WHOLE: Final = 2.0**53
_ARITHMETIC: Final = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
_BITS: Final = {ast.BitAnd: "&", ast.BitOr: "|"}
_COMPARED: Final = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text
        Written in one way, whatever blanks and brackets it was given with.
    names
        Attributes that it needs.
    truth
        Whether its value is true or false, not a number.
    pushable
        Whether SQL can say it.
    """

    text: str
    names: frozenset[str]
    truth: bool
    pushable: bool

    def numpy(self, columns: Mapping[str, NDArray[Any]], length: int) -> NDArray[Any]:
        """Value for each row: float64 with NaN, or bool; shape (length,)."""
        value = _Numpy(columns).value(_tree(self.text))
        return np.broadcast_to(np.asarray(value, np.bool_ if self.truth else np.float64), length)

    def sql(self, columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
        """The expression over columns: double precision, or boolean that is never null."""
        return _Sql(columns).value(_tree(self.text))


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    ParameterError
        If it has anything that the language has not; says what, and what there is.
    """
    if len(text) > _LONGEST:
        raise ParameterError("expression", f"{len(text)} characters", f"at most {_LONGEST}")
    try:
        tree = _tree(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ParameterError("expression", text, f"an expression ({error})") from None
    if sum(1 for _ in ast.walk(tree)) > _LARGEST:
        raise ParameterError("expression", text, f"at most {_LARGEST} parts")
    checker = _Checker(text)
    truth = checker.truth(tree)
    return Expression(ast.unparse(tree), frozenset(checker.names), truth, checker.pushable)


def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Checker:
    """Lets through what the language has, and finds what it needs."""

    def __init__(self, text: str) -> None:
        self.text, self.names, self.pushable = text, set[str](), True

    def _number(self, node: ast.Constant, value: float) -> bool:
        """A number is not true or false; one that no column can hold is refused."""
        if not abs(value) <= sys.float_info.max:
            found = ast.get_source_segment(self.text, node) or "a number"
            raise ParameterError("expression", found[:20], "numbers below 1.8e308")
        return False

    def truth(self, node: ast.expr) -> bool:
        """Whether a part is true or false; checks all below it."""
        if isinstance(node, ast.Constant) and _is_number(node.value):
            return self._number(node, node.value)
        if isinstance(node, ast.Name):
            self.names.add(node.id)
            return False
        if isinstance(node, ast.BinOp) and type(node.op) in {**_ARITHMETIC, **_BITS}:
            return self._all(False, node.left, node.right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd, ast.Not)):
            return self._all(isinstance(node.op, ast.Not), node.operand)
        if isinstance(node, ast.BoolOp):
            return self._all(True, *node.values)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARED for op in node.ops):
            self._all(False, node.left, *node.comparators)
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node, node.func.id)
        raise self._wrong(node, "numbers, attributes, + - * / ** & |, comparisons, and or not")

    def _call(self, node: ast.Call, name: str) -> bool:
        function = FUNCTIONS.get(name)
        if function is None:
            raise self._wrong(node, "one of the functions " + ", ".join(sorted(FUNCTIONS)))
        if len(node.args) != len(function.takes):
            raise self._wrong(node, f"{name} of {len(function.takes)} values")
        for argument, truth in zip(node.args, function.takes, strict=True):
            self._all(truth, argument)
        self.pushable &= function.sql is not None
        return function.truth

    def _all(self, truth: bool, *nodes: ast.expr) -> bool:  # noqa: FBT001  # as truth() returns it
        for node in nodes:
            if self.truth(node) is not truth:
                raise self._wrong(node, "a condition" if truth else "a number")
        return truth

    def _wrong(self, node: ast.expr, expected: str) -> ParameterError:
        return ParameterError("expression", ast.unparse(node), f"{expected} (in {self.text!r})")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _Numpy:
    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = columns

    def value(self, node: ast.expr) -> NDArray[Any]:
        """Values of a part; of what has no attribute, one without a shape."""
        with np.errstate(all="ignore"):
            return self._value(node)

    def _value(self, node: ast.expr) -> NDArray[Any]:
        if isinstance(node, ast.Constant):
            return np.asarray(ast.literal_eval(node), np.float64)
        if isinstance(node, ast.Name):
            return self._columns[node.id]
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            operand = self._value(node.operand)
            if isinstance(node.op, ast.Not):
                return ~np.asarray(operand, np.bool_)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            joined: NDArray[Any] = join.reduce(np.broadcast_arrays(*map(self._value, node.values)))
            return joined
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.Call):
            function = FUNCTIONS[ast.unparse(node.func)]
            value = function.numpy(*map(self._value, node.args))
            return value if function.truth else only_finite(value)
        raise TypeError(ast.unparse(node))  # the checker lets nothing else through

    def _binary(self, node: ast.BinOp) -> NDArray[Any]:
        left, right = self._value(node.left), self._value(node.right)
        if type(node.op) in _BITS:
            usable = (np.abs(left) <= _WHOLE) & (np.abs(right) <= _WHOLE)
            bits = (np.rint(np.where(usable, x, 0)).astype(np.int64) for x in (left, right))
            join = np.bitwise_and if isinstance(node.op, ast.BitAnd) else np.bitwise_or
            return np.where(usable, join(*bits), np.nan)
        left, right = (np.asarray(side, np.float64) for side in (left, right))
        return only_finite(getattr(np, _ARITHMETIC[type(node.op)])(left, right))

    def _compared(self, node: ast.Compare) -> NDArray[Any]:
        sides = [self._value(side) for side in (node.left, *node.comparators)]
        true: Any = True
        for operator, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
            true &= (
                getattr(np, _COMPARED[type(operator)])(left, right) & known(left) & known(right)
            )
        return np.asarray(true)


class _Sql:
    def __init__(self, columns: Mapping[str, ColumnElement[Any]]) -> None:
        self._columns = columns

    def value(self, node: ast.expr) -> ColumnElement[Any]:
        """SQL of a part."""
        if isinstance(node, ast.Constant):
            return literal(float(ast.literal_eval(node)), Double)
        if isinstance(node, ast.Name):
            return cast(self._columns[node.id], Double)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            operand = self.value(node.operand)
            if isinstance(node.op, ast.Not):
                return not_(operand)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BoolOp):
            join = and_ if isinstance(node.op, ast.And) else or_
            return join(*map(self.value, node.values))
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.Call):
            return _call(ast.unparse(node.func), *map(self.value, node.args))
        raise TypeError(ast.unparse(node))  # the checker lets nothing else through

    def _binary(self, node: ast.BinOp) -> ColumnElement[Any]:
        left, right = self.value(node.left), self.value(node.right)
        if type(node.op) in _BITS:
            sides = (
                cast(case((func.abs(side) <= _WHOLE, side)), BigInteger) for side in (left, right)
            )
            return cast(next(sides).op(_BITS[type(node.op)])(next(sides)), Double)
        if isinstance(node.op, ast.Div):
            return left / func.nullif(right, literal(0.0, Double), type_=Double)
        if isinstance(node.op, ast.Pow):
            return _call("power", left, right)
        if isinstance(node.op, ast.Mult):
            return left * right
        return left + right if isinstance(node.op, ast.Add) else left - right

    def _compared(self, node: ast.Compare) -> ColumnElement[Any]:
        sides = [self.value(side) for side in (node.left, *node.comparators)]
        parts = [
            func.coalesce(_compare(operator, left, right), false(), type_=Boolean)
            for operator, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True)
        ]
        return and_(*parts)


def _call(name: str, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL of a function; only those that have one come here (``pushable``)."""
    sql = FUNCTIONS[name].sql
    if sql is None:
        raise TypeError(name)
    value: ColumnElement[Any] = sql(*arguments)
    return value


def _compare(
    operator: ast.cmpop, left: ColumnElement[Any], right: ColumnElement[Any]
) -> ColumnElement[Any]:
    signs = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
    word = _COMPARED[type(operator)]
    if word in ("equal", "not_equal"):
        return left == right if word == "equal" else left != right
    return left.op(signs[word], is_comparison=True)(right)
