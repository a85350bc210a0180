r"""Rows as PostgreSQL's COPY sends them in its text and csv forms: whole lines of UTF-8.

The database has written every number as text already; what is left is to find the lines' ends
and, for its text form, to undo its escapes. Both are done on whole blocks of bytes.

Notes
-----
PostgreSQL manual, COPY, "Text Format" (tabs between fields, ``\N`` for no value, backslash
escapes) and "CSV Format" (no value is nothing at all, an empty text is ``""``).
"""

from __future__ import annotations

__all__ = ["Lines", "unescaped", "whole_lines"]

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from schemas.dali import Transport
from schemas.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column

_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_LETTERS: Final[dict[bytes, bytes]] = {
    letter.encode(): meant.encode()
    for letter, meant in zip("Nbfnrtv", ("", *"\b\f\n\r\t\v"), strict=True)
}
_BLANKS: Final = {**_LETTERS, b"n": b" ", b"r": b" ", b"t": b" "}


@dataclass(frozen=True, slots=True)
class Lines:
    """Some rows of an answer, as they came.

    Attributes
    ----------
    data
        Whole lines, each with its end.
    length
        Number of rows; a row of csv may have line ends within quotes.
    transport
        TEXT or CSV. Booleans are ``true`` and ``false``, the items of arrays have blanks between,
        infinities are ``Infinity`` and ``-Infinity``.
    """

    data: bytes
    length: int
    transport: Transport

    def block(self, columns: Sequence[Column]) -> NoReturn:
        """Refuse: numbers that have become text stay so.

        Raises
        ------
        FatalError
            Always: the form of the answer asked for text and then read something else.
        """
        message = f"rows came as {self.transport} for {len(columns)} columns: expected binary"
        raise FatalError(message)


def whole_lines(data: bytes, transport: Transport, most: int | None) -> tuple[int, int]:
    """Find rows that are there as a whole.

    Parameters
    ----------
    data
        Begins where a row begins.
    transport
        TEXT or CSV.
    most
        Rows looked for at most; None for all.

    Returns
    -------
    tuple of int
        The place after the last of them, and their number.
    """
    quoted = transport is Transport.CSV and b'"' in data
    end = _last_end(data) if quoted else data.rfind(b"\n") + 1
    rows = _count(data[:end]) if quoted else data.count(b"\n")
    if most is None or rows <= most:
        return end, rows
    return _end_of(data, most, quoted=quoted), most


def _last_end(data: bytes) -> int:
    """The place after the last line end that is not within quotes."""
    end = len(data)
    while True:
        end = data.rfind(b"\n", 0, end)
        if end < 0:
            return 0
        if data.count(b'"', 0, end) % 2 == 0:
            return end + 1


def _count(data: bytes) -> int:
    """Line ends outside of quotes."""
    return sum(part.count(b"\n") for part in data.split(b'"')[::2])


def _end_of(data: bytes, rows: int, *, quoted: bool) -> int:
    """The place after so many rows, all of which are there."""
    place = left = 0
    while left < rows:
        place = data.index(b"\n", place) + 1
        if not quoted or data.count(b'"', 0, place) % 2 == 0:
            left += 1
    return place


def unescaped(data: bytes, *, blanks: bool = False) -> bytes:
    """Undo the escapes of COPY's text form; there is nothing where there is no value.

    Parameters
    ----------
    data
        Fields, or whole lines.
    blanks
        Whether a blank stands for a tab or line end within a field.
    """
    if b"\\\\" not in data:
        # every N after a backslash says that there is no value
        data = data.replace(b"\\N", b"")
    if b"\\" not in data:
        return data
    meant = _BLANKS if blanks else _LETTERS
    return _ESCAPE.sub(lambda found: _meant(meant, found[1]), data)


def _meant(meant: dict[bytes, bytes], letter: bytes) -> bytes:
    return meant.get(letter, letter)
