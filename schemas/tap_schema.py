"""TAP_SCHEMA: the tables that describe the published tables, under DaCHS's names.

The columns are those of TAP-1.1 4 and the few that DaCHS adds (``sourcerd``, ``nrows``, the
tables ``groups`` and ``supportedmodels``), so that a stock DaCHS finds its own. Their rows are
made from the declarations of the published tables by ``tap/metadata.py``.
"""

from __future__ import annotations

__all__ = ["METADATA", "TAP_SCHEMA"]

from typing import Final

import sqlalchemy as sa

from schemas.columns import Column, ForeignKey, Schema, Table

_SQL_TYPES: Final = {
    "char": sa.Text,
    "short": sa.SmallInteger,
    "int": sa.Integer,
    "long": sa.BigInteger,
}
_REQUIRED: Final = {
    "schemas": ("schema_name",),
    "tables": ("table_name",),
    "columns": ("table_name", "column_name"),
    "keys": ("key_id",),
    "supportedmodels": ("dmivorn",),
}


#: UCDs of the columns by the end of their names.
_UCDS: Final = {
    "name": "meta.id",
    "id": "meta.id",
    "table": "meta.id;meta.table",
    "column": "meta.id",
    "description": "meta.note",
    "index": "meta.number",
    "nrows": "meta.number;meta.table",
    "size": "meta.number",
    "ivorn": "meta.ref.ivoid",
    "ucd": "meta.ucd",
    "unit": "meta.unit",
    "sourcerd": "meta.ref",
}


def _ucd(name: str) -> str:
    return next((ucd for end, ucd in _UCDS.items() if name.endswith(end)), "meta.code")


def _text(
    name: str,
    description: str,
    *,
    std: bool = True,
    principal: bool = False,
    indexed: bool = False,
) -> Column:
    return Column(
        name,
        "char",
        "*",
        ucd=_ucd(name),
        description=description,
        std=std,
        principal=principal,
        indexed=indexed,
    )


def _number(name: str, description: str, datatype: str = "int", *, std: bool = True) -> Column:
    return Column(name, datatype, ucd=_ucd(name), description=description, std=std)


_SOURCE: Final = _text("sourcerd", "Where the entry is declared", std=False)
_UTYPE: Final = _text("utype", "Data model element that it represents, if any")

_SCHEMAS: Final = Table(
    "tap_schema",
    "schemas",
    (
        _text("schema_name", "Fully qualified name of the schema", principal=True, indexed=True),
        _text("description", "What the schema holds", principal=True),
        _UTYPE,
        _number("schema_index", "Order in which schemas are best shown"),
    ),
    description="Schemas that can be queried",
    index=1,
)
_TABLES: Final = Table(
    "tap_schema",
    "tables",
    (
        _text("schema_name", "Schema that the table is in", principal=True),
        _text("table_name", "Name as a query writes it", principal=True, indexed=True),
        _text("table_type", "table or view"),
        _text("description", "What the table holds", principal=True),
        _UTYPE,
        _number("table_index", "Order in which tables are best shown"),
        _SOURCE,
        _number("nrows", "Approximate number of rows, where known", "long", std=False),
    ),
    description="Tables that can be queried",
    index=2,
    keys=(ForeignKey("tap_schema.schemas", (("schema_name", "schema_name"),)),),
)
_COLUMNS: Final = Table(
    "tap_schema",
    "columns",
    (
        _text("table_name", "Table that the column is in", principal=True, indexed=True),
        _text("column_name", "Name as a query writes it", principal=True),
        _text("description", "What the column holds", principal=True),
        _text("unit", "Unit in VOUnits", principal=True),
        _text("ucd", "Unified content descriptor", principal=True),
        _UTYPE,
        _text("datatype", "VOTable datatype", principal=True),
        _text("arraysize", "VOTable arraysize; NULL for scalars"),
        _text("xtype", "DALI extended type, if any"),
        _number("size", "Length of fixed-length arrays; deprecated, use arraysize"),
        _number("principal", "1 for the columns most people want"),
        _number("indexed", "1 where conditions are fast"),
        _number("std", "1 where a standard defines the column"),
        _SOURCE,
        _number("column_index", "Order in which columns are best shown", "short"),
    ),
    description="Columns of the tables that can be queried",
    index=3,
    keys=(ForeignKey("tap_schema.tables", (("table_name", "table_name"),)),),
)
_KEYS: Final = Table(
    "tap_schema",
    "keys",
    (
        _text("key_id", "Identifier of the key", principal=True, indexed=True),
        _text("from_table", "Table with the key", principal=True),
        _text("target_table", "Table that it points into", principal=True),
        _text("description", "What the relation means"),
        _UTYPE,
        _SOURCE,
    ),
    description="Foreign keys between the tables that can be queried",
    index=4,
    keys=(
        ForeignKey("tap_schema.tables", (("from_table", "table_name"),)),
        ForeignKey("tap_schema.tables", (("target_table", "table_name"),)),
    ),
)
_KEY_COLUMNS: Final = Table(
    "tap_schema",
    "key_columns",
    (
        _text("key_id", "Identifier of the key", principal=True),
        _text("from_column", "Column of the table with the key", principal=True),
        _text("target_column", "Column that it equals", principal=True),
        _SOURCE,
    ),
    description="Columns of the foreign keys",
    index=5,
    keys=(ForeignKey("tap_schema.keys", (("key_id", "key_id"),)),),
)
_GROUPS: Final = Table(
    "tap_schema",
    "groups",
    (
        _text("table_name", "Table that the group is in", std=False),
        _text("column_name", "Column in the group", std=False),
        _text("column_utype", "What the column means in the group", std=False),
        _text("group_name", "Name of the group", std=False, principal=True),
        _text("group_utype", "What the group represents", std=False),
        _SOURCE,
    ),
    description="Columns that belong together",
    index=6,
)
_MODELS: Final = Table(
    "tap_schema",
    "supportedmodels",
    (
        _SOURCE,
        _text("dmname", "Name of the data model", std=False, principal=True),
        _text(
            "dmivorn", "IVOA identifier of the data model", std=False, principal=True, indexed=True
        ),
    ),
    description="Data models that published tables follow",
    index=7,
)

TAP_SCHEMA: Final = Schema(
    "tap_schema",
    (_SCHEMAS, _TABLES, _COLUMNS, _KEYS, _KEY_COLUMNS, _GROUPS, _MODELS),
    description="Tables that describe the tables of this service (TAP-1.1 4)",
    index=1000,
)
"""The schema as a declaration, published like any other."""


def _metadata() -> sa.MetaData:
    metadata = sa.MetaData(schema=TAP_SCHEMA.name)
    for table in TAP_SCHEMA.tables:
        required = _REQUIRED.get(table.name, ())
        sa.Table(
            table.name,
            metadata,
            *(
                sa.Column(
                    column.name, _SQL_TYPES[column.datatype], primary_key=column.name in required
                )
                for column in table.columns
            ),
        )
    return metadata


METADATA: Final = _metadata()
"""The same as tables of the database; ``METADATA.create_all`` makes them."""
