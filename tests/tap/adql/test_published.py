"""Every published table answers through ADQL with the types it declares, to the reader role."""

from __future__ import annotations

import psycopg2
import pytest

from reduction.operate import initialise
from reduction.registry import Registry
from schemas.published import FIXED_SCHEMAS
from schemas.settings import Settings
from tap.adql import Catalogue, check, parse, translate
from tap.metadata import delimited
from tests.tap.adql.test_results import TYPES

TABLES = [table for schema in FIXED_SCHEMAS for table in schema.tables]
CATALOGUE = Catalogue(TABLES)


@pytest.fixture(scope="module")
def ask(database):
    initialise(Settings(database=database), Registry.load())
    connection = psycopg2.connect(database.reader_url)

    def ask(text):
        cursor = connection.cursor()
        cursor.execute(translate(check(parse(text), CATALOGUE), limit=10).text)
        return cursor

    yield ask
    connection.close()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_all_columns_of_a_table_come_as_declared(ask, table):
    cursor = ask(f"SELECT * FROM {table.qualified_name}")
    sent = [column.type_code for column in cursor.description]
    arrays = {"double": 1022, "int": 1007, "short": 1005, "long": 1016, "float": 1021}
    wanted = [
        arrays[column.datatype]
        if column.arraysize and column.datatype not in {"char", "unicodeChar"}
        else TYPES[column.datatype]
        for column in table.columns
    ]
    assert sent == wanted


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_each_column_can_be_named_compared_and_sorted(ask, table):
    for column in table.columns:
        name = delimited(column.name)
        order = "" if column.arraysize and column.datatype != "char" else f" ORDER BY {name} DESC"
        ask(f"SELECT {name} AS a FROM {table.qualified_name} WHERE {name} IS NOT NULL{order}")


def test_the_questions_that_astronomers_ask_first_are_answered(ask):
    for text in (
        "SELECT TOP 10 * FROM ivoa.obscore WHERE 1=INTERSECTS(s_region, CIRCLE(10, 20, 0.1))",
        "SELECT obs_publisher_did FROM ivoa.ObsCore WHERE 1=CONTAINS(POINT(10, 20), s_region)",
        (
            "SELECT s.ra, s.dec, o.access_url FROM archive.sources AS s JOIN ivoa.obscore AS o"
            " USING (obs_publisher_did) WHERE 1=CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 0.1))"
        ),
        (
            "SELECT a.source_id, b.source_id FROM archive.sources a JOIN archive.sources b"
            " ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1./3600 WHERE a.filter='B' AND b.filter='V'"
        ),
        "SELECT table_name, description FROM tap_schema.tables ORDER BY table_index",
        "SELECT column_name, \"size\" FROM TAP_SCHEMA.columns WHERE table_name = 'ivoa.obscore'",
        (
            "SELECT class_name, COUNT(*) AS n FROM archive.targets WHERE state <> 'fresh'"
            " GROUP BY class_name ORDER BY n DESC"
        ),
        "SELECT * FROM archive.products WHERE creation_date > '2020-01-01T00:00:00'",
    ):
        ask(text).fetchall()
