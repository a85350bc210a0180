"""A page for people: the rows as they come, sorted by a click on a column's name."""

from __future__ import annotations

__all__ = ["HTML"]

import base64
import hashlib
import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader

from schemas.blocks import Block, Layout
from schemas.cells import text_cells
from schemas.dali import Info
from schemas.errors import VOError
from schemas.votable import trailing_info
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jinja2 import Template

    from schemas.columns import Column
    from schemas.dali import Rows, TableResult

#: In the template; no text that is put into it can have it, since all are escaped.
_MARKER: Final = "<!-- rows -->"
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_NAME: Final = "answer.html"
_LOADER: Final = PackageLoader("vo_service")
_ENVIRONMENT: Final = Environment(loader=_LOADER, autoescape=True)


@cache
def _template() -> Template:
    return _ENVIRONMENT.get_template(_NAME)


@cache
def _script_hash() -> str:
    """What the page's policy says of its one script (CSP Level 3, 2.3.1)."""
    source, *_ = _LOADER.get_source(_ENVIRONMENT, _NAME)
    script = "".join(_SCRIPT.findall(source))
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _write(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write the page; whether it is whole is said below the rows."""
    del base_url
    status = Info("QUERY_STATUS", "OK")
    yield _page(result, status)[0]
    try:
        for rows in result.rows:
            yield _rows(result.columns, rows)
        status = next(iter(trailing_info(result)), status)
    except VOError as error:
        status = Info("QUERY_STATUS", "ERROR", str(error))
    yield _page(result, status)[1]


def _page(result: TableResult, status: Info) -> tuple[bytes, bytes]:
    """What stands before and after the rows."""
    text = _template().render(
        columns=result.columns,
        numeric=[_is_numeric(column) for column in result.columns],
        infos=result.infos,
        status=status,
        script=_script_hash(),
    )
    head, _, tail = text.partition(_MARKER)
    return head.encode(), tail.encode()


def _is_numeric(column: Column) -> bool:
    layout = Layout.of(column)
    return layout.scalar and layout.dtype is not None and layout.dtype.kind != "b"


def _rows(columns: Sequence[Column], rows: Rows) -> bytes:
    block = Block.of(columns, rows)
    cells = []
    for column, field in zip(columns, block.fields, strict=True):
        texts = text_cells(column, field)
        if Layout.of(column).dtype is None:
            cells.append([f"<td>{_text(text or '')}" for text in texts])
        else:
            tag = '<td class="n">' if _is_numeric(column) else "<td>"
            cells.append([f"{tag}{text or ''}" for text in texts])
    return "".join(["<tr>" + "".join(row) + "\n" for row in zip(*cells, strict=True)]).encode()


def _text(text: str) -> str:
    """Escaped; an address of the web can be followed, and no other scheme can."""
    said = escape(text)
    if _ADDRESS.fullmatch(text):
        return f'<a href="{said}" rel="noopener noreferrer">{said}</a>'
    return said


HTML: Final = Format("text/html;charset=utf-8", ("html", "text/html"), "", "html", _write)
