"""A query's scope is narrowed by what every row of its answer must meet, and by nothing else."""

from __future__ import annotations

import pytest

from reduction.registry import Registry
from reduction.scope import Circle, Scope
from schemas.columns import Column, Table
from tap.adql import Catalogue, check, parse
from tap.scope import scope_of
from tap.unknown import unknown_names

SOURCES = Table(
    "archive",
    "sources",
    (
        Column("obs_publisher_did", "char", "*"),
        Column("ra", "double"),
        Column("dec", "double"),
        Column("t_mid", "double"),
        Column("filter", "char", "*"),
        Column("chip", "char", "*"),
        Column("instrument_name", "char", "*"),
        Column("mag", "float"),
    ),
    freshness=("SourceList",),
    position=("ra", "dec"),
)
IMAGES = Table(
    "ivoa",
    "obscore",
    (
        Column("obs_publisher_did", "char", "*"),
        Column("instrument_name", "char", "*"),
        Column("s_ra", "double"),
        Column("s_dec", "double"),
        Column("s_region", "double", "*", "polygon"),
        Column("t_min", "double"),
        Column("t_max", "double"),
    ),
    freshness=("CalibratedScienceFrame",),
)
PRODUCTS = Table("archive", "products", (Column("key", "char", "*"), Column("chip", "char", "*")))
CATALOGUE = Catalogue([SOURCES, IMAGES, PRODUCTS])

S, C = frozenset({"SourceList"}), frozenset({"CalibratedScienceFrame"})
ANY_SOURCE, ANY_IMAGE = Scope(S), Scope(C)


def words(*found):
    return frozenset(found)


def scope(text):
    return scope_of(check(parse(text), CATALOGUE))


NARROWED = [
    ("filter = 'V'", Scope(S, filters=words("V"))),
    ("'V' = filter", Scope(S, filters=words("V"))),
    ("filter IN ('B', 'V') AND chip = '3'", Scope(S, filters=words("B", "V"), chips=words("3"))),
    ("filter IN ('B', 'V') AND filter = 'V'", Scope(S, filters=words("V"))),
    ("filter = 'V' AND filter = 'B'", Scope(S, filters=words())),
    ("instrument_name = 'nickel' AND mag < 20", Scope(S, instruments=words("nickel"))),
    ("obs_publisher_did = 'ivo://x?y'", Scope(S, datasets=words("ivo://x?y"))),
    ("t_mid BETWEEN 100 AND 200", Scope(S, time=(100.0, 200.0))),
    ("t_mid > 100 AND 150 >= t_mid", Scope(S, time=(100.0, 150.0))),
    ("t_mid >= 100", Scope(S, time=(100.0, float("inf")))),
    (
        "1 = CONTAINS(POINT(ra, dec), CIRCLE('ICRS', 10, 20, 0.5))",
        Scope(S, region=Circle(10, 20, 0.5)),
    ),
    (
        "CONTAINS(POINT(ra, dec), CIRCLE(POINT(10, 20), 30./60)) = 1",
        Scope(S, region=Circle(10, 20, 0.5)),
    ),
    ("DISTANCE(POINT(10, 20), POINT(ra, dec)) < 0.5", Scope(S, region=Circle(10, 20, 0.5))),
    ("0.5 > DISTANCE(ra, dec, 10, 20)", Scope(S, region=Circle(10, 20, 0.5))),
    ("INTERSECTS(CIRCLE(10, 20, 0.5), POINT(ra, dec)) = 1", Scope(S, region=Circle(10, 20, 0.5))),
]
WIDE = [
    "mag < 20",
    "filter = 'V' OR mag < 20",
    "NOT filter = 'V'",
    "filter <> 'V'",
    "filter LIKE 'V'",
    "filter = chip",
    "LOWER(filter) = 'v'",
    "filter NOT IN ('V')",
    "filter IN ('V', chip)",
    "filter IN (SELECT chip FROM archive.products)",
    "COALESCE(filter, 'V') = 'V'",
    "t_mid + 1 < 100",
    "t_mid < mag",
    "NOT t_mid BETWEEN 1 AND 2",
    "0 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 0.5))",
    "1 <> CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 0.5))",
    "1 = CONTAINS(POINT(dec, ra), CIRCLE(10, 20, 0.5))",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, mag))",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 120, 1))",
    "DISTANCE(ra, dec, 10, 20) > 0.5",
    "DISTANCE(ra, dec, 10, 20) < mag",
]


@pytest.mark.parametrize(("where", "wanted"), NARROWED, ids=[where for where, _ in NARROWED])
def test_a_constraint_on_every_row_narrows_the_scope(where, wanted):
    assert scope(f"SELECT * FROM archive.sources WHERE {where}") == wanted


