"""VOTables cut into small ones of some rows each, so that a large one is never in memory.

Each piece is the document up to its rows, some of these, and the ends of what is open then: who
reads it needs to know nothing of pieces. A table that is FITS within, or kept elsewhere, is one.
"""

from __future__ import annotations

__all__ = ["votable_pieces"]

import binascii
import io
import re
import struct
from typing import TYPE_CHECKING, Any, Final
from xml.sax import SAXParseException

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from schemas.deferred import deferred
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from astropy.io import votable
else:
    votable = deferred("astropy.io.votable")

_READ: Final = 1 << 16
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
#: Rows that are said to come: room would be made for all of them in each piece.
_NROWS: Final = re.compile(rb"""(<(?:\w+:)?TABLE\b[^>]*?)\snrows\s*=\s*(?:"[^"]*"|'[^']*')""")
_STREAM: Final = (b'<STREAM encoding="base64">', b"</STREAM>")
_ITEMS: Final = {
    "boolean": 1,
    "unsignedByte": 1,
    "char": 1,
    "short": 2,
    "unicodeChar": 2,
    "int": 4,
    "float": 4,
    "long": 8,
    "double": 8,
    "floatComplex": 8,
    "doubleComplex": 16,
}
_COUNT: Final = struct.Struct(">I")
#: Bytes of a row that says wrong things of itself.
_LONGEST_ROW: Final = 1 << 26


def votable_pieces(stream: BinaryIO, rows: int) -> Iterator[BinaryIO]:
    """Give documents with so many rows of the first table at most, in their order.

    Parameters
    ----------
    stream
        The document, which can be read from its beginning again.
    rows
        How many.

    Raises
    ------
    IngestError
        If it ends too early, or is no XML.
    """
    cutter = _Cutter(rows)
    more = True
    while more and not cutter.whole:
        read = stream.read(_READ)
        more = bool(read)
        cutter.take(read)
        yield from cutter.pieces(last=not more)
    if cutter.whole or not cutter.form:
        stream.seek(0)
        yield stream


