"""Geometry on the sphere agrees with pgsphere, where that is installed.

``VO_TEST_PAIRS=100000 pytest tests/schemas/test_sphere_pgsphere.py`` compares so many pairs of
each kind.
"""

from __future__ import annotations

import os

import numpy as np
import psycopg2
import pytest

from schemas import sphere
from tests.support.sphere_shapes import near, positions, star

PAIRS = int(os.environ.get("VO_TEST_PAIRS", "4000"))
OPERATORS = {"intersects": "&&", "contains": "<@"}


@pytest.fixture(scope="module")
def pgsphere(databases, cluster):
    with databases.fresh() as settings:
        name = psycopg2.extensions.parse_dsn(settings.owner_url)["dbname"]
        connection = psycopg2.connect(cluster.url("postgres", name))
        connection.autocommit = True
        cursor = connection.cursor()
        try:
            cursor.execute("CREATE EXTENSION pg_sphere")
        except psycopg2.Error:
            connection.close()
            pytest.skip("needs pgsphere in the server: Debian package postgresql-15-pgsphere")
        for statement in sphere.FUNCTIONS:
            cursor.execute(statement)
        yield cursor
        connection.close()


def as_spoly(polygon):
    pairs = zip(polygon[::2], polygon[1::2], strict=True)
    return "{" + ",".join(f"({ra!r}d,{dec!r}d)" for ra, dec in pairs) + "}"


def as_circle(ra, dec, radius):
    return f"<({ra!r}d,{dec!r}d),{radius!r}d>"


def disagreements(cursor, ours, theirs, margin, rows):
    """Pairs on which the two say something else, farther from the border than its 1e-9 rad."""
    cursor.execute("DROP TABLE IF EXISTS pair")
    cursor.execute("CREATE TABLE pair (a float8[], b float8[], sa text, sb text)")
    for start in range(0, len(rows), 2000):
        block = rows[start : start + 2000]
        values = b",".join(cursor.mogrify("(%s, %s, %s, %s)", row) for row in block)
        cursor.execute(b"INSERT INTO pair VALUES " + values)
    cursor.execute(f"""
        SELECT count(*) FILTER (WHERE mine), count(*) FILTER (WHERE NOT mine),
               count(*) FILTER (WHERE mine <> other AND margin > 1e-7)
        FROM (SELECT {ours} AS mine, {theirs} AS other, {margin} AS margin FROM pair) AS q""")
    return cursor.fetchone()


def agree(cursor, ours, theirs, margin, rows, *, part=20):
    """Whether both say the same of all pairs, of which a part at least are and are not so."""
    inside, outside, wrong = disagreements(cursor, ours, theirs, margin, rows)
    return min(inside, outside) > PAIRS / part and wrong == 0


def drawn(seed, pair, count=PAIRS):
    """Pairs (ours and theirs of two shapes) about places anywhere."""
    random = np.random.default_rng(seed)
    places = zip(*(axis.tolist() for axis in positions(random, count)), strict=True)
    return [pair(random, ra, dec) for ra, dec in places]


def test_points_in_polygons_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        size = 10 ** random.uniform(-3, 1.8)
        polygon = star(random, ra, dec, size)
        return [*near(random, ra, dec, size)], polygon, "", as_spoly(polygon)

    assert agree(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ sb::spoly",
        "vo.outline_distance(vo.outline(b), a[1], a[2])",
        drawn(1, pair),
        part=10,
    )


