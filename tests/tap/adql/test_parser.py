"""What is ADQL 2.1 is read, what is not is refused with the place and what would be right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from schemas.errors import QueryError, QuerySyntaxError, UnknownNameError
from tap.adql import nodes, parse
from tap.adql.calls import check_calls
from tap.adql.functions import Library

LYONETIA = Path(__file__).parents[4] / "shared" / "adql" / "lyonetia.json"

GOOD = [
    "SELECT a FROM b",
    "select TOP 10 * from s.t",
    "SELECT *, x FROM t;",
    "SELECT DISTINCT TOP 0 a AS b, c d FROM cat.s.t AS u",
    'SELECT "select", "a""b", u."From" FROM "My Schema"."My Table" AS u',
    "SELECT t.*, s.u.* FROM t, s.u",
    "SELECT 1, 1., .5, 1e5, 1.5E-3, 0xFf, 'it''s', TRUE, NULL FROM t",
    "SELECT -a + +b * (c - d) / e FROM t",
    "SELECT a|b&c^~d FROM t",
    "SELECT a||'x'||b FROM t",
    "SELECT COUNT(*), COUNT(DISTINCT a), SUM(ALL b) FROM t",
    "SELECT my_udf(a, 'b', 3), ivo_x() FROM t WHERE my_test(a)",
    "SELECT a FROM t WHERE a = 1 AND NOT (b < 2 OR c >= 3) OR d <> 4 AND e != 5",
    "SELECT a FROM t WHERE a BETWEEN 1 AND 2 AND b NOT BETWEEN c AND d + 1",
    "SELECT a FROM t WHERE a IN (1, 2) AND b NOT IN (SELECT c FROM u)",
    "SELECT a FROM t WHERE a IN (SELECT b FROM u UNION (SELECT c FROM v))",
    "SELECT a FROM t WHERE a LIKE 'x%' AND b NOT ILIKE '_y'",
    "SELECT a FROM t WHERE a IS NULL AND b IS NOT NULL AND EXISTS (SELECT * FROM u)",
    "SELECT a FROM t WHERE ((a)) = ((SELECT 1 FROM u)) AND ((a = 1))",
    "SELECT a FROM t JOIN u ON t.x = u.x LEFT JOIN v USING (y, z) NATURAL JOIN w",
    "SELECT a FROM (t FULL OUTER JOIN (u RIGHT JOIN v ON u.x = v.x) ON t.x = u.x), w",
    "SELECT a FROM (SELECT b FROM t) AS q, (SELECT c FROM (SELECT d FROM u) e) f",
    "SELECT a FROM t GROUP BY a, b + 1 HAVING COUNT(*) > 1 ORDER BY 1 DESC, a ASC OFFSET 5",
    "SELECT a FROM t UNION ALL SELECT b FROM u INTERSECT SELECT c FROM v EXCEPT SELECT d FROM w",
    "(SELECT a FROM t) UNION (SELECT b FROM u ORDER BY b OFFSET 1) ORDER BY 1",
    "(SELECT a FROM t)",
    "WITH q AS (SELECT a FROM t), r (x, y) AS (SELECT a, b FROM q) SELECT x FROM r",
    "SELECT CAST(a AS VARCHAR(3)), CAST(a AS DOUBLE PRECISION), CAST(b AS TIMESTAMP) FROM t",
    "SELECT POINT(1, 2), POINT('ICRS', a, b), CIRCLE(p, 2), BOX('', 1, 2, 3, 4) FROM t",
    "SELECT DISTANCE(a, b, c, d), DISTANCE(POINT(1, 2), p) FROM t",
    "SELECT POLYGON(1,2,3,4,5,6), POLYGON(p, q, r), REGION('Circle 1 2 3') FROM t",
    "SELECT a -- comment ' \" ( \nFROM t -- the end",
    "SELECT 'a' -- between\n 'b' FROM t",
    "SELECT all(a+b)X from most,(anything join else3 ON(a BETWEEN(b+and7)AND 4))",
]
BAD = [
    ("", 1, 1, "the end of the query"),
    ("SELECT", 1, 7, "the end of the query"),
    ("SELECT a", 1, 9, "FROM"),
    ("SELECT a\nFROM", 2, 5, "a name"),
    ("SELECT a FORM b", 1, 15, "FROM"),
    ("SELECT select FROM t", 1, 8, '"select"'),
    ("SELECT a FROM t WHERE a = 'x", 1, 27, "a closing `'`"),
    ('SELECT a FROM t WHERE "a = 1', 1, 23, 'a closing `"`'),
    ("SELECT a FROM t WHERE a = ?", 1, 27, "found '?'"),
    ("SELECT a FROM t WHERE a + 1", 1, 25, "a condition"),
    ("SELECT a = 1 FROM t", 1, 10, "expected a value"),
    ("SELECT a FROM t WHERE (a = 1) = 2", 1, 26, "expected a value"),
    ("SELECT a FROM t WHERE CONTAINS(a, b)", 1, 23, "a condition"),
    ("SELECT a FROM (SELECT b FROM t)", 1, 32, "a name"),
    ("SELECT a FROM t JOIN u", 1, 17, "ON or USING"),
    ("SELECT a FROM t NATURAL JOIN u ON a = b", 1, 25, "neither ON nor USING"),
    ("SELECT TOP -1 a FROM t", 1, 12, "an integer"),
    ("SELECT a FROM t OFFSET 1.5", 1, 24, "an integer"),
    ("SELECT a.b.c.d.e FROM t", 1, 8, "catalog.schema.table.column"),
    ("SELECT a FROM t ORDER BY a UNION SELECT b FROM u", 1, 28, "`UNION`"),
    ("SELECT a FROM (WITH q AS (SELECT b FROM t) SELECT b FROM q) AS r", 1, 16, "`WITH`"),
    ("SELECT a FROM t; SELECT b FROM u", 1, 18, "the end of the query"),
    ("SELECT CAST(a AS FLOAT) FROM t", 1, 18, "DOUBLE"),
    ("SELECT _a FROM t", 1, 8, "found '_'"),
    ("SELECT a /* no */ FROM t", 1, 11, "`*`"),
    ("DROP TABLE t", 1, 1, "SELECT"),
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.standard("ADQL-2.1", "A")
def test_a_text_of_the_language_is_read(text):
    assert isinstance(parse(text), nodes.Query)


@pytest.mark.parametrize(("text", "line", "column", "says"), BAD)
def test_a_text_that_is_none_is_refused_where_it_goes_wrong(text, line, column, says):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column), str(caught.value)
    assert says in str(caught.value)


HINTS = [
    ("SELECT a FROM t LIMIT 10", "SELECT TOP 10"),
    ("SELECT a FROM t WHERE a = 1 LIMIT 10", "SELECT TOP 10"),
    ("SELECT a FROM t ORDER BY a LIMIT 10 OFFSET 3", "SELECT TOP 10"),
    ("SELECT a FROM t WHERE a == 1", "write one `=`"),
    ("SELECT a FROM t WHERE a =< 1", "write `<=`"),
    ("SELECT a FROM t WHERE a => 1", "write `>=`"),
    ("SELECT a FROM t WHERE a = 1 && b = 2", "AND between conditions"),
    ("SELECT a FROM t WHERE !a = 1", "write NOT"),
    ("SELECT a b c FROM t", "is a comma missing before c?"),
    ("SELECT a FROM t WHERE a IN (1 2)", "is a comma missing before 2?"),
    ("SELECT f(a 'b') FROM t", "is a comma missing before 'b'?"),
    ("SELECT a, FROM t", "a comma too many"),
    ("SELECT a FROM t, WHERE a = 1", "a comma too many"),
    ("SELECT a FROM t WHERE CONTAINS(p, CIRCLE(1, 2, 3))", "write 1 = CONTAINS(...)"),
    ("SELECT a FROM t WHERE a = 1 AND INTERSECTS(p, q)", "write 1 = INTERSECTS(...)"),
    ("SELECT a FROM t; SELECT b FROM u", "one query at a time"),
    ("SELECT a /* b */ FROM t", "begins with --"),
    ("SELECT a % 2 FROM t", "MOD(a, b)"),
    ("SELECT a::int FROM t", "CAST(value AS type)"),
    ("SELECT [a] FROM t", "between double ones"),
    ("SELECT `a` FROM t", "between double ones"),
    ("SELECT a FROM t WHERE b = \u2018x\u2019", "between single quotes"),
    ("SELECT CASE WHEN a = 1 THEN 2 END FROM t", "COALESCE"),
    ("WITH RECURSIVE q AS (SELECT a FROM t) SELECT a FROM q", "cannot be recursive"),
    ("SELECT a FROM t CROSS JOIN u", "crossed by a comma"),
    ("SELECT * TOP 10 FROM t", "right after SELECT"),
    ("SELECT TOP 10 DISTINCT a FROM t", "before TOP"),
    ("SELECT a FROM t GROUP BY a WHERE a = 1", "before GROUP BY"),
    ("SELECT CAST(a AS FLOAT) FROM t", "DOUBLE PRECISION"),
    ("SELECT a FROM t WHERE a", "write a = TRUE"),
    ("SELECT a FROM t WHERE b = ?", "write the value"),
    ("UPDATE t SET a = 1", "nothing can be changed"),
    ("DROP TABLE t", "nothing can be changed"),
]


@pytest.mark.parametrize(("text", "says"), HINTS)
def test_what_other_dialects_write_is_told_how_adql_says_it(text, says):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert caught.value.line == 1


LITERALS = ["1", "-2", "+3.5", ".5", "1e5", "-1.5E-3", "0xfF", "'a'", "'it''s, (b)'", "''"]


def test_a_long_list_of_literals_is_read_as_the_rules_would_read_it():
    items = LITERALS * 5
    for form in ("SELECT a FROM t WHERE a IN ({})", "SELECT ivo_f({}) FROM t"):
        at_once = parse(form.format(",\n ".join(items)))
        one_by_one = parse(form.format(",\n ".join(items).replace("(b)'", "(b)' -- c\n", 1)))
        assert strip(at_once) == strip(one_by_one)
        assert "line=7, column=2" in repr(at_once)


@pytest.mark.parametrize("item", ["", "1 2", "1.2.3", "0xg", "'", "SELECT", "1e", ")"])
def test_a_long_list_with_a_fault_is_refused(item):
    with pytest.raises(QuerySyntaxError):
        parse(f"SELECT a FROM t WHERE a IN ({'1,' * 60}{item}\n,2)")


@pytest.mark.parametrize("item", ["a", "(1)", "--1\n3", "1 -- c", "'a' 'b'", "- 1", "NULL"])
def test_a_long_list_of_other_things_too_is_read(item):
    query = parse(f"SELECT a FROM t WHERE a IN ({'1,' * 60}{item}\n,2)")
    assert len(query.body.where.items) == 62


def test_a_list_of_a_hundred_thousand_numbers_is_no_work():
    text = "SELECT a FROM t WHERE a IN (" + ",".join(["123456789"] * 99_000) + ")"
    assert len(parse(text).body.where.items) == 99_000
    with pytest.raises(QuerySyntaxError, match="found"):
        parse(text[:-1] + ",")


def strip(query):
    return re.sub(r"line=\d+, column=\d+,? ?", "", repr(query))


@pytest.mark.skipif(not LYONETIA.exists(), reason="needs ../shared/adql: lyonetia's queries")
def test_lyonetia_agrees_on_every_text():
    wrong = []
    for case in json.loads(LYONETIA.read_text()):
        try:
            check_calls(parse(case["query"]), Library.of_signatures(case["udfs"]))
            valid = True
        except QueryError:
            valid = False
        if valid != case["valid"]:
            wrong.append(case["query"])
    assert wrong == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("ABS()", "ABS(x NUMERIC)"),
        ("ABS(1, 2)", "ABS(x NUMERIC)"),
        ("SQRT('a')", "a text"),
        ("CIRCLE('ICRS', 2, 3)", "radius"),
        ("POLYGON(1, 2, 3, 4, 5, 6, 7)", "lon3"),
        ("COALESCE()", "COALESCE"),
        ("CONTAINS(1, 2)", "GEOMETRY"),
    ],
)
def test_calls_are_checked_without_any_table(call, says):
    with pytest.raises(QueryError, match=r"line 1, column 8") as caught:
        check_calls(parse(f"SELECT {call} FROM t"), Library())
    assert says in str(caught.value)


def test_an_unknown_function_is_told_with_names_that_come_near():
    with pytest.raises(UnknownNameError) as caught:
        check_calls(parse("SELECT ivo_has_word(a, b) FROM t"), Library())
    assert caught.value.near[0] == "ivo_hasword"


def test_forty_parentheses_are_read_and_five_thousand_refused():
    parse("SELECT " + "(" * 40 + "a" + ")" * 40 + " FROM t")
    for opening, closing in (("(", ")"), ("ABS(", ")"), ("(SELECT a FROM (", ") AS q)")):
        with pytest.raises(QuerySyntaxError, match="nested parentheses"):
            parse("SELECT " + opening * 5000 + "a" + closing * 5000 + " FROM t")


def test_parentheses_inside_texts_and_comments_are_not_counted():
    parse("SELECT '" + "(" * 500 + "' FROM t --" + "(" * 500)


def test_a_text_without_measure_is_refused():
    with pytest.raises(QuerySyntaxError, match="expected at most"):
        parse("SELECT a FROM t --" + "x" * 1_000_000)


def test_names_know_their_place_and_quotes():
    query = parse('SELECT a,\n  t."B c" FROM t')
    name = query.body.items[1].expression.parts[1]
    assert (name.text, name.delimited, name.line, name.column) == ("B c", True, 2, 5)