class _Cutter(DefusedExpatParser):
    """Sees where the rows of a document begin and end.

    Attributes
    ----------
    form
        ``TABLEDATA``, ``BINARY`` or ``BINARY2`` once there is a table, empty before.
    whole
        Whether the document has to be read as it is.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(forbid_dtd=False)
        self.form = ""
        self.whole = False
        self._rows = rows
        self._path: list[str] = []
        self._tail = b""
        self._head: bytes | None = None
        self._head_end = -1
        self._ended = False
        self._seen = 0
        self._bytes, self._base = bytearray(), 0
        self._cuts: list[int] = []
        self._text: list[str] = []
        self._in_stream = False
        self._binary, self._walker = bytearray(), _Walker()
        self._given = 0

    def reset(self) -> None:
        """Begin a document, with handlers on the parser itself."""
        super().reset()
        parser: Any = vars(self)["_parser"]
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def take(self, read: bytes) -> None:
        """Read on; nothing is the end.

        Raises
        ------
        IngestError
            If it is no XML.
        """
        if not self._base and not self._bytes and read.startswith(_UTF_16):
            self.whole = True
            return
        if not self._ended and (self.form == "TABLEDATA" or self._head is None):
            self._bytes += read
        try:
            self.feed(read, not read)
        except (DefusedXmlException, LookupError, ValueError) as error:
            raise IngestError("", f"found {error}, expected a whole VOTable") from error
        except SAXParseException as error:
            what = f"found {error.getMessage()} in line {error.getLineNumber()}"
            raise IngestError("", f"{what}, expected a whole VOTable") from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name, at = tag.rpartition(":")[2], vars(self)["_parser"].CurrentByteIndex
        if not self.form and name == "FITS":
            self.whole = True
        elif not self.form and name in {"TABLEDATA", "BINARY", "BINARY2"}:
            self.form = name
            self._tail = "".join(f"</{one}>" for one in (tag, *reversed(self._path))).encode()
        elif self.form == "TABLEDATA" and name == "TR" and not self._ended:
            if not self._seen:
                self._head_end = at
            elif self._seen % self._rows == 0:
                self._cuts.append(at)
            self._seen += 1
        elif self.form and name == "STREAM" and not self._ended:
            self._head_end, self._in_stream = at, True
            self.whole = "href" in attributes or attributes.get("encoding") != "base64"
        self._path.append(tag)

    def _end(self, tag: str) -> None:
        self._path.pop()
        name = tag.rpartition(":")[2]
        if name == "STREAM":
            self._in_stream = False
        if name != self.form or self._ended:
            return
        self._ended = True
        at = vars(self)["_parser"].CurrentByteIndex
        if self._head_end < 0:  # no row, and no stream
            self._head_end = at
        if self.form == "TABLEDATA":
            self._cuts.append(at)

    def _characters(self, text: str) -> None:
        if self._in_stream:
            self._text.append(text)

    def pieces(self, *, last: bool) -> Iterator[BinaryIO]:
        """Documents of the rows that are there, but for those of one that is not full yet.

        Raises
        ------
        IngestError
            If it is the last, and a row is not whole.
        """
        if self.whole or self._head_end < 0:
            return
        if self._head is None:
            self._head = _NROWS.sub(rb"\1", self._before(self._head_end))
            if self.form != "TABLEDATA":
                self._look_at_fields(self._head)
        if self.form == "TABLEDATA":
            for at in self._cuts:
                yield io.BytesIO(self._head + self._before(at) + self._tail)
            self._cuts.clear()
        elif not self.whole:
            yield from self._of_stream(self._head, last=last)

    def _before(self, at: int) -> bytes:
        """Take away the bytes before a place of the document."""
        taken = bytes(self._bytes[: at - self._base])
        del self._bytes[: at - self._base]
        self._base = at
        return taken

    def _look_at_fields(self, head: bytes) -> None:
        """See how long rows are, of a table as it would be without rows."""
        self._bytes.clear()
        empty = votable.parse_single_table(io.BytesIO(b"".join((head, *_STREAM, self._tail))))
        self.whole = not self._walker.learn(empty.fields, masked=self.form == "BINARY2")

    def _of_stream(self, head: bytes, *, last: bool) -> Iterator[BinaryIO]:
        text = "".join("".join(self._text).split())
        use = len(text) if last else len(text) // 4 * 4
        self._text = [text[use:]]
        try:
            self._binary += binascii.a2b_base64(text[:use])
        except ValueError as error:
            raise IngestError("", f"found {error}, expected a stream in base64") from error
        while True:
            number, end = self._walker.rows(self._binary, self._rows)
            if number < self._rows and not last:
                return
            if number or not self._given:
                packed = binascii.b2a_base64(self._binary[:end], newline=False)
                yield io.BytesIO(b"".join((head, _STREAM[0], packed, _STREAM[1], self._tail)))
            del self._binary[:end]
            self._given += number
            if number < self._rows:
                break
        if self._binary:
            what = f"found a stream that ends within row {self._given + 1}"
            raise IngestError("", f"{what}, expected a whole VOTable")


class _Walker:
    """Finds where rows of a stream end."""

    def __init__(self) -> None:
        self._cells: list[tuple[int, int]] = []
        self._mask = 0

    def learn(self, fields: Sequence[Any], *, masked: bool) -> bool:
        """Learn the columns; False if their lengths cannot be told.

        Parameters
        ----------
        fields
            As astropy has them.
        masked
            Whether each row begins with a mask of its nulls (BINARY2).
        """
        self._mask = (len(fields) + 7) // 8 if masked else 0
        for one in fields:
            size = _ITEMS.get(one.datatype, 0)
            counts = str(one.arraysize or 1).split("x")
            variable = counts[-1].endswith("*")
            if not size or not fields or (variable and len(counts) > 1):
                return False
            number = 1
            for count in counts if not variable else ():
                number *= int(count)
            self._cells.append((size, -1 if variable else number))
        return bool(self._cells)

    def rows(self, data: bytearray, most: int) -> tuple[int, int]:
        """How many whole rows there are at the beginning, so many at most; and where they end.

        Raises
        ------
        IngestError
            If a row is longer than any.
        """
        number = end = 0
        while number < most and (after := self._row(data, end)) > 0:
            number, end = number + 1, after
        if not number and len(data) > _LONGEST_ROW:
            what = f"found a row of more than {_LONGEST_ROW >> 20} MB, expected a whole VOTable"
            raise IngestError("", what)
        return number, end

    def _row(self, data: bytearray, here: int) -> int:
        """Where a row ends; 0 if it is not there as a whole."""
        length = len(data)
        here += self._mask
        for size, count in self._cells:
            number = count
            if count < 0:
                if here + 4 > length:
                    return 0
                (number,) = _COUNT.unpack_from(data, here)
                here += 4
            here += size * number
        return here if here <= length else 0
