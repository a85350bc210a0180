"""Geometry on the sphere: known answers."""

from __future__ import annotations

import math

import numpy as np
import psycopg2
import pytest

from schemas import sphere
from tests.support.sphere_shapes import near, positions, star


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
