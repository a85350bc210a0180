"""What is asked of a position that has no value is neither true nor false."""

from __future__ import annotations

import pytest

#: Regions far from the rows with a NULL, so that what is known of them would say no.
CALLS = [
    "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1)) = 1",
    "CONTAINS(POINT(ra, dec), CIRCLE(dec, 20, 1)) <> 0",
    "1 = INTERSECTS(CIRCLE(10, 20, 1), POINT(ra, dec))",
    "1 = CONTAINS(POINT(ra, dec), POLYGON(9,19, 11,19, 11,21))",
    "1 = CONTAINS(POINT(ra, dec), BOX(10, 20, 1, 1))",
    "1 = CONTAINS(POINT(ra, dec), BOX(10, 20, id * 0 + 1, 1))",
    "1 = CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 10 20 1'))",
    "DISTANCE(ra, dec, 10, 20) < 1",
    "DISTANCE(10, 20, ra, dec) <= 0",
    "DISTANCE(ra, dec, 10, 20) < -1",
    "DISTANCE(ra, dec, flag, 20) < 1",
    "DISTANCE(ra, dec, flag, small) < 1",
    "1 > DISTANCE(POINT(10, 20), POINT(ra, dec))",
]


@pytest.fixture(scope="module")
def unknown(stars):
    with stars.cursor() as cursor:
        cursor.execute(
            "DELETE FROM lab.stars WHERE id > 2000;"
            " INSERT INTO lab.stars (id, ra, dec) VALUES (2001, NULL, 50), (2002, 100, NULL),"
            " (2003, NULL, NULL), (2004, NULL, 20)"
        )
    return stars


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("form", ["{}", "NOT {}", "NOT (id < 0 OR {})", "NOT NOT {}"])
def test_a_condition_on_an_unknown_position_and_its_denial_find_nothing(ask, form, call):
    written = form.format(call)
    assert ask(f"SELECT id FROM stars WHERE id > 2000 AND {written}") == []


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("call", [call for call in CALLS if "DISTANCE" not in call])
def test_a_call_on_an_unknown_position_is_null(ask, call):
    value = call.replace("1 = ", "").replace(" = 1", "").replace(" <> 0", "")
    assert ask(f"SELECT {value} FROM stars WHERE id > 2000") == [(None,)] * 4
    assert ask(f"SELECT id FROM stars WHERE id > 2000 AND 0 = {value}") == []
    assert ask(f"SELECT id FROM stars WHERE id > 2000 AND {value} <> 1") == []


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("call", CALLS)
def test_a_condition_and_its_denial_share_out_the_known_positions(ask, call):
    known = "SELECT id FROM stars WHERE id <= 2000 AND flag IS NOT NULL"
    found = ask(f"{known} AND {call}")
    assert sorted(found + ask(f"{known} AND NOT {call}")) == sorted(ask(known))


def test_a_footprint_that_is_not_known_is_in_neither_answer(ask):
    for written in ("1 = {}", "0 = {}", "NOT 1 = {}", "NOT 0 = {}"):
        meets = written.format("INTERSECTS(s_region, CIRCLE(0, 0, 1))")
        assert ask(f"SELECT id FROM plates WHERE id = 3 AND {meets}") == []
