"""Whichever way rows come, with the compiled part or without: the same answers."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from schemas import kernel
from schemas.columns import Column
from schemas.dali import TableResult, Transport
from schemas.errors import FatalError
from schemas.lines import whole_lines
from tap.execute import execute
from vo_service.formats.separated import CSV, TSV
from vo_service.formats.votable import BINARY, BINARY2, TABLEDATA

COLUMNS = (
    Column("truth", "boolean"),
    Column("tiny", "unsignedByte"),
    Column("small", "short"),
    Column("number", "int"),
    Column("big", "long"),
    Column("single", "float"),
    Column("double", "double"),
    Column("text", "char", "*"),
    Column("wide", "unicodeChar", "*"),
    Column("code", "char", "3"),
    Column("region", "double", "*", xtype="polygon"),
    Column("point", "double", "2", xtype="point"),
    Column("counts", "int", "*"),
    Column("truths", "boolean", "*"),
    Column("singles", "float", "3"),
)
#: Without what the compiled part leaves to numpy.
PLAIN = tuple(c for c in COLUMNS if c.name not in {"wide", "truths"})
TYPES = {
    "boolean": "bool",
    "unsignedByte": "int2",
    "short": "int2",
    "int": "int4",
    "long": "int8",
    "float": "float4",
    "double": "float8",
    "char": "text",
    "unicodeChar": "text",
}


def whole(bits):
    return st.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1)


def real(width):
    return st.floats(width=width) | st.sampled_from([1e16, 1e-5, 123456.0, -0.0, 1e22])


AWKWARD = st.sampled_from(
    [
        *("", " ", "\\N", "\\", "\\.", "\\\\N", "N", "NULL", "a\tb", "a\nb", "\r", "\r\n", '"'),
        *('""', ",", "a,b", '"a', 'b"', "<&>", "]]>", "&amp;", "Infinity", "-Infinity", "NaN"),
        *("\x01\x0b", "\x7f", "Sk\u0142odowska", "\U0001f52d", "\ufffe", "\uffff", "\ufffd"),
        *("  x  ", "\b\f", "'"),
    ]
)
TEXTS = AWKWARD | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
VALUES = {
    "truth": st.booleans(),
    "tiny": st.integers(0, 255),
    "small": whole(16),
    "number": whole(32),
    "big": whole(64),
    "single": real(32),
    "double": real(64),
    "text": TEXTS,
    "wide": TEXTS,
    "code": st.text("abc", min_size=1, max_size=3),
    "region": st.lists(real(64), max_size=6),
    "point": st.lists(real(64), min_size=2, max_size=2),
    "counts": st.lists(whole(32) | st.none(), max_size=4),
    "truths": st.lists(st.booleans(), max_size=4),
    "singles": st.lists(real(32), min_size=3, max_size=3),
}


def table_of(columns):
    rows = st.tuples(*(st.none() | VALUES[column.name] for column in columns))
    return st.lists(rows, max_size=12)


def type_of(column):
    array = column.arraysize and "har" not in column.datatype
    return TYPES[column.datatype] + ("[]" if array else "")


@pytest.fixture(scope="module")
def connection(database):
    held = psycopg2.connect(database.owner_url)
    yield held
    held.close()


def statement(connection, columns, rows):
    """One SELECT that gives these rows, in order."""
    kinds = [type_of(column) for column in columns]
    said = ", ".join(f"%s::{kind}" for kind in kinds)
    with connection.cursor() as cursor:
        parts = [
            cursor.mogrify(f"SELECT {number}, {said}", row).decode()
            for number, row in enumerate(rows)
        ]
    names = ", ".join(f"c{index}" for index in range(len(columns)))
    if not parts:
        nothing = ", ".join(f"NULL::{kind} AS c{index}" for index, kind in enumerate(kinds))
        return f"SELECT {nothing} WHERE false"
    union = " UNION ALL ".join(parts)
    return f"SELECT {names} FROM ({union}) AS given(n, {names}) ORDER BY n"


def written(connection, form, sql, columns, transport, *, compiled=True):
    """The answer in a form, its rows having come one way or another."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(kernel, "KERNEL", None)
        execution, rows = execute(
            connection, sql, columns, limit=None, timeout_s=10, transport=transport
        )
        try:
            return b"".join(form.write(TableResult(columns, rows), ""))
        finally:
            execution.close()
            connection.rollback()


