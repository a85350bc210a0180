"""SIA-2.0 finds the images that it should, by every parameter, and touches no more targets."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from reduction.scope import Circle as ScopeCircle
from schemas.errors import FatalError, ParameterError, TimeLimitError
from schemas.obscore import OBSCORE_COLUMNS
from schemas.tables import ObsCore, Target, TargetState
from schemas.values import Polygon, Range, print_timestamp
from sia.protocol import PARAMS
from sia.query import Rows, run, scope_of, statement
from sia.regions import Cap, contains, outline, to_vectors
from tests.sia.conftest import ask, table


def names(archive, **values) -> set[str]:
    return {row["target_name"] for row in table(run(ask(PARAMS, **values), archive))}


ALL = {"plain", "beside", "wrap", "north", "pole", "far"}


@pytest.mark.standard("SIA-2.0", "2.1.1")
@pytest.mark.parametrize(
    ("pos", "found"),
    [
        ("CIRCLE 10 20 0.01", {"plain"}),
        ("CIRCLE 10.1 20 0.05", {"plain", "beside"}),
        ("CIRCLE 10 20.2 0.01", set()),
        ("CIRCLE 0 -5 0.01", {"wrap"}),
        ("CIRCLE 359.99 -5 0.01", {"wrap"}),
        ("CIRCLE 0 90 0.01", {"north"}),
        ("CIRCLE 300 -89.99 0.001", {"pole"}),
        ("CIRCLE 0 0 180", ALL),
        ("RANGE 9 11 19 21", {"plain", "beside"}),
        ("RANGE 10.01 10.02 20.01 20.02", {"plain"}),
        ("RANGE 359.9 0.1 -6 -4", {"wrap"}),
        ("RANGE 350 359.99 -6 -4", {"wrap"}),
        ("RANGE 0 360 89 +Inf", {"north"}),
        ("RANGE 0 360 -Inf -89.99", {"pole"}),
        ("RANGE -Inf +Inf -Inf +Inf", ALL),
        ("RANGE 0 360 40 50", {"far"}),
        ("RANGE 15 355 -80 40", set()),
        ("POLYGON 9 19 11 19 11 21 9 21", {"plain", "beside"}),
        ("POLYGON 9 21 11 21 11 19 9 19", {"plain", "beside"}),
        ("POLYGON 10.01 20.01 10.02 20.01 10.02 20.02", {"plain"}),
        ("POLYGON 350 -10 5 -10 5 0 350 0", {"wrap"}),
        ("POLYGON 0 80 90 80 180 80 270 80", {"north"}),
    ],
)
def test_pos_finds_what_it_meets(archive, images, pos, found) -> None:
    assert names(archive, POS=pos) == found


def test_ranges_meet_the_outlines_that_they_share_a_position_with(archive, images) -> None:
    """Against positions all over both shapes, at poles and across longitude 0 too."""
    rng = np.random.default_rng(11)
    checked, differ = {True: 0, False: 0}, 0
    with archive.database.snapshot(timeout_s=30) as connection, connection.cursor() as cursor:
        for _ in range(150):
            polygon, shape = _polygon(rng), _range(rng)
            width = (shape.ra2 - shape.ra1) % 360
            cursor.execute(
                "SELECT vo.meets_range(%s::float8[], %s, %s, %s, %s)",
                (polygon.flat, shape.ra1, width, shape.dec1, shape.dec2),
            )
            (met,) = cursor.fetchone()
            differ += met != _shares(polygon, shape)
            checked[met] += 1
    assert min(checked.values()) > 20
    assert differ == 0


def _polygon(rng) -> Polygon:
    size, ra = rng.choice([1.0, 10.0, 40.0]), rng.uniform(0, 360)
    dec = rng.choice([rng.uniform(-90, 90), 90 - size / 3, -90 + size / 3])
    axis = to_vectors(ra, dec)
    east = np.array([-math.sin(math.radians(ra)), math.cos(math.radians(ra)), 0])
    north = np.cross(axis, east)
    corners = int(rng.integers(3, 7))
    vertices = []
    for k in range(corners):
        bearing = 2 * math.pi * k / corners
        distance = math.radians(size * rng.uniform(0.4, 1))
        vector = math.cos(distance) * axis + math.sin(distance) * (
            math.cos(bearing) * north + math.sin(bearing) * east
        )
        lon = math.degrees(math.atan2(vector[1], vector[0])) % 360
        vertices.append((float(lon), math.degrees(math.asin(vector[2]))))
    return Polygon(tuple(vertices))


def _range(rng) -> Range:
    ra1, width = rng.uniform(0, 360), rng.choice([2.0, 30.0, 200.0])
    dec1 = rng.uniform(-90, 85)
    dec2 = rng.choice([90.0, min(90.0, dec1 + rng.uniform(1, 30))])
    return Range(float(ra1), float((ra1 + width) % 360), float(dec1), float(dec2))


def _shares(polygon: Polygon, shape: Range) -> bool:
    """Whether the outline of one has a position inside the other."""
    everywhere = Cap(np.array([0.0, 0.0, 1.0]), math.pi)
    for one, other in ((polygon, shape), (shape, polygon)):
        pieces = np.concatenate(outline(one, everywhere, math.radians(0.02)))
        if contains(other, pieces.reshape(-1, 3)).any():
            return True
    return False


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"BAND": "5.5e-7"}, ALL - {"far"}),
        ({"BAND": "3e-7 5.07e-7"}, ALL - {"far"}),
        ({"BAND": "6e-7 +Inf"}, set()),
        ({"BAND": ["6e-7 +Inf", "-Inf 5.1e-7"]}, ALL - {"far"}),
        ({"TIME": "60001.0001"}, {"plain"}),
        ({"TIME": "60001.0001 60002.0"}, {"plain", "beside"}),
        ({"TIME": "-Inf +Inf"}, ALL),
        ({"POL": "I"}, set()),
        ({"FOV": "0.1 0.2"}, ALL),
        ({"FOV": "0.2 +Inf"}, set()),
        ({"SPATRES": "-Inf 1.15"}, {"plain"}),
        ({"SPECRP": "-Inf +Inf"}, set()),
        ({"EXPTIME": "100 200"}, {"beside", "wrap"}),
        ({"TIMERES": "1"}, set()),
        ({"COLLECTION": "The archive that remakes itself"}, ALL),
        ({"COLLECTION": "THE ARCHIVE that remakes itself"}, set()),
        ({"FACILITY": "Lick 1-m"}, ALL),
        ({"INSTRUMENT": ["nickel", "none"]}, ALL),
        ({"DPTYPE": "image"}, ALL),
        ({"DPTYPE": "cube"}, set()),
        ({"CALIB": ["1", "2"]}, ALL),
        ({"CALIB": "3"}, set()),
        ({"TARGET": "pole"}, {"pole"}),
        ({"TARGET": ["pole", "far"], "TIME": "60006 60007"}, {"far"}),
        ({"FORMAT": "image/fits"}, ALL),
        ({"FORMAT": "image/png"}, set()),
        ({"TARGET": "'; DROP TABLE vo.product; --"}, set()),
        ({}, ALL),
    ],
)
def test_each_parameter_is_a_condition_and_repeating_it_an_alternative(
    archive, images, values, found
) -> None:
    assert names(archive, **values) == found


def test_an_identifier_has_no_case_before_its_question_mark(archive, images) -> None:
    did = images["plain"].did
    before, after = did.split("?")
    assert names(archive, ID=did) == {"plain"}
    assert names(archive, ID=f"{before.upper()}?{after}") == {"plain"}
    assert names(archive, ID=[did, images["far"].did, "ivo://else/where?x"]) == {"plain", "far"}


def test_a_row_has_every_column_of_obscore(archive, images) -> None:
    (row,) = table(run(ask(PARAMS, ID=images["plain"].did), archive))
    assert list(row) == [column.name for column in OBSCORE_COLUMNS]
    outline = row["s_region"].removeprefix("POLYGON ICRS ").split(" ")
    assert [float(number) for number in outline[:2]] == pytest.approx([10.057, 19.952], abs=0.05)
    assert row["access_url"].endswith(f"/files/{images['plain'].product_id}")
    assert row["pol_states"] is None


@pytest.mark.standard("DALI-1.1", "3.4.4")
def test_maxrec_cuts_and_says_so(archive, images) -> None:
    for maxrec, rows, overflowed in (("2", 2, True), ("6", 6, False), ("7", 6, False)):
        result = run(ask(PARAMS, MAXREC=maxrec), archive)
        assert len(table(result)) == rows
        assert result.overflowed() is overflowed


@pytest.mark.standard("DALI-1.1", "3.4.4")
def test_maxrec_zero_gives_columns_and_overflow(archive, images) -> None:
    result = run(ask(PARAMS, MAXREC="0"), archive)
    assert table(result) == []
    assert result.overflowed()
    assert len(result.columns) == len(OBSCORE_COLUMNS)


def test_the_answer_says_how_fresh_it_is(archive, images) -> None:
    result = run(ask(PARAMS, FRESH="require"), archive)
    assert {info.name: info.value for info in result.infos}["FRESH"] == "require"
    result.close()


def test_an_answer_of_the_past_has_what_was_published_then(archive, images) -> None:
    assert names(archive, ASOF="2020-01-01T00:00:00") == set()
    assert names(archive, ASOF=print_timestamp(datetime.now(UTC))) == ALL
    with pytest.raises(ParameterError, match="a moment of the past"):
        run(ask(PARAMS, ASOF="2999-01-01"), archive)


def test_any_counts_what_is_stale_in_scope_only(archive, images) -> None:
    with archive.transaction() as session:
        target = session.query(Target).filter_by(dataset_id=images["plain"].did).one()
        target.state = TargetState.SUSPECT
    try:
        for pos, stale in (("CIRCLE 10.05 20 0.1", "1"), ("CIRCLE 200 45 1", None)):
            result = run(ask(PARAMS, POS=pos, FRESH="any"), archive)
            infos = {info.name: info.value for info in result.infos}
            assert infos.get("TARGETS_STALE") == stale
            result.close()
    finally:
        with archive.transaction() as session:
            target = session.query(Target).filter_by(dataset_id=images["plain"].did).one()
            target.state = TargetState.FRESH


def test_the_answer_describes_the_services_for_its_rows(archive, images) -> None:
    result = run(ask(PARAMS, MAXREC="0"), archive)
    described = {descriptor.name: descriptor for descriptor in result.descriptors}
    assert set(described) == {"links", "soda", "this"}
    columns = {column.name for column in result.columns}
    for name in ("links", "soda"):
        used = [given.column for given in described[name].inputs if given.column]
        assert used == ["obs_publisher_did"]
        assert set(used) <= columns


@pytest.mark.parametrize(
    ("values", "scope"),
    [
        ({}, {}),
        ({"POS": "CIRCLE 10 20 1"}, {"region": ScopeCircle(10, 20, 1)}),
        ({"POS": ["CIRCLE 10 20 1", "CIRCLE 30 20 1"]}, {}),
        ({"POS": "RANGE 0 360 -2 2"}, {}),
        ({"TIME": "60000 60001"}, {"time": (60000, 60001)}),
        ({"TIME": "60000 +Inf"}, {}),
        ({"ID": "IVO://X.example/archive?a/B"}, {"datasets": {"ivo://x.example/archive?a/B"}}),
        ({"INSTRUMENT": ["nickel", "x"]}, {"instruments": {"nickel", "x"}}),
        ({"BAND": "5e-7", "TARGET": "x", "EXPTIME": "1 2"}, {}),
    ],
)
def test_the_scope_is_what_the_parameters_surely_restrict(values, scope) -> None:
    found = scope_of(ask(PARAMS, **values), "ivo://x.example/archive?", frozenset(("A", "B")))
    assert found.classes == {"A", "B"}
    assert found.time == scope.get("time")
    assert found.datasets == scope.get("datasets")
    assert found.instruments == scope.get("instruments")
    assert (found.chips, found.filters) == (None, None)
    expected = scope.get("region")
    if expected is None:
        assert found.region is None
        return
    assert (found.region.ra, found.region.dec) == pytest.approx((expected.ra, expected.dec))
    assert expected.radius <= found.region.radius < expected.radius + 1e-6


@pytest.mark.parametrize(
    ("sql", "kind", "hint"),
    [
        ("SELECT pg_sleep(20)", TimeLimitError, "smaller region"),
        ("SELECT 1 / 0", FatalError, "refused the search"),
    ],
)
def test_failures_of_the_database_are_said_in_our_words(archive, images, sql, kind, hint) -> None:
    with (
        archive.database.snapshot(timeout_s=0.2) as connection,
        pytest.raises(kind, match=hint) as caught,
    ):
        Rows(connection, sql, {}, limit=1)
    assert "SELECT" not in str(caught.value)


def test_rows_come_in_blocks_up_to_the_limit(archive, images) -> None:
    for limit, counts, more in (
        (4500, [2000, 2000, 500], True),
        (5000, [2000, 2000, 1000], False),
    ):
        with archive.database.snapshot(timeout_s=10) as connection:
            rows = Rows(connection, "SELECT generate_series(1, 5000)", {}, limit=limit)
            assert [len(block) for block in rows.blocks()] == counts
            assert rows.overflowed() is more


def test_no_text_of_a_request_becomes_sql() -> None:
    params = ask(PARAMS, TARGET="x' OR 'a'='a", POS="CIRCLE 1.25 2.5 0.125", ID="%(ID)s")
    text, values = statement(params, limit=5, prefix="ivo://x/y?")
    assert "OR 'a'" not in text
    assert "1.25" not in text
    assert "x' OR 'a'='a" in str(values.values())


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"POS": "BOX 1 2 3 4"}, "POS.*CIRCLE, RANGE or POLYGON"),
        ({"POS": "CIRCLE 1 2 -3"}, "radius"),
        ({"POS": "POLYGON 12 34 14 36 14 34 12 36"}, "do not cross"),
        ({"BAND": "blue"}, "BAND.*bound"),
        ({"CALIB": "7"}, "CALIB.*0 to 4"),
        ({"POL": "Z"}, "POL.*one of I Q U"),
        ({"MAXREC": "-1"}, "MAXREC.*>= 0"),
        ({"FRESH": "maybe"}, "make, any, require"),
        ({"ASOF": "yesterday"}, "ASOF.*YYYY"),
    ],
)
def test_wrong_values_are_refused_with_what_would_be_right(values, hint) -> None:
    with pytest.raises(ParameterError, match=hint):
        ask(PARAMS, **values)


def test_every_image_has_a_centre_and_an_extent():
    columns = ObsCore.__table__.c
    assert not any(columns[name].nullable for name in ("s_ra", "s_dec", "s_fov", "s_region"))
