from __future__ import annotations

import base64
import io
import math
import struct
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.support.uploaded import first_fault, table_of, votable

FIELDS = (
    '<FIELD name="flag" datatype="boolean"/>'
    '<FIELD name="byte" datatype="unsignedByte"><VALUES null="255"/></FIELD>'
    '<FIELD name="short" datatype="short"><VALUES null="-99"/></FIELD>'
    '<FIELD name="int" datatype="int"/>'
    '<FIELD name="long" datatype="long"/>'
    '<FIELD name="float" datatype="float"/>'
    '<FIELD name="double" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main" utype="u:t">'
    "<DESCRIPTION>right\n ascension</DESCRIPTION></FIELD>"
    '<FIELD name="text" datatype="char" arraysize="*"/>'
    '<FIELD name="wide" datatype="unicodeChar" arraysize="8*"/>'
    '<FIELD name="fixed" datatype="char" arraysize="4"/>'
    '<FIELD name="point" datatype="double" arraysize="2" xtype="point"/>'
    '<FIELD name="many" datatype="int" arraysize="*"/>'
    '<FIELD name="bits" datatype="bit" arraysize="10"/>'
    '<FIELD name="when" datatype="char" arraysize="*" xtype="timestamp"/>'
)
MASK = b"\xff\xfc"
BITS = [1, 0, 1, 1, 0, 0, 0, 0, 1, 1]
FULL = (
    *(True, 200, -5, 2**31 - 1, -(2**63), 1.5, 0.1, "a<b", "ü€", "ab", [10.0, -20.0], [1, 2, 3]),
    *([bool(bit) for bit in BITS], "2026-01-31T12:00:00.5"),
)
TABLEDATA = (
    "<TABLEDATA><TR><TD>T</TD><TD>0xC8</TD><TD> -5 </TD><TD>2147483647</TD>"
    "<TD>-9223372036854775808</TD><TD>1.5</TD><TD>1e-1</TD><TD>a&lt;b</TD><TD>ü€</TD><TD>ab</TD>"
    "<TD>10 -20</TD><TD>1 2 3</TD><TD>1011000011</TD><TD>2026-01-31T12:00:00.5</TD></TR>"
    "<TR><TD>?</TD><TD>255</TD><TD>-99</TD>"
    + "<TD/>" * 2
    + "<TD>NaN</TD>"
    + "<TD/>" * 4
    + "<TD>NaN NaN</TD><TD/><TD/><TD></TD></TR></TABLEDATA>"
)


def stream(raw):
    return f'<STREAM encoding="base64">{base64.encodebytes(raw).decode()}</STREAM>'


