"""Whatever a user writes in a text, a name or a number, PostgreSQL reads just that back."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from schemas.errors import QueryError
from tap.adql import check, literals, parse, translate

NASTY = some.text(
    alphabet=some.sampled_from("'\"\\;-/*$\n\r\t\x1a%{}ab\u2019\U0001f4a9"), max_size=30
)
ANY_TEXT = some.one_of(
    NASTY, some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)
CHECKS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def one(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        ((value,),) = cursor.fetchall()
        return value, cursor.description[0].name


@CHECKS
@given(value=ANY_TEXT)
def test_a_text_comes_back_as_it_was(stars, value):
    assert one(stars, f"SELECT {literals.text(value)}")[0] == value


@CHECKS
@given(value=ANY_TEXT)
def test_a_text_of_a_query_is_only_ever_a_text(ask, value):
    doubled = value.replace("'", "''")
    assert ask(f"SELECT '{doubled}' FROM stars WHERE id=1") == [(value,)]


@CHECKS
@given(name=ANY_TEXT.filter(lambda name: 0 < len(name.encode()) < 64))
def test_a_name_comes_back_as_it_was(stars, name):
    assert one(stars, f"SELECT 1 AS {literals.identifier(name)}")[1] == name


@CHECKS
@given(value=some.floats(allow_nan=False))
def test_a_number_comes_back_to_the_last_bit(stars, value):
    found = one(stars, f"SELECT {literals.double(value)}")[0]
    assert struct.pack(">d", found) == struct.pack(">d", value)
    assert one(stars, f"SELECT {literals.array([value])}")[0] == [value]


def test_not_a_number_is_written_too(stars):
    assert math.isnan(one(stars, f"SELECT {literals.double(math.nan)}")[0])


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_the_database_cannot_hold_is_refused(value):
    with pytest.raises(QueryError, match="cannot hold"):
        literals.text(value)
    with pytest.raises(QueryError, match="cannot hold"):
        literals.identifier(value)


def test_an_alias_longer_than_the_database_allows_is_no_danger(ask):
    assert ask(
        'SELECT q."'
        + "x" * 200
        + '" FROM (SELECT id AS "'
        + "x" * 200
        + '" FROM stars WHERE id=1) AS q'
    ) == [(1,)]


def test_the_connection_reads_backslashes_as_the_standard_says(stars):
    assert one(stars, "SHOW standard_conforming_strings")[0] == "on"


def _centres(levels: int) -> str:
    text = "POINT(ra, dec)"
    for _ in range(levels):
        text = f"CENTROID(CIRCLE({text}, 1))"
    return f"SELECT {text} FROM stars"


def _matches(levels: int) -> str:
    text = "SELECT MAX(ra) FROM stars"
    for _ in range(levels):
        text = (
            "SELECT MAX(a.ra) FROM stars AS a, stars AS b"
            f" WHERE DISTANCE(a.ra, a.dec, b.ra + ({text}), b.dec) < 1"
        )
    return text


_MANY = "SELECT {} FROM stars".format(", ".join([_centres(7)[7:-11]] * 1000))


@pytest.mark.parametrize("text", [_centres(20), _matches(15), _MANY])
def test_geometry_in_geometry_is_no_bomb(text, catalogue):
    with pytest.raises(QueryError, match="too complex"):
        translate(check(parse(text), catalogue), limit=1)
