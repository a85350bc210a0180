"""What a column and a table are, said once; TAP_SCHEMA, VOSI and FIELDs are read off it."""

from __future__ import annotations

__all__ = ["Column", "ForeignKey", "Schema", "Table"]

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a published table or of an answer.

    Attributes
    ----------
    name
        As a query writes it (delimited identifiers without their quotes).
    datatype
        VOTable-1.4 2.1 primitive: boolean, unsignedByte, short, int, long, float, double, char,
        unicodeChar (a text that may hold more than ASCII).
    arraysize
        VOTable-1.4 2.2: None for a scalar, ``*`` or a number otherwise.
    xtype
        DALI-1.1 3.3: timestamp, point, circle, polygon, interval ..., or None.
    unit, ucd, utype, description
        VOUnits, UCD1+, utype; empty where there is none.
    principal, indexed, std
        Flags of TAP-1.1 4.3.
    sql_type
        PostgreSQL type that the database sends for it; derived where empty.
    """

    name: str
    datatype: str
    arraysize: str | None = None
    xtype: str | None = None
    unit: str = ""
    ucd: str = ""
    utype: str = ""
    description: str = ""
    principal: bool = False
    indexed: bool = False
    std: bool = False
    sql_type: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of this table that point into another one (TAP-1.1 4.4)."""

    target_table: str
    columns: tuple[tuple[str, str], ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that users may query.

    Attributes
    ----------
    schema, name
        As a query writes them: ``schema.name``.
    kind
        ``table`` or ``view`` (TAP-1.1 4.2).
    freshness
        Names of the target classes whose products fill it: what a question on this table makes
        fresh. Empty for tables that only report on the archive.
    position
        Names of the columns with the main position (ICRS degrees), or None.
    footprint
        Names of the columns with the covered region, its centre and the diameter of the circle
        around it (region, ra, dec, diameter; ICRS degrees), where the table has the index of
        footprints (:func:`schemas.footprints.size_expression`); or None. Centre and diameter have
        a value in every row, as ``vo.obscore`` holds them: a row without is never looked up.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    description: str = ""
    utype: str = ""
    kind: str = "table"
    index: int = 0
    keys: tuple[ForeignKey, ...] = ()
    freshness: tuple[str, ...] = ()
    position: tuple[str, str] | None = None
    footprint: tuple[str, str, str, str] | None = None

    @property
    def qualified_name(self) -> str:
        """The name as a query writes it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of published tables."""

    name: str
    tables: tuple[Table, ...] = field(default=())
    description: str = ""
    utype: str = ""
    index: int = 0
