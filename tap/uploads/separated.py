"""Comma and tab separated values: names in the first line, types read off all of the values.

Arrow's parser cuts the text into cells; the whole file is looked through twice, once for the types
and once for the rows, so that no type rests on a guess from the first rows.
"""

from __future__ import annotations

__all__ = ["CellType", "read_separated"]

import codecs
import itertools
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from schemas.blocks import Block
from schemas.errors import UploadError
from tap.uploads.arrow import field_of_arrow
from tap.uploads.reading import MOST_COLUMNS, Reading, declared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from schemas.columns import Column
    from tap.uploads.reading import Opener

_PIECE: Final = 1 << 20
_MOST_OF_A_ROW: Final = 1 << 26
_WHOLE: Final = r"^[+-]?[0-9]+$"
_REAL: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:nan|inf|infinity)$"
_TRUTH: Final = r"^(?i:true|false)$"


class CellType(IntEnum):
    """What all cells of a column are, from the narrowest to the widest."""

    NOTHING = 0
    BOOLEAN = 1
    INT = 2
    LONG = 3
    DOUBLE = 4
    TEXT = 5
    WIDE = 6


_DATATYPES: Final = {
    CellType.NOTHING: ("char", "*"),
    CellType.BOOLEAN: ("boolean", None),
    CellType.INT: ("int", None),
    CellType.LONG: ("long", None),
    CellType.DOUBLE: ("double", None),
    CellType.TEXT: ("char", "*"),
    CellType.WIDE: ("unicodeChar", "*"),
}


def read_separated(opener: Opener, *, separator: str) -> Reading:
    """Read a text whose first line names the columns.

    Parameters
    ----------
    opener
        Opens it.
    separator
        Comma or tab.

    Raises
    ------
    UploadError
        If it is no UTF-8, or rows have other than the first line's number of cells.

    Notes
    -----
    RFC 4180. A cell without anything is no value; ``""`` is an empty text. A column is boolean
    (true, false), int, long, double or text, the first of them that takes all its values: whole
    numbers that no long holds stay texts, since a double would round them. Texts beyond ASCII are
    unicodeChar.
    """
    with closing(opener()) as stream:
        _check_text(stream)
        names, begin = _names(stream, separator)
    types = [CellType.NOTHING] * len(names)
    for batch in _batches(opener, len(names), separator, begin):
        types = [_widened(*pair) for pair in zip(types, batch.columns, strict=True)]
    columns = tuple(
        declared(name, *_DATATYPES[found]) for name, found in zip(names, types, strict=True)
    )
    return Reading(columns, lambda: _blocks(opener, columns, separator, begin))