def test_points_in_circles_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        size = 10 ** random.uniform(-4, 2)
        point, circle = [*near(random, ra, dec, size)], [ra, dec, min(size, 90.0)]
        return point, circle, "", as_circle(*circle)

    assert agree(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ "
        "scircle(spoint(radians(b[1]), radians(b[2])), radians(b[3]))",
        "abs(vo.distance(a[1], a[2], b[1], b[2]) - b[3])",
        drawn(2, pair),
        part=10,
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_circles_and_polygons_agree_with_pgsphere(pgsphere, operator):
    def pair(random, ra, dec):
        size = 10 ** random.uniform(-3, 1.6)
        polygon = star(random, ra, dec, size)
        circle = [*near(random, ra, dec, size), size * random.uniform(0, 0.6)]
        return circle, polygon, "", as_spoly(polygon)

    circle = "scircle(spoint(radians(a[1]), radians(a[2])), radians(a[3]))"
    assert agree(
        pgsphere,
        f"vo.{operator}(a, b)",
        f"{circle} {OPERATORS[operator]} sb::spoly",
        "abs(vo.outline_distance(vo.outline(b), a[1], a[2]) - a[3])",
        drawn(3, pair),
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_polygons_and_polygons_agree_with_pgsphere(pgsphere, operator):
    def pair(random, ra, dec):
        size = 10 ** random.uniform(-2, 1.5)
        one = star(random, *near(random, ra, dec, size / 2), size * random.uniform(0.05, 1))
        other = star(random, ra, dec, size)
        return one, other, as_spoly(one), as_spoly(other)

    theirs = f"sa::spoly {OPERATORS[operator]} sb::spoly"
    assert agree(pgsphere, f"vo.{operator}(a, b)", theirs, "1", drawn(4, pair), part=50)


@pytest.mark.parametrize("operator", OPERATORS)
def test_circles_and_circles_agree_with_pgsphere(pgsphere, operator):
    def pair(random, ra, dec):
        size = float(10 ** random.uniform(-4, 1.9))
        other = [*near(random, ra, dec, size), size * float(random.uniform(0.01, 1))]
        one = [ra, dec, size]
        return other, one, as_circle(*other), as_circle(*one)

    sign = {"intersects": "+", "contains": "-"}[operator]
    assert agree(
        pgsphere,
        f"vo.{operator}(a, b)",
        f"sa::scircle {OPERATORS[operator]} sb::scircle",
        f"abs(vo.distance(a[1], a[2], b[1], b[2]) - (b[3] {sign} a[3]))",
        drawn(9, pair),
    )


def test_polygons_in_circles_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        size = 10 ** random.uniform(-3, 1.6)
        polygon = star(random, ra, dec, size)
        circle = [*near(random, ra, dec, size / 2), float(size * random.uniform(0.1, 2))]
        return polygon, circle, as_spoly(polygon), as_circle(*circle)

    farthest = "(SELECT max(vo.distance(b[1], b[2], a[n], a[n + 1]))"
    farthest += " FROM generate_series(1, cardinality(a), 2) AS n)"
    theirs, margin = "sa::spoly <@ sb::scircle", f"abs({farthest} - b[3])"
    assert agree(pgsphere, "vo.contains(a, b)", theirs, margin, drawn(10, pair))


def test_points_in_boxes_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        width, height = (10 ** random.uniform(-3, 1.8, 2)).tolist()
        corners = list(sphere.box_corners(ra, dec, width, height))
        return [*near(random, ra, dec, max(width, height))], corners, "", as_spoly(corners)

    assert agree(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ sb::spoly",
        "vo.outline_distance(vo.outline(b), a[1], a[2])",
        drawn(11, pair),
    )


def test_distances_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        return [ra, dec], [*near(random, ra, dec, 10 ** random.uniform(-4, 2))], "", ""

    place = "spoint(radians({0}[1]), radians({0}[2]))"
    gap = f"degrees({place.format('a')} <-> {place.format('b')})"
    # pgsphere takes the cosine of small distances: right to some 1e-6 degrees
    ours = f"abs(vo.distance(a[1], a[2], b[1], b[2]) - {gap}) < 1e-5"
    assert disagreements(pgsphere, "true", ours, "1", drawn(12, pair))[2] == 0


def test_areas_agree_with_pgsphere(pgsphere):
    def pair(random, ra, dec):
        polygon = star(random, ra, dec, 10 ** random.uniform(-1, 1.7))
        return polygon, polygon, "", as_spoly(polygon)

    same = "abs(vo.area(b) - area(sb::spoly) * degrees(1)^2) < 1e-6 * vo.area(b) + 1e-7"
    assert disagreements(pgsphere, "true", same, "1", drawn(5, pair, 2000))[2] == 0
