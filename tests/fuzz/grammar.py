"""Queries at random: grown by the rules of the language, or written and then damaged.

Grown texts name tables and columns that exist, mostly with types that fit, so that many of them
are answered; damaged ones are nearly ADQL, which is where readers of languages go wrong.
"""

from __future__ import annotations

__all__ = ["damaged", "grown"]

import random
import re
from typing import Final

_NUMBERS: Final = (
    *("0", "1", "-1", "2.5", ".5", "1e3", "0xFF", "1e308", "1e-320", "2147483647", "2147483648"),
    *("9223372036854775807", "9223372036854775808", "0.1", "3", "64", "-0.0", "1e400"),
)
_TEXTS: Final = ("''", "'a'", "'star'", "'%'", "'_a%'", "'it''s'", "'\u00e5\U0001f52d'", "'1 2'")
_TIMES: Final = ("'2026-01-01'", "'2026-01-02T03:04:05.5Z'", "'9999-12-31T23:59:59'")
#: Columns of the tables below by type.
_COLUMNS: Final = {
    "number": ("id", "ra", "dec", "mag", "flag", "small", "pm"),
    "integer": ("id", "flag", "small"),
    "text": ("kind", "noted"),
    "time": ("seen",),
    "boolean": ("good",),
}
_MATH: Final = (
    *("ABS", "CEILING", "DEGREES", "EXP", "FLOOR", "LOG", "LOG10", "RADIANS", "ROUND", "SQRT"),
    *("TRUNCATE", "ACOS", "ASIN", "ATAN", "COS", "COT", "SIN", "TAN"),
)
_TARGETS: Final = (
    *("SMALLINT", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION", "CHAR", "CHAR(3)", "VARCHAR"),
    *("VARCHAR(2)", "TIMESTAMP", "POINT", "CIRCLE", "POLYGON"),
)


class _Grower:
    """Grows one text; ``depth`` bounds how far."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def pick(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def column(self, kind: str) -> str:
        name = self.pick(*_COLUMNS[kind])
        return self.pick(name, f"s.{name}", name.upper(), f'"{name}"', f"s . {name}")

    def number(self, depth: int) -> str:  # noqa: C901  # one line a way to grow
        if depth <= 0 or self.chance.random() < 0.3:
            return self.pick(self.column("number"), self.pick(*_NUMBERS))
        one, two = self.number(depth - 1), self.number(depth - 2)
        grown = self.chance.randrange(15)
        if grown < 5:
            return f"{one} {self.pick('+', '-', '*', '/')} {two}"
        if grown == 5:
            return f"({one})"
        if grown == 6:
            return f"{self.pick(*_MATH)}({one})"
        if grown == 7:
            return f"{self.pick('POWER', 'MOD', 'ATAN2')}({one}, {two})"
        if grown == 8:
            return f"{self.pick('ROUND', 'TRUNCATE')}({one}, {self.pick('0', '3', '-2', '400')})"
        if grown == 9:
            return f"COALESCE({one}, NULL, {two})"
        if grown == 10:
            integer = self.column("integer")
            return f"{integer} {self.pick('&', '|', '^')} {self.pick('~', '')}{integer}"
        if grown == 11:
            return f"CAST({self.value(depth - 1)} AS {self.pick(*_TARGETS[:5])})"
        if grown == 12:
            return f"DISTANCE({self.point(depth - 1)}, {self.point(depth - 1)})"
        if grown == 13:
            return f"{self.pick('AREA', 'COORD1', 'COORD2')}({self.region(depth - 1)})"
        return f"(SELECT {self.pick('MAX', 'MIN', 'AVG', 'SUM')}({one}) FROM stars AS s)"

    def text(self, depth: int) -> str:
        if depth <= 0 or self.chance.random() < 0.4:
            return self.pick(self.column("text"), self.pick(*_TEXTS))
        grown = self.chance.randrange(4)
        if grown == 0:
            return f"{self.text(depth - 1)} || {self.text(depth - 2)}"
        if grown == 1:
            return f"{self.pick('UPPER', 'LOWER')}({self.text(depth - 1)})"
        if grown == 2:
            return f"CAST({self.value(depth - 1)} AS {self.pick(*_TARGETS[5:9])})"
        return f"COALESCE({self.text(depth - 1)}, {self.text(depth - 2)})"

    def point(self, depth: int) -> str:
        if depth <= 0 or self.chance.random() < 0.6:
            frame = self.pick("", "'ICRS', ", "'', ", "'ICRS GEOCENTER', ", "NULL, ")
            return f"POINT({frame}{self.pick('ra, dec', '10, 20', 'ra, 95', 's.ra, s.dec')})"
        grown = self.chance.randrange(3)
        if grown == 0:
            return f"CENTROID({self.region(depth - 1)})"
        if grown == 1:
            order = self.pick("0", "5", "29", "30")
            return f"ivo_healpix_center({order}, {self.column('integer')})"
        return f"POINT({self.number(depth - 1)}, {self.number(depth - 1)})"

    def region(self, depth: int) -> str:
        a, b, c = (self.number(depth - 2) for _ in range(3))
        return self.pick(
            f"CIRCLE({self.point(depth - 1)}, {c})",
            f"CIRCLE('ICRS', {a}, {b}, {c})",
            f"BOX({a}, {b}, 3, {c})",
            f"POLYGON({a}, {b}, 10, 20, {c}, 30)",
            f"POLYGON({self.point(0)}, POINT(1, 2), {self.point(depth - 1)})",
            "REGION('CIRCLE ICRS 10 20 3')",
            self.point(depth - 1),
            "(SELECT s_region FROM plates WHERE id = 1)",
        )

    def value(self, depth: int) -> str:
        grown = self.chance.randrange(20)
        if grown < 10:
            return self.number(depth)
        if grown < 15:
            return self.text(depth)
        return self.pick(
            self.pick(*_TIMES), self.column("time"), self.column("boolean"), "NULL", "TRUE",
            self.point(depth), self.region(depth), "COUNT(*)", f"MAX({self.number(1)})",
        )  # fmt: skip

    def condition(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.35:
            one, two = self.condition(depth - 1), self.condition(depth - 1)
            return self.pick(f"{one} AND {two}", f"{one} OR {two}", f"NOT ({one})", f"({one})")
        a, b, t = self.number(depth), self.number(depth - 1), self.text(depth)
        sign = self.pick("=", "<>", "!=", "<", "<=", ">", ">=")
        inside = f"{self.pick('CONTAINS', 'INTERSECTS')}({self.region(depth)}, {self.region(1)})"
        return self.pick(
            f"{a} {sign} {b}",
            f"{a} {self.pick('', 'NOT')} BETWEEN {b} AND {a}",
            f"{a} {self.pick('', 'NOT')} IN ({b}, {a}, NULL)",
            f"{a} IN (SELECT {self.pick('id', 'ra', 'NULL')} FROM {self.source(depth - 1)})",
            f"{t} {self.pick('', 'NOT')} {self.pick('LIKE', 'ILIKE')} {self.text(0)}",
            f"{self.value(0)} IS {self.pick('', 'NOT')} NULL",
            f"EXISTS ({self.query(depth - 2)})",
            f"{self.column('boolean')} = {self.pick('TRUE', 'FALSE', '1', '0', 'NULL')}",
            f"{self.column('time')} {sign} {self.pick(*_TIMES)}",
            f"{self.pick('1', '0')} {self.pick('=', '<>')} {inside}",
            f"{inside} = 1",
            f"DISTANCE({self.point(0)}, {self.point(depth)}) {sign} {b}",
            f"{b} {sign} DISTANCE(ra, dec, {a}, {b})",
            "TRUE",
        )

    def source(self, depth: int) -> str:
        if depth <= 0 or self.chance.random() < 0.5:
            return self.pick("stars AS s", "lab.stars s", "stars s", "cat.lab.stars AS s")
        a, b = self.number(1), self.condition(1)
        return self.pick(
            f"(SELECT {self.pick('*', 's.*', '*, s.*')} FROM stars AS s WHERE {b}) AS s",
            f"stars AS s JOIN stars2 AS u ON s.id = u.id AND {a} > 0",
            "stars AS s LEFT JOIN stars2 AS u USING (id)",
            f"stars AS s {self.pick('LEFT', 'RIGHT', 'FULL', 'INNER')} JOIN stars AS v ON"
            f" {self.pick('s.id = v.id', 'DISTANCE(s.ra, s.dec, v.ra, v.dec) < 0.1', 's.id = 3')}",
            "stars AS s NATURAL JOIN stars2",
            f"({self.query(depth - 2)}) AS s",
            "stars AS s, plates AS p",
            "tap_upload.mine AS s",
            "mine AS s JOIN stars AS v ON DISTANCE(v.ra, v.dec, s.ra, s.dec) < 2",
            f"stars AS s {self.pick('', 'LEFT', 'FULL')} JOIN mine AS v"
            f" {self.pick('USING (kind)', 'USING (id, kind)', 'ON s.kind = v.kind')}",
            f"stars AS s {self.pick('', 'LEFT', 'FULL')} JOIN plates AS p ON"
            f" 1={self.pick('CONTAINS', 'INTERSECTS')}(POINT(s.ra, s.dec), p.s_region)",
            f"mine AS s JOIN plates AS p ON 1=INTERSECTS({self.region(1)}, p.s_region)",
        )

    def query(self, depth: int) -> str:
        items = ", ".join(self.item(depth) for _ in range(self.chance.choice((1, 1, 1, 2, 4))))
        text = (
            f"SELECT {self.pick('', '', 'DISTINCT', 'ALL')} {self.pick('', '', 'TOP 3', 'TOP 0')}"
        )
        text = f"{text} {items} FROM {self.source(depth)}"
        if self.chance.random() < 0.6:
            text += f" WHERE {self.condition(depth)}"
        if self.chance.random() < 0.2:
            text += f" GROUP BY {self.pick('kind', '1', self.number(1), 'good, flag')}"
        if self.chance.random() < 0.1:
            text += f" HAVING {self.pick('COUNT(*) > 1', self.condition(0))}"
        if depth > 1 and self.chance.random() < 0.15:
            word = self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT", "INTERSECT ALL")
            text += f" {word} {self.pick(self.query(depth - 2), f'({self.query(depth - 2)})')}"
        if self.chance.random() < 0.2:
            order = self.pick("1", "id", self.number(1), "kind DESC, 1", "s.ra ASC")
            text += f" ORDER BY {order}"
        if self.chance.random() < 0.1:
            text += f" OFFSET {self.pick('0', '2', '99999999999')}"
        return text

    def item(self, depth: int) -> str:
        value = self.value(depth)
        return self.pick(
            value, value, f"{value} AS x", f"{value} y", f'{value} AS "Z z"', "*", "s.*"
        )


def grown(chance: random.Random) -> str:
    """A text grown by the rules of the language; nearly half of them are right."""
    grower = _Grower(chance)
    depth = chance.choice((0, 1, 1, 2, 2, 3))
    text = grower.query(depth)
    if chance.random() < 0.1:
        text = f"WITH q AS ({grower.query(depth - 1)}), r (a) AS ({grower.query(0)}) {text}"
    if chance.random() < 0.1:
        text = text.replace("stars AS s", grower.pick("q AS s", "r AS s"), 1)
    return text


_PIECES: Final = (
    *(
        "'",
        '"',
        "''",
        "--",
        "-- x\n",
        "/*",
        ";",
        "(",
        ")",
        ",",
        "%",
        "\\",
        "$$",
        "\0",
        "\n",
        "\u00a0",
    ),
    *("NULL", "1e400", "-9223372036854775809", "0x", "0xFFFFFFFFFFFFFFFFFF", "NaN", "\ud800"),
    *("pg_sleep(9)", "vo.product", "DROP TABLE x", "POINT(0)", "*", "TOP -1", "\u202e", "\u0130"),
    *("SELECT", "FROM", "WHERE", "JOIN", "CAST(1 AS CHAR(0))", "OFFSET -1", "AS", "NOT", "WITH"),
    *(
        "(" * 60,
        ")" * 60,
        "'" * 7,
        "1" * 400,
        "a" * 200,
        ", 1" * 400,
        " AND 1=1" * 300,
        "+1" * 900,
    ),
    *(
        "OR EXISTS",
        "IN (",
        "IN ()",
        "LIKE NULL",
        "IS NOT",
        "= ANY",
        "||",
        "|",
        "~",
        "<>",
        "!=",
        ".",
    ),
)
_WORDS: Final = re.compile(r"\w+|'[^']*'|\S")


def damaged(chance: random.Random, texts: list[str]) -> str:
    """One of some texts, or a grown one, with pieces put in, left out, swapped or doubled."""
    text = grown(chance) if chance.random() < 0.3 else chance.choice(texts)
    for _ in range(chance.choice((1, 1, 2, 3))):
        way = chance.randrange(6)
        place = chance.randrange(len(text) + 1)
        if way == 0:
            text = text[:place] + chance.choice(_PIECES) + text[place:]
        elif way == 1:
            text = text[:place] + text[place + chance.choice((1, 2, 5, 20)) :]
        elif way == 2:
            text = (
                text[:place]
                + chr(chance.choice((0, 9, 39, 34, 133, 8232, 0x1D7D8, 955)))
                + (text[place:])
            )
        else:
            words = [match.span() for match in _WORDS.finditer(text)]
            if not words:
                continue
            (a, b), (c, d) = chance.choice(words), chance.choice(words)
            if way == 3:
                text = text[:a] + text[c:d] + text[b:]
            elif way == 4:
                text = text[:a] + chance.choice(_NUMBERS + _PIECES[:40]) + text[b:]
            else:
                text = text[:b] + " " + text[a:b] * chance.choice((1, 2, 50)) + text[b:]
    return text[:200_000]
