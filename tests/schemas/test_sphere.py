"""Geometry on the sphere: known answers, and agreement with pgsphere where that is installed.

``VO_TEST_PAIRS=100000 pytest tests/schemas/test_sphere.py`` compares so many pairs of each kind.
"""

from __future__ import annotations

import math
import os

import numpy as np
import psycopg2
import pytest

from schemas import sphere

PAIRS = int(os.environ.get("VO_TEST_PAIRS", "4000"))


@pytest.fixture(scope="module")
def ask(database):
    connection = psycopg2.connect(database.owner_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in sphere.FUNCTIONS:
            cursor.execute(statement)

        def ask(sql, *values):
            cursor.execute(sql, values)
            return [row[0] if len(row) == 1 else row for row in cursor.fetchall()]

        yield ask
    connection.close()


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


def positions(random, count):
    """Anywhere, and often near a pole or near right ascension 0."""
    ra = random.uniform(0, 360, count)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    special = random.integers(0, 4, count)
    ra = np.where(special == 1, random.uniform(-2, 2, count) % 360, ra)
    dec = np.where(special == 2, 90 - random.exponential(2, count), dec)
    dec = np.where(special == 3, -90 + random.exponential(2, count), dec)
    return ra, np.clip(dec, -90, 90)


def star(random, ra, dec, size):
    """A simple polygon around a position: corners at growing angles, any distance."""
    count = random.integers(3, 9)
    angles = np.sort(random.uniform(0, 2 * math.pi, count))
    while np.diff(np.append(angles, angles[0] + 2 * math.pi)).max() > 0.95 * math.pi:
        angles = np.sort(random.uniform(0, 2 * math.pi, count))
    if random.random() < 0.5:
        angles = angles[::-1]
    reach = np.radians(size * random.uniform(0.2, 1, count))
    lon, lat = np.radians(ra), np.radians(dec)
    centre = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0])
    north = np.cross(centre, east)
    side = np.cos(angles)[:, None] * east + np.sin(angles)[:, None] * north
    corners = np.cos(reach)[:, None] * centre + np.sin(reach)[:, None] * side
    ras = np.degrees(np.arctan2(corners[:, 1], corners[:, 0])) % 360
    decs = np.degrees(np.arcsin(np.clip(corners[:, 2], -1, 1)))
    return [float(x) for x in np.column_stack([ras, decs]).ravel()]


def near(random, ra, dec, reach):
    """A position not far from another."""
    angle, distance = random.uniform(0, 2 * math.pi), math.radians(reach * random.uniform(0, 1.5))
    lat = math.radians(dec)
    z = math.sin(lat) * math.cos(distance) + math.cos(lat) * math.sin(distance) * math.cos(angle)
    y = math.sin(angle) * math.sin(distance) * math.cos(lat)
    x = math.cos(distance) - math.sin(lat) * z
    other = math.degrees(math.asin(max(-1.0, min(1.0, z))))
    return float((ra + math.degrees(math.atan2(y, x))) % 360), float(other)


def as_spoly(polygon):
    pairs = zip(polygon[::2], polygon[1::2], strict=True)
    return "{" + ",".join(f"({ra!r}d,{dec!r}d)" for ra, dec in pairs) + "}"


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


def test_points_in_polygons_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(1)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = 10 ** random.uniform(-3, 1.8)
        polygon = star(random, ra, dec, size)
        point = near(random, ra, dec, size)
        rows.append(([*map(float, point)], polygon, "", as_spoly(polygon)))
    inside, outside, wrong = disagreements(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ sb::spoly",
        "vo.outline_distance(vo.outline(b), a[1], a[2])",
        rows,
    )
    assert min(inside, outside) > PAIRS / 10
    assert wrong == 0


def test_points_in_circles_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(2)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = 10 ** random.uniform(-4, 2)
        point = near(random, ra, dec, size)
        circle = [float(ra), float(dec), min(size, 90.0)]
        rows.append(([*map(float, point)], circle, "", f"<({ra!r}d,{dec!r}d),{circle[2]!r}d>"))
    rows = [(a, b, c, d.replace("np.float64(", "").replace(")d", "d")) for a, b, c, d in rows]
    inside, outside, wrong = disagreements(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ "
        "scircle(spoint(radians(b[1]), radians(b[2])), radians(b[3]))",
        "abs(vo.distance(a[1], a[2], b[1], b[2]) - b[3])",
        rows,
    )
    assert min(inside, outside) > PAIRS / 10
    assert wrong == 0


