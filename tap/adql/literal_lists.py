"""A long list of literals in parentheses, which the grammar reads as one symbol."""

from __future__ import annotations

__all__ = ["literal_list"]

import re
from typing import TYPE_CHECKING, Final

from tap.adql import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark import Token

    from tap.adql.nodes import Expression

_ITEM: Final = re.compile(
    r"'((?:[^']|'')*)'|([+-]?)([0-9.][0-9A-Za-z.]*(?:(?<=[eE])[+-]?[0-9]+)?)"
)


def literal_list(token: Token) -> tuple[Expression, ...]:
    """Nodes of the literals in a LITERAL_LIST, each with its own place in the text."""
    return tuple(_items(token))


def _items(token: Token) -> Iterator[Expression]:
    text, line, start = str(token), token.line or 1, 1 - (token.column or 1)
    checked = 0
    for match in _ITEM.finditer(text):
        place = match.start()
        if "\n" in text[checked:place]:
            line += text.count("\n", checked, place)
            start = text.rindex("\n", checked, place) + 1
        checked = place
        column = place - start + 1
        written, sign, number = match.groups()
        if number is None:
            yield nodes.String(line, column, written.replace("''", "'"))
        elif sign:
            item = nodes.Number(line, column + 1, number)
            yield nodes.Unary(line, column, sign, item)
        else:
            yield nodes.Number(line, column, number)
