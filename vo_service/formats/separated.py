"""Comma and tab separated values, with the columns' names in the first line.

Neither has a place for anything but rows: that there were more of them, or that they failed half
way, cannot be said within. The transfer of an answer that fails breaks off.
"""

from __future__ import annotations

__all__ = ["CSV", "TSV"]

import re
from typing import TYPE_CHECKING, Final

from schemas.blocks import Block
from schemas.cells import text_cells
from schemas.dali import Transport
from schemas.lines import Lines, unescaped
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from schemas.columns import Column
    from schemas.dali import Rows, TableResult

_QUOTED: Final = re.compile('[",\r\n]')
_BROKEN: Final = re.compile("[\t\r\n]")


def _csv(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write RFC 4180, lines ended by a line feed: an empty text is ``""``, no value is nothing."""
    del base_url
    yield (",".join(_csv_cell(column.name) for column in result.columns) + "\n").encode()
    for rows in result.rows:
        yield rows.data if isinstance(rows, Lines) else _csv_lines(result.columns, rows)


def _csv_lines(columns: Sequence[Column], rows: Rows) -> bytes:
    block = Block.of(columns, rows)
    # an empty line would be no row to many readers
    nothing = '""' if len(columns) == 1 else ""
    cells = [
        [nothing if text is None else _csv_cell(text) for text in text_cells(column, field)]
        for column, field in zip(columns, block.fields, strict=True)
    ]
    return "".join([",".join(row) + "\n" for row in zip(*cells, strict=True)]).encode()


def _csv_cell(text: str) -> str:
    if text and not _QUOTED.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _tsv(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write IANA's text/tab-separated-values, which has no quotes: blanks stand for tabs."""
    del base_url
    yield ("\t".join(_tsv_cell(column.name) for column in result.columns) + "\n").encode()
    for rows in result.rows:
        if isinstance(rows, Lines):
            yield unescaped(rows.data, blanks=True)
        else:
            yield _tsv_lines(result.columns, rows)


def _tsv_lines(columns: Sequence[Column], rows: Rows) -> bytes:
    block = Block.of(columns, rows)
    cells = [
        ["" if text is None else _tsv_cell(text) for text in text_cells(column, field)]
        for column, field in zip(columns, block.fields, strict=True)
    ]
    return "".join(["\t".join(row) + "\n" for row in zip(*cells, strict=True)]).encode()


def _tsv_cell(text: str) -> str:
    return _BROKEN.sub(" ", text)


CSV: Final = Format("text/csv;header=present", ("csv", "text/csv"), "", "csv", _csv, Transport.CSV)
TSV: Final = Format("text/tab-separated-values", ("tsv",), "", "tsv", _tsv, Transport.TEXT)
