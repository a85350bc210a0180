"""Query texts that nobody would write: never a 500, never a word of SQL or a traceback."""

from __future__ import annotations

import random
import re
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

_TEXTS = """
SELECT TOP 5 * FROM tap_schema.columns WHERE "size" IS NULL OR principal = 1

SELECT table_name, COUNT(*) AS n FROM tap_schema.columns GROUP BY table_name ORDER BY n DESC

SELECT a.ra, b.dec FROM archive.sources AS a JOIN archive.sources AS b
ON 1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 0.001))

WITH t AS (SELECT mag, flux FROM archive.sources WHERE mag BETWEEN 10 AND 20)
SELECT AVG(mag), MAX(flux / 2.0) FROM t

SELECT s_region, AREA(s_region), DISTANCE(POINT(s_ra, s_dec), POINT(10, 20)) FROM ivoa.obscore
WHERE INTERSECTS(s_region, POLYGON(1, 2, 3, 4, 5, 0)) = 0 AND instrument_name LIKE '%a_b'

SELECT LOG(mag), POWER(mag, 400), MOD(flags, 0), CAST(filter AS INTEGER) FROM archive.sources

SELECT LOG(-1), SQRT(0 - mag), ACOS(mag), ROUND(flux, 400), x / (y - y) FROM archive.sources

SELECT filter FROM archive.sources UNION SELECT chip FROM archive.sources OFFSET 3
"""
SEEDS = tuple(_TEXTS.strip().split("\n\n"))
PIECES = (
    *("'", '"', "''", "--", "/*", ";", "(", ")", ",", "%", "\\", "$$", "\x00", "\u0141", "\n"),
    *("NULL", "1e400", "-9223372036854775809", "0x", "0xFFFFFFFFFFFFFFFFFF", "1/0", "NaN"),
    *("pg_sleep(9)", "vo.product", "DROP TABLE x", "CIRCLE(0,91,1)", "POINT(0)", "*", "TOP -1"),
    *("SELECT", "FROM", "WHERE", "JOIN", "IN_UNIT(mag, 'km')", "CAST(1 AS CHAR(0))", "OFFSET -1"),
)


NUMBERS = ("0", "-1", "1e308", "1e-320", "9223372036854775807", "2147483648", "0.5", "(1 - 1)")


def mutated(chance: random.Random) -> str:
    text = chance.choice(SEEDS)
    if chance.random() < 0.4:
        numbers = [match.span() for match in re.finditer(r"\b[0-9.]+\b|\bmag\b", text)]
        start, end = chance.choice(numbers or [(0, 0)])
        return text[:start] + chance.choice(NUMBERS) + text[end:]
    for _ in range(chance.randint(1, 3)):
        place, length = chance.randrange(len(text) + 1), chance.choice((0, 0, 1, 5, 20))
        text = text[:place] + chance.choice(PIECES) + text[place + length :]
    return text


def test_no_text_of_a_query_is_our_fault(observatory):
    chance = random.Random(20261122)
    texts = [*SEEDS, *(mutated(chance) for _ in range(600))]

    def status(text: str, fresh: str = "any") -> tuple[int, str, str]:
        form = {"LANG": "ADQL", "QUERY": text, "RESPONSEFORMAT": "votable/td", "FRESH": fresh}
        body = urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(observatory.url + "/tap/sync", body, timeout=60) as said:
                return said.status, said.read().decode(), text
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), text

    assert status("SELECT COUNT(*) AS n FROM archive.sources", "make")[0] == 200
    with ThreadPoolExecutor(4) as askers:
        answers = list(askers.map(status, texts))
    assert [answer for answer in answers if answer[0] not in {200, 400, 503}] == []
    assert [answer for answer in answers if "Traceback" in answer[1]] == []
    assert sum(code == 200 for code, _, _ in answers) > 30
    assert sum(code == 400 for code, _, _ in answers) > 100
