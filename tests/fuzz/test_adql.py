"""A slice of the fuzz in every run of the suite; ``python -m tests.fuzz.adql`` asks the rest."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.adql import Fuzz, laboratory
from tests.fuzz.grammar import grown

BOMBS = [
    "SELECT " + "(" * 100_000,
    "SELECT a FROM t WHERE " + "NOT " * 100_000 + "TRUE",
    "SELECT " + "-" * 100_000 + "1 FROM stars",
    "SELECT " + "- " * 20_000 + "1 FROM stars",
    "SELECT " + "~" * 20_000 + "1 FROM stars",
    "SELECT id FROM stars WHERE " + " OR ".join(["id = 1"] * 10_000),
    "SELECT id FROM stars WHERE id IN (" + ",".join(["1"] * 100_000) + ")",
    "SELECT id FROM stars WHERE kind IN (" + ",".join(["'it''s'"] * 30_000),
    "SELECT " + ", ".join(["*"] * 20_000) + " FROM stars",
    "SELECT " + " || ".join(["kind"] * 30_000) + " FROM stars",
    "SELECT id FROM " + " JOIN ".join(["stars USING (id)"] * 5_000),
    "SELECT id FROM stars " + "UNION SELECT id FROM stars " * 5_000,
    "WITH "
    + ", ".join(f"q{n} AS (SELECT * FROM stars)" for n in range(1_000))
    + " SELECT 1 FROM q1",
    "SELECT '" + "x" * 900_000 + "' FROM stars WHERE id = 1",
    'SELECT "' + "x" * 900_000 + '" FROM stars',
    "SELECT " + "9" * 900_000 + " FROM stars",
    "SELECT 0x" + "f" * 900_000 + " FROM stars",
    "SELECT TOP " + "9" * 5_000 + " id FROM stars",
    "SELECT id FROM stars OFFSET " + "9" * 5_000,
    "SELECT CAST(kind AS VARCHAR(" + "9" * 5_000 + ")) FROM stars",
    "SELECT POLYGON(" + ",".join(["1", "2"] * 100_000) + ") FROM stars",
    "--" + "x" * 999_000 + "\nSELECT id FROM stars",
]


@pytest.fixture(scope="module")
def fuzz(databases):
    with databases.fresh() as settings, laboratory(settings) as dsn:
        fuzz = Fuzz(dsn)
        yield fuzz
        fuzz.close()


def test_a_thousand_texts_at_random_are_answered_or_refused(fuzz):
    outcome = fuzz.run(20261127, 1000)
    assert outcome.faults == []
    assert outcome.counts["answered"] > 100
    assert outcome.counts["refused"] > 300


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:30])
def test_a_text_made_to_exhaust_us_is_refused_or_answered_in_time(fuzz, text):
    assert not fuzz.ask(text).startswith("fault")


def test_the_same_seed_gives_the_same_texts():
    one, other = random.Random(5), random.Random(5)
    assert [grown(one) for _ in range(20)] == [grown(other) for _ in range(20)]
