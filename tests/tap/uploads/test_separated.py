from __future__ import annotations

import pytest

from tests.support.uploaded import first_fault, table_of


def types_of(text, media_type="text/csv"):
    columns, rows = table_of(text.encode(), media_type)
    return [column.datatype for column in columns], rows


def test_types_are_the_narrowest_that_take_all_values_and_empty_cells_are_nulls():
    text = 'a,b,c,d,e,f\r\n1,3000000000,1.5,true,x,\r\n-2,5,,FALSE,,\r\n +3 ,,1e-3,,"",\r\n'
    datatypes, rows = types_of(text)
    assert datatypes == ["int", "long", "double", "boolean", "char", "char"]
    assert rows == [
        (1, 3_000_000_000, 1.5, True, "x", None),
        (-2, 5, None, False, None, None),
        (3, None, 0.001, None, "", None),
    ]


def test_a_value_far_down_decides_as_much_as_the_first():
    lines = [f"{n},{n}" for n in range(200_000)]
    datatypes, rows = types_of("a,b\n" + "\n".join(lines) + "\nend,0.5\n")
    assert datatypes == ["char", "double"]
    assert len(rows) == 200_001
    assert rows[7] == ("7", 7.0)
    assert rows[-1] == ("end", 0.5)


def test_whole_numbers_that_no_long_holds_stay_texts():
    huge = "123456789012345678901234567890"
    datatypes, rows = types_of(
        f"a,b,c\n{huge},9223372036854775807,{huge}\n1,-9223372036854775808,1.5\n"
    )
    assert datatypes == ["char", "long", "char"]
    assert rows[0] == (huge, 2**63 - 1, huge)


def test_numbers_that_are_not_finite_are_numbers_and_nan_is_no_value():
    datatypes, rows = types_of("a\nNaN\n-inf\n1.\n.5\n")
    assert datatypes == ["double"]
    assert rows == [(None,), (float("-inf"),), (1.0,), (0.5,)]


@pytest.mark.parametrize(
    "text", ["a\n1_0\n", "a\n0x10\n", "a\n1e\n", "a\n1 2\n", "a\nyes\n", "a\n٣\n"]
)
def test_what_only_resembles_a_number_is_a_text(text):
    assert types_of(text)[0][0] in {"char", "unicodeChar"}


def test_quotes_hold_separators_line_ends_and_quotes():
    _, rows = types_of('"a, b",c\r\n"x\r\ny, ""z""",2\r\n')
    assert rows == [('x\r\ny, "z"', 2)]
    columns, _ = table_of(b'"a, b",c\r\n"x",2\r\n', "text/csv")
    assert [column.name for column in columns] == ["a, b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_first_name():
    columns, rows = table_of("\ufeffra,größe\n1,ü\n".encode())
    assert [column.name for column in columns] == ["ra", "größe"]
    assert rows == [(1, "ü")]


def test_tabs_separate_where_the_sender_or_the_first_line_says_so():
    text = b"a\tb\n1\t2,5\n3\t\n"
    for media_type in ("text/tab-separated-values", ""):
        _, rows = table_of(text, media_type)
        assert rows == [(1, "2,5"), (3, None)]


def test_a_first_line_alone_is_a_table_without_rows():
    assert types_of("a,b\n") == (["char", "char"], [])
    assert types_of("a,b") == (["char", "char"], [])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells, expected 2: '3'"),
        (b"a,b\n1,2,3\n", "row 1 has 3 cells, expected 2"),
        (b"a,\n1,2\n", "a column has no name"),
        (b"a\n1\n\xff\xfe\n", "line 3: found b'\\xff', expected UTF-8"),
        (b"\xfc\n1\n", "line 1: found"),
        (b"\n\n", "the text is empty"),
        (b"", "the file is empty"),
        (b"a\0b\n1\n", "in no format that is read"),
        (b"# %ECSV 1.0\n# ---\na\n1\n", "ECSV is not read"),
        (b",".join(b"c%d" % n for n in range(1601)) + b"\n", "more than 1600 columns"),
    ],
)
def test_what_is_wrong_is_told(data, sentence):
    assert sentence in first_fault(data)


def test_a_declared_type_wins_over_what_the_text_looks_like():
    columns, _ = table_of(b"<a>,b\n1,2\n", "text/csv; charset=utf-8")
    assert [column.name for column in columns] == ["<a>", "b"]
    assert "not well-formed XML" in first_fault(b"a,b\n1,2\n", "application/x-votable+xml")