def same_cell(column, one, other):
    """Numbers may be written differently, but are the same when read; texts are the same."""
    if column.datatype not in {"float", "double"}:
        return one == other
    kind = np.float32 if column.datatype == "float" else np.float64
    read = [np.array([kind(item) for item in cell.split()], kind) for cell in (one, other)]
    return np.array_equal(*read, equal_nan=True)


def assert_same(columns, one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert len(left) == len(right) == len(columns)
        for column, a, b in zip(columns, left, right, strict=True):
            assert same_cell(column, a, b), (column.name, a, b)


def read_csv(data):
    return list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]


def read_tsv(data):
    return [line.split("\t") for line in data.decode().split("\n")[1:-1]]


def read_tabledata(data):
    root = etree.fromstring(data)
    return [[cell.text or "" for cell in row] for row in root.iter("{*}TR")]


EXAMPLES = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
needs_kernel = pytest.mark.skipif(kernel.KERNEL is None, reason="needs the compiled part")


@EXAMPLES
@given(rows=table_of(COLUMNS))
def test_csv_says_the_same_from_the_databases_csv_and_from_its_numbers(connection, rows):
    sql = statement(connection, COLUMNS, rows)
    ours = written(connection, CSV, sql, COLUMNS, Transport.BINARY)
    theirs = written(connection, CSV, sql, COLUMNS, Transport.CSV)
    assert_same(COLUMNS, read_csv(ours), read_csv(theirs))
    assert ours.count(b'"') == theirs.count(b'"')


@EXAMPLES
@given(rows=table_of(COLUMNS))
def test_tsv_says_the_same_from_the_databases_text_and_from_its_numbers(connection, rows):
    sql = statement(connection, COLUMNS, rows)
    ours = written(connection, TSV, sql, COLUMNS, Transport.BINARY)
    theirs = written(connection, TSV, sql, COLUMNS, Transport.TEXT)
    assert_same(COLUMNS, read_tsv(ours), read_tsv(theirs))
    assert len(read_tsv(theirs)) == len(rows)


@EXAMPLES
@given(rows=table_of(COLUMNS))
def test_tabledata_says_the_same_from_the_databases_text_and_from_its_numbers(connection, rows):
    sql = statement(connection, COLUMNS, rows)
    ours = written(connection, TABLEDATA, sql, COLUMNS, Transport.BINARY)
    theirs = written(connection, TABLEDATA, sql, COLUMNS, Transport.TEXT)
    plainly = written(connection, TABLEDATA, sql, COLUMNS, Transport.TEXT, compiled=False)
    assert theirs == plainly
    assert_same(COLUMNS, read_tabledata(ours), read_tabledata(theirs))


@needs_kernel
@EXAMPLES
@given(rows=table_of(PLAIN))
def test_packed_rows_are_the_same_bytes_with_the_compiled_part_and_without(connection, rows):
    sql = statement(connection, PLAIN, rows)
    for form in (BINARY2, BINARY):
        one = written(connection, form, sql, PLAIN, Transport.BINARY)
        other = written(connection, form, sql, PLAIN, Transport.BINARY, compiled=False)
        assert b'value="ERROR"' not in one
        assert re.sub(rb"\s", b"", one) == re.sub(rb"\s", b"", other)


