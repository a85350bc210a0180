"""The checked tree: names resolved, every value with its metadata, ready to be written as SQL."""

from __future__ import annotations

__all__ = [
    "Apply",
    "CommonTable",
    "CommonUse",
    "Constant",
    "Convert",
    "Derived",
    "Expr",
    "InQuery",
    "Item",
    "Join",
    "Logical",
    "OrderTerm",
    "Query",
    "QueryValue",
    "Reference",
    "Relation",
    "Select",
    "SetOperation",
    "Source",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from schemas.columns import Column, Table
    from tap.adql.functions import Function


@dataclass(frozen=True, slots=True)
class Expr:
    """A value; ``column`` tells its type, unit and meaning."""

    column: Column


@dataclass(frozen=True, slots=True)
class Reference(Expr):
    """A column of a relation; ``table`` where that is stored, ``uploaded`` or published."""

    relation: str
    name: str
    table: Table | None = None
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    """A literal."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """A function or an operator on its arguments."""

    function: Function
    arguments: tuple[Expr, ...]
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Convert(Expr):
    """A value in another type; ``length`` limits a text."""

    operand: Expr
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Logical(Expr):
    """Conditions joined by AND or by OR."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class InQuery(Expr):
    """Whether a value is among those of a query."""

    operand: Expr
    query: Query
    negated: bool


@dataclass(frozen=True, slots=True)
class QueryValue(Expr):
    """The one value of a query, or (``exists``) whether it has rows."""

    query: Query
    exists: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A column of a select list; ``column`` with the name that the answer gives it."""

    expression: Expr
    column: Column


@dataclass(frozen=True, slots=True)
class Source:
    """A stored table."""

    alias: str
    table: Table
    stored: tuple[str, ...]

    @property
    def uploaded(self) -> bool:
        """Whether it came with the query, and is small beside what is published."""
        return self.stored[0] == "pg_temp"


@dataclass(frozen=True, slots=True)
class Derived:
    """A query that stands for a table; its columns are c1, c2 ..."""

    alias: str
    query: Query


@dataclass(frozen=True, slots=True)
class CommonUse:
    """A query of WITH, used as a table."""

    alias: str
    name: str


@dataclass(frozen=True, slots=True)
class Join:
    """Two relations joined; ``kind`` is INNER, LEFT, RIGHT or FULL."""

    kind: str
    left: Relation
    right: Relation
    condition: Expr | None


Relation: TypeAlias = Source | Derived | CommonUse | Join


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT ... HAVING; ``top`` is None where all rows are wanted."""

    distinct: bool
    top: int | None
    items: tuple[Item, ...]
    sources: tuple[Relation, ...]
    where: Expr | None
    groups: tuple[Expr, ...]
    having: Expr | None

    @property
    def columns(self) -> tuple[Column, ...]:
        """What its rows hold."""
        return tuple(item.column for item in self.items)


@dataclass(frozen=True, slots=True)
class SetOperation:
    """UNION, EXCEPT or INTERSECT; both sides are brought to the types of ``columns``."""

    operator: str
    keep_all: bool
    left: Query
    right: Query
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """ORDER BY an expression, or (``position``, from 1) a column of the answer."""

    expression: Expr | None
    position: int
    descending: bool


@dataclass(frozen=True, slots=True)
class CommonTable:
    """A query of WITH."""

    name: str
    query: Query


@dataclass(frozen=True, slots=True)
class Query:
    """A query with what applies to its whole answer."""

    common: tuple[CommonTable, ...]
    body: Select | SetOperation | Query
    order: tuple[OrderTerm, ...]
    offset: int

    @property
    def columns(self) -> tuple[Column, ...]:
        """What its rows hold."""
        return self.body.columns
