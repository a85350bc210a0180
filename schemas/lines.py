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

import numpy as np

from schemas.dali import Transport
from schemas.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
    if transport is Transport.CSV and b'"' in data:
        ends = _outside(data)[:most]
        return (int(ends[-1]) + 1 if len(ends) else 0), len(ends)
    rows = data.count(b"\n")
    if most is None or rows <= most:
        return data.rfind(b"\n") + 1, rows
    return _end_of(data, most), most


def _outside(data: bytes) -> NDArray[np.int64]:
    """Places of the line ends that are not within quotes; each byte is looked at once."""
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    quotes = np.flatnonzero(letters == ord('"'))
    outside: NDArray[np.int64] = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return outside


def _end_of(data: bytes, rows: int) -> int:
    """The place after so many lines, all of which are there."""
    place = 0
    for _ in range(rows):
        place = data.index(b"\n", place) + 1
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
