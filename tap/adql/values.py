"""SQL of columns, of literals, and of values as they leave."""

from __future__ import annotations

__all__ = ["SHAPES", "dali", "is_stored_so", "literal", "reference", "sent", "shape"]

from typing import TYPE_CHECKING, Final

from tap.adql import literals, typed
from tap.adql.kinds import GEOMETRIC, Kind, kind_of, sql_type

if TYPE_CHECKING:
    from schemas.columns import Column


def is_stored_so(item: typed.Item) -> bool:
    """Whether a column leaves as it is stored, with the type that the answer says."""
    stored = item.expression.column
    kind = kind_of(stored)
    becomes_text = kind is Kind.TIME or (stored.datatype == "char" and kind in GEOMETRIC)
    return (
        isinstance(item.expression, typed.Reference)
        and stored.sql_type == sql_type(stored)
        and not becomes_text
    )


_NUMBER: Final = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
#: Texts that are regions of a kind: numbers with blanks between (DALI-1.1 3.3.5 to 3.3.7).
SHAPES: Final = {
    Kind.POINT: rf"^\s*({_NUMBER}\s+{_NUMBER})\s*$",
    Kind.CIRCLE: rf"^\s*({_NUMBER}(?:\s+{_NUMBER}){{2}})\s*$",
    Kind.POLYGON: rf"^\s*({_NUMBER}\s+{_NUMBER}(?:\s+{_NUMBER}\s+{_NUMBER}){{2,}})\s*$",
}


def sent(written: str, column: Column) -> str:
    """SQL of a value as the answer has it: moments and regions as text, the rest of its type."""
    kind = kind_of(column)
    if kind is Kind.TIME:
        return dali(written)
    if kind in GEOMETRIC and column.datatype == "char":
        return f"vo.stcs({written})"
    return f"{written}::{sql_type(column)}"


def dali(moment: str) -> str:
    """SQL of a timestamp as text (DALI-1.1 3.3.3), without a fraction that is zero."""
    form = "to_char({0}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
    return f"regexp_replace({form.format(moment)}, '\\.0+$', '')"


def shape(text: str, kind: Kind) -> str:
    """SQL of a text with as many numbers as a region of this kind has, cast to one.

    The numbers of another text stay as they are, without the braces of an array: the database says
    that it is none. The text is written once.
    """
    braced = f"regexp_replace(translate({text}, '{{}}', '??'), '{SHAPES[kind]}', '{{\\1}}')"
    return f"regexp_replace({braced}, '\\s+', ',', 'g')::float8[]"


def reference(found: typed.Reference) -> str:
    """SQL of a column; moments that are stored otherwise become timestamps without zone."""
    text = f"{found.relation}.{literals.identifier(found.name)}"
    if found.table is None or kind_of(found.column) is not Kind.TIME:
        return text
    stored = found.column.sql_type.lower()
    if stored in {"timestamptz", "timestamp with time zone"}:
        return f"({text} AT TIME ZONE 'UTC')"
    return text if stored.startswith("timestamp") else f"{text}::timestamp"


def literal(found: typed.Constant) -> str:
    """SQL of a literal."""
    value = found.value
    if value is None:
        untyped = kind_of(found.column) is Kind.NULL
        return "NULL" if untyped else f"NULL::{sql_type(found.column)}"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        kind = "timestamp" if kind_of(found.column) is Kind.TIME else "text"
        return f"{literals.text(value)}::{kind}"
    if isinstance(value, int):
        kind = sql_type(found.column)
        return f"{value}" if value >= 0 and kind == "int4" else f"'{value}'::{kind}"
    return literals.double(value)