def sized(raw, width=1):
    return struct.pack(">I", len(raw) // width) + raw


def binary_rows(mask=None):
    """The two rows of TABLEDATA in BINARY, or with masks in BINARY2."""
    full = (
        b"T" + struct.pack(">BhiqfdI", 200, -5, 2**31 - 1, -(2**63), 1.5, 0.1, 3) + b"a<b"
        + sized("ü€".encode("utf-16-be"), 2) + b"ab\0\0" + struct.pack(">dd", 10, -20)
        + sized(struct.pack(">3i", 1, 2, 3), 4) + np.packbits(BITS).tobytes()
        + sized(b"2026-01-31T12:00:00.5")
    )  # fmt: skip
    nan = math.nan
    empty = (
        b"?" + struct.pack(">BhiqfdII", 255, -99, 0, 0, nan, nan, 0, 0) + b"\0\0\0\0"
        + struct.pack(">ddI", nan, nan, 0) + b"\0\0" + struct.pack(">I", 0)
    )  # fmt: skip
    if mask is None:
        return full + empty
    return b"\0\0" + full + mask + empty


def same(found, wanted):
    assert list(found) == [
        None if value is None else pytest.approx(value) if isinstance(value, float) else value
        for value in wanted
    ]


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3", "1.4", "1.5"])
def test_tabledata_of_every_version_gives_values_nulls_and_metadata(version):
    columns, rows = table_of(votable(FIELDS, TABLEDATA, version=version))
    same(rows[0], FULL)
    assert rows[1] == (None,) * 14
    double = next(column for column in columns if column.name == "double")
    assert (double.unit, double.ucd, double.utype) == ("deg", "pos.eq.ra;meta.main", "u:t")
    assert double.description == "right ascension"
    assert {c.name: c.sql_type for c in columns} == {
        "flag": "bool", "byte": "int2", "short": "int2", "int": "int4", "long": "int8",
        "float": "float4", "double": "float8", "text": "text", "wide": "text", "fixed": "text",
        "point": "float8[]", "many": "int4[]", "bits": "bool[]", "when": "timestamp",
    }  # fmt: skip


def test_binary2_gives_the_same_with_its_masks():
    _, rows = table_of(votable(FIELDS, f"<BINARY2>{stream(binary_rows(MASK))}</BINARY2>"))
    same(rows[0], FULL)
    assert rows[1] == (None,) * 14


def test_binary_knows_nulls_by_their_value_alone():
    _, rows = table_of(votable(FIELDS, f"<BINARY>{stream(binary_rows())}</BINARY>"))
    same(rows[0], FULL)
    found = dict(zip(["flag", "byte", "short", "int", "long"], rows[1], strict=False))
    assert found == {"flag": None, "byte": None, "short": None, "int": 0, "long": 0}
    assert rows[1][5:12] == (None,) * 7


def test_an_inline_fits_stream_is_read_with_the_metadata_of_the_fields():
    file = io.BytesIO()
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.BinTableHDU.from_columns(
                [
                    fits.Column("x", "J", null=-1, array=[1, -1, 3]),
                    fits.Column("y", "D", array=[0.5, math.nan, 2.5]),
                ]
            ),
        ]
    ).writeto(file)
    fields = '<FIELD name="n" datatype="int"/><FIELD name="v" datatype="double" unit="mag"/>'
    data = votable(fields, f"<FITS>{stream(file.getvalue())}</FITS>")
    columns, rows = table_of(data)
    assert [(c.name, c.unit) for c in columns] == [("n", ""), ("v", "mag")]
    assert rows == [(1, 0.5), (None, None), (3, 2.5)]


def test_the_first_table_counts_and_what_stands_around_it_does_not():
    inner = (
        "<TABLE><FIELD name='{}' datatype='int'/><DATA><TABLEDATA><TR><TD>{}</TD></TR>"
        "</TABLEDATA></DATA></TABLE>"
    )
    data = (
        "<VOTABLE><INFO name='a' value='b'/><RESOURCE type='meta'><PARAM name='p' value='1' "
        "datatype='int'/></RESOURCE><RESOURCE><RESOURCE>"
        + inner.format("first", 1)
        + "</RESOURCE>"
        + inner.format("second", 2)
        + "</RESOURCE></VOTABLE>"
    )
    columns, rows = table_of(data.encode())
    assert [c.name for c in columns] == ["first"]
    assert rows == [(1,)]


def test_prefixes_encodings_and_marks_make_no_difference():
    text = (
        '<?xml version="1.0" encoding="{}"?><v:VOTABLE xmlns:v="http://www.ivoa.net/xml/VOTable/'
        'v1.3"><v:RESOURCE><v:TABLE><v:FIELD name="ü" datatype="int"/><v:DATA><v:TABLEDATA>'
        "<v:TR><v:TD>7</v:TD></v:TR></v:TABLEDATA></v:DATA></v:TABLE></v:RESOURCE></v:VOTABLE>"
    )
    for encoding in ("UTF-8", "UTF-16", "ISO-8859-1"):
        columns, rows = table_of(text.format(encoding).encode(encoding))
        assert [c.name for c in columns] == ["ü"], encoding
        assert rows == [(7,)]
    assert table_of(b"\xef\xbb\xbf \n" + text.format("UTF-8").encode()[38:])[1] == [(7,)]


