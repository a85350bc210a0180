"""What a call means whatever the tables: which function, with which arguments.

Also the check of a text's calls without any catalogue: unknown functions, wrong number of
arguments, literals of the wrong type.
"""

from __future__ import annotations

__all__ = ["check_calls", "geometry_arguments"]

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final

from schemas.errors import UnsupportedFeatureError
from tap.adql import nodes
from tap.adql.kinds import Kind

if TYPE_CHECKING:
    from tap.adql.functions import Library
    from tap.adql.nodes import Call, Expression, Query

_WITH_FRAME: Final = {"POINT", "CIRCLE", "BOX", "POLYGON"}
#: Frames in which ICRS coordinates are right (ADQL-2.1 4.2.5: the argument is deprecated).
_ICRS: Final = {"", "ICRS", "UNKNOWN", "UNKNOWNFRAME", "DEFAULT"}


def geometry_arguments(call: Call) -> tuple[Expression, ...]:
    """Arguments of a call without the coordinate system of ADQL-2.0.

    Raises
    ------
    UnsupportedFeatureError
        If the system is not ICRS: coordinates are not transformed in silence.
    """
    arguments = call.arguments
    if not call.standard or call.name not in _WITH_FRAME or not arguments:
        return arguments
    first = arguments[0]
    if not isinstance(first, nodes.String):
        if isinstance(first, nodes.Null) and len(arguments) in _LENGTHS[call.name]:
            return arguments[1:]
        return arguments
    words = first.text.upper().split()
    if (words[0] if words else "") not in _ICRS:
        message = f"found coordinates in {first.text!r}, expected 'ICRS' or no coordinate system"
        raise UnsupportedFeatureError(message, line=first.line, column=first.column)
    return arguments[1:]


#: Number of arguments of each form that has a coordinate system.
_LENGTHS: Final = {
    "POINT": {3},
    "CIRCLE": {4},
    "BOX": {5},
    "POLYGON": set(range(7, 10_001, 2)),
}
_CAST: Final = {
    "SMALLINT": Kind.SHORT,
    "INTEGER": Kind.INT,
    "BIGINT": Kind.LONG,
    "REAL": Kind.FLOAT,
    "DOUBLE PRECISION": Kind.DOUBLE,
    "CHAR": Kind.TEXT,
    "VARCHAR": Kind.TEXT,
    "TIMESTAMP": Kind.TIME,
    "POINT": Kind.POINT,
    "CIRCLE": Kind.CIRCLE,
    "POLYGON": Kind.POLYGON,
}


def cast_kind(target: str) -> Kind:
    """The kind that CAST(... AS target) makes."""
    return _CAST[target]


def check_calls(query: Query, library: Library) -> None:
    """Check the calls of a query as far as no table is needed for it.

    Raises
    ------
    UnknownNameError, QueryError
        As :meth:`tap.adql.functions.Library.find`.
    """
    waiting: list[object] = [query]
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.Call):
            _kind(node, library)
        elif isinstance(node, tuple):
            waiting.extend(node)
            continue
        if is_dataclass(node):
            waiting.extend(getattr(node, field.name) for field in fields(node))


def _kind(node: Expression, library: Library) -> Kind:
    if isinstance(node, nodes.Call):
        arguments = node.arguments
        if isinstance(arguments[0] if arguments else None, nodes.String):
            arguments = arguments[1:] if node.name in _WITH_FRAME else arguments
        elif node.standard and node.name in _WITH_FRAME:
            arguments = geometry_arguments(node)
        kinds = [_kind(argument, library) for argument in arguments]
        result = library.find(node, kinds).result
        return result if isinstance(result, Kind) else kinds[result]
    if isinstance(node, nodes.String):
        return Kind.TEXT
    if isinstance(node, nodes.Cast):
        return cast_kind(node.target)
    if isinstance(node, nodes.Number):
        return Kind.INT if node.text.isdigit() else Kind.DOUBLE
    return Kind.UNKNOWN
