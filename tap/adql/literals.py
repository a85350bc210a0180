"""Literals and identifiers as PostgreSQL text: the one place where user text becomes SQL.

COPY takes no bind parameters, so literals are written out. A text is put between single quotes
with its single quotes doubled, which is the whole of PostgreSQL's rule where
``standard_conforming_strings`` is on (the default since 9.1; ``tap/execute.py`` runs nothing where
it is off): a backslash is a backslash then. NUL, which PostgreSQL cannot hold, is refused.
"""

from __future__ import annotations

__all__ = ["array", "double", "identifier", "text"]

from typing import TYPE_CHECKING

from schemas.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable


def text(value: str) -> str:
    """Write a text literal.

    Raises
    ------
    QueryError
        If it has a NUL character, or half of a surrogate pair, which UTF-8 cannot hold.
    """
    if "\0" in value or not _encodes(value):
        message = "found a character that the database cannot hold in a text, expected Unicode"
        raise QueryError(message)
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Write an identifier, always in double quotes.

    Raises
    ------
    QueryError
        If it is empty or has a character that the database cannot hold.
    """
    if not name or "\0" in name or not _encodes(name):
        message = f"found the name {name!r}, which the database cannot hold"
        raise QueryError(message)
    return '"' + name.replace('"', '""') + '"'


def double(value: float) -> str:
    """Write a number as float8: the shortest digits that read back as the same number."""
    digits = repr(float(value))
    return f"{digits}::float8" if digits[0].isdigit() else f"'{digits}'::float8"


def array(values: Iterable[float]) -> str:
    """Write numbers as float8[]."""
    return "'{" + ",".join(repr(float(value)) for value in values) + "}'::float8[]"


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
