"""Questions about places among 2 million stars and 100 000 images read a few pages, not a table.

Each question is run: EXPLAIN says which pages of the database it looked at, whatever the machine.
"""

from __future__ import annotations

import json

import psycopg2
import pytest

from schemas.published import FIXED_SCHEMAS
from sia.protocol import PARAMS
from sia.query import statement
from tap.adql import Catalogue, check, parse, translate
from tests.sia.conftest import ask as asked
from tests.support.plates import make_plates
from tests.support.stars import STARS, make_stars

pytestmark = pytest.mark.slow

TABLES = [table for schema in FIXED_SCHEMAS for table in schema.tables]
CATALOGUE = Catalogue([*TABLES, STARS])
#: Part of the tables' pages that a question may look at (each look counts), and not more.
PART = 0.05

PLACES = [
    "1=CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 180, 30, 0.1))",
    "CONTAINS(POINT(ra, dec), CIRCLE(180, 30, 6./60)) = 1",
    "0 <> CONTAINS(POINT(ra, dec), CIRCLE(POINT(180, 30), 0.1))",
    "DISTANCE(POINT(ra, dec), POINT(180, 30)) < 0.1",
    "DISTANCE(180, 30, ra, dec) <= 0.1",
    "0.1 > DISTANCE(POINT(180, 30), POINT(ra, dec))",
    "0.1 >= DISTANCE(ra, dec, 180, 30)",
    "INTERSECTS(POINT(ra, dec), CIRCLE(180, 30, 0.1)) = 1",
    "1 = INTERSECTS(CIRCLE(180, 30, 0.1), POINT(ra, dec))",
    "1=CONTAINS(POINT(ra, dec), POLYGON(180,30, 180.1,30, 180.1,30.1))",
    "1=CONTAINS(POINT(ra, dec), BOX(180, 30, 0.1, 0.1))",
    "1=CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 180 30 0.1'))",
    "1=CONTAINS(POINT(ra, dec), CIRCLE(0.01, 30, 0.1))",
    "1=CONTAINS(POINT(ra, dec), CIRCLE(77, 89.99, 0.1))",
    "DISTANCE(ra, dec, 180, 30) < 0.1 OR DISTANCE(ra, dec, 10, -70) < 0.1",
    "DISTANCE(ra, dec, 180, 30) < 0.1 OR id = 10000000037",
    "gmag < 18 AND (DISTANCE(ra, dec, 180, 30) < 0.1 OR 1=CONTAINS(POINT(ra, dec), BOX(9,9,1,1)))",
    "DISTANCE(ra, dec, 180, 30) < 0.1 AND NOT (flag = 3) AND rmag - gmag BETWEEN -2 AND 2",
]
FEW = "(SELECT TOP 20 id, ra, dec FROM bench.stars WHERE id < 10000000800) AS t"
CTE = "WITH few AS (SELECT TOP 20 id, ra, dec, POINT(ra, dec) AS p FROM bench.stars ORDER BY id) "
STAR = "JOIN bench.stars AS s ON"
MATCHES = [
    "1=CONTAINS(POINT(s.ra, s.dec), CIRCLE(t.ra, t.dec, 2./3600))",
    "CONTAINS(POINT('', t.ra, t.dec), CIRCLE('', s.ra, s.dec, 2./3600))=1",
    "DISTANCE(POINT(t.ra, t.dec), POINT(s.ra, s.dec)) < 2./3600",
    "2./3600 >= DISTANCE(s.ra, s.dec, t.ra, t.dec)",
    "DISTANCE(s.ra, s.dec, t.ra, t.dec) < 0.01 AND s.gmag < t.ra + 20",
    "1=CONTAINS(POINT(s.ra, s.dec), POLYGON(t.ra, t.dec, t.ra + 0.1, t.dec, t.ra, t.dec + 0.1))",
    "1=INTERSECTS(POINT(s.ra, s.dec), BOX(t.ra, t.dec, 0.1, 0.1))",
]
FORMS = [
    "SELECT s.id, t.id FROM bench.stars AS s JOIN {few} ON {on}",
    "SELECT s.id, t.id FROM {few} JOIN bench.stars AS s ON {on}",
    "SELECT s.id, t.id FROM {few}, bench.stars AS s WHERE {on}",
    "SELECT s.id, t.id FROM {few} LEFT JOIN bench.stars AS s ON {on}",
    "SELECT s.id, t.id FROM bench.stars AS s RIGHT OUTER JOIN {few} ON {on}",
    "SELECT t.id FROM {few} WHERE EXISTS (SELECT * FROM bench.stars AS s WHERE {on})",
    "SELECT t.id FROM {few} WHERE t.id IN (SELECT s.id FROM bench.stars AS s WHERE {on})",
    "SELECT t.id, (SELECT COUNT(*) FROM bench.stars AS s WHERE {on}) AS n FROM {few}",
]
SELF = "SELECT s.id FROM bench.stars AS s, bench.stars AS t WHERE t.id < 10000000800"
IMAGE = (
    "o.obs_publisher_did = 'ivo://test/plates?7' AND 1=CONTAINS(POINT(s.ra, s.dec), o.s_region)"
)
OTHERS = [
    f"{CTE} SELECT s.id FROM few AS t {STAR} DISTANCE(s.ra, s.dec, t.ra, t.dec) < .01",
    f"{CTE} SELECT s.id FROM few AS t {STAR} DISTANCE(t.p, POINT(s.ra, s.dec)) < .01",
    f"{CTE} SELECT s.id FROM few AS t {STAR} 1=CONTAINS(POINT(s.ra, s.dec), CIRCLE(t.p, .01))",
    f"{SELF} AND DISTANCE(s.ra, s.dec, t.ra, t.dec) < 0.001 AND s.id <> t.id",
    f"SELECT COUNT(*) FROM ivoa.obscore AS o {STAR} {IMAGE}",
]
FOOTPRINTS = [
    "1=INTERSECTS(s_region, CIRCLE(120, 30, 0.1))",
    "INTERSECTS(CIRCLE('ICRS', 120, 30, 0.1), s_region) = 1",
    "1=CONTAINS(POINT(120, 30), s_region)",
    "1=CONTAINS(POINT('ICRS', 0.001, -30), s_region) AND calib_level = 2",
    "1=INTERSECTS(s_region, BOX(120, 30, 0.2, 0.2)) AND t_min > 50000",
    "1=INTERSECTS(POLYGON(120, 30, 121, 30, 121, 31), s_region)",
    "1=CONTAINS(s_region, CIRCLE(120, 30, 0.5))",
    "1=INTERSECTS(s_region, CIRCLE(77, 89.9, 0.1))",
    "DISTANCE(s_ra, s_dec, 120, 30) < 0.5",
]
UNDER = [
    "SELECT t.id, o.obs_id FROM {few} JOIN ivoa.obscore AS o ON {on}",
    "SELECT t.id, o.obs_id FROM ivoa.obscore AS o, {few} WHERE {on} AND o.calib_level = 2",
    "SELECT t.id, o.obs_id FROM {few} LEFT JOIN ivoa.obscore AS o ON {on}",
    "SELECT t.id FROM {few} WHERE EXISTS (SELECT * FROM ivoa.obscore AS o WHERE {on})",
]