def _check_text(stream: BinaryIO) -> None:
    """Look at all bytes once: Arrow tells of wrong ones in a way of its own."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, piece = 1, b" "
    while piece:
        piece = stream.read(_PIECE)
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            found = error.object[error.start : error.start + 1]
            raise UploadError(f"line {line}: found {found!r}, expected UTF-8") from error
        line += piece.count(b"\n")
    stream.seek(0)


def _names(stream: BinaryIO, separator: str) -> tuple[list[str], int]:
    """Cells of the first line, and its length in bytes; a byte order mark is no part of a name."""
    line = stream.readline(_PIECE)
    while line.count(b'"') % 2 and len(line) < _PIECE and not line.endswith(b"\0"):
        more = stream.readline(_PIECE)
        if not more:
            break
        line += more
    if not line.strip(b"\xef\xbb\xbf \t\r\n"):
        raise UploadError("the text is empty: expected a first line with the columns' names")
    text = line.decode("utf-8-sig", "replace")
    [record] = itertools.islice(_records(text, separator), 1)
    if len(record) > MOST_COLUMNS:
        raise UploadError(f"the first line names more than {MOST_COLUMNS} columns")
    return [name.strip() for name in record], len(line)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    import csv as plain  # noqa: PLC0415  # Arrow's has the name

    try:
        yield from plain.reader([text], delimiter=separator, strict=separator == ",")
    except plain.Error as error:
        raise UploadError(f"the first line cannot be read ({error})") from error


@dataclass(slots=True)
class _Ragged:
    """Notes the first row that has another number of cells."""

    fault: str = ""

    def __call__(self, row: csv.InvalidRow) -> str:
        place = f"row {row.number}" if row.number else "a row"
        text = row.text if len(row.text) <= 60 else row.text[:60] + "..."
        self.fault = self.fault or (
            f"{place} has {row.actual_columns} cells, expected {row.expected_columns}: {text!r}"
        )
        return "error"


def _batches(opener: Opener, width: int, separator: str, begin: int) -> Iterator[pa.RecordBatch]:
    """Rows as texts: cells of so many columns, from so many bytes on."""
    ragged = _Ragged()
    names = [f"c{number}" for number in range(width)]
    with closing(opener()) as stream:
        size = stream.seek(0, 2)
        stream.seek(begin)
        if begin >= size:
            return
        options = {
            "read_options": csv.ReadOptions(
                use_threads=False,
                block_size=min(max(_PIECE, size // 64), _MOST_OF_A_ROW),
                column_names=names,
            ),
            "parse_options": csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=ragged
            ),
            "convert_options": csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        }
        try:
            yield from csv.open_csv(stream, **options)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise UploadError(ragged.fault or _said(error)) from error


def _said(error: Exception) -> str:
    text = str(error).partition("\n")[0][:200]
    return f"the text cannot be cut into cells ({text})"


def _widened(known: CellType, texts: pa.Array) -> CellType:
    """The narrowest type that takes what was known before and these cells."""
    texts = texts.drop_null()
    if known is CellType.WIDE or not len(texts):
        return known
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        return CellType.WIDE
    if known is CellType.TEXT:
        return known
    cells = pc.utf8_trim_whitespace(texts)
    found = _type_of(cells)
    if CellType.NOTHING in {known, found}:
        return max(known, found)
    if (known is CellType.BOOLEAN) != (found is CellType.BOOLEAN):
        return CellType.TEXT
    return max(known, found)


def _type_of(cells: pa.Array) -> CellType:
    if _all(cells, _WHOLE):
        return _whole_type(cells)
    if _all(cells, _REAL):
        whole = cells.filter(pc.match_substring_regex(cells, _WHOLE))
        return CellType.TEXT if _whole_type(whole) is CellType.TEXT else CellType.DOUBLE
    return CellType.BOOLEAN if _all(cells, _TRUTH) else CellType.TEXT


def _all(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _whole_type(cells: pa.Array) -> CellType:
    if not len(cells):
        return CellType.NOTHING
    try:
        values = _unsigned(cells).cast(pa.int64())
    except pa.ArrowInvalid:
        return CellType.TEXT
    limits = pc.min_max(values).as_py()
    small = limits["min"] >= -(2**31) and limits["max"] < 2**31
    return CellType.INT if small else CellType.LONG


def _unsigned(cells: pa.Array) -> pa.Array:
    """Without the plus signs, which Arrow does not read."""
    return pc.utf8_ltrim(cells, "+")


def _blocks(
    opener: Opener, columns: Sequence[Column], separator: str, begin: int
) -> Iterator[Block]:
    for batch in _batches(opener, len(columns), separator, begin):
        pairs = zip(columns, batch.columns, strict=True)
        fields = tuple(field_of_arrow(one, _typed(one, texts)) for one, texts in pairs)
        yield Block(batch.num_rows, fields)


def _typed(column: Column, texts: pa.Array) -> pa.Array:
    if column.datatype in {"char", "unicodeChar"}:
        return texts
    cells = pc.utf8_trim_whitespace(texts)
    if column.datatype == "boolean":
        return pc.equal(pc.utf8_lower(cells), "true")
    kind = {"int": pa.int32(), "long": pa.int64(), "double": pa.float64()}[column.datatype]
    return _unsigned(cells).cast(kind)