@pytest.mark.parametrize("operator", ["intersects", "contains"])
def test_circles_and_polygons_agree_with_pgsphere(pgsphere, operator):
    random = np.random.default_rng(3)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = 10 ** random.uniform(-3, 1.6)
        polygon = star(random, ra, dec, size)
        point = near(random, ra, dec, size)
        radius = size * random.uniform(0, 0.6)
        rows.append(([*map(float, point), radius], polygon, "", as_spoly(polygon)))
    theirs = {"intersects": "&&", "contains": "<@"}[operator]
    inside, outside, wrong = disagreements(
        pgsphere,
        f"vo.{operator}(a, b)",
        f"scircle(spoint(radians(a[1]), radians(a[2])), radians(a[3])) {theirs} sb::spoly",
        "abs(vo.outline_distance(vo.outline(b), a[1], a[2]) - a[3])",
        rows,
    )
    assert min(inside, outside) > PAIRS / 20
    assert wrong == 0


@pytest.mark.parametrize("operator", ["intersects", "contains"])
def test_polygons_and_polygons_agree_with_pgsphere(pgsphere, operator):
    random = np.random.default_rng(4)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = 10 ** random.uniform(-2, 1.5)
        one = star(random, *near(random, ra, dec, size / 2), size * random.uniform(0.05, 1))
        other = star(random, ra, dec, size)
        rows.append((one, other, as_spoly(one), as_spoly(other)))
    theirs = {"intersects": "&&", "contains": "<@"}[operator]
    inside, outside, wrong = disagreements(
        pgsphere, f"vo.{operator}(a, b)", f"sa::spoly {theirs} sb::spoly", "1", rows
    )
    assert min(inside, outside) > PAIRS / 50
    assert wrong == 0


def as_circle(ra, dec, radius):
    return f"<({ra!r}d,{dec!r}d),{radius!r}d>"


@pytest.mark.parametrize("operator", ["intersects", "contains"])
def test_circles_and_circles_agree_with_pgsphere(pgsphere, operator):
    random = np.random.default_rng(9)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = float(10 ** random.uniform(-4, 1.9))
        other = [*near(random, ra, dec, size), size * float(random.uniform(0.01, 1))]
        one = [float(ra), float(dec), size]
        rows.append((other, one, as_circle(*other), as_circle(*one)))
    theirs = {"intersects": "&&", "contains": "<@"}[operator]
    sign = {"intersects": "+", "contains": "-"}[operator]
    inside, outside, wrong = disagreements(
        pgsphere,
        f"vo.{operator}(a, b)",
        f"sa::scircle {theirs} sb::scircle",
        f"abs(vo.distance(a[1], a[2], b[1], b[2]) - (b[3] {sign} a[3]))",
        rows,
    )
    assert min(inside, outside) > PAIRS / 20
    assert wrong == 0


def test_polygons_in_circles_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(10)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        size = 10 ** random.uniform(-3, 1.6)
        polygon = star(random, ra, dec, size)
        circle = [*near(random, ra, dec, size / 2), float(size * random.uniform(0.1, 2))]
        rows.append((polygon, circle, as_spoly(polygon), as_circle(*circle)))
    farthest = "(SELECT max(vo.distance(b[1], b[2], a[n], a[n + 1]))"
    farthest += " FROM generate_series(1, cardinality(a), 2) AS n)"
    inside, outside, wrong = disagreements(
        pgsphere, "vo.contains(a, b)", "sa::spoly <@ sb::scircle", f"abs({farthest} - b[3])", rows
    )
    assert min(inside, outside) > PAIRS / 20
    assert wrong == 0


def test_points_in_boxes_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(11)
    rows = []
    for ra, dec in zip(*positions(random, PAIRS), strict=True):
        width, height = (10 ** random.uniform(-3, 1.8, 2)).tolist()
        corners = list(sphere.box_corners(float(ra), float(dec), width, height))
        point = [*near(random, ra, dec, max(width, height))]
        rows.append((point, corners, "", as_spoly(corners)))
    inside, outside, wrong = disagreements(
        pgsphere,
        "vo.contains(a, b)",
        "spoint(radians(a[1]), radians(a[2])) <@ sb::spoly",
        "vo.outline_distance(vo.outline(b), a[1], a[2])",
        rows,
    )
    assert min(inside, outside) > PAIRS / 20
    assert wrong == 0


