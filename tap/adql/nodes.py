"""The tree of an ADQL text: what was written, not yet what it means."""

from __future__ import annotations

__all__ = [
    "AllColumns",
    "Between",
    "Binary",
    "Boolean",
    "Call",
    "Cast",
    "ColumnName",
    "CommonTable",
    "Comparison",
    "Condition",
    "DerivedTable",
    "Exists",
    "Expression",
    "In",
    "IsNull",
    "Item",
    "Join",
    "Like",
    "Logical",
    "Name",
    "Not",
    "Null",
    "Number",
    "OrderTerm",
    "Query",
    "Select",
    "SetOperation",
    "String",
    "Subquery",
    "TableName",
    "Unary",
    "Value",
]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier; ``text`` is without quotes, ``delimited`` says whether it had them."""

    text: str
    delimited: bool
    line: int
    column: int

    def matches(self, name: str) -> bool:
        """Whether it means something called so (ADQL-2.1 2.1.2: delimited means exact case)."""
        return self.text == name if self.delimited else self.text.lower() == name.lower()


@dataclass(frozen=True, slots=True)
class Expression:
    """Anything that has a value; line and column count from 1."""

    line: int
    column: int


class Value(Expression):
    """An expression that can stand in a select list."""

    __slots__ = ()


class Condition(Expression):
    """An expression that can stand after WHERE."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Number(Value):
    """An unsigned numeric literal as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class String(Value):
    """A character literal, quotes removed."""

    text: str


@dataclass(frozen=True, slots=True)
class Boolean(Value, Condition):
    """TRUE or FALSE."""

    truth: bool


@dataclass(frozen=True, slots=True)
class Null(Value):
    """NULL."""


@dataclass(frozen=True, slots=True)
class ColumnName(Value):
    """A column, with up to three qualifiers before it."""

    parts: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Unary(Value):
    """A sign or a bitwise complement."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Value):
    """Arithmetic, bitwise operation or concatenation."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call(Value, Condition):
    """A function with its arguments; ``standard`` where the name is reserved.

    A user defined function may be a condition by itself; a standard one never is.
    """

    name: str
    arguments: tuple[Expression, ...]
    standard: bool
    distinct: bool = False
    rows: bool = False


@dataclass(frozen=True, slots=True)
class Cast(Value):
    """CAST; ``target`` in capitals, ``length`` for CHAR and VARCHAR."""

    operand: Expression
    target: str
    length: int | None


@dataclass(frozen=True, slots=True)
class Subquery(Value):
    """A query in parentheses where a value is meant."""

    query: Query


@dataclass(frozen=True, slots=True)
class Comparison(Condition):
    """``=  <>  <  <=  >  >=``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Between(Condition):
    """[NOT] BETWEEN."""

    operand: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class In(Condition):
    """[NOT] IN a list, or a query."""

    operand: Expression
    items: tuple[Expression, ...]
    query: Query | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Like(Condition):
    """[NOT] LIKE, [NOT] ILIKE."""

    operand: Expression
    pattern: Expression
    negated: bool
    nocase: bool


@dataclass(frozen=True, slots=True)
class IsNull(Condition):
    """IS [NOT] NULL."""

    operand: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Exists(Condition):
    """EXISTS."""

    query: Query


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """NOT."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Logical(Condition):
    """Two or more conditions joined by AND or by OR."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """An expression of the select list with its alias."""

    expression: Expression
    alias: Name | None


@dataclass(frozen=True, slots=True)
class AllColumns:
    """``*`` or ``qualifier.*``."""

    qualifier: tuple[Name, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class TableName:
    """A table by name, with its alias."""

    parts: tuple[Name, ...]
    alias: Name | None


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A query that stands for a table."""

    query: Query
    alias: Name


@dataclass(frozen=True, slots=True)
class Join:
    """Two tables joined; ``kind`` is INNER, LEFT, RIGHT or FULL."""

    left: TableName | DerivedTable | Join
    right: TableName | DerivedTable | Join
    kind: str
    natural: bool
    condition: Expression | None
    using: tuple[Name, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT ... HAVING."""

    distinct: bool
    top: int | None
    items: tuple[Item | AllColumns, ...]
    sources: tuple[TableName | DerivedTable | Join, ...]
    where: Expression | None
    groups: tuple[Expression, ...]
    having: Expression | None
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SetOperation:
    """UNION, EXCEPT or INTERSECT."""

    operator: str
    keep_all: bool
    left: Select | SetOperation | Query
    right: Select | SetOperation | Query
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One expression of ORDER BY."""

    expression: Expression
    descending: bool


@dataclass(frozen=True, slots=True)
class CommonTable:
    """One query of WITH, with the names of its columns where they are given."""

    name: Name
    columns: tuple[Name, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query, or one in parentheses."""

    common: tuple[CommonTable, ...]
    body: Select | SetOperation | Query
    order: tuple[OrderTerm, ...]
    offset: int
