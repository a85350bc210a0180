"""What it costs to understand a query, beside what PostgreSQL takes to plan the same one."""

from __future__ import annotations

import statistics
import time

import psycopg2

from schemas.published import FIXED_SCHEMAS
from tap.adql import Catalogue, check, parse, translate

CATALOGUE = Catalogue([table for schema in FIXED_SCHEMAS for table in schema.tables])
TYPICAL = [
    "SELECT TOP 1 * FROM archive.sources",
    "SELECT * FROM archive.sources WHERE 1=CONTAINS(POINT('ICRS', ra, dec), CIRCLE(1, 2, 0.1))",
    "SELECT ra, dec, mag, mag_err FROM archive.sources WHERE mag BETWEEN 15 AND 20 AND flags = 0",
    "SELECT filter, COUNT(*) AS n, AVG(mag) AS m FROM archive.sources GROUP BY filter ORDER BY n",
    (
        "SELECT a.ra, a.dec, a.mag - b.mag AS c FROM archive.sources a JOIN archive.sources b"
        " ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 1./3600"
        " WHERE a.filter = 'B' AND b.filter = 'V'"
    ),
    (
        "SELECT obs_publisher_did, access_url FROM ivoa.obscore WHERE dataproduct_type = 'image'"
        " AND 1=INTERSECTS(s_region, CIRCLE(116, 39, 0.2)) AND t_min > 50000 ORDER BY t_min"
    ),
    (
        "WITH bright AS (SELECT * FROM archive.sources WHERE mag < 15) SELECT b.ra, o.access_url"
        " FROM bright AS b JOIN ivoa.obscore AS o USING (obs_publisher_did)"
    ),
    (
        "SELECT table_name, column_name, datatype, unit, ucd FROM tap_schema.columns"
        " WHERE table_name LIKE 'archive.%' ORDER BY table_name"
    ),
]


def seconds(call, *arguments):
    taken = []
    for _ in range(15):
        start = time.perf_counter()
        call(*arguments)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def test_understanding_a_query_costs_little_beside_answering_it(
    database, record_testsuite_property
):
    connection = psycopg2.connect(database.owner_url)
    cursor = connection.cursor()

    def understand(text):
        return translate(check(parse(text), CATALOGUE), limit=100).text

    ratios = []
    for text in TYPICAL:
        sql = understand(text)
        ours = seconds(understand, text)
        theirs = seconds(cursor.execute, f"EXPLAIN {sql}")
        ratios.append(ours / theirs)
    record_testsuite_property("adql_to_plan_ratio", statistics.median(ratios))
    connection.close()
    assert statistics.median(ratios) < 5, ratios
