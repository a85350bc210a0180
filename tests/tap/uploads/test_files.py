"""FITS and Parquet."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import math
import tracemalloc

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from tap.uploads.copying import copy_frames
from tap.uploads.formats import read
from tests.support.uploaded import first_fault, table_of, votable


def fits_file(columns, header=None, before=()):
    file = io.BytesIO()
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(header or {})
    fits.HDUList([fits.PrimaryHDU(), *before, table]).writeto(file)
    return file.getvalue()


def test_fits_columns_of_every_kind_give_their_values_and_nulls():
    data = fits_file(
        [
            fits.Column("l", "L", array=[True, False]),
            fits.Column("b", "B", array=[7, 255], null=255),
            fits.Column("i", "I", array=[-1, 5], null=-1),
            fits.Column("j", "J", array=[1, 2], unit="s"),
            fits.Column("k", "K", array=[2**62, -(2**63)]),
            fits.Column("e", "E", array=[1.5, math.nan]),
            fits.Column("d", "D", array=[math.inf, 0.1]),
            fits.Column("a", "8A", array=["süß".encode(), b""]),
            fits.Column("v", "3E", array=[[1, 2, 3], [math.nan] * 3]),
            fits.Column("m", "4J", dim="(2,2)", array=np.arange(8).reshape(2, 2, 2)),
            fits.Column("p", "PD()", array=np.array([[1.0], [2.0, 3.0]], dtype=object)),
        ],
        {"TUCD4": "time.duration", "TCOMM4": "how long"},
        before=[fits.ImageHDU(np.zeros((3, 3)))],
    )
    columns, rows = table_of(data)
    assert rows[0] == (
        *(True, 7, None, 1, 2**62, 1.5, math.inf, "süß", [1, 2, 3], [0, 1, 2, 3], [1.0]),
    )
    assert rows[1] == (
        *(False, None, 5, 2, -(2**63), None, 0.1, None, None, [4, 5, 6, 7], [2.0, 3.0]),
    )
    said = {c.name: (c.datatype, c.arraysize, c.unit, c.ucd, c.description) for c in columns}
    assert said["j"] == ("int", None, "s", "time.duration", "how long")
    assert said["m"][:2] == ("int", "2x2")
    assert said["p"][:2] == ("double", "*")


def test_fits_offsets_make_unsigned_and_signed_numbers_and_scales_make_doubles():
    data = fits_file(
        [
            fits.Column("u2", "I", bzero=2**15, array=np.array([0, 65535], "u2")),
            fits.Column("u4", "J", bzero=2**31, array=np.array([0, 2**32 - 1], "u4")),
            fits.Column("i1", "B", bzero=-128, array=np.array([-128, 127], "i1")),
            fits.Column("s", "I", array=[1, 4]),
        ],
        {"TSCAL4": 0.5, "TZERO4": 10.0},
    )
    columns, rows = table_of(data)
    assert [c.datatype for c in columns] == ["int", "long", "short", "double"]
    assert rows == [(0, 0, -128, 10.5), (65535, 2**32 - 1, 127, 12.0)]


def test_fits_of_many_rows_is_read_by_pieces():
    n = 300_000
    data = fits_file(
        [fits.Column("j", "J", array=np.arange(n)), fits.Column("d", "D", array=np.arange(n) / 2)]
    )
    _, rows = table_of(data)
    assert len(rows) == n
    assert rows[-1] == (n - 1, (n - 1) / 2)


def damaged(data, old, new):
    assert old in data
    return data.replace(old, new, 1)


def test_broken_fits_is_told_so():
    good = fits_file([fits.Column("j", "J", array=np.arange(3000))])
    heap = fits_file([fits.Column("p", "PD()", array=np.array([[1.0], [2.0]], dtype=object))])
    image = io.BytesIO()
    fits.PrimaryHDU(np.zeros(4)).writeto(image)
    assert "no binary table" in first_fault(image.getvalue())
    assert "the file ends within row 2161, expected 3000 rows" in first_fault(good[: 5760 + 8640])
    assert "ends within a header" in first_fault(good[:3000])
    wide = damaged(good, b"NAXIS1  =                    4", b"NAXIS1  =                    8")
    assert "rows of the FITS table have 8 bytes" in first_fault(wide)
    rows = damaged(good, b"NAXIS2  =                 3000", b"NAXIS2  =           9000000000")
    assert "expected 9000000000 rows" in first_fault(rows)
    size = damaged(good, b"NAXIS2  =                 3000", b"NAXIS2  =                   -1")
    assert "FITS" in first_fault(size)
    word = damaged(good, b"TFIELDS =                    1", b"TFIELDS =                    X")
    assert "not a FITS file that can be read" in first_fault(word)
    bits = fits_file([fits.Column("x", "12X", array=np.ones((2, 12), bool))])
    assert "column x has the form '12X', which no query can use" in first_fault(bits)
    beyond = heap[:5760] + b"\x7f\xff\xff\xff" + heap[5764:]
    assert "row 1, column p: points to 2147483647 items" in first_fault(beyond)


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def test_parquet_columns_of_every_kind_give_their_values_and_nulls():
    moment = dt.datetime(2026, 1, 31, 12, 0, 0, 500_000)  # as Arrow holds it
    table = pa.table(
        {
            "flag": pa.array([True, None]),
            "u1": pa.array([255, None], pa.uint8()),
            "i1": pa.array([-128, 1], pa.int8()),
            "u2": pa.array([65535, None], pa.uint16()),
            "u4": pa.array([2**32 - 1, 0], pa.uint32()),
            "i8": pa.array([-(2**63), None]),
            "f4": pa.array([1.5, math.nan], pa.float32()),
            "f8": pa.array([0.1, None]),
            "text": pa.array(["ü", None]),
            "words": pa.array(["a", "a"]).dictionary_encode(),
            "when": pa.array([moment, None], pa.timestamp("ns", "Europe/Berlin")),
            "day": pa.array([dt.date(2026, 1, 31), None]),
            "pair": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)),
            "many": pa.array([[1, 2, 3], []], pa.list_(pa.int32())),
        }
    )
    columns, rows = table_of(parquet(table))
    assert rows[0] == (
        *(True, 255, -128, 65535, 2**32 - 1, -(2**63), 1.5, 0.1, "ü", "a"),
        *("2026-01-31T12:00:00.500000", "2026-01-31T00:00:00.000000", [1.0, 2.0], [1, 2, 3]),
    )
    assert rows[1] == (*(None, None, 1, None, 0), *(None,) * 4, "a", None, None, None, [])
    assert [c.xtype for c in columns][10:12] == ["timestamp", "timestamp"]
    assert [c.arraysize for c in columns][12:] == ["2", "*"]


def test_what_a_votable_in_the_metadata_says_is_said_of_the_columns():
    document = (
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="p" datatype="double" arraysize="2" xtype="point" unit="deg" ucd="pos.eq">'
        "<DESCRIPTION>where</DESCRIPTION></FIELD></TABLE></RESOURCE></VOTABLE>"
    )
    table = pa.table({"x": [1], "p": pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2))})
    table = table.replace_schema_metadata(
        {"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": document}
    )
    columns, rows = table_of(parquet(table))
    said = columns[1]
    assert (said.xtype, said.unit, said.ucd, said.description) == (
        "point",
        "deg",
        "pos.eq",
        "where",
    )
    assert rows == [(1, [1.0, 2.0])]


def test_parquet_that_is_broken_or_beyond_measure_is_told_so():
    good = parquet(pa.table({"a": list(range(1000))}))
    assert "not a Parquet file" in first_fault(good[:-10])
    assert "not a Parquet file" in first_fault(good[:4] + b"\xff" * 1000 + good[1004:])
    assert "column s has the type struct" in first_fault(parquet(pa.table({"s": [{"x": 1}]})))
    large = parquet(pa.table({"u": pa.array([2**64 - 1], pa.uint64())}))
    assert "column u" in first_fault(large)
    zeros = pa.table({"a": np.zeros(40_000_000)})
    bomb = parquet(zeros, compression="zstd", use_dictionary=False)
    assert len(bomb) < 1_000_000
    assert "of Parquet would become" in first_fault(bomb)


def test_parquet_that_says_much_in_few_bytes_is_not_written_out(monkeypatch):
    words = pa.DictionaryArray.from_arrays(np.zeros(500, "i4"), pa.array(["x" * 1_000_000]))
    text = parquet(pa.table({"a": words}), compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert len(text) < 1000
    assert "column a: 500 texts have 500000000 bytes" in first_fault(text)
    monkeypatch.setattr("tap.uploads.parquet._UNPACKED_AT_LEAST", 1 << 20)
    long = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1_000_000, "i1")), 1_000_000)
    items = parquet(pa.table({"a": long}), compression="zstd")
    assert len(items) < 1000
    assert "would become 8000000" in first_fault(items)


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_noise_behind_a_magic_number_is_refused_in_a_sentence(size):
    noise = np.random.default_rng(size).bytes(size)
    for magic in (b"PAR1", b"SIMPLE  =                    T"):
        assert "can be read" in first_fault(magic + noise) or "FITS" in first_fault(magic + noise)


def heap_file(rows, heap, *, shared):
    """A FITS table of bytes in the heap, all rows pointing to the same ones or not."""
    words = (
        f"XTENSION=BINTABLE BITPIX=8 NAXIS=2 NAXIS1=8 NAXIS2={rows} PCOUNT={heap} GCOUNT=1 "
        "TFIELDS=1 TTYPE1=a TFORM1=1PB"
    )
    header = fits.Header()
    for key, value in (word.split("=") for word in words.split()):
        header[key] = int(value) if value.isdigit() else value
    count = heap if shared else heap // rows
    pointers = np.zeros((rows, 2), ">i4")
    pointers[:, 0] = count
    pointers[:, 1] = 0 if shared else np.arange(rows) * count
    raw = fits.PrimaryHDU().header.tostring().encode() + header.tostring().encode()
    return raw + pointers.tobytes() + bytes(heap)


@pytest.mark.parametrize("shared", [True, False])
def test_rows_of_fits_that_point_to_much_are_read_a_few_at_a_time(shared):
    rows, heap = 2000, 1_000_000
    data = heap_file(rows, heap, shared=shared)
    blocks = read(lambda: io.BytesIO(data), "").blocks()
    several = itertools.islice(blocks, 5)
    sizes = [(block.length, len(block.fields[0].data)) for block in several]
    assert all(size <= 1 << 25 for _, size in sizes)
    assert sizes[0][0] == (33 if shared else rows)


def test_one_wide_cell_takes_the_memory_of_a_few_copies():
    cells = "".join(f"<TR><TD>{'x' * n}</TD></TR>" for n in (8_000_000, *[1] * 9000))
    data = votable(
        '<FIELD name="a" datatype="char" arraysize="*"/>', f"<TABLEDATA>{cells}</TABLEDATA>"
    )
    reading = read(lambda: io.BytesIO(data), "")
    widest = 0
    for block in reading.blocks():
        tracemalloc.start()
        frames = copy_frames(reading.columns, block, first=1)
        widest = max(widest, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(frames) == int(block.fields[0].sizes.sum()) + 6 * block.length
    assert 8_000_000 < widest < 8 * 8_000_000


def test_parquet_that_unpacks_to_more_than_it_says_ends_its_own_process_alone(monkeypatch):
    monkeypatch.setattr("tap.uploads.parquet._MEMORY", 1 << 26)
    table = pa.table({"a": pa.array(["x" * 70_000_000])})
    data = parquet(table, compression="zstd", use_dictionary=False)
    assert len(data) < 100_000
    assert "unpacks to more than 64 MB at a time" in first_fault(data)


def test_parquet_is_no_longer_unpacked_when_nobody_reads():
    data = parquet(pa.table({"a": list(range(1_000_000))}))
    before = set(psutil.Process().children())  # servers of other tests
    blocks = read(lambda: io.BytesIO(data), "").blocks()
    next(blocks)
    [child] = set(psutil.Process().children()) - before
    blocks.close()
    assert not child.is_running()
