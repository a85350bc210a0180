"""DALI's literals read what is right, refuse what is not, and read back what they wrote."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import (
    MAX_VERTICES,
    Circle,
    Interval,
    Point,
    Polygon,
    Range,
    parse_count,
    parse_shape,
    parse_timestamp,
    print_number,
    print_timestamp,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
RA = st.floats(0, 360)
DEC = st.floats(-90, 90)


@pytest.mark.standard("DALI-1.1", "3.3.4")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5 1.0", Interval(0.5, 1.0)),
        ("-Inf 0.0", Interval(-math.inf, 0.0)),
        ("0.0 +Inf", Interval(0.0, math.inf)),
        ("0 inf", Interval(0.0, math.inf)),
        ("-Inf +Inf", Interval(-math.inf, math.inf)),
        ("1.0 1.0", Interval(1.0, 1.0)),
        ("  5e-7\t6E-7 ", Interval(5e-7, 6e-7)),
        ("550", Interval(550.0, 550.0)),
        (".5 1.", Interval(0.5, 1.0)),
    ],
)
def test_an_interval_is_two_numbers_or_one(text: str, value: Interval) -> None:
    assert Interval.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "1 2 3",
        "2 1",
        "NaN NaN",
        "1,2",
        "+Inf",
        "1_0 20",
        "0x1 2",
        "+Inf +Inf",
        "1e999 2",
    ],
)
def test_what_is_no_interval_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="bound"):
        Interval.parse(text)


@pytest.mark.standard("DALI-1.1", "3.3.6")
def test_a_circle_is_a_position_and_a_radius() -> None:
    assert Circle.parse("12 34 0.5") == Circle(12.0, 34.0, 0.5)
    assert str(Circle(12.0, 34.0, 0.5)) == "12 34 0.5"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("12 34", "three numbers"),
        ("12 34 x", "'x'"),
        ("12 34 0", "radius"),
        ("12 34 -1", "radius"),
        ("12 34 181", "radius"),
        ("-1 34 1", "longitudes"),
        ("361 34 1", "longitudes"),
        ("12 91 1", "latitudes"),
        ("12 NaN 1", "'NaN'"),
        ("12 Inf 1", "'Inf'"),
    ],
)
def test_a_wrong_circle_says_which_number_is_wrong(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Circle.parse(text)


@pytest.mark.standard("SIA-2.0", "2.1.1")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12 14 34 36", Range(12, 14, 34, 36)),
        ("0 360 -2 2", Range(0, 360, -2, 2)),
        ("0 360 89 +Inf", Range(0, 360, 89, 90)),
        ("-Inf +Inf -Inf +Inf", Range(0, 360, -90, 90)),
        ("359 1 -1 1", Range(359, 1, -1, 1)),
    ],
)
def test_a_range_is_two_meridians_and_two_parallels(text: str, value: Range) -> None:
    assert Range.parse(text) == value


@pytest.mark.parametrize(
    "text", ["1 2 3", "1 2 4 3", "+Inf 2 3 4", "1 -Inf 3 4", "1 2 -91 0", "1 2 3 4 5"]
)
def test_a_wrong_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"numbers|latitude|Inf"):
        Range.parse(text)


@pytest.mark.standard("DALI-1.1", "3.3.7")
def test_a_polygon_drops_vertices_that_repeat() -> None:
    closed = Polygon.parse("12 34 14 34 14 34 14 36 12 36 12 34")
    assert closed == Polygon(((12, 34), (14, 34), (14, 36), (12, 36)))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1 2 3 4", "three vertices"),
        ("1 2 3 4 5", "even number"),
        ("1 2 1 2 1 2 1 2", "three vertices"),
        ("1 2 3 4 1 2", "three vertices"),
        ("1 2 3 4 5 95", "latitudes"),
        (" ".join(f"{i / 10} 1 {i / 10} 2" for i in range(MAX_VERTICES)), "at most"),
    ],
)
def test_a_wrong_polygon_is_refused(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Polygon.parse(text)


def test_pos_reads_each_shape_by_its_word() -> None:
    assert parse_shape("CIRCLE 12 34 0.5") == Circle(12, 34, 0.5)
    assert parse_shape(" range 12 14 34 36") == Range(12, 14, 34, 36)
    assert parse_shape("POLYGON 12 34 14 34 14 36") == Polygon(((12, 34), (14, 34), (14, 36)))


@pytest.mark.parametrize("text", ["BOX 1 2 3 4", "", "12 34 0.5", "CIRCLEX 1 2 3"])
def test_pos_names_the_shapes_it_knows(text: str) -> None:
    with pytest.raises(ValueError, match="CIRCLE, RANGE or POLYGON"):
        parse_shape(text)


def test_pos_says_what_belongs_after_the_word() -> None:
    with pytest.raises(ValueError, match="after CIRCLE three numbers"):
        parse_shape("CIRCLE 1 2")


@pytest.mark.standard("DALI-1.1", "3.3.3")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T17:55:18", datetime(2026, 11, 22, 17, 55, 18, tzinfo=UTC)),
        ("2026-11-22T17:55:18.5Z", datetime(2026, 11, 22, 17, 55, 18, 500000, tzinfo=UTC)),
        ("2026-11-22 17:55:18", datetime(2026, 11, 22, 17, 55, 18, tzinfo=UTC)),
        (
            "2026-11-22T17:55:18.123456789",
            datetime(2026, 11, 22, 17, 55, 18, 123456, tzinfo=UTC),
        ),
    ],
)
def test_a_timestamp_is_utc(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-13-01", "2026-02-30", "2026-11-22T25:00:00", "2026-11-22T17:55", "1"],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DDThh:mm:ss"):
        parse_timestamp(text)


def test_a_timestamp_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert print_timestamp(datetime(2026, 1, 1, 1, tzinfo=there)) == "2025-12-31T23:00:00"
    with pytest.raises(ValueError, match="time zone"):
        print_timestamp(datetime(2026, 1, 1))  # the missing zone is the case


@pytest.mark.parametrize("text", ["-1", "1.5", "ten", "", "1e3"])
def test_a_count_is_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        parse_count(text)
    assert parse_count("0") == 0
    assert parse_count(" 17 ") == 17


@given(FINITE)
def test_numbers_read_back_equal(number: float) -> None:
    assert float(print_number(number)) == number


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_intervals_read_back_equal(one: float, other: float) -> None:
    lower, upper = sorted((one, other))
    if lower == math.inf or upper == -math.inf:
        return
    assert Interval.parse(str(Interval(lower, upper))) == Interval(lower, upper)


@given(RA, DEC, st.floats(1e-9, 180))
def test_points_and_circles_read_back_equal(ra: float, dec: float, radius: float) -> None:
    assert Point.parse(str(Point(ra, dec))) == Point(ra, dec)
    assert Circle.parse(str(Circle(ra, dec, radius))) == Circle(ra, dec, radius)


@given(RA, RA, st.tuples(DEC, DEC).map(sorted))
def test_ranges_read_back_equal(ra1: float, ra2: float, decs: list[float]) -> None:
    value = Range(ra1, ra2, decs[0], decs[1])
    assert Range.parse(str(value)) == value


@given(st.lists(st.tuples(RA, DEC), min_size=3, max_size=9, unique=True))
def test_polygons_read_back_equal(vertices: list[tuple[float, float]]) -> None:
    value = Polygon(tuple(vertices))
    assert Polygon.parse(str(value)) == value


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))
def test_timestamps_read_back_equal(moment: datetime) -> None:
    assert parse_timestamp(print_timestamp(moment)) == moment


@pytest.mark.parametrize("text", ["CIRCLE\t1 2 3", "circle  1\n2 3", " CIRCLE 1 2 3 "])
def test_any_blanks_part_a_shape_from_its_numbers(text):
    assert parse_shape(text) == Circle(1, 2, 3)


@pytest.mark.parametrize("text", ["", " ", "CIRCLE", "\t"])
def test_a_shape_without_numbers_is_none(text):
    with pytest.raises(ValueError, match="CIRCLE"):
        parse_shape(text)
