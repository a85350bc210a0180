"""The types of ADQL-2.1 chapter 3 as the checker sees them, read off a column's metadata."""

from __future__ import annotations

__all__ = [
    "GEOMETRIC",
    "INTEGRAL",
    "NUMERIC",
    "Kind",
    "column_of",
    "common",
    "kind_of",
    "sql_type",
]

from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final

from schemas.columns import Column

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(StrEnum):
    """What an expression's values are; the value is the word for messages."""

    BOOLEAN = "a boolean"
    SHORT = "a short integer"
    INT = "an integer"
    LONG = "a long integer"
    FLOAT = "a real"
    DOUBLE = "a double"
    TEXT = "a text"
    TIME = "a timestamp"
    POINT = "a point"
    CIRCLE = "a circle"
    POLYGON = "a polygon"
    REGION = "a region"
    ARRAY = "an array"
    NULL = "NULL"
    UNKNOWN = "anything"


INTEGRAL: Final = (Kind.SHORT, Kind.INT, Kind.LONG)
#: In the order of promotion.
NUMERIC: Final = (*INTEGRAL, Kind.FLOAT, Kind.DOUBLE)
GEOMETRIC: Final = (Kind.POINT, Kind.CIRCLE, Kind.POLYGON, Kind.REGION)

_SCALARS: Final = {
    "boolean": Kind.BOOLEAN,
    "unsignedByte": Kind.SHORT,
    "short": Kind.SHORT,
    "int": Kind.INT,
    "long": Kind.LONG,
    "float": Kind.FLOAT,
    "double": Kind.DOUBLE,
}
_REGIONS: Final = {
    "point": Kind.POINT,
    "circle": Kind.CIRCLE,
    "polygon": Kind.POLYGON,
    "adql:POINT": Kind.POINT,
    "adql:REGION": Kind.REGION,
    "shape": Kind.REGION,
}
#: datatype, arraysize, xtype, and PostgreSQL's type; a region that may be any shape is sent as
#: text (STC-S), and stored and compared as an array like the others.
_DATATYPES: Final = {
    Kind.BOOLEAN: ("boolean", None, None, "boolean"),
    Kind.SHORT: ("short", None, None, "int2"),
    Kind.INT: ("int", None, None, "int4"),
    Kind.LONG: ("long", None, None, "int8"),
    Kind.FLOAT: ("float", None, None, "float4"),
    Kind.DOUBLE: ("double", None, None, "float8"),
    Kind.TEXT: ("char", "*", None, "text"),
    Kind.TIME: ("char", "*", "timestamp", "timestamp"),
    Kind.POINT: ("double", "2", "point", "float8[]"),
    Kind.CIRCLE: ("double", "3", "circle", "float8[]"),
    Kind.POLYGON: ("double", "*", "polygon", "float8[]"),
    Kind.REGION: ("char", "*", "adql:REGION", "float8[]"),
    Kind.NULL: ("char", "*", None, "text"),
}


def kind_of(column: Column) -> Kind:
    """Read the kind off datatype, arraysize, xtype and the type in the database."""
    if column.datatype in {"char", "unicodeChar"}:
        if column.xtype == "timestamp":
            return Kind.TIME
        if column.sql_type.endswith("[]"):
            return _REGIONS.get(column.xtype or "", Kind.ARRAY)
        return Kind.NULL if column.sql_type == "unknown" else Kind.TEXT
    if column.arraysize not in {None, "1"}:
        return _REGIONS.get(column.xtype or "", Kind.ARRAY)
    return _SCALARS.get(column.datatype, Kind.UNKNOWN)


def column_of(kind: Kind, *, unit: str = "", ucd: str = "", description: str = "") -> Column:
    """Make the metadata of a value that is no column."""
    if not (unit or ucd or description):
        return _plain(kind)
    return replace(_plain(kind), unit=unit, ucd=ucd, description=description)


@cache
def _plain(kind: Kind) -> Column:
    if kind in {Kind.NULL, Kind.UNKNOWN}:
        return Column("", "char", "*", sql_type="unknown")
    datatype, arraysize, xtype, stored = _DATATYPES[kind]
    return Column("", datatype, arraysize, xtype, sql_type=stored if kind is Kind.REGION else "")


def sql_type(column: Column) -> str:
    """PostgreSQL's type for a value with this metadata."""
    kind = kind_of(column)
    if kind in _DATATYPES:
        return _DATATYPES[kind][3]
    return column.sql_type or "float8[]"


def common(kinds: Iterable[Kind]) -> Kind | None:
    """The kind that takes values of all these (SQL-92 9.3), None if there is no such."""
    found = set(kinds) - {Kind.NULL}
    if Kind.UNKNOWN in found:
        return Kind.UNKNOWN
    if not found:
        return Kind.NULL
    if len(found) == 1:
        return found.pop()
    if found <= set(NUMERIC):
        if found <= set(INTEGRAL):
            return max(found, key=NUMERIC.index)
        return Kind.DOUBLE
    if found <= set(GEOMETRIC):
        return Kind.REGION
    return None
