"""Questions about places are answered by the index of positions, however they are written."""

from __future__ import annotations

import json

import pytest

from schemas.columns import Column, Table
from tap.adql import Catalogue, check, parse, translate
from tests.tap.adql.conftest import STARS

CONES = [
    "1=CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 120, 30, 0.1))",
    "CONTAINS(POINT(ra, dec), CIRCLE(120, 30, 6./60)) = 1",
    "CONTAINS(POINT(ra, dec), CIRCLE(POINT(120, 30), 0.1)) <> 0",
    "DISTANCE(POINT(ra, dec), POINT(120, 30)) < 0.1",
    "DISTANCE(POINT(120, 30), POINT(ra, dec)) <= 0.1",
    "0.1 > DISTANCE(ra, dec, 120, 30)",
    "INTERSECTS(POINT(ra, dec), CIRCLE(120, 30, 0.1)) = 1",
    "1 = INTERSECTS(CIRCLE(120, 30, 0.1), POINT(ra, dec))",
    "1=CONTAINS(POINT(ra, dec), POLYGON(120,30, 120.1,30, 120.1,30.1))",
    "1=CONTAINS(POINT(ra, dec), BOX(120, 30, 0.1, 0.1))",
    "1=CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 120 30 0.1'))",
    "1=CONTAINS(POINT(ra, dec), CIRCLE(0.01, 30, 0.1))",
    "1=CONTAINS(POINT(ra, dec), CIRCLE(77, 89.99, 0.1))",
]


@pytest.fixture(scope="module")
def many(stars):
    with stars.cursor() as cursor:
        cursor.execute(
            "TRUNCATE lab.stars; INSERT INTO lab.stars (id, ra, dec) SELECT n, random() * 360,"
            " degrees(asin(2 * random() - 1)) FROM generate_series(1, 100000) AS n;"
            " ANALYZE lab.stars"
        )
    return stars


def scans(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    found, waiting = [], [plan[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        found += [(node["Node Type"], node.get("Alias"))] if "Scan" in node["Node Type"] else []
        waiting += node.get("Plans", [])
    return found


@pytest.mark.parametrize("where", CONES)
def test_a_region_is_looked_up_in_the_index(many, sql, where):
    found = scans(many, sql(f"SELECT id FROM stars WHERE {where}"))
    assert "Seq Scan" not in {kind for kind, _ in found}


@pytest.mark.parametrize("where", CONES)
def test_the_index_finds_what_a_look_at_every_row_finds(many, ask, where):
    through = ask(f"SELECT id FROM stars WHERE {where}")
    with many.cursor() as cursor:
        cursor.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
        try:
            shifted = where.replace("ra, dec", "ra + 0, dec + 0")
            everywhere = ask(f"SELECT id FROM stars WHERE {shifted}")
        finally:
            cursor.execute("RESET enable_indexscan; RESET enable_bitmapscan")
    assert sorted(through) == sorted(everywhere)


ON = [
    "1=CONTAINS(POINT(s.ra, s.dec), CIRCLE(t.ra, t.dec, 2./3600))",
    "DISTANCE(POINT(t.ra, t.dec), POINT(s.ra, s.dec)) < 2./3600",
    "0.1 >= DISTANCE(s.ra, s.dec, t.ra, t.dec) AND t.ra < 1000",
    "CONTAINS(POINT(s.ra, s.dec), CIRCLE(t.ra, t.dec, t.id*0+0.3)) = 1",
    "INTERSECTS(CIRCLE(t.ra, t.dec, 2), POINT(s.ra, s.dec)) = 1",
]
FEW = "(SELECT TOP 20 id, MOD(ra + 0, 360) AS ra, dec + 0 AS dec FROM stars) AS t"
FORMS = [
    "SELECT s.id, t.id FROM stars AS s JOIN {few} ON {on}",
    "SELECT s.id, t.id FROM {few}, stars AS s WHERE {on}",
    "SELECT s.id, t.id FROM {few} LEFT JOIN stars AS s ON {on}",
    "SELECT s.id, t.id FROM stars AS s RIGHT JOIN {few} ON {on}",
    "SELECT t.id FROM {few} WHERE EXISTS (SELECT * FROM stars AS s WHERE {on})",
]


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize("form", FORMS)
def test_a_match_of_a_few_positions_looks_each_up(many, sql, form, on):
    found = scans(many, sql(form.format(few=FEW, on=on)))
    looked_up = {kind for kind, alias in found if alias and "_" in alias}
    assert looked_up <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert looked_up


EDGES = "(SELECT id, ra, dec FROM edges) AS t"


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize("form", FORMS)
def test_a_match_finds_what_a_look_at_every_pair_finds(edges, form, on):
    wanted = edges(form.format(few=EDGES, on=on.replace("s.ra, s.dec", "s.ra + 0, s.dec + 0")))
    assert sorted(edges(form.format(few=EDGES, on=on)), key=repr) == sorted(wanted, key=repr)
    assert wanted


@pytest.fixture
def edges(many):
    """Ask of positions around both poles, right ascension 0, and of some without any."""
    positions = Table(
        "lab", "edges", (Column("id", "int"), Column("ra", "double"), Column("dec", "double"))
    )
    catalogue = Catalogue([STARS, positions])
    with many.cursor() as cursor:
        cursor.execute(
            "DROP TABLE IF EXISTS lab.edges;"
            " CREATE TABLE lab.edges (id int4, ra float8, dec float8);"
            " INSERT INTO lab.edges VALUES (1, 0, 0), (2, 359.9, 60), (3, 0.05, -60), (4, 10, 90),"
            " (5, 200, -89.9), (6, 180, 88.5), (7, NULL, 3), (8, 120, 30);"
            " INSERT INTO lab.edges SELECT id, ra, dec FROM lab.stars WHERE id BETWEEN 9 AND 15"
        )

        def ask(text):
            cursor.execute(translate(check(parse(text), catalogue), limit=None).text)
            return cursor.fetchall()

        yield ask
