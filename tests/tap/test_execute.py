"""Statements run on a real PostgreSQL: rows by COPY, limits, errors in words, and going away."""

from __future__ import annotations

import threading
import time

import psycopg2
import pytest

from schemas.cells import text_cells
from schemas.columns import Column
from schemas.errors import AuthorizationError, FatalError, QueryError, TimeLimitError, VOError
from tap.execute import execute

NUMBER = (Column("n", "int"),)


@pytest.fixture
def connection(database):
    held = psycopg2.connect(database.reader_url)
    held.set_session(isolation_level="REPEATABLE READ", readonly=True)
    yield held
    held.close()


def answer(connection, sql, columns=NUMBER, limit=None):
    execution, blocks = execute(connection, sql, columns, limit=limit, timeout_s=1.0)
    try:
        table = []
        for block in blocks:
            cells = [
                text_cells(c, f) for c, f in zip(columns, block.block(columns).fields, strict=True)
            ]
            table += list(zip(*cells, strict=True))
        return table, execution.overflowed()
    finally:
        execution.close()


def test_every_type_comes_through_with_its_nulls(connection):
    columns = (
        Column("b", "boolean"),
        Column("u", "unsignedByte"),
        Column("s", "short"),
        Column("i", "int"),
        Column("l", "long"),
        Column("f", "float"),
        Column("d", "double"),
        Column("t", "char", "*"),
        Column("a", "double", "*"),
        Column("k", "int", "*"),
        Column("e", "char", "*"),
    )
    sql = """
      SELECT true, 200::int2, (-3)::int2, 4::int4, -5::int8, 0.1::float4, 0.1::float8,
        'Skłodowska', '{1,2.5,NaN}'::float8[], '{1,NULL,3}'::int4[], ''
      UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
      UNION ALL SELECT false, 0::int2, 0::int2, 0, 0, 'NaN', '-Infinity', 'x', '{}', '{}', 'y'
    """
    table, overflowed = answer(connection, sql, columns)
    assert table[0] == (
        *("true", "200", "-3", "4", "-5", "0.1", "0.1"),
        *("Skłodowska", "1.0 2.5 NaN", "1 0 3", ""),
    )
    assert table[1] == (None,) * len(columns)
    assert table[2] == ("false", "0", "0", "0", "0", "NaN", "-Infinity", "x", "", "", "y")
    assert not overflowed


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 8448, 20_000])
def test_all_rows_come_in_order(connection, count):
    table, overflowed = answer(connection, f"SELECT generate_series(1, {count})::int4")
    assert [int(row[0]) for row in table] == list(range(1, count + 1))
    assert not overflowed


@pytest.mark.parametrize("limit", [0, 1, 256, 300, 9000])
def test_the_limit_overflows_only_if_more_rows_exist(connection, limit):
    more = f"SELECT generate_series(1, {limit + 1})::int4"
    assert answer(connection, more, limit=limit)[1]
    assert len(answer(connection, more, limit=limit)[0]) == limit
    exact = f"SELECT generate_series(1, {limit})::int4"
    assert not answer(connection, exact, limit=limit)[1]


@pytest.mark.parametrize(
    ("sql", "kind", "sentence"),
    [
        ("SELECT 1 / 0", QueryError, "division by zero"),
        ("SELECT (2::float8 ^ 5000)::int4", QueryError, "out of its type's range"),
        ("SELECT 1 WHERE 'a' ~ '('", QueryError, "regular expression"),
        ("SELECT repeat('a', 70000000)", QueryError, "a row has 66 MB"),
        ("SELECT ln(-1.0)::int4", QueryError, "greater than zero"),
        ("SELECT 'a'::text::int4", QueryError, "invalid input syntax"),
        ("SELECT (SELECT generate_series(1, 2))", QueryError, "more than one row"),
        ("SELECT product_id FROM vo.product", AuthorizationError, "may not read"),
        ("SELECT nothing FROM nowhere", FatalError, "translated"),
    ],
)
def test_a_failing_statement_raises_before_there_are_rows(connection, sql, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        execute(connection, sql, NUMBER, limit=None, timeout_s=1.0)
    assert "SELECT" not in str(caught.value)


def test_an_error_after_the_first_rows_raises_where_they_end(connection):
    sql = "SELECT 1 / (300000 - n)::int4 FROM generate_series(1, 400000) n"
    execution, blocks = execute(connection, sql, NUMBER, limit=None, timeout_s=1.0)
    next(blocks)
    with pytest.raises(QueryError, match="division by zero"):
        list(blocks)
    execution.close()


def test_the_time_limit_is_told(connection):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 100")
    with pytest.raises(TimeLimitError, match="limit of 1 s"):
        answer(connection, "SELECT 1 FROM pg_sleep(10)")


def test_nothing_runs_where_a_backslash_would_be_read_as_an_escape(connection):
    with connection.cursor() as cursor:
        cursor.execute("SET standard_conforming_strings = off")
    with pytest.raises(FatalError, match="standard_conforming_strings"):
        answer(connection, "SELECT 1::int4")


def test_writing_is_refused(connection):
    with pytest.raises(VOError):
        answer(connection, "SELECT vo.mark_suspect('{1}')::int4")


def test_a_client_that_leaves_stops_the_query_and_frees_the_connection(connection):
    endless = "SELECT generate_series(1, 2000000000)::int4"
    execution, blocks = execute(connection, endless, NUMBER, limit=None, timeout_s=60)
    next(blocks)
    begun = time.monotonic()
    execution.close()
    assert time.monotonic() - begun < 2
    connection.rollback()
    assert answer(connection, "SELECT 1::int4")[0] == [("1",)]
    assert not any(thread.name == "copy" for thread in threading.enumerate())


def test_types_other_than_declared_are_our_fault_and_say_so(connection):
    with pytest.raises(FatalError, match="a value of another width"):
        answer(connection, "SELECT 1::int8")


@pytest.mark.parametrize("rows", [400_000, 2_000_000])
def test_an_answer_ends_at_a_whole_row_where_it_has_too_many_bytes(connection, rows):
    sql = f"SELECT generate_series(1, {rows})::int4"
    execution, blocks = execute(
        connection, sql, NUMBER, limit=None, timeout_s=30, most_bytes=5_000_000
    )
    try:
        got = [n for block in blocks for n in block.block(NUMBER).fields[0].values.tolist()]
    finally:
        execution.close()
    assert got == list(range(1, len(got) + 1))
    if rows == 400_000:  # 4 MB
        assert (len(got), execution.overflowed()) == (rows, False)
    else:
        assert 400_000 < len(got) < 700_000
        assert "more than 4 MB, the most of one answer" in execution.overflowed()
