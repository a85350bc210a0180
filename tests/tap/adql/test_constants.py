"""Numbers in queries are worked out as the database does, and those out of range left to it."""

from __future__ import annotations

import psycopg2
import pytest

from schemas.errors import QueryError
from tap.adql import check, parse
from tap.execute import execute
from tap.scope import scope_of

HUGE = "*".join(["9223372036854775807"] * 20)
#: Numbers that no type of the database holds.
BEYOND = [HUGE, f"{HUGE} * 1.5", f"{HUGE} / 7.5", "9223372036854775807 + 1", "1e308 * 10",
          "-(-9223372036854775807 - 1)", "1.0 / 1e-320"]  # fmt: skip
WHERE = [
    "DISTANCE(ra, dec, 1, 2) < {}",
    "DISTANCE(ra, dec, {}, 2) < 1",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, {}))",
    "1 = CONTAINS(POINT(ra, dec), BOX(1, {}, 3, 4))",
    "1 = CONTAINS(POINT(ra, dec), POLYGON(1, 2, 3, 4, {}, 6))",
    "ra BETWEEN 1 AND {}",
]


@pytest.mark.parametrize("number", BEYOND)
@pytest.mark.parametrize("where", WHERE)
def test_a_number_out_of_range_is_the_users_fault(stars, sql, catalogue, where, number):
    text = f"SELECT id FROM stars WHERE {where.format(number)}"
    checked = check(parse(text), catalogue)
    assert scope_of(checked).classes
    stars.autocommit = False
    try:
        with pytest.raises(QueryError, match="out of its type's range"):
            execute(stars, sql(text), checked.columns, limit=5, timeout_s=5)
    finally:
        stars.rollback()
        stars.autocommit = True


@pytest.mark.parametrize(
    "written",
    ["7 / 2", "-7 / 2", "7 / -2", "9007199254740993 / 1", "9223372036854775807 - 1", "7 / 2.0",
     "1 - 2 * 3", "-(-5)"],
)  # fmt: skip
def test_a_number_is_folded_as_the_database_calculates_it(ask, written):
    [(value,)] = ask(f"SELECT {written} FROM stars WHERE id = 1")
    number = f"{written} - ({value}) + 0.5"
    assert (
        len(ask(f"SELECT id FROM stars WHERE id < 9 AND DISTANCE(id, 0, id, 0) < {number}")) == 8
    )
    number = f"{written} - ({value})"
    assert ask(f"SELECT id FROM stars WHERE DISTANCE(id, 0, id, 0) < {number}") == []


@pytest.mark.parametrize("radius", ["1e308", "9223372036854775807", "361"])
def test_a_radius_of_more_than_the_sphere_finds_every_pair(ask, radius):
    written = f"FROM stars s, fields f WHERE DISTANCE(s.ra, s.dec, f.id, f.id) <= {radius}"
    assert ask(f"SELECT COUNT(*) {written}") == [(8000,)]


def test_a_division_by_zero_is_the_databases_to_tell(ask):
    with pytest.raises(psycopg2.Error, match="division by zero"):
        ask("SELECT id FROM stars WHERE DISTANCE(ra, dec, 1, 2) < 1 / 0")
