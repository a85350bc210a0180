"""What people who know other dialects of SQL write, and how ADQL says it."""

from __future__ import annotations

__all__ = ["hint"]

import re
from typing import Final

_LIMIT: Final = "LIMIT is no word of ADQL: write SELECT TOP 10 ... for the first ten rows"
_TYPES: Final = "types are converted with CAST(value AS type)"
_QUOTES: Final = "texts are put between single quotes, names between double ones"
_COMMENT: Final = "a comment begins with -- and ends with its line"
_CHANGE: Final = "a query begins with SELECT or WITH; nothing can be changed through ADQL"

#: By what was found, in capitals.
_FOUND: Final = {
    "LIMIT": _LIMIT,
    "CASE": "CASE is no word of ADQL: COALESCE gives the first value that is not NULL",
    "CROSS": "tables are crossed by a comma between them",
    "TOP": "TOP and its number come right after SELECT, or after DISTINCT",
    "DISTINCT": "DISTINCT comes right after SELECT, before TOP",
    "WHERE": "WHERE comes once, after FROM and its joins, before GROUP BY and ORDER BY",
    "ORDER": "ORDER BY comes last, only OFFSET may follow",
    "FLOAT": "REAL or DOUBLE PRECISION",
    "INT": "INTEGER",
    "%": "the remainder of a division is MOD(a, b)",
    "[": _QUOTES,
    "`": _QUOTES,
    "\u2018": _QUOTES,
    "\u2019": _QUOTES,
    "\u201c": _QUOTES,
    "\u201d": _QUOTES,
    ":": _TYPES,
    "!": "write NOT before a condition, <> or != between values",
    "@": "there are no parameters or variables in ADQL: write the value",
    "?": "there are no parameters or variables in ADQL: write the value",
    "#": _COMMENT,
    "_": "a name that does not begin with a letter is put between double quotes",
    **dict.fromkeys(("DROP", "DELETE", "INSERT", "UPDATE", "CREATE", "ALTER", "GRANT"), _CHANGE),
}
#: By what stands directly before and what was found.
_PAIRS: Final = {
    ("=", "="): "write one `=`",
    ("=", "<"): "write `<=`",
    ("=", ">"): "write `>=`",
    ("&", "&"): "write AND between conditions",
    ("/", "*"): _COMMENT,
}
_LAST: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|\S)\s*\Z")
_NAMES: Final = re.compile(r"""["'A-Za-z0-9]""")


def hint(text: str, place: int, found: str, *, comma: bool) -> str:
    """Say what was probably meant where a text cannot be read; empty where nothing is known.

    Parameters
    ----------
    text
        The query.
    place
        Where in it the reading ended.
    found
        The word or character there.
    comma
        Whether a comma could stand there.
    """
    before = text[max(0, place - 200) : place]
    match = _LAST.search(before)
    last = match[1].upper() if match else ""
    if (last, found) in _PAIRS:
        return _PAIRS[last, found]
    if last == "LIMIT":
        return _LIMIT
    if last == "RECURSIVE":
        return "queries of WITH cannot be recursive in ADQL"
    if last == ";":
        return "one query at a time"
    if last == "," and found.upper() in {"FROM", "WHERE", "GROUP", "ORDER", ")"}:
        return "is there a comma too many?"
    if found.upper() in _FOUND:
        return _FOUND[found.upper()]
    if comma and _NAMES.match(found) and (last[-1:].isalnum() or last[-1:] in {"'", '"', ")"}):
        return f"is a comma missing before {found[:30]}?"
    return ""
