"""Every output column knows what it is; every mistake is told with its place."""

from __future__ import annotations

import pytest

from schemas.columns import Column, Table
from schemas.errors import QueryError, UnknownNameError, UnsupportedFeatureError
from tap.adql import Catalogue, check, parse
from tests.tap.adql.conftest import STARS

METADATA = [
    ("SELECT ra FROM stars", ("ra", "double", None, None, "deg", "pos.eq.ra;meta.main")),
    ("SELECT RA AS x FROM lab.STARS", ("x", "double", None, None, "deg", "pos.eq.ra;meta.main")),
    ("SELECT mag + 1 FROM stars", ("col1", "double", None, None, "mag", "phot.mag;em.opt.V")),
    ("SELECT flag + small FROM stars", ("col1", "int", None, None, "pixel", "")),
    ("SELECT small * small FROM stars", ("col1", "short", None, None, "pixel2", "")),
    ("SELECT pm / ra FROM stars", ("col1", "double", None, None, "(mas/yr)/deg", "")),
    ("SELECT 3600 * ra AS d FROM stars", ("d", "double", None, None, "deg", "")),
    ("SELECT mag / mag FROM stars", ("col1", "float", None, None, "", "")),
    ("SELECT -id FROM stars", ("col1", "long", None, None, "", "meta.id;meta.main")),
    ("SELECT 5 FROM stars", ("col1", "int", None, None, "", "")),
    ("SELECT 5000000000 FROM stars", ("col1", "long", None, None, "", "")),
    ("SELECT 99999999999999999999 FROM stars", ("col1", "double", None, None, "", "")),
    ("SELECT 0.5 FROM stars", ("col1", "double", None, None, "", "")),
    ("SELECT 'a' || kind FROM stars", ("col1", "char", "*", None, "", "")),
    ("SELECT kind FROM fields", ("kind", "char", "8", None, "", "")),
    ("SELECT seen FROM stars", ("seen", "char", "*", "timestamp", "", "")),
    ("SELECT TRUE AS t FROM stars", ("t", "boolean", None, None, "", "")),
    ("SELECT NULL AS n FROM stars", ("n", "char", "*", None, "", "")),
    ("SELECT COUNT(*) FROM stars", ("count", "long", None, None, "", "meta.number")),
    (
        "SELECT MAX(mag) FROM stars",
        ("max", "float", None, None, "mag", "stat.max;phot.mag;em.opt.V"),
    ),
    (
        "SELECT AVG(mag) FROM stars",
        ("avg", "double", None, None, "mag", "stat.mean;phot.mag;em.opt.V"),
    ),
    ("SELECT MIN(ra) FROM stars", ("min", "double", None, None, "deg", "stat.min;pos.eq.ra")),
    ("SELECT SUM(flag) FROM stars", ("sum", "long", None, None, "", "")),
    ("SELECT MAX(seen) FROM stars", ("max", "char", "*", "timestamp", "", "stat.max")),
    ("SELECT SIN(ra) FROM stars", ("sin", "double", None, None, "", "")),
    ("SELECT ABS(small) FROM stars", ("abs", "short", None, None, "pixel", "")),
    ("SELECT IN_UNIT(pm, 'deg/yr') FROM stars", ("pm", "double", None, None, "deg/yr", "")),
    (
        "SELECT CAST(mag AS INTEGER) FROM stars",
        ("mag", "int", None, None, "mag", "phot.mag;em.opt.V"),
    ),
    ("SELECT COALESCE(small, flag) FROM stars", ("small", "int", None, None, "pixel", "")),
    (
        "SELECT COALESCE(small, mag) FROM stars",
        ("small", "double", None, None, "", "phot.mag;em.opt.V"),
    ),
    ("SELECT COALESCE(f.kind, 'none known') FROM fields f", ("kind", "char", "*", None, "", "")),
    (
        "SELECT kind FROM fields f FULL JOIN stars s USING (kind)",
        ("kind", "char", "*", None, "", "src.class"),
    ),
    ("SELECT POINT(ra, dec) FROM stars", ("point", "double", "2", "point", "deg", "pos.eq")),
    ("SELECT CIRCLE(ra, dec, 1) FROM stars", ("circle", "double", "3", "circle", "deg", "")),
    ("SELECT BOX(ra, dec, 1, 1) FROM stars", ("box", "double", "*", "polygon", "deg", "")),
    ("SELECT AREA(s_region) FROM fields", ("area", "double", None, None, "deg2", "")),
    (
        "SELECT DISTANCE(centre, centre) FROM fields",
        ("distance", "double", None, None, "deg", "pos.angDistance"),
    ),
    (
        "SELECT q.b FROM (SELECT mag AS b FROM stars) AS q",
        ("b", "float", None, None, "mag", "phot.mag;em.opt.V"),
    ),
    (
        "WITH q (m) AS (SELECT mag FROM stars) SELECT m FROM q",
        ("m", "float", None, None, "mag", "phot.mag;em.opt.V"),
    ),
    (
        "SELECT mag FROM stars UNION SELECT ra FROM stars",
        ("mag", "double", None, None, "", "phot.mag;em.opt.V"),
    ),
    (
        "SELECT NULL AS a FROM stars UNION SELECT ra FROM stars",
        ("a", "double", None, None, "deg", "pos.eq.ra;meta.main"),
    ),
    ("SELECT kind FROM fields UNION SELECT kind FROM stars", ("kind", "char", "*", None, "", "")),
    (
        "SELECT (SELECT MAX(ra) FROM stars) AS s FROM fields",
        ("s", "double", None, None, "deg", "stat.max;pos.eq.ra"),
    ),
]

