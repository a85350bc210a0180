"""Comma and tab separated values, with the columns' names in the first line."""

from __future__ import annotations

__all__ = ["CSV", "TSV"]

import re
from typing import TYPE_CHECKING, Final

from schemas.blocks import Block
from schemas.cells import text_cells
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.columns import Column
    from schemas.dali import TableResult

_QUOTED: Final = re.compile('[",\r\n]')
_BROKEN: Final = re.compile("[\t\r\n]")


def _csv(result: TableResult, base_url: str) -> Iterator[bytes]:
    """Write RFC 4180: an empty text is ``""``, no value is nothing at all."""
    del base_url
    return _lines(result, ",", "\r\n", _csv_cell)


def _tsv(result: TableResult, base_url: str) -> Iterator[bytes]:
    """Write IANA's text/tab-separated-values, which has no quotes: blanks stand for tabs."""
    del base_url
    return _lines(result, "\t", "\n", _tsv_cell)


def _csv_cell(text: str) -> str:
    if text and not _QUOTED.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _tsv_cell(text: str) -> str:
    return _BROKEN.sub(" ", text)


def _lines(
    result: TableResult, separator: str, end: str, cell: Callable[[str], str]
) -> Iterator[bytes]:
    yield (separator.join(cell(column.name) for column in result.columns) + end).encode()
    for rows in result.rows:
        block = Block.of(result.columns, rows)
        columns = [
            _said(column, text_cells(column, field), cell)
            for column, field in zip(result.columns, block.fields, strict=True)
        ]
        yield "".join([separator.join(row) + end for row in zip(*columns, strict=True)]).encode()


def _said(column: Column, texts: list[str | None], cell: Callable[[str], str]) -> list[str]:
    """Cells of a column; numbers never need quotes."""
    if column.datatype in {"char", "unicodeChar"}:
        return ["" if text is None else cell(text) for text in texts]
    return [text or "" for text in texts]


CSV: Final = Format("text/csv;header=present", ("csv", "text/csv"), "", "csv", _csv)
TSV: Final = Format("text/tab-separated-values", ("tsv",), "", "tsv", _tsv)