@pytest.fixture(scope="module")
def sky(databases):
    with databases.fresh() as settings:
        make_plates(settings.owner_url, 100_000)
        make_stars(settings.owner_url, 2_000_000)
        connection = psycopg2.connect(settings.owner_url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '60s'; SET jit = off")
            # functions are read from the catalogue at their first call: not what is counted here
            cursor.execute(sql(f"SELECT obs_id FROM ivoa.obscore WHERE {FOOTPRINTS[0]}"))
            yield cursor
        connection.close()


def looked_at(cursor, sql, values=None):
    """Pages that a statement looks at; scans of whole large tables."""
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", values)
    plan = cursor.fetchone()[0]
    plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    scans, waiting = [], [plan]
    while waiting:
        node = waiting.pop()
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in {"stars", "obscore"}:
            scans.append(node["Relation Name"])
        waiting += node.get("Plans", [])
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], scans


def pages(cursor, *tables):
    cursor.execute(
        "SELECT sum(pg_relation_size(t::regclass)) / 8192 FROM unnest(%s) t", [[*tables]]
    )
    return float(cursor.fetchone()[0])


def sql(text):
    return translate(check(parse(text), CATALOGUE), limit=None).text


@pytest.mark.parametrize("where", PLACES)
def test_a_place_among_two_million_stars_is_looked_up(sky, where):
    found, scans = looked_at(sky, sql(f"SELECT id FROM bench.stars WHERE {where}"))
    assert scans == []
    assert found < PART * pages(sky, "bench.stars")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("on", MATCHES)