FAULTS = [
    ("SELECT DISTINCT ra FROM stars ORDER BY dec", QueryError, (1, 40), "column of the answer"),
    (
        "SELECT ra FROM stars WHERE id IN (SELECT MAX(mag) FROM stars2)",
        QueryError,
        (1, 35),
        "the query around",
    ),
    ("SELECT raa FROM stars", UnknownNameError, (1, 8), "did you mean `ra`"),
    ("SELECT t.ra FROM stars s", UnknownNameError, (1, 8), "unknown table `t`"),
    ("SELECT stars.ra FROM stars AS s", UnknownNameError, (1, 8), "unknown table `stars`"),
    ('SELECT "RA" FROM stars', UnknownNameError, (1, 8), "`ra`"),
    ("SELECT ra FROM starz", UnknownNameError, (1, 16), "`lab.stars`"),
    ("SELECT ra FROM lib.stars", UnknownNameError, (1, 16), "`lab.stars`"),
    ("SELECT nope(ra) FROM stars", UnknownNameError, (1, 8), "unknown function `nope`"),
    ("SELECT id FROM stars, fields", QueryError, (1, 8), "several"),
    ("SELECT *\nFROM stars WHERE kind = 3", QueryError, (2, 23), "cannot be compared"),
    ("SELECT ra + kind FROM stars", QueryError, (1, 11), "a text"),
    ("SELECT 'a' || ra FROM stars", QueryError, (1, 12), "expected texts"),
    ("SELECT mag & 1 FROM stars", QueryError, (1, 12), "expected integers"),
    ("SELECT ra FROM stars WHERE my_f(ra)", UnknownNameError, (1, 28), "my_f"),
    ("SELECT ra FROM stars WHERE ivo_nocasematch(kind, 'a')", QueryError, (1, 28), "a condition"),
    ("SELECT ra FROM stars WHERE seen > 'yesterday'", QueryError, (1, 33), "YYYY-MM-DD"),
    ("SELECT ra FROM stars WHERE seen > '2026-02-30'", QueryError, (1, 33), "YYYY-MM-DD"),
    ("SELECT ra FROM stars WHERE COUNT(*) > 1", QueryError, (1, 37), "COUNT in WHERE"),
    ("SELECT ra, COUNT(*) FROM stars", QueryError, (1, 1), "`ra` is neither in GROUP BY"),
    ("SELECT kind FROM stars GROUP BY flag", QueryError, (1, 1), "`kind`"),
    ("SELECT MAX(MIN(ra)) FROM stars", QueryError, (1, 1), "MIN inside MAX"),
    ("SELECT ra FROM stars ORDER BY 2", QueryError, (1, 31), "expected 1 to 1"),
    ("SELECT ra FROM stars UNION SELECT ra, dec FROM stars", QueryError, (1, 22), "1 and 2"),
    ("SELECT ra FROM stars UNION SELECT kind FROM stars", QueryError, (1, 22), "column 1"),
    ("SELECT ra FROM stars WHERE ra IN (SELECT ra, dec FROM stars)", QueryError, (1, 31), "one"),
    ("SELECT IN_UNIT(ra, 'kg') FROM stars", QueryError, (1, 8), "does not convert"),
    ("SELECT IN_UNIT(ra, kind) FROM stars", QueryError, (1, 8), "literal"),
    ("SELECT CAST(POINT(1, 2) AS INTEGER) FROM stars", QueryError, (1, 8), "a point"),
    ("SELECT POINT('GALACTIC', 1, 2) FROM stars", UnsupportedFeatureError, (1, 14), "ICRS"),
    (
        "SELECT REGION('UNION (CIRCLE 1 2 3 BOX 1 2 3 4)') FROM stars",
        UnsupportedFeatureError,
        (1, 8),
        "POLYGON",
    ),
    ("SELECT DISTANCE(s_region, POINT(1, 2)) FROM fields", QueryError, (1, 8), "a polygon"),
    ("SELECT ra FROM stars WHERE CIRCLE(1,2,3) < CIRCLE(1,2,4)", QueryError, (1, 42), "order"),
    ("SELECT ra FROM stars JOIN fields USING (ra)", UnknownNameError, (1, 41), "ra"),
    ("SELECT ra FROM stars2 NATURAL JOIN (SELECT ra FROM stars) AS q", QueryError, (1, 31), "ON"),
    ("WITH q (a, b) AS (SELECT ra FROM stars) SELECT a FROM q", QueryError, (1, 6), "2 columns"),
    (
        'SELECT ra FROM stars WHERE kind = "star"',
        UnknownNameError,
        (1, 35),
        "single quotes: 'star'",
    ),
    ("SELECT good + 1 FROM stars", QueryError, (1, 13), "a boolean"),
    ("SELECT ra FROM stars WHERE good = 2", QueryError, (1, 33), "cannot be compared"),
    ("SELECT s_region || 'x' FROM plates", QueryError, (1, 17), "a region and a text"),
    ("SELECT id FROM plates WHERE s_region = 'POLYGON'", QueryError, (1, 38), "a region and"),
    ("SELECT MAX(s_region) FROM plates", QueryError, (1, 8), "a region"),
    ("SELECT 0x8000000000000000 FROM stars", QueryError, (1, 8), "63 bits"),
    ("SELECT IN_UNIT(flag, 'm') FROM stars", QueryError, (1, 8), "has no unit"),
    ("SELECT 1e999 FROM stars", QueryError, (1, 8), "1.8e308"),
    ("SELECT 'a\0b' FROM stars", QueryError, (1, 8), "NUL"),
]


