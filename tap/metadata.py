"""The published tables as TAP describes them: rows of TAP_SCHEMA, data models, names."""

from __future__ import annotations

__all__ = ["MODELS", "delimited", "fill_tap_schema", "tap_schema_rows"]

import re
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from schemas.tap_schema import METADATA
from tap.adql.words import RESERVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column, Schema, Table

_REGULAR: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LOCK: Final = 7230128
_COUNTED: Final = "nrows"
MODELS: Final = (("ObsCore-1.1", "ivo://ivoa.net/std/ObsCore#core-1.1", "ivoa.obscore"),)
"""Data models by name and identifier, each with the table that follows it."""

Rows = dict[str, list[dict[str, Any]]]


def delimited(name: str) -> str:
    """The identifier as a query must write it (ADQL-2.1 2.1.2)."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def tap_schema_rows(schemas: Sequence[Schema]) -> Rows:
    """Say the published tables as rows of TAP_SCHEMA, by table.

    Notes
    -----
    Standard: TAP-1.1 4. Names that are reserved words are said with their quotes.
    """
    rows: Rows = {name: [] for name in ("schemas", "tables", "columns", "keys", "key_columns")}
    for schema in schemas:
        rows["schemas"].append(
            {
                "schema_name": schema.name,
                "description": schema.description or None,
                "utype": schema.utype or None,
                "schema_index": schema.index,
            }
        )
        for table in schema.tables:
            rows["tables"].append(_table_row(table))
            rows["columns"].extend(
                _column_row(table, column, index) for index, column in enumerate(table.columns, 1)
            )
            _add_keys(rows, table)
    published = {table.qualified_name for schema in schemas for table in schema.tables}
    rows["supportedmodels"] = [
        {"dmname": name, "dmivorn": ivorn} for name, ivorn, table in MODELS if table in published
    ]
    return rows


def _table_row(table: Table) -> dict[str, Any]:
    return {
        "schema_name": table.schema,
        "table_name": table.qualified_name,
        "table_type": table.kind,
        "description": table.description or None,
        "utype": table.utype or None,
        "table_index": table.index,
    }


def _column_row(table: Table, column: Column, index: int) -> dict[str, Any]:
    fixed = column.arraysize is not None and column.arraysize.isdigit()
    return {
        "table_name": table.qualified_name,
        "column_name": delimited(column.name),
        "description": column.description or None,
        "unit": column.unit or None,
        "ucd": column.ucd or None,
        "utype": column.utype or None,
        "datatype": column.datatype,
        "arraysize": column.arraysize,
        "xtype": column.xtype,
        "size": int(column.arraysize) if fixed and column.arraysize else None,
        "principal": int(column.principal),
        "indexed": int(column.indexed),
        "std": int(column.std),
        "column_index": index,
    }


def _add_keys(rows: Rows, table: Table) -> None:
    for number, key in enumerate(table.keys, 1):
        key_id = f"{table.qualified_name}.{number}"
        rows["keys"].append(
            {
                "key_id": key_id,
                "from_table": table.qualified_name,
                "target_table": key.target_table,
                "description": key.description or None,
            }
        )
        rows["key_columns"].extend(
            {"key_id": key_id, "from_column": delimited(a), "target_column": delimited(b)}
            for a, b in key.columns
        )


def fill_tap_schema(engine: sa.Engine, schemas: Sequence[Schema]) -> bool:
    """Make TAP_SCHEMA say what is published, in one transaction.

    Parameters
    ----------
    engine
        Connections of a role that may write ``tap_schema``.
    schemas
        What is published.

    Returns
    -------
    bool
        Whether anything had to be written. Numbers of rows are not declared but found:
        :mod:`tap.row_counts` writes them.
    """
    wanted = tap_schema_rows(schemas)
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        changed = False
        for table in METADATA.sorted_tables:
            rows = [_full(table, row) for row in wanted.get(table.name, [])]
            declared = [column for column in table.columns if column.name != _COUNTED]
            held = {tuple(row) for row in connection.execute(sa.select(*declared))}
            if held == {tuple(row[column.name] for column in declared) for row in rows}:
                continue
            changed = True
            connection.execute(sa.delete(table))
            if rows:
                connection.execute(sa.insert(table), rows)
    return changed


def _full(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    return {column.name: row.get(column.name) for column in table.columns}