def test_tables_without_rows_or_data_have_columns_all_the_same():
    assert table_of(votable(FIELDS, "<TABLEDATA/>"))[1] == []
    assert table_of(votable(FIELDS, f"<BINARY2>{stream(b'')}</BINARY2>"))[1] == []
    bare = (
        b"<VOTABLE><RESOURCE><TABLE><FIELD name='a' datatype='int'/></TABLE></RESOURCE></VOTABLE>"
    )
    columns, rows = table_of(bare)
    assert [c.name for c in columns] == ["a"]
    assert rows == []


INT = '<FIELD name="n" datatype="int"/>'
TEXT = '<FIELD name="a" datatype="char" arraysize="*"/>'


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (votable(INT, "<TABLEDATA><TR><TD>1</TD></TR><TR><TD>x</TD></TR></TABLEDATA>"),
         "row 2, column n: found 'x', expected a whole number of -2147483648 to 2147483647 (int)"),
        (votable(INT, "<TABLEDATA><TR><TD>2147483648</TD></TR></TABLEDATA>"), "row 1, column n"),
        (votable(INT, "<TABLEDATA><TR><TD>1.5</TD></TR></TABLEDATA>"), "found '1.5'"),
        (votable(INT, "<TABLEDATA><TR><TD>1_0</TD></TR></TABLEDATA>"), "found '1_0'"),
        (votable(INT, "<TABLEDATA><TR><TD>٣</TD></TR></TABLEDATA>"), "row 1, column n"),
        (votable(INT, "<TABLEDATA><TR></TR></TABLEDATA>"), "row 1 has 0 cells, expected 1"),
        (votable(INT, "<TABLEDATA><TR><TD/><TD/></TR></TABLEDATA>"), "has more than 1 cells"),
        (votable(INT, "<TABLEDATA><TR><TD encoding='base64'/></TR></TABLEDATA>"), "encoding"),
        (votable('<FIELD name="d" datatype="double"/>',
                 "<TABLEDATA><TR><TD>1,5</TD></TR></TABLEDATA>"), "'1,5', expected a number"),
        (votable('<FIELD name="b" datatype="boolean"/>',
                 "<TABLEDATA><TR><TD>yes</TD></TR></TABLEDATA>"), "expected true or false"),
        (votable('<FIELD name="p" datatype="double" arraysize="2"/>',
                 "<TABLEDATA><TR><TD>1 2 3</TD></TR></TABLEDATA>"), "found 3 values, expected 2"),
        (votable('<FIELD name="c" datatype="floatComplex"/>', "<TABLEDATA/>"),
         "column c has the datatype 'floatComplex', which no query can use"),
        (votable('<FIELD name="c"/>', "<TABLEDATA/>"), "column c has the datatype ''"),
        (votable('<FIELD datatype="int"/>', "<TABLEDATA/>"), "a column has no name"),
        (votable('<FIELD name="a" datatype="int" arraysize="x"/>', "<TABLEDATA/>"), "'x'"),
        (votable('<FIELD name="a" datatype="int" arraysize="999999999x999999999"/>',
                 f"<BINARY>{stream(b'1234')}</BINARY>"), "at most 64 MB"),
        (votable('<FIELD name="a" datatype="int"><VALUES null="none"/></FIELD>', "<TABLEDATA/>"),
         "found the null value 'none'"),
        (votable(INT, f"<BINARY>{stream(b'12345')}</BINARY>"), "the stream ends within row 2"),
        (votable(TEXT,
                 f"<BINARY>{stream(bytes([255] * 4))}</BINARY>"), "row 1, column a: says"),
        (votable(TEXT,
                 f"<BINARY>{stream(sized(b'abc')[:-1])}</BINARY>"), "ends within row 1"),
        (votable(INT, '<BINARY><STREAM encoding="base64">AA*A</STREAM></BINARY>')[:-70], "XML"),
        (votable(INT, '<BINARY><STREAM encoding="base64">AAAAA</STREAM></BINARY>'), "not base64"),
        (votable(INT, '<BINARY><STREAM encoding="gzip">AAAA</STREAM></BINARY>'), "base64"),
        (votable(INT, '<BINARY><STREAM href="file:///etc/passwd"/></BINARY>'), "not followed"),
        (votable(INT, "<FITS>" + stream(b"no FITS" * 1000) + "</FITS>"), "FITS"),
        (votable(INT, "<TABLEDATA><TR><TD>1</TD></TR>")[:150], "not well-formed XML"),
        (b"<html><body>404</body></html>", "found the root element html, expected VOTABLE"),
        (b"<VOTABLE><RESOURCE/></VOTABLE>", "has no TABLE in a RESOURCE"),
        (b"<VOTABLE>", "line 1"),
        (b"<VOTABLE><RESOURCE><TABLE>" + b"<FIELD name='a' datatype='int'/>" * 1601, "1600"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(data, sentence):
    assert sentence in first_fault(data)


BILLION = (
    "<!DOCTYPE lolz [<!ENTITY a '"
    + "lol" * 10
    + "'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12))
    + "]>"
)


@pytest.mark.parametrize(
    "bomb",
    [
        f"{BILLION}<VOTABLE><INFO>&m;</INFO></VOTABLE>",
        "<!DOCTYPE VOTABLE SYSTEM 'http://127.0.0.1:9/VOTable.dtd'><VOTABLE/>",
        "<!DOCTYPE V [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><VOTABLE>&x;</VOTABLE>",
        "<!DOCTYPE V [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/x'> %x;]><VOTABLE/>",
    ],
)
def test_document_types_and_entities_are_refused_before_they_act(bomb):
    assert "document type or entities" in first_fault(bomb.encode(), "text/xml")


def test_nesting_long_tags_and_long_texts_end_the_reading_early():
    assert "nested" in first_fault(b"<VOTABLE>" + b"<GROUP>" * 1_000_000)
    assert "tag is longer" in first_fault(b"<VOTABLE><INFO value='" + b"x" * 30_000_000)
    long_name = "<FIELD name='a' datatype='int'><DESCRIPTION>" + "x" * 100_000
    assert "too long" in first_fault(votable(long_name, ""))


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 6))
    kinds = draw(
        st.lists(
            st.sampled_from(["i2", "i4", "i8", "u1", "f4", "f8", "U", "f8x3"]),
            min_size=1,
            max_size=5,
        )
    )
    table = Table()
    for number, kind in enumerate(kinds):
        if kind == "U":
            letters = st.characters(min_codepoint=33, max_codepoint=0xD7FF)
            words = st.text(letters, min_size=1, max_size=5)
            values = np.array(draw(st.lists(words, min_size=rows, max_size=rows)), "U5")
        else:
            shape = (rows, 3) if kind.endswith("x3") else (rows,)
            elements = {"allow_nan": False} if kind[0] == "f" else None
            values = draw(npst.arrays(kind[:2], shape, elements=elements))
        table[f"c{number}"] = values
    return table


@pytest.mark.parametrize("form", ["tabledata", "binary", "binary2"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_what_astropy_writes_is_read_as_it_was(form, table):
    document = from_table(table)
    document.set_all_tables_format(form)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document.to_xml(out)
    _, rows = table_of(out.getvalue())
    assert len(rows) == len(table)
    for found, wanted in zip(rows, table, strict=True):
        for name, value in zip(table.colnames, found, strict=True):
            expected = wanted[name]
            if table[name].dtype.kind == "U":
                assert value == expected
            else:
                np.testing.assert_array_equal(value, expected)


def test_masks_of_astropy_are_nulls_in_binary2():
    table = Table({"a": MaskedColumn([1, 2, 3], mask=[True, False, True])})
    document = from_table(table)
    document.set_all_tables_format("binary2")
    out = io.BytesIO()
    document.to_xml(out)
    assert table_of(out.getvalue())[1] == [(None,), (2,), (None,)]
