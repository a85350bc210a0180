"""TAP_SCHEMA says what is published, and is written only when that changes."""

from __future__ import annotations

import psycopg2
import pytest
import sqlalchemy as sa

from schemas.columns import Column, ForeignKey, Schema, Table
from schemas.database import Database
from schemas.tap_schema import TAP_SCHEMA
from tap.metadata import delimited, fill_tap_schema, tap_schema_rows
from vo_service.opening import prepare_database

PAIRS = Table(
    "a",
    "pairs",
    (Column("size", "int", indexed=True), Column("p", "double", "2", xtype="point", unit="deg")),
    keys=(ForeignKey("tap_schema.tables", (("size", "table_name"),), "an example"),),
    index=3,
)
OBSCORE = Table("ivoa", "obscore", (Column("s_ra", "double", std=True, principal=True),))
SCHEMAS = (Schema("a", (PAIRS,)), Schema("ivoa", (OBSCORE,)), TAP_SCHEMA)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ra", "ra"),
        ("size", '"size"'),
        ("Position", '"Position"'),
        ('a"b', '"a""b"'),
        ("1", '"1"'),
    ],
)
def test_names_that_need_quotes_have_them(name, said):
    assert delimited(name) == said


def test_every_declared_column_has_its_row():
    rows = tap_schema_rows(SCHEMAS)
    assert len(rows["columns"]) == sum(len(t.columns) for s in SCHEMAS for t in s.tables)
    size = next(row for row in rows["columns"] if row["table_name"] == "a.pairs")
    assert (size["column_name"], size["indexed"], size["column_index"]) == ('"size"', 1, 1)
    assert rows["supportedmodels"][0]["dmivorn"] == "ivo://ivoa.net/std/ObsCore#core-1.1"


def test_keys_point_from_and_to_published_columns():
    rows = tap_schema_rows(SCHEMAS)
    known = {(row["table_name"], row["column_name"]) for row in rows["columns"]}
    keys = {row["key_id"]: row for row in rows["keys"]}
    for pair in rows["key_columns"]:
        key = keys[pair["key_id"]]
        assert (key["from_table"], pair["from_column"]) in known
        assert (key["target_table"], pair["target_column"]) in known


def test_the_tables_are_filled_once_and_again_when_something_changed(database, settings):
    prepare_database(settings)
    held = Database(database)
    try:
        fill_tap_schema(held.service, SCHEMAS)
        assert not fill_tap_schema(held.service, SCHEMAS)
        assert fill_tap_schema(held.service, SCHEMAS[1:])
        with held.reader.connect() as connection:
            names = connection.scalars(
                sa.select(sa.column("table_name")).select_from(
                    sa.table("tables", schema="tap_schema")
                )
            ).all()
        assert "a.pairs" not in names
        assert "tap_schema.columns" in names
    finally:
        held.close()


def test_the_reader_cannot_write_what_is_published(database):
    with psycopg2.connect(database.reader_url) as reader, reader.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM tap_schema.columns")
        reader.rollback()
    reader.close()
