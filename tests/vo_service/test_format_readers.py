"""Every form of answers, read back by programs that others have written."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits, votable
from lxml import etree, html

from schemas.columns import Column
from schemas.dali import Info, TableResult
from schemas.errors import QueryError, TimeLimitError
from vo_service.formats.arrow import ARROW
from vo_service.formats.choice import FORMATS
from vo_service.formats.fits import FITS
from vo_service.formats.html import HTML
from vo_service.formats.json import JSON
from vo_service.formats.parquet import PARQUET
from vo_service.formats.separated import CSV, TSV

COLUMNS = (
    Column("flag", "boolean", description="is it"),
    Column("tiny", "unsignedByte"),
    Column("small", "short"),
    Column("number", "int", ucd="meta.id"),
    Column("big", "long", unit="s"),
    Column("mag", "float", unit="mag", ucd="phot.mag"),
    Column("ra", "double", unit="deg", ucd="pos.eq.ra;meta.main"),
    Column("name", "char", "*", description="it's <b>named</b> by Sk\u0142odowska"),
    Column("code", "char", "4"),
    Column("title", "unicodeChar", "*"),
    Column("taken", "char", "*", xtype="timestamp"),
    Column("region", "double", "*", xtype="polygon"),
    Column("point", "double", "2", xtype="point"),
    Column("counts", "int", "*"),
    Column("link", "char", "*", ucd="meta.ref.url"),
)
TEXT = "a <b> & 'c' \U0001f52d"
ROWS = [
    (
        *(True, 7, -3, 2**31 - 1, 2**63 - 1, 0.1, 0.1, TEXT, "abcd", "\U0001f52d\u0142"),
        *("2026-11-22T01:02:03.5", (1.0, 2.0, 3.5, 4.0, 5.0, 6.0), (10.0, -20.5), (1, 2, 3)),
        "https://x.test/a?b=1&c=2",
    ),
    (None,) * len(COLUMNS),
    (
        *(False, 255, 2**15 - 1, 0, -(2**63) + 1, float("nan"), float("-inf"), "", "ab", ""),
        *("2026-01-01T00:00:00", (), (0.0, 0.0), (), "javascript:alert(1)"),
    ),
]


def written(form, rows=ROWS, columns=COLUMNS, **more) -> bytes:
    blocks = (rows[i : i + 2] for i in range(0, len(rows), 2))
    infos = (Info("QUERY", "SELECT 'ł' -- what is asked"),)
    return b"".join(form.write(TableResult(columns, blocks, infos, **more), "http://x.test"))


def failing():
    yield ROWS[:2]
    message = "the query took longer than 60 s"
    raise TimeLimitError(message)


def overflowing(form, columns=COLUMNS, rows=ROWS) -> bytes:
    return written(form, rows, columns, overflowed=lambda: True)


def statuses(document: bytes) -> list[str]:
    return etree.fromstring(document).xpath("//*[@name='QUERY_STATUS']/@value")


def arrow_rows(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.to_pylist()]


def plainly(row):
    """As Arrow gives it: lists for arrays."""
    return tuple(list(value) if isinstance(value, tuple) else value for value in row)


def assert_arrow(table: pa.Table) -> None:
    first, second, third = arrow_rows(table)
    assert first[:5] == ROWS[0][:5]
    assert first[5] == np.float32(0.1)
    assert first[6:] == plainly(ROWS[0][6:])
    assert second == (None,) * len(COLUMNS)
    assert np.isnan(third[5])
    assert third[:5] + third[6:] == plainly(ROWS[2][:5] + ROWS[2][6:])
    kinds = [str(field.type) for field in table.schema]
    assert kinds[:7] == ["bool", "uint8", "int16", "int32", "int64", "float", "double"]


def test_parquet_has_every_type_and_null():
    assert_arrow(pq.read_table(io.BytesIO(written(PARQUET))))


def test_parquet_carries_a_votable_that_describes_its_columns():
    facts = pq.read_metadata(io.BytesIO(overflowing(PARQUET))).metadata
    assert facts[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    document = facts[b"IVOA.VOTable-Parquet.content"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = votable.parse(io.BytesIO(document), verify="exception").get_first_table()
    assert [field.name for field in table.fields] == [column.name for column in COLUMNS]
    assert table.fields[6].ucd == "pos.eq.ra;meta.main"
    assert b"<DATA" not in document
    assert statuses(document) == ["OK", "OVERFLOW"]


def test_parquet_compresses_and_splits_floats_and_has_dictionaries_for_texts_alone():
    group = pq.read_metadata(io.BytesIO(written(PARQUET))).row_group(0)
    by_name = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in by_name["mag"].encodings
    assert by_name["name"].has_dictionary_page
    assert not by_name["number"].has_dictionary_page
    assert {column.compression for column in by_name.values()} == {"ZSTD"}


def drained(form) -> bytes:
    """What leaves of an answer that fails half way, if the failure is raised at its end."""
    stream = form.write(TableResult(COLUMNS, failing()), "")
    held = []
    try:
        for piece in stream:
            held.append(piece)  # noqa: PERF402  # what came before the failure counts
    except TimeLimitError:
        return b"".join(held)
    pytest.fail("nothing was raised")


def test_parquet_and_arrow_that_fail_half_way_say_so_and_break_off():
    facts = pq.read_metadata(io.BytesIO(drained(PARQUET)))
    assert facts.num_rows == 2
    assert statuses(facts.metadata[b"IVOA.VOTable-Parquet.content"]) == ["OK", "ERROR"]
    assert last_words(drained(ARROW))[b"QUERY_STATUS"] == b"ERROR"


def last_words(data: bytes) -> dict[bytes, bytes]:
    stream = pa.ipc.open_stream(data)
    *_, last = stream.iter_batches_with_custom_metadata()
    return dict(last.custom_metadata.items())


def test_arrow_has_every_type_and_null_and_says_how_it_ended():
    assert_arrow(pa.ipc.open_stream(written(ARROW)).read_all())
    assert last_words(written(ARROW)) == {b"QUERY_STATUS": b"OK"}
    assert last_words(overflowing(ARROW)) == {b"QUERY_STATUS": b"OVERFLOW"}
    schema = pa.ipc.open_stream(written(ARROW)).schema
    assert schema.field("mag").metadata == {b"unit": b"mag", b"ucd": b"phot.mag"}


def opened(data: bytes):
    return fits.open(io.BytesIO(data), character_as_bytes=True, logical_as_bytes=True)


def test_fits_has_every_type_and_null():
    with opened(written(FITS)) as units:
        units.verify("exception")
        raw, header = units[1].data, units[1].header
        assert raw["flag"].tolist() == [b"T", b"", b"F"]  # numpy drops NULs
        assert raw["number"].tolist() == [2**31 - 1, header["TNULL4"], 0]
        assert raw["big"].tolist() == [2**63 - 1, header["TNULL5"], -(2**63) + 1]
        assert raw["small"].tolist() == [-3, header["TNULL3"], 2**15 - 1]
        assert raw["mag"][0] == np.float32(0.1)
        assert np.isnan(raw["mag"][1:]).all()
        assert raw["ra"][2] == -np.inf
        assert raw["name"][0].decode() == TEXT
        assert raw["title"][0].decode() == "\U0001f52d\u0142"
        assert [text.strip() for text in raw["code"].tolist()] == [b"abcd", b"", b"ab"]
        assert raw["taken"][0] == b"2026-11-22T01:02:03.5"
        assert raw["region"][0].tolist() == [1.0, 2.0, 3.5, 4.0, 5.0, 6.0]
        assert [len(value) for value in raw["region"]] == [6, 0, 0]
        assert raw["counts"][0].tolist() == [1, 2, 3]
        assert raw["point"][0].tolist() == [10.0, -20.5]
        assert np.isnan(raw["point"][1]).all()


def test_fits_tells_an_empty_text_from_no_text():
    data = written(FITS, [("",), (None,), ("xy",)], [Column("t", "char", "*")])
    begin = data.index(b"END", 2880)
    rows = data[2880 * (begin // 2880 + 1) :][:6]
    assert rows == b" \0" + b"\0\0" + b"xy"


def test_fits_says_units_ucds_xtypes_and_how_the_query_ended():
    with opened(overflowing(FITS)) as units:
        first, header = units[0].header, units[1].header
    assert header["TUNIT6"] == "mag"
    assert header["TUCD7"] == "pos.eq.ra;meta.main"
    assert header["TXTYP12"] == "polygon"
    assert header["TCOMM8"].startswith("it's <b>named</b> by Sk")
    assert header["QSTATUS"] == "OVERFLOW"
    assert "what is asked" in str(first["COMMENT"])
    assert "more rows than" in str(first["COMMENT"])


def test_fits_finds_a_null_that_no_value_has_and_widens_where_there_is_none():
    columns = [Column("u", "unsignedByte"), Column("s", "short")]
    rows = [(None, None), *((value, value - 2**15) for value in range(256)), (5, 2**15 - 1)]
    with opened(written(FITS, rows, columns)) as units:
        header, data = units[1].header, units[1].data
        assert header["TFORM1"] == "1I"
        assert header["TFORM2"] == "1J"
        assert data["u"].tolist()[1:] == [row[0] for row in rows[1:]]
        assert data["s"].tolist()[1:] == [row[1] for row in rows[1:]]
        assert data["u"][0] == header["TNULL1"] < 0


def test_fits_that_fails_has_sent_nothing():
    with pytest.raises(TimeLimitError):
        assert not any(FITS.write(TableResult(COLUMNS, failing()), ""))


def test_fits_refuses_more_columns_than_it_can_have():
    columns = [Column(f"c{n}", "int") for n in range(1000)]
    with pytest.raises(QueryError, match="1000 columns, expected at most 999"):
        written(FITS, [], columns)


def test_json_has_metadata_and_rows_and_says_how_it_ended():
    held = json.loads(written(JSON))
    assert held["metadata"][6] == {
        "name": "ra",
        "datatype": "double",
        "unit": "deg",
        "ucd": "pos.eq.ra;meta.main",
    }
    assert held["data"][0] == list(plainly(ROWS[0]))
    assert held["data"][1] == [None] * len(COLUMNS)
    assert held["data"][2][5:8] == [None, None, ""]
    assert held["data"][2][11] == []
    assert held["status"] == "OK"
    assert json.loads(overflowing(JSON))["status"] == "OVERFLOW"
    failed = b"".join(JSON.write(TableResult(COLUMNS, failing()), ""))
    assert json.loads(failed)["status"] == "ERROR"
    assert "60 s" in json.loads(failed)["message"]


def test_html_escapes_links_what_is_an_address_and_says_how_it_ended():
    text = overflowing(HTML).decode()
    page = html.fromstring(text)
    rows = page.xpath("//tbody/tr")
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3
    assert rows[0][7].text_content().strip() == TEXT
    assert page.xpath("//tbody//a/@href") == ["https://x.test/a?b=1&c=2"]
    assert "javascript:alert(1)" in rows[2][14].text_content()
    assert page.xpath("//p[contains(@class, 'OVERFLOW')]")
    assert "<b>" not in text
    assert not page.xpath("//*[@src] | //link")
    failed = b"".join(HTML.write(TableResult(COLUMNS, failing()), "")).decode()
    assert "took longer than 60 s" in failed


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.aliases[0])
def test_a_table_without_rows_has_its_columns(form):
    data = written(form, [])
    if form is FITS:
        with opened(data) as units:
            assert len(units[1].data) == 0
            assert len(units[1].columns) == len(COLUMNS)
    elif form is PARQUET:
        assert pq.read_table(io.BytesIO(data)).num_columns == len(COLUMNS)
    elif form is ARROW:
        assert pa.ipc.open_stream(data).read_all().num_columns == len(COLUMNS)
    elif form is JSON:
        assert json.loads(data)["data"] == []
    else:
        assert b"region" in data


@pytest.mark.parametrize("form", [CSV, TSV])
def test_what_has_no_place_for_a_failure_breaks_off(form):
    assert drained(form).startswith(b"flag")


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(written(CSV).decode(), newline="")))
    assert rows[0]["title"] == "\U0001f52d\u0142"
    assert rows[0]["region"] == "1.0 2.0 3.5 4.0 5.0 6.0"
    assert [row["flag"] for row in rows] == ["true", "", "false"]
    assert rows[2]["ra"] == "-Infinity"


@pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")
@pytest.mark.parametrize("form", [FITS, CSV], ids=["fits", "csv"])
def test_stilts_reads_what_was_written(form, tmp_path):
    """Through STILTS into a VOTable, which astropy reads."""
    source, out = tmp_path / f"in.{form.suffix}", tmp_path / "out.xml"
    columns, rows = COLUMNS[:13], [row[:13] for row in ROWS]
    source.write_bytes(written(form, rows, columns))
    ran = subprocess.run(
        [
            *("stilts", "tpipe", f"in={source}", f"ifmt={form.suffix}"),
            *(f"out={out}", "ofmt=votable-tabledata"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    array = votable.parse(out).get_first_table().array
    assert array["number"].tolist() == [2**31 - 1, None, 0]
    assert array["big"].tolist() == [2**63 - 1, None, -(2**63) + 1]
    assert array["flag"].tolist() == [True, None, False]
    assert array["mag"][0] == pytest.approx(0.1)
    assert array["ra"][2] == -np.inf
    assert array["taken"][0] == "2026-11-22T01:02:03.5"
    if form is FITS:
        assert array["region"][0].tolist() == [1.0, 2.0, 3.5, 4.0, 5.0, 6.0]
        fields = {field.name: field for field in votable.parse(out).get_first_table().fields}
        assert fields["ra"].ucd == "pos.eq.ra;meta.main"
        assert str(fields["mag"].unit) == "mag"


def test_one_long_text_among_many_short_ones_is_filled_up_a_few_rows_at_a_time():
    rows = [(number, "x" * (number % 3)) for number in range(1000)]
    rows[5] = (5, "y" * 200_000)
    columns = (Column("id", "int"), Column("t", "char", "*"))
    pieces = list(FITS.write(TableResult(columns, iter([rows])), ""))
    assert max(map(len, pieces)) <= 1 << 22
    with opened(b"".join(pieces)) as file:
        assert file[1].header["TFORM2"] == "200000A"
        assert len(file[1].data["t"][5]) == 200_000
        assert file[1].data["t"][998] in {"xx", b"xx"}
    many = [(number, "") for number in range(1000)] * 3 + rows
    with pytest.raises(QueryError, match=r"column t has a text of 200000 bytes.*4000 rows.*CAST"):
        written(FITS, many, columns)


def test_readers_that_want_each_name_once_find_it():
    columns = tuple(Column(name, "int") for name in ("id", "id", "ID", "id_2", "id"))
    rows = [(1, 2, 3, 4, 5)]
    with opened(written(FITS, rows, columns)) as file:
        assert file[1].columns.names == ["id", "id_3", "ID_4", "id_2", "id_5"]
    kept = ["id", "id_3", "ID", "id_2", "id_4"]
    assert pq.read_table(io.BytesIO(written(PARQUET, rows, columns))).to_pydict() == dict(
        zip(kept, rows_as_lists(rows), strict=True)
    )
    assert pa.ipc.open_stream(written(ARROW, rows, columns)).read_all().column_names == kept
    assert written(CSV, rows, columns).startswith(b"id,id,ID,id_2,id\n")


def rows_as_lists(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def test_fits_says_the_axes_of_arrays_and_a_null_that_none_of_their_items_has():
    columns = (Column("m", "int", "2x3"), Column("b", "unsignedByte", "2"))
    rows = [((-(2**31), 1, 2, 3, 4, 5), (0, 7)), (None, None)]
    with opened(written(FITS, rows, columns)) as file:
        assert file[1].data["m"].shape == (2, 3, 2)
        assert file[1].header["TDIM1"] == "(2,3)"
        assert file[1].header["TNULL1"] == 2**31 - 1
        assert file[1].header["TNULL2"] == 255
        assert file[1].data["m"][0].ravel().tolist() == list(rows[0][0])


def test_html_runs_its_one_script_and_is_not_cut_by_what_the_query_says():
    query = "SELECT '<!-- rows -->' AS \0rows\0"
    result = TableResult(COLUMNS, iter([ROWS]), (Info("QUERY", query),))
    page = b"".join(HTML.write(result, "")).decode()
    assert page.index("&lt;!-- rows --&gt;") < page.index("<table>") < page.index("<tr><td>")
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    made = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{made}'" in page
