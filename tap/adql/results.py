"""What the value of a function or of an operator is: type, unit, UCD and the rest."""

from __future__ import annotations

__all__ = ["coalesced", "operated", "result_of", "text_of", "typed_as", "unified"]

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.columns import Column
from tap.adql.kinds import Kind, column_of, common, kind_of
from tap.adql.units import product, quotient, statistic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap.adql.functions import Function
    from tap.adql.typed import Expr


def typed_as(column: Column, kind: Kind) -> Column:
    """A column's metadata with another type."""
    if kind is kind_of(column):
        return column
    bare = column_of(kind)
    return replace(
        column,
        datatype=bare.datatype,
        arraysize=bare.arraysize,
        xtype=bare.xtype,
        sql_type=bare.sql_type,
    )


def result_of(function: Function, arguments: Sequence[Expr]) -> Column:
    """What a function's value is; its name is the function's."""
    first = arguments[0].column if arguments else column_of(Kind.DOUBLE)
    if function.array:
        datatype, arraysize, sql_type = function.array
        column = Column("", datatype, arraysize, sql_type=sql_type)
    elif isinstance(function.result, Kind):
        column = column_of(function.result)
    else:
        column = typed_as(column_of(kind_of(first)), kind_of(arguments[function.result].column))
        column = replace(column, arraysize=first.arraysize, sql_type=first.sql_type)
    unit = first.unit if function.unit == "=" else function.unit
    ucd = first.ucd if function.ucd == "=" else function.ucd
    if ucd.startswith("stat."):
        ucd = statistic(ucd, first.ucd)
    column = replace(column, name=function.name.lower(), unit=unit, ucd=ucd)
    return _lettered(column, (argument.column for argument in arguments))


def text_of(text: str) -> Column:
    """What a literal is: ``char`` is ASCII to all who read answers (VOTable-1.4 2.1)."""
    column = column_of(Kind.TEXT)
    return column if text.isascii() else replace(column, datatype="unicodeChar")


def _lettered(column: Column, made_of: Iterable[Column]) -> Column:
    """A text in the letters of those that it is made of."""
    if column.datatype != "char" or kind_of(column) is not Kind.TEXT:
        return column
    wide = any(one.datatype == "unicodeChar" for one in made_of)
    return replace(column, datatype="unicodeChar") if wide else column


def coalesced(arguments: Sequence[Expr], kind: Kind) -> Column:
    """What COALESCE gives: the first argument's metadata, as far as the others agree."""
    columns = [argument.column for argument in arguments]
    column = typed_as(columns[0], kind)
    if kind is Kind.TEXT and len({column.arraysize for column in columns}) > 1:
        column = replace(column, arraysize="*")
    column = replace(
        column,
        unit=_agreed(column.unit for column in columns),
        ucd=_agreed(column.ucd for column in columns),
    )
    return _lettered(column, columns)


def unified(left: Column, right: Column) -> Column | None:
    """What a column of a set operation is: the left side's, in a type that takes both.

    None if there is no such type; a unit that differs is left out (ADQL-2.1 4.6).
    """
    kind = common([kind_of(left), kind_of(right)])
    if kind is None:
        return None
    base = right if kind_of(left) is Kind.NULL else left
    if kind is not kind_of(base):
        base = typed_as(base, kind)
    elif left.arraysize != right.arraysize and kind is Kind.TEXT:
        base = replace(base, arraysize="*")
    base = _lettered(base, (left, right))
    return replace(base, name=left.name, unit=_agreed((left.unit, right.unit)))


def _agreed(words: Iterable[str]) -> str:
    said = {word for word in words if word}
    return said.pop() if len(said) == 1 else ""


def operated(word: str, arguments: Sequence[Expr], function: Function) -> Column:
    """What an operator's value is: units are multiplied, divided, or must agree."""
    columns = [argument.column for argument in arguments]
    if word in {"||", "LIKE", "ILIKE", "NEGATIVE", "~"}:
        return replace(result_of(function, arguments), name="")
    kind = common(kind_of(column) for column in columns) or Kind.DOUBLE
    if word in {"&", "|", "^"}:
        return column_of(kind)
    units = [column.unit for column in columns]
    if word in {"+", "-"}:
        return column_of(kind, unit=_agreed(units), ucd=_agreed(c.ucd for c in columns))
    return column_of(kind, unit=(product if word == "*" else quotient)(*units))
