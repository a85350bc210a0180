"""What is said of the published tables is complete, and true of the database."""

from __future__ import annotations

import re

import psycopg2
import pytest
from astropy.io.votable.ucd import check_ucd

from reduction.published import published_schemas
from reduction.registry import Registry
from schemas.published import FIXED_SCHEMAS
from tap.adql import Catalogue, check, parse, translate
from vo_service.opening import prepare_database

SCHEMAS = published_schemas(Registry.load(()))
TABLES = [table for schema in SCHEMAS for table in schema.tables]
_SOUGHT = {
    "char": "'~sought~'",
    "unicodeChar": "'~sought~'",
    "long": "987654321",
    "int": "987654321",
    "short": "12321",
    "double": "0.12345678",
    "float": "0.12345678",
    "boolean": "true",
}
#: Ratios, and what is said of flat fields, which are ratios themselves.
_WITHOUT_UNIT = re.compile(
    "elongation|airmass.*|nonlinearity|good_fraction|em_res_power|flatness|imstat_.*"
    "|doubt|spread|chi2|color_term.*|stetson|error_scale|val|median_chi2"
    "|saturated|amplitude|.*_fraction|noise_factor|psf_difference|coverage|clipped|flux_scale|effective_gain"
)
#: Found by an index too, but only after every row of the view was computed.
_COMPUTED = {"ancestor_id", "ancestor_class", "descendant_id", "descendant_class"}
#: Looked up in the few classes that are not listed, not in the images.
_COMPUTED |= {"dataproduct_subtype"}


def names(table):
    return table.qualified_name


@pytest.fixture(scope="module")
def planner(settings):
    """A cursor that takes an index wherever it can."""
    prepare_database(settings)
    connection = psycopg2.connect(settings.database.owner_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        yield cursor
    connection.close()


def scans(cursor, sql):
    """Index and condition of each index scan of a plan."""
    cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
    nodes = [cursor.fetchone()[0][0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Index Cond" in node:
            yield node["Index Name"], node["Index Cond"]


def keys(cursor, index):
    """What an index is sorted by, first key first."""
    cursor.execute(
        "SELECT pg_get_indexdef(i.indexrelid, n, true) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid, generate_series(1, i.indnkeyatts) n "
        "WHERE c.relname = %s ORDER BY n",
        (index,),
    )
    return [name.strip('"') for (name,) in cursor.fetchall()]


def is_indexed(cursor, table, column):
    """Whether a condition on the column alone is answered from an index's beginning."""
    sought = _SOUGHT[column.datatype]
    sql = f'SELECT * FROM {table.qualified_name} WHERE "{column.name}" = {sought}'
    for index, condition in scans(cursor, sql):
        met = re.search(rf"\(?(\w+)\)?(?:::\w+)? = \(?{re.escape(sought)}", condition)
        for key in keys(cursor, index):
            if met and key == met[1]:
                return True
            if not re.search(rf"\b{re.escape(key)}\b\)?(?:::\w+)? = '", condition):
                break  # this key is free, so what follows it is not looked up
    return False


@pytest.mark.parametrize("table", TABLES, ids=names)
def test_a_column_is_called_indexed_where_the_database_has_an_index_for_it(planner, table):
    position = table.position or ()
    looked_up = {
        column.name
        for column in table.columns
        if column.name not in {*position, *_COMPUTED}
        and column.arraysize in {None, "*"}
        and column.xtype not in {"polygon", "adql:REGION"}
        and is_indexed(planner, table, column)
    }
    declared = {column.name for column in table.columns if column.indexed}
    regions = {table.footprint[0]} if table.footprint else set()
    assert declared - set(position) - regions == looked_up


@pytest.mark.parametrize("table", [t for t in TABLES if t.position], ids=names)
def test_a_position_is_called_indexed_where_a_cone_search_uses_an_index(planner, table):
    ra, dec = table.position
    cone = f"CONTAINS(POINT({ra}, {dec}), CIRCLE(10, 20, 0.1))"
    query = f"SELECT {ra} FROM {table.qualified_name} WHERE 1 = {cone}"
    checked = check(parse(query), Catalogue(TABLES))
    by_zone = any("floor" in c for _, c in scans(planner, translate(checked, limit=9).text))
    declared = {column.indexed for column in table.columns if column.name in table.position}
    assert declared == {by_zone}


@pytest.mark.parametrize("table", [t for t in TABLES if t.footprint], ids=names)
def test_a_region_is_called_indexed_where_a_search_for_regions_uses_an_index(planner, table):
    region = table.footprint[0]
    query = f"SELECT {region} FROM {table.qualified_name}"
    query += f" WHERE 1 = INTERSECTS({region}, CIRCLE(10, 20, 0.1))"
    checked = check(parse(query), Catalogue(TABLES))
    by_zone = any("floor" in c for _, c in scans(planner, translate(checked, limit=9).text))
    declared = {column.indexed for column in table.columns if column.name == region}
    assert declared == {by_zone}


@pytest.mark.parametrize("table", TABLES, ids=names)
def test_everything_is_described(table):
    assert table.description
    for column in table.columns:
        assert column.description, column.name
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column.name
        real = column.datatype in {"float", "double"} and column.arraysize is None
        if real and not _WITHOUT_UNIT.fullmatch(column.name):
            assert column.unit, column.name


def test_a_table_has_columns_that_most_people_want_and_not_too_many():
    for table in TABLES:
        principal = [column for column in table.columns if column.principal]
        assert principal, table.qualified_name


def test_every_fixed_schema_says_what_it_is():
    assert all(schema.description for schema in FIXED_SCHEMAS)
