"""A text that is cast to a region has as many numbers as that has; another is an error."""

from __future__ import annotations

import pytest

from schemas.errors import QueryError
from tap.adql import check, parse, translate
from tap.execute import execute

SHAPES = {
    "POINT": ["10 20", "  -1.5e2\t+20. "],
    "CIRCLE": ["10 20 .5", "10  20   5e-1"],
    "POLYGON": ["1 2 3 4 5 6", "1 2 3 4 5 6 7 8"],
}
NONE = [
    *("", " ", "10", "1 2 3 4", "1 2 3 4 5", "1 2 3 4 5 6 7", "10 x", "{10,20}", "{1,2,3}"),
    *("10,20", "10 20;", "{} {}", "nan 1", "1 null", "NULL", '"1" 2', "1. . 3", "1-2 3"),
]


@pytest.fixture
def refuse(stars, catalogue):
    def refuse(text):
        checked = check(parse(text), catalogue)
        stars.autocommit = False
        try:
            with pytest.raises(QueryError) as caught:
                execute(stars, translate(checked, limit=5).text, checked.columns, limit=5,
                        timeout_s=5)  # fmt: skip
        finally:
            stars.rollback()
            stars.autocommit = True
        return str(caught.value)

    return refuse


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_with_a_regions_numbers_becomes_it(ask, shape):
    for text in SHAPES[shape]:
        found = ask(f"SELECT CAST('{text}' AS {shape}) FROM stars WHERE id = 1")
        assert found == [([float(word) for word in text.split()],)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_with_other_numbers_or_none_is_an_error(refuse, shape):
    others = [text for other, texts in SHAPES.items() if other != shape for text in texts]
    for text in [*NONE, *others]:
        refuse(f"SELECT CAST('{text}' AS {shape}) FROM stars WHERE id = 1")
        refuse(f"SELECT CAST(LOWER('{text}') || '' AS {shape}) FROM stars WHERE id = 1")


def test_what_was_found_is_told_and_no_value_stays_none(ask, refuse):
    assert "10,20,5" in refuse("SELECT CAST('10 20 5' AS POINT) FROM stars")
    asked = "SELECT id FROM stars WHERE 1 = CONTAINS(CAST('10 20 5' AS POINT), CIRCLE(0, 0, 9))"
    assert "10,20,5" in refuse(asked)
    assert ask("SELECT CAST(kind AS POINT) FROM stars WHERE kind IS NULL AND id < 5") == [(None,)]