@pytest.mark.parametrize("where", WIDE)
def test_what_is_not_understood_leaves_the_scope_wide(where):
    assert scope(f"SELECT * FROM archive.sources WHERE {where}") == ANY_SOURCE


def test_a_polygon_narrows_to_a_cap_that_holds_it():
    text = "SELECT * FROM ivoa.obscore WHERE 1=INTERSECTS(s_region, POLYGON(9,19, 11,19, 10,21))"
    region = scope(text).region
    assert 1 < region.radius < 2
    assert abs(region.ra - 10) < 0.1
    assert abs(region.dec - 19.7) < 0.5


def test_images_that_lie_in_a_time_reach_into_it():
    text = "SELECT * FROM ivoa.obscore WHERE t_min < 200 AND t_max > 100"
    assert scope(text) == Scope(C, time=(100.0, 200.0))


def test_tables_that_targets_do_not_fill_need_nothing():
    assert scope("SELECT * FROM archive.products WHERE chip = '1'") == Scope(frozenset())


def test_two_tables_need_what_each_of_them_needs():
    text = (
        "SELECT mag FROM archive.sources AS s JOIN ivoa.obscore AS o USING (obs_publisher_did) "
        "WHERE s.filter = 'V' AND o.instrument_name = 'nickel' AND s.instrument_name = 'cafos'"
    )
    assert scope(text) == Scope(S | C, instruments=words("nickel", "cafos"))


@pytest.mark.parametrize(
    "text",
    [
        (
            "SELECT a.mag FROM archive.sources a LEFT JOIN archive.sources b ON a.chip = b.chip"
            " WHERE b.filter = 'V'"
        ),
        "SELECT a.mag FROM archive.sources a LEFT JOIN archive.products b ON a.filter = 'V'",
        "SELECT mag FROM archive.sources WHERE filter = 'V' UNION SELECT mag FROM archive.sources",
        (
            "SELECT mag FROM archive.sources WHERE filter = 'V'"
            " AND mag > (SELECT AVG(mag) FROM archive.sources)"
        ),
        "SELECT mag FROM (SELECT mag, filter FROM archive.sources) AS q WHERE filter = 'V'",
        "WITH q AS (SELECT mag, filter FROM archive.sources) SELECT mag FROM q WHERE filter = 'V'",
        "SELECT filter, MAX(mag) FROM archive.sources GROUP BY filter HAVING filter = 'V'",
        (
            "SELECT mag FROM archive.sources a WHERE EXISTS"
            " (SELECT * FROM archive.products p WHERE a.filter = 'V' AND p.chip = a.chip)"
        ),
    ],
)
def test_a_constraint_that_not_every_row_meets_narrows_nothing(text):
    assert scope(text) == ANY_SOURCE


def test_a_constraint_inside_a_subquery_narrows_what_the_subquery_reads():
    text = "SELECT mag FROM (SELECT mag FROM archive.sources WHERE filter = 'V') AS q"
    assert scope(text) == Scope(S, filters=words("V"))


def test_the_condition_of_an_inner_join_narrows_too():
    text = (
        "SELECT mag FROM archive.sources s JOIN archive.products p"
        " ON s.chip = p.chip AND s.filter = 'V'"
    )
    assert scope(text) == Scope(S, filters=words("V"))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("instrument_name = 'nickle'", "no instrument is called 'nickle' here, expected nickel"),
        ("chip = 'ccd99' AND mag < 20", "no chip is called 'ccd99' here, expected ccd"),
        ("filter IN ('V', 'W')", "no filter is called 'W' here, expected one of "),
        ("instrument_name = 'cafos+nickle'", "no instrument is called 'cafos+nickle' here"),
    ],
)
def test_a_name_that_no_camera_has_is_remarked_upon(where: str, said: str) -> None:
    asked = scope(f"SELECT ra FROM archive.sources WHERE {where}")
    (note,) = unknown_names(asked, Registry.load())
    assert note.name == "NOTE"
    assert note.value.startswith(said)


@pytest.mark.parametrize(
    "where",
    [
        "instrument_name = 'cafos+nickel' AND filter = 'B'",
        "filter = 'JohnsonV'",
        "filter = ''",
        "chip = 'ccd99' OR mag < 20",
        "chip <> 'ccd99'",
    ],
)
def test_names_that_cameras_have_or_that_restrict_nothing_are_not(where: str) -> None:
    asked = scope(f"SELECT ra FROM archive.sources WHERE {where}")
    assert unknown_names(asked, Registry.load()) == ()