def test_a_match_with_two_million_stars_looks_each_up(sky, form, on):
    found, scans = looked_at(sky, sql(form.format(few=FEW, on=on)))
    assert scans == []
    assert found < PART * pages(sky, "bench.stars")


@pytest.mark.parametrize("text", OTHERS)
def test_places_of_other_tables_are_looked_up_among_the_stars(sky, text):
    found, scans = looked_at(sky, sql(text))
    assert scans == []
    assert found < PART * pages(sky, "bench.stars")


@pytest.mark.parametrize("where", FOOTPRINTS)
def test_a_place_among_a_hundred_thousand_images_is_looked_up(sky, where):
    found, scans = looked_at(sky, sql(f"SELECT obs_id FROM ivoa.obscore WHERE {where}"))
    assert scans == []
    assert found < 4 * PART * pages(sky, "vo.obscore")


def test_either_of_two_places_among_the_images_is_looked_up(sky):
    where = "1=CONTAINS(s_region, CIRCLE(120, 30, 0.5)) OR 1=INTERSECTS(s_region, POINT(10, -5))"
    found, scans = looked_at(sky, sql(f"SELECT obs_id FROM ivoa.obscore WHERE {where}"))
    assert scans == []
    assert found < pages(sky, "vo.obscore")


@pytest.mark.parametrize("form", UNDER)
@pytest.mark.parametrize(
    "on",
    [
        "1=CONTAINS(POINT(t.ra, t.dec), o.s_region)",
        "INTERSECTS(o.s_region, CIRCLE(t.ra, t.dec, 0.01)) = 1",
    ],
)
def test_the_images_of_a_place_are_looked_up_for_each_place(sky, form, on):
    found, scans = looked_at(sky, sql(form.format(few=FEW, on=on)))
    assert scans == []
    assert found < 5 * pages(sky, "vo.obscore")


@pytest.mark.parametrize(
    "position", ["CIRCLE 120 30 0.1", "POLYGON 120 30 121 30 121 31", "RANGE 10 11 20 21"]
)
def test_a_search_of_images_reads_a_few_of_a_hundred_thousand(sky, position):
    text, values = statement(asked(PARAMS, POS=position), limit=1000, prefix="")
    found, scans = looked_at(sky, text, values)
    assert scans == []
    assert found < 4 * PART * pages(sky, "vo.obscore")


@pytest.mark.parametrize("where", [*FOOTPRINTS[:8], "1=CONTAINS(POINT(359.99, 89), s_region)"])
def test_the_index_finds_the_images_that_a_look_at_every_one_finds(sky, where):
    where = f"({where}) AND t_min < 58000"
    sky.execute(sql(f"SELECT obs_id FROM ivoa.obscore WHERE {where}"))
    through = sorted(sky.fetchall())
    everywhere = where.replace("s_region", "q.r")
    few = "(SELECT COALESCE(s_region, NULL) AS r, * FROM ivoa.obscore) AS q"
    sky.execute(sql(f"SELECT obs_id FROM {few} WHERE {everywhere}"))
    assert through == sorted(sky.fetchall())


def test_what_does_not_meet_a_region_is_found_too_and_the_unknown_is_not(sky):
    counts = []
    for where in ("1=INTERSECTS", "0=INTERSECTS", "NOT 1=INTERSECTS", "1<>INTERSECTS"):
        text = f"SELECT COUNT(*) FROM ivoa.obscore WHERE {where}(s_region, CIRCLE(120, 30, 9))"
        sky.execute(sql(text + " AND t_min < 52000"))
        counts += sky.fetchone()
    assert counts[0] + counts[1] == 1_999
    assert counts[1] == counts[2] == counts[3]