@needs_kernel
@EXAMPLES
@given(rows=table_of(COLUMNS))
def test_columns_are_the_same_with_the_compiled_part_and_without(connection, rows):
    sql = statement(connection, COLUMNS, rows)
    one = written(connection, CSV, sql, COLUMNS, Transport.BINARY)
    other = written(connection, CSV, sql, COLUMNS, Transport.BINARY, compiled=False)
    assert one == other


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("limit", [0, 1, 7, 20_000, 30_000])
def test_the_limit_holds_and_overflows_only_if_more_rows_exist(
    connection, transport, compiled, limit, monkeypatch
):
    if not compiled:
        monkeypatch.setattr(kernel, "KERNEL", None)
    columns = (Column("n", "int"), Column("t", "char", "*"))
    for rows in (limit, limit + 1):
        sql = f"""
            SELECT n::int4, repeat('a' || chr(10) || '"', n % 9) FROM generate_series(1, {rows}) n
        """
        execution, some = execute(
            connection, sql, columns, limit=limit, timeout_s=10, transport=transport
        )
        try:
            held = list(some)
            assert sum(one.length for one in held) == limit
            if transport is Transport.CSV:
                data = b"".join(one.data for one in held)
                read = list(csv.reader(io.StringIO(data.decode(), newline="")))
                assert [int(row[0]) for row in read] == list(range(1, limit + 1))
            assert execution.overflowed() == (rows > limit)
        finally:
            execution.close()
            connection.rollback()


@pytest.mark.parametrize("transport", list(Transport))
def test_rows_that_come_slowly_are_handed_over_while_others_are_awaited(connection, transport):
    # PostgreSQL itself keeps 8 kB back
    columns = (Column("n", "int"), Column("t", "char", "*"))
    rows = "generate_series(1, 20) n WHERE pg_sleep(0.05) IS NOT NULL"
    sql = f"SELECT n, repeat('x', 9000) FROM {rows}"
    execution, some = execute(
        connection, sql, columns, limit=None, timeout_s=10, transport=transport
    )
    try:
        counts = [one.length for one in some]
        assert sum(counts) == 20
        if kernel.KERNEL is not None or transport is not Transport.BINARY:
            assert len(counts) > 5
    finally:
        execution.close()
        connection.rollback()


def test_a_csv_of_one_column_keeps_the_rows_without_a_value(connection):
    columns = (Column("t", "char", "*"),)
    sql = "SELECT t FROM (VALUES ('a'), (NULL), ('\\.')) AS v(t)"
    data = written(connection, CSV, sql, columns, Transport.CSV)
    assert data == b't\na\n""\n\\.\n'


@pytest.mark.parametrize("compiled", [True, False])
def test_a_number_beyond_the_range_of_its_datatype_is_refused(connection, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(kernel, "KERNEL", None)
    columns = (Column("u", "unsignedByte"),)
    execution, rows = execute(connection, "SELECT 300::int2", columns, limit=None, timeout_s=10)
    try:
        with pytest.raises(FatalError, match=r"column u: .* out of the range"):
            next(rows).block(columns)
    finally:
        execution.close()
        connection.rollback()


def test_rows_are_found_among_cells_full_of_line_ends_in_one_pass():
    row = b'1,"' + b"\n" * 1_000_000 + b'a ""quoted"" word"\n'
    begun = row * 2 + b'2,"not'
    assert whole_lines(begun, Transport.CSV, 1) == (len(row), 1)
    assert whole_lines(begun, Transport.CSV, None) == (2 * len(row), 2)
    assert whole_lines(begun, Transport.CSV, 5) == (2 * len(row), 2)
    assert whole_lines(row[:-5], Transport.CSV, None) == (0, 0)
    assert whole_lines(b'1,"x"\n2,y\n3', Transport.CSV, 0) == (0, 0)


@pytest.mark.skipif(kernel.KERNEL is None, reason="needs the compiled part")
def test_lines_without_columns_are_refused():
    with pytest.raises(ValueError, match="one text is wanted"):
        kernel.KERNEL.tabledata(b"\n\n", (), b"")