def test_distances_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(12)
    rows = [
        ([float(ra), float(dec)], [*near(random, ra, dec, 10 ** random.uniform(-4, 2))], "", "")
        for ra, dec in zip(*positions(random, PAIRS), strict=True)
    ]
    place = "spoint(radians({0}[1]), radians({0}[2]))"
    gap = f"degrees({place.format('a')} <-> {place.format('b')})"
    # pgsphere takes the cosine of small distances: right to some 1e-6 degrees
    ours = f"abs(vo.distance(a[1], a[2], b[1], b[2]) - {gap}) < 1e-5"
    assert disagreements(pgsphere, "true", ours, "1", rows)[2] == 0


def test_the_centroid_is_the_mean_of_the_places_inside(ask):
    random = np.random.default_rng(13)
    for ra, dec in zip(*positions(random, 12), strict=True):
        polygon = star(random, ra, dec, 20)
        many = [near(random, ra, dec, 20 / 1.5) for _ in range(6000)]
        found = ask(
            "SELECT vo.contains(ARRAY[ra, d], %s), ra, d, vo.distance(%s, %s, ra, d)"
            " FROM unnest(%s, %s) AS t (ra, d)",
            polygon,
            float(ra),
            float(dec),
            *(list(axis) for axis in zip(*many, strict=True)),
        )
        # places are drawn evenly in distance: those farther out stand for more of the sky
        rows = np.array([row[1:] for row in found if row[0]], float)
        lon, lat = np.radians(rows[:, 0]), np.radians(rows[:, 1])
        weight = np.sin(np.radians(rows[:, 2]))
        mean = [
            np.sum(weight * axis)
            for axis in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        ]
        place = (
            math.degrees(math.atan2(mean[1], mean[0])),
            math.degrees(math.atan2(mean[2], math.hypot(mean[0], mean[1]))),
        )
        sql = "SELECT vo.distance(%s, %s, c[1], c[2]) FROM vo.centroid(%s::float8[]) AS c"
        assert ask(sql, *place, polygon)[0] < 0.6


def test_areas_agree_with_pgsphere(pgsphere):
    random = np.random.default_rng(5)
    polygons = [
        star(random, ra, dec, 10 ** random.uniform(-1, 1.7))
        for ra, dec in zip(*positions(random, 2000), strict=True)
    ]
    rows = [(polygon, polygon, "", as_spoly(polygon)) for polygon in polygons]
    _, _, wrong = disagreements(
        pgsphere,
        "true",
        "abs(vo.area(b) - area(sb::spoly) * degrees(1)^2) < 1e-6 * vo.area(b) + 1e-7",
        "1",
        rows,
    )
    assert wrong == 0


def test_the_statements_can_be_run_by_any_driver_and_again(ask):
    for statement in sphere.FUNCTIONS:
        assert "%" not in statement
        ask(statement + "; SELECT 1")


def test_a_polygon_is_the_smaller_region_whichever_way_round(ask):
    octant = [0, 0, 90, 0, 90, 90]
    back = [90, 90, 90, 0, 0, 0]
    areas = ask(
        "SELECT vo.area(p) FROM unnest(ARRAY[%s, %s]) AS t(x), LATERAL "
        "(SELECT x::text::float8[] AS p) AS q",
        str(octant).replace("[", "{").replace("]", "}"),
        str(back).replace("[", "{").replace("]", "}"),
    )
    assert areas == pytest.approx([90 * 180 / math.pi] * 2)


@pytest.mark.parametrize("polygon", ["{0,80,90,80,180,80,270,80}", "{0,80,270,80,180,80,90,80}"])
def test_a_polygon_around_a_pole_holds_it(ask, polygon):
    assert ask("SELECT vo.contains('{17,90}', %s)", polygon) == [True]
    assert ask("SELECT vo.contains('{17,-90}', %s)", polygon) == [False]


def test_a_polygon_with_a_corner_on_the_pole_is_right_around_it(ask):
    wedge = "{350,80,10,80,0,90}"
    inside = ask(
        "SELECT vo.contains(ARRAY[ra, 89.5], %s) FROM "
        "unnest('{0,5,355,180,90,15,345}'::float8[]) AS ra",
        wedge,
    )
    assert inside == [True, True, True, False, False, False, False]


