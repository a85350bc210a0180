"""Shapes on the sphere hold what they should, at the poles and across longitude 0 too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.values import Circle, Polygon, Range
from sia.regions import (
    Cap,
    bounding_cap,
    check_polygon,
    contains,
    outline,
    parse_polygon,
    parse_region,
    to_positions,
    to_vectors,
)

SHAPES = [
    Circle(10, 20, 1),
    Circle(0.2, -89.9, 0.5),
    Circle(359.9, 0, 0.3),
    Circle(120, 45, 100),
    Range(12, 14, 34, 36),
    Range(359, 1, -1, 1),
    Range(0, 360, 89, 90),
    Range(0, 360, -2, 2),
    Range(0, 360, -90, 90),
    Polygon(((12, 34), (14, 34), (14, 36), (12, 36))),
    Polygon(((12, 36), (14, 36), (14, 34), (12, 34))),
    Polygon(((0, 80), (90, 80), (180, 80), (270, 80))),
    Polygon(((359, -1), (1, -1), (1, 1), (0, 0.2), (359, 1))),
    Polygon(((270, -80), (180, -80), (90, -80), (0, -80))),
]


def inside(shape, ra, dec) -> bool:
    return bool(contains(shape, to_vectors([ra], [dec]))[0])


def test_positions_and_vectors_are_inverse() -> None:
    ra, dec = np.array([0, 359.9, 180, 12.5]), np.array([-89.999, 0, 89.999, 45])
    back = to_positions(to_vectors(ra, dec))
    np.testing.assert_allclose(back, (ra, dec), atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "within", "without"),
    [
        (Circle(10, 20, 1), [(10, 20.999), (11, 20)], [(10, 21.001), (11.2, 20), (190, -20)]),
        (Circle(0, 90, 1), [(123, 89.001), (0, 90)], [(123, 88.999)]),
        (Circle(359.9, 0, 0.3), [(0.19, 0), (359.61, 0)], [(0.21, 0)]),
        (Range(12, 14, 34, 36), [(12, 34), (14, 36), (13, 35)], [(11.99, 35), (13, 36.01)]),
        (Range(359, 1, -1, 1), [(0, 0), (359.5, 1), (1, -1)], [(180, 0), (1.01, 0)]),
        (Range(0, 360, 89, 90), [(0, 89), (360, 89.5), (77, 90)], [(77, 88.9), (77, -90)]),
        (Range(350, 10, 80, 90), [(0, 85), (180, 90)], [(180, 89)]),
    ],
)
def test_circles_and_ranges_hold_their_positions(shape, within, without) -> None:
    assert all(inside(shape, *position) for position in within)
    assert not any(inside(shape, *position) for position in without)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_polygon_is_the_smaller_side_whichever_way_it_winds(turn: int) -> None:
    square = Polygon(((12, 34), (14, 34), (14, 36), (12, 36))[::turn])
    assert inside(square, 13, 35)
    assert not any(inside(square, *p) for p in [(15, 35), (193, -35), (13, 37), (193, 35)])
    # great circles bulge towards the pole: tan(36.00415) = tan(36) / cos(1)
    assert inside(square, 13, 36.0041)
    assert not inside(square, 13, 36.0042)
    assert not inside(square, 13, 34.0040)
    assert inside(square, 13, 34.0041)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_polygon_around_a_pole_holds_it_and_not_the_other(turn: int) -> None:
    cap = Polygon(((0, 80), (90, 80), (180, 80), (270, 80))[::turn])
    assert inside(cap, 45, 90)
    assert inside(cap, 45, 83)
    assert not inside(cap, 45, -90)
    assert not inside(cap, 45, 79)


def test_a_polygon_with_a_dent_does_not_hold_the_dent() -> None:
    dented = Polygon(((359, -1), (1, -1), (1, 1), (0, 0.2), (359, 1)))
    assert inside(dented, 0, 0.1)
    assert not inside(dented, 0, 0.5)
    assert inside(dented, 0.9, 0.8)


@given(
    st.floats(0, 360),
    st.floats(-90, 90),
    st.floats(0.001, 60),
    st.integers(3, 12),
    st.integers(0, 2**32 - 1),
)
def test_a_regular_polygon_lies_between_its_two_circles(ra, dec, radius, corners, seed) -> None:
    turned = _rotated(ra, dec, radius, np.arange(corners) * 360 / corners)
    polygon = Polygon(tuple(zip(*(axis.tolist() for axis in to_positions(turned)), strict=True)))
    inner = math.degrees(math.atan(math.tan(math.radians(radius)) * math.cos(math.pi / corners)))
    rng = np.random.default_rng(seed)
    near = _rotated(ra, dec, rng.uniform(0, inner * 0.999, 50), rng.uniform(0, 360, 50))
    far = _rotated(ra, dec, rng.uniform(radius * 1.001, 180, 50), rng.uniform(0, 360, 50))
    assert contains(polygon, near).all()
    assert not contains(polygon, far).any()


def _rotated(ra: float, dec: float, distance, bearing):
    """Vectors at distances and bearings (degrees) from a position."""
    axis = to_vectors(ra, dec)
    lon, lat = math.radians(ra), math.radians(dec)
    east = np.array([-math.sin(lon), math.cos(lon), 0])
    north = np.array(
        [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
    )
    d, b = np.radians(np.broadcast_arrays(distance, bearing))
    return (
        np.cos(d)[:, None] * axis
        + (np.sin(d) * np.cos(b))[:, None] * north
        + (np.sin(d) * np.sin(b))[:, None] * east
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("12 34 14 36 14 34 12 36", "do not cross"),
        ("0 0 10 0 20 0", "area"),
        ("0 0 180 0 90 45", "shorter than 180"),
        ("0 90 90 90 180 90", "area"),
    ],
)
def test_a_polygon_without_an_inside_is_refused(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_polygon(text)
    with pytest.raises(ValueError, match=hint):
        parse_region(f"POLYGON {text}")


def test_a_polygon_of_many_corners_is_checked_at_once() -> None:
    angles = np.linspace(0, 2 * math.pi, 1000, endpoint=False)
    star = [
        (100 + r * math.cos(t), 20 + r * math.sin(t))
        for r, t in zip([1, 2] * 500, angles, strict=True)
    ]
    check_polygon(Polygon(tuple(star)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_outline_separates_inside_from_outside(shape) -> None:
    """Close to every point of the outline there are positions inside and outside."""
    step = math.radians(0.05)
    sides = outline(shape, Cap(np.array([0.0, 0.0, 1.0]), math.pi), step)
    points = np.concatenate(sides)
    assert np.linalg.norm(points[:, 0] - points[:, 1], axis=1).max() <= step * 1.001
    middles = points[:: max(1, len(points) // 200), 0]
    if shape in (Range(0, 360, 89, 90), Range(0, 360, -90, 90)):
        middles = middles[np.abs(middles[:, 2]) < 1 - 1e-9]
    rng = np.random.default_rng(1)
    for middle in middles:
        around = middle + rng.normal(0, 1e-6, (64, 3))
        around /= np.linalg.norm(around, axis=1)[:, None]
        found = contains(shape, around)
        assert found.any()
        assert not found.all()


def test_the_outline_is_fine_only_where_it_is_wanted() -> None:
    near = Cap(to_vectors(30.0, 0.0), math.radians(0.1))
    sides = outline(Circle(0, 0, 30), near, math.radians(0.0001))
    assert 1500 < sum(map(len, sides)) < 10_000
    assert outline(Circle(0, 0, 29), near, math.radians(0.0001)) == []


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_bounding_cap_holds_the_outline(shape) -> None:
    cap = bounding_cap(shape)
    if cap is None:
        assert shape in (Circle(120, 45, 100), Range(0, 360, -2, 2), Range(0, 360, -90, 90))
        return
    points = np.concatenate(outline(shape, Cap(cap.axis, math.pi), 0.001)).reshape(-1, 3)
    assert contains(Circle(cap.circle.ra, cap.circle.dec, cap.circle.radius + 1e-6), points).all()


@given(st.floats(0, 360), st.floats(0, 359), st.tuples(st.floats(-90, 90), st.floats(-90, 90)))
def test_the_bounding_cap_of_a_range_holds_its_positions(ra1, width, decs) -> None:
    dec1, dec2 = sorted(decs)
    assume(dec2 > dec1)
    shape = Range(ra1, (ra1 + width) % 360, dec1, dec2)
    cap = bounding_cap(shape)
    if cap is None:
        return
    rng = np.random.default_rng(2)
    ra = ra1 + rng.uniform(0, width, 100)
    dec = rng.uniform(dec1, dec2, 100)
    points = to_vectors(ra % 360, dec)
    wider = Circle(cap.circle.ra, cap.circle.dec, min(180, cap.circle.radius + 1e-6))
    assert contains(wider, points[contains(shape, points)]).all()
