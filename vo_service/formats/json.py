"""JSON that describes itself: ``metadata`` of the columns, then rows as ``data``, then the status.

Numbers that JSON does not have (NaN, infinities) are null.
"""

from __future__ import annotations

__all__ = ["JSON"]

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.blocks import Block, Fixed, Layout
from schemas.cells import text_cells
from schemas.dali import Info
from schemas.errors import VOError
from schemas.votable import trailing_info
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from schemas.blocks import Ragged
    from schemas.columns import Column
    from schemas.dali import TableResult

_UNSAID: Final = frozenset({"NaN", "Infinity", "-Infinity"})


def _write(result: TableResult, base_url: str) -> Generator[bytes]:
    del base_url
    head = {
        "metadata": [_facts(column) for column in result.columns],
        "infos": [_said(info) for info in result.infos],
    }
    yield (json.dumps(head, ensure_ascii=False)[:-1] + ', "data": [').encode()
    status = Info("QUERY_STATUS", "OK")
    begun = False
    try:
        for rows in result.rows:
            text = _rows(result.columns, Block.of(result.columns, rows))
            if text:
                yield ((",\n" if begun else "\n") + text).encode()
                begun = True
        status = next(iter(trailing_info(result)), status)
    except VOError as error:
        status = Info("QUERY_STATUS", "ERROR", str(error))
    tail = json.dumps({"status": status.value, "message": status.text}, ensure_ascii=False)
    yield ("\n], " + tail[1:] + "\n").encode()


def _facts(column: Column) -> dict[str, str]:
    facts = {
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": column.arraysize,
        "xtype": column.xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
        "description": column.description,
    }
    return {key: value for key, value in facts.items() if value}


def _said(info: Info) -> dict[str, str]:
    facts = {"name": info.name, "value": info.value, "text": info.text}
    return {key: value for key, value in facts.items() if value}


def _rows(columns: Sequence[Column], block: Block) -> str:
    cells = [_cells(column, field) for column, field in zip(columns, block.fields, strict=True)]
    return ",\n".join(["[" + ", ".join(row) + "]" for row in zip(*cells, strict=True)])


def _cells(column: Column, field: Fixed | Ragged) -> list[str]:
    layout = Layout.of(column)
    texts = text_cells(column, field)
    if layout.dtype is None:
        return ["null" if text is None else json.dumps(text, ensure_ascii=False) for text in texts]
    if not layout.scalar:
        return ["null" if text is None else _list(text) for text in texts]
    if (
        isinstance(field, Fixed)
        and layout.dtype.kind == "f"
        and not np.isfinite(field.values).all()
    ):
        return ["null" if text is None or text in _UNSAID else text for text in texts]
    return ["null" if text is None else text for text in texts]


def _list(text: str) -> str:
    items = ["null" if item in _UNSAID else item for item in text.split()]
    return "[" + ", ".join(items) + "]"


JSON: Final = Format("application/json", ("json",), "", "json", _write)