def test_a_polygon_longer_than_half_a_circle_is_right(ask):
    band = [x for ra in range(0, 241, 20) for x in (ra, -5)]
    band += [x for ra in range(240, -1, -20) for x in (ra, 5)]
    points = [(120, 0), (300, 0), (120, 20), (1, 0), (239, 4), (241, 0), (0, 90), (180, -90)]
    sql = "SELECT vo.contains(ARRAY[%s, %s]::float8[], %s::float8[])"
    found = [ask(sql, ra, dec, band)[0] for ra, dec in points]
    assert found == [True, False, False, True, True, False, False, False]


def test_distances_are_exact_near_and_far(ask):
    sql = "SELECT vo.distance(%s, %s, %s, %s)"
    assert ask(sql, 0.0, 90.0, 77.0, 80.0) == pytest.approx([10.0], rel=1e-14)
    assert ask(sql, 10.0, 20.0, 190.0, -20.0) == pytest.approx([180.0], rel=1e-14)
    assert ask(sql, 359.999, 0.0, 0.001, 0.0) == pytest.approx([0.002], rel=1e-10)
    tiny = 1e-9
    assert ask(sql, 150.0, 45.0, 150.0, 45.0 + tiny) == pytest.approx([tiny], rel=1e-5)


def test_anything_with_null_is_null(ask):
    assert ask(
        "SELECT vo.distance(NULL, 1, 2, 3), vo.contains(NULL, '{1,2,3}'), "
        "vo.within(NULL, 1, 2, 3, 4), vo.area(NULL)"
    ) == [(None,) * 4]


def test_a_cap_larger_than_half_the_sphere_holds_and_meets_what_it_should(ask):
    square = "{-1,-1,1,-1,1,1,-1,1}"
    assert ask(
        "SELECT vo.contains(%s, '{0,0,120}'), vo.contains(%s, '{180,0,170}'),"
        " vo.contains(%s, '{180,0,179.9}'), vo.intersects('{180,0,179.9}', %s)",
        square,
        square,
        square,
        square,
    ) == [(True, False, False, True)]


def test_the_centroid_of_a_box_is_its_centre(ask):
    found = ask("SELECT vo.centroid(vo.box(359.9, 88.5, 4, 2))")[0]
    assert found == pytest.approx([359.9, 88.5], abs=1e-9)


@pytest.mark.parametrize(
    "cap",
    [
        (0.05, 20.0, 0.1),
        (359.99, -60.0, 5.0),
        (10.0, 89.95, 0.1),
        (200.0, -90.0, 3.0),
        (120.0, 0.0, 40.0),
        (30.0, 10.0, 0.0),
    ],
)
def test_zones_and_ranges_leave_out_nothing_of_a_cap(cap):
    random = np.random.default_rng(6)
    cap = sphere.Cap(*cap)
    first, last = sphere.zones(cap)
    ranges = sphere.ra_ranges(cap)
    for _ in range(500):
        ra, dec = near(random, cap.ra, cap.dec, cap.radius / 1.5)
        assert first <= math.floor((dec + 90) * sphere.ZONES_PER_DEGREE) <= last
        assert not ranges or any(low <= ra <= high for low, high in ranges)


def test_the_cap_around_a_polygon_holds_its_corners(ask):
    random = np.random.default_rng(7)
    for ra, dec in zip(*positions(random, 300), strict=True):
        polygon = star(random, ra, dec, 10 ** random.uniform(-3, 1.5))
        cap = sphere.bounding_cap(polygon)
        corners = zip(polygon[::2], polygon[1::2], strict=True)
        distances = ask(
            "SELECT max(vo.distance(%s, %s, x, y)) FROM unnest(%s, %s) AS t(x, y)",
            cap.ra,
            cap.dec,
            *(list(axis) for axis in zip(*corners, strict=True)),
        )
        assert distances[0] <= cap.radius


def test_a_box_has_its_sides_at_right_angles_with_the_arms(ask):
    corners = sphere.box_corners(40.0, 60.0, 10.0, 4.0)
    assert ask("SELECT vo.box(40, 60, 10, 4)") == [pytest.approx(corners)]
    assert ask("SELECT vo.outline_distance(vo.outline(%s), 40, 60)", list(corners)) == [
        pytest.approx(2.0)
    ]
    with pytest.raises(ValueError, match="between 0 and 180"):
        sphere.box_corners(0, 0, 180, 1)