@pytest.mark.parametrize(("text", "wanted"), METADATA, ids=[text for text, _ in METADATA])
@pytest.mark.standard("ADQL-2.1", "3")
def test_an_output_column_knows_what_it_is(columns, text, wanted):
    (column,) = columns(text)
    found = (column.name, column.datatype, column.arraysize, column.xtype, column.unit, column.ucd)
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "error", "place", "says"), FAULTS, ids=[repr(fault[0]) for fault in FAULTS]
)
def test_a_mistake_is_told_with_its_place(columns, text, error, place, says):
    with pytest.raises(error) as caught:
        columns(text)
    assert (caught.value.line, caught.value.column) == place, str(caught.value)
    assert says in str(caught.value)


def test_a_star_stands_for_all_columns_and_joined_ones_once(columns):
    assert [c.name for c in columns("SELECT * FROM stars2 JOIN fields USING (id)")] == [
        "id",
        "extent",
        "Name",
        "s_region",
        "centre",
        "kind",
    ]
    assert [c.name for c in columns("SELECT f.*, extent FROM stars2, fields AS f")] == [
        "id",
        "Name",
        "s_region",
        "centre",
        "kind",
        "extent",
    ]


def test_descriptions_come_along(columns):
    assert columns("SELECT q.ra FROM (SELECT * FROM stars) AS q")[0].description == "where"


def test_the_tables_are_those_that_the_query_reads(catalogue):
    text = (
        "SELECT ra FROM stars WHERE id IN (SELECT id FROM fields) AND ra > (SELECT 1 FROM stars)"
    )
    assert [table.name for table in check(parse(text), catalogue).tables] == ["stars", "Fields"]


def test_a_thousand_operators_in_a_row_are_an_answerable_error(columns):
    with pytest.raises(QueryError, match="nested too deeply"):
        columns("SELECT " + "+".join(["ra"] * 5000) + " FROM stars")


def test_ten_thousand_items_and_conditions_are_checked(columns):
    columns("SELECT ra FROM stars WHERE id IN (" + ",".join(map(str, range(10_000))) + ")")
    columns("SELECT ra FROM stars WHERE " + " OR ".join(["id = 1"] * 5000))


def test_columns_that_double_with_each_query_are_refused_early(catalogue):
    text = "stars"
    for level in range(24):
        text = f"(SELECT *, * FROM {text}) AS q{level}"
    with pytest.raises(QueryError, match="more than 1600 columns"):
        check(parse(f"SELECT 1 FROM {text}"), catalogue)


@pytest.mark.parametrize("join", ["people FULL JOIN stars", "stars FULL JOIN people"])
def test_a_full_join_has_the_letters_of_both_sides(join):
    people = Table("lab", "people", (Column("kind", "unicodeChar", "9"), Column("age", "int")))
    [kind] = check(
        parse(f"SELECT kind FROM {join} USING (kind)"), Catalogue([STARS, people])
    ).columns
    assert (kind.datatype, kind.arraysize) == ("unicodeChar", "*")
