"""How values become others of the type that is wanted beside them: literals, NULLs, CAST."""

from __future__ import annotations

__all__ = ["alike", "as_time", "can_cast", "suited"]

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError
from tap.adql.kinds import GEOMETRIC, INTEGRAL, NUMERIC, Kind, column_of, common, kind_of
from tap.adql.typed import Constant, Convert, Expr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap.adql import nodes
    from tap.adql.functions import Function

#: What a NULL is taken for beside a parameter of this type.
_OF_NULL: Final = {
    "BOOLEAN": Kind.BOOLEAN,
    "INTEGER": Kind.INT,
    "BIGINT": Kind.LONG,
    "NUMERIC": Kind.DOUBLE,
    "REAL": Kind.DOUBLE,
    "DOUBLE": Kind.DOUBLE,
    "VARCHAR": Kind.TEXT,
    "TIMESTAMP": Kind.TIME,
    "POINT": Kind.POINT,
    "REGION": Kind.REGION,
    "GEOMETRY": Kind.REGION,
}


def suited(node: nodes.Expression, function: Function, arguments: Sequence[Expr]) -> list[Expr]:
    """Arguments as the parameters want them: literals read, NULLs given a type.

    Raises
    ------
    QueryError
        If a literal beside a timestamp is none.
    """
    found = []
    for argument, word in zip(arguments, _spread(function, len(arguments)), strict=True):
        read = as_time(node, argument) if word == "TIMESTAMP" else argument
        found.append(_of_kind(read, _OF_NULL[word]) if word in _OF_NULL else read)
    return found


def alike(node: nodes.Expression, values: Sequence[Expr]) -> tuple[list[Expr], Kind | None]:
    """Values that are compared with each other, brought together as far as that goes.

    Texts beside a timestamp are read as one, 0 and 1 beside a boolean as FALSE and TRUE (ADQL-2.1
    3.1.1), NULL as whatever the others are.

    Returns
    -------
    list of Expr, Kind or None
        The values, and the type that takes them all; None if there is none.
    """
    kinds = {kind_of(value.column) for value in values}
    found = list(values)
    if Kind.TIME in kinds:
        found = [as_time(node, value) for value in found]
    elif Kind.BOOLEAN in kinds:
        found = [_as_boolean(value) for value in found]
    kind = common(kind_of(value.column) for value in found)
    if kind is None:
        return found, None
    return [_of_kind(value, kind) for value in found], kind


def _of_kind(value: Expr, kind: Kind) -> Expr:
    """A NULL with a type; what has a type already is left alone."""
    if kind_of(value.column) is not Kind.NULL or kind in {Kind.NULL, Kind.UNKNOWN, Kind.ARRAY}:
        return value
    if isinstance(value, Constant):
        return replace(value, column=column_of(kind))
    return Convert(column_of(kind), value)


def _as_boolean(value: Expr) -> Expr:
    if isinstance(value, Constant) and value.value in (0, 1):
        return Constant(column_of(Kind.BOOLEAN), value.value == 1)
    return value


def _spread(function: Function, count: int) -> tuple[str, ...]:
    return function.words + function.words[-1:] * (count - len(function.words))


def can_cast(found: Kind, wanted: Kind) -> bool:
    """Whether CAST takes values of one kind to another (ADQL-2.1 4.8.1)."""
    if found in {wanted, Kind.NULL, Kind.UNKNOWN, Kind.TEXT} or wanted is Kind.TEXT:
        return True
    if wanted in NUMERIC:
        return found in NUMERIC or (found is Kind.BOOLEAN and wanted in INTEGRAL)
    return found is Kind.REGION and wanted in GEOMETRIC


_TIME: Final = re.compile(r"-?\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?Z?")


def as_time(node: nodes.Expression, expression: Expr) -> Expr:
    """Read a literal text beside a timestamp as one (DALI-1.1 3.3.3)."""
    if not isinstance(expression, Constant) or not isinstance(expression.value, str):
        return expression
    moment = _moment(expression.value.strip())
    if moment is None:
        message = f"found {expression.value!r}, expected a timestamp YYYY-MM-DDThh:mm:ss[.f]"
        raise QueryError(message, line=node.line, column=node.column)
    return Constant(column_of(Kind.TIME), moment)


def _moment(text: str) -> str | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None).isoformat()
    except ValueError:
        return None
