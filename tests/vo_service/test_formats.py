"""Forms of answers: how they are named, and what CSV and TSV make of awkward values."""

from __future__ import annotations

import csv
import io
import socket

import pytest
from flask import Flask
from werkzeug.exceptions import ClientDisconnected

from schemas.columns import Column
from schemas.dali import TableResult
from schemas.errors import ParameterError
from vo_service.formats.arrow import ARROW
from vo_service.formats.choice import FORMATS, choose
from vo_service.formats.fits import FITS
from vo_service.formats.html import HTML
from vo_service.formats.json import JSON
from vo_service.formats.parquet import PARQUET
from vo_service.formats.separated import CSV, TSV
from vo_service.formats.votable import BINARY, BINARY2, TABLEDATA
from vo_service.response import table_response

COLUMNS = (
    Column("n", "int"),
    Column("text, with comma", "char", "*"),
    Column("yes", "boolean"),
    Column("f", "float"),
    Column("where", "double", "2", xtype="point"),
)
ROWS = [
    (1, 'a "quoted", b', True, 0.1, (1.5, -2.0)),
    (None, None, None, None, None),
    (-5, "", False, float("nan"), (0.0, 0.0)),
    (2, "tab\there\nand there", True, 1e-30, (359.9, 90.0)),
]


def written(form) -> str:
    return b"".join(form.write(TableResult(COLUMNS, iter([ROWS[:1], ROWS[1:]])), "")).decode()


def test_csv_reads_back_as_rfc_4180_says():
    lines = list(csv.reader(io.StringIO(written(CSV), newline="")))
    assert lines[0] == ["n", "text, with comma", "yes", "f", "where"]
    assert lines[1] == ["1", 'a "quoted", b', "true", "0.1", "1.5 -2.0"]
    assert lines[2] == ["", "", "", "", ""]
    assert lines[3] == ["-5", "", "false", "NaN", "0.0 0.0"]
    assert lines[4] == ["2", "tab\there\nand there", "true", "1e-30", "359.9 90.0"]


def test_csv_tells_an_empty_text_from_no_text():
    lines = written(CSV).split("\n")
    assert lines[2] == ",,,,"
    assert lines[3].startswith('-5,"",')


def test_tsv_has_one_line_a_row_and_one_tab_between():
    lines = written(TSV).rstrip("\n").split("\n")
    assert len(lines) == 1 + len(ROWS)
    assert all(line.count("\t") == len(COLUMNS) - 1 for line in lines)
    assert "tab here and there" in lines[4]


@pytest.mark.parametrize(
    ("asked", "form", "mime"),
    [
        (None, BINARY2, BINARY2.mime),
        ("votable", BINARY2, BINARY2.mime),
        ("votable/td", TABLEDATA, TABLEDATA.mime),
        ("application/x-votable+xml", BINARY2, "application/x-votable+xml"),
        ('Application/X-VOTable+xml; serialization="TABLEDATA"', TABLEDATA, TABLEDATA.mime),
        ("text/xml", BINARY2, "text/xml"),
        ("votable/b", BINARY, BINARY.mime),
        ("VOTable/B2", BINARY2, BINARY2.mime),
        ("application/x-votable+xml; version=1.4; Serialization=BINARY", BINARY, BINARY.mime),
        ("text/csv; charset=utf-8;header=present", CSV, "text/csv;header=present"),
        ("CSV", CSV, "text/csv;header=present"),
        ("application/fits", FITS, "application/fits"),
        ("Parquet", PARQUET, "application/vnd.apache.parquet"),
        ("application/vnd.apache.arrow.stream", ARROW, "application/vnd.apache.arrow.stream"),
        ("json", JSON, "application/json"),
        ("text/html", HTML, "text/html;charset=utf-8"),
        ("text/csv", CSV, "text/csv;header=present"),
        ("tsv", TSV, "text/tab-separated-values"),
    ],
)
def test_a_form_is_found_by_any_of_its_names(asked, form, mime):
    assert choose(asked) == (form, mime)


def test_an_unknown_form_is_refused_with_those_that_there_are():
    with pytest.raises(ParameterError, match=r"'gif'.*votable.*csv.*tsv"):
        choose("gif")


def test_no_two_forms_share_a_name():
    names = [name.lower() for form in FORMATS for name in (form.mime, *form.aliases)]
    assert len(names) == len(set(names))


def test_a_client_that_leaves_while_fits_awaits_its_rows_stops_the_query():
    ours, theirs = socket.socketpair()
    closed = []

    def rows():
        for number in range(1000):
            if number == 3:
                theirs.close()
            yield ROWS
        pytest.fail("all rows were read")

    result = TableResult(COLUMNS, rows(), close=lambda: closed.append(True))
    context = Flask("test").test_request_context(environ_overrides={"gunicorn.socket": ours})
    with context, ours, pytest.raises(ClientDisconnected):
        table_response(result, FITS, mime=FITS.mime, base_url="", name="tap")
    assert closed == [True]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.mime)
def test_columns_that_share_a_name_are_all_written(form):
    columns = (Column("x", "double"), Column("x", "double"), Column("x", "char", "*"),
               Column("x", "int"), Column("y", "float"), Column("y", "float"))  # fmt: skip
    rows = [(1.5, None, "a", 3, 0.5, -1.0), (None, 2.5, None, None, None, 1.0)]
    document = b"".join(form.write(TableResult(columns, iter([rows])), ""))
    assert document
    assert b'value="ERROR"' not in document
