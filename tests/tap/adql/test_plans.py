"""Questions about places are answered by the index of positions, however they are written."""

from __future__ import annotations

import json

import pytest

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


@pytest.mark.parametrize(
    "on",
    [
        "1=CONTAINS(POINT(s.ra, s.dec), CIRCLE(t.ra, t.dec, 2./3600))",
        "DISTANCE(POINT(t.ra, t.dec), POINT(s.ra, s.dec)) < 2./3600",
    ],
)
def test_a_match_of_a_few_positions_looks_each_up(many, sql, on):
    few = "(SELECT TOP 50 ra + 0 AS ra, dec + 0 AS dec FROM stars) AS t"
    found = scans(many, sql(f"SELECT s.id FROM stars AS s JOIN {few} ON {on}"))
    assert [kind for kind, alias in found if alias == "t1"] in (
        ["Index Scan"],
        ["Bitmap Heap Scan"],
    )
