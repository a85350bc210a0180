"""A VOTable read as a stream of events: the columns of its first table, then pieces of its rows.

The parser is defusedxml's: a document type, an entity or anything outside the document ends the
reading at once. What is kept in memory is bounded: nesting, a single tag, a cell and the columns
have their limits, and the rows of a piece are taken away before the next piece is read.
"""

from __future__ import annotations

__all__ = ["Document"]

import binascii
import re
from typing import Any, Final
from xml.sax import SAXParseException

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from schemas.errors import UploadError
from tap.uploads.reading import MOST_COLUMNS
from tap.uploads.votable_fields import VOField

_DEEPEST: Final = 60
_LONGEST_TAG: Final = 1 << 20
_LONGEST_CELL: Final = 1 << 26
_LONGEST_TEXT: Final = 1 << 16
_BLANK: Final = re.compile(rb"\s+")
_FORMS: Final = {"TABLEDATA", "BINARY", "BINARY2", "FITS"}


class Document(DefusedExpatParser):
    """Events of a VOTable put together; fed with the bytes of the document.

    Attributes
    ----------
    fields
        Columns of the first table.
    form
        ``TABLEDATA``, ``BINARY``, ``BINARY2`` or ``FITS`` once its rows begin, empty before.
    ended
        Whether the first table is over.
    rows
        Rows of TABLEDATA since they were last taken away, None for an empty cell.
    data
        Bytes of a stream, decoded, since they were last taken away.

    Notes
    -----
    Standard: VOTable-1.4 3 to 5. The namespaces of versions 1.1 to 1.5 are all taken for one.
    """

    def __init__(self) -> None:
        super().__init__(forbid_dtd=True)
        self.fields: list[VOField] = []
        self.form = ""
        self.ended = False
        self.rows: list[list[str | None]] = []
        self.data = bytearray()
        self._fed = 0
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._text_size = 0
        self._row: list[str | None] = []
        self._count = 0
        self._base64 = b""
        self._in_table = False
        self._cell = ""
        self._width = 0
        self._tag = ""

    def reset(self) -> None:
        """Begin a document; handlers on the parser itself spare SAX's calls between."""
        super().reset()
        parser: Any = vars(self)["_parser"]
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def take(self, piece: bytes, *, last: bool = False) -> None:
        """Read on.

        Raises
        ------
        UploadError
            If it is no XML, no VOTable that can be used, or made to do harm.
        """
        try:
            self.feed(piece, last)
        except DefusedXmlException as error:
            raise UploadError(
                "the VOTable has a document type or entities, which are not read: expected "
                "elements and text alone"
            ) from error
        except (LookupError, ValueError) as error:
            raise UploadError(f"the VOTable's encoding is not read ({error})") from error
        except SAXParseException as error:
            raise UploadError(
                f"line {error.getLineNumber()}, column {(error.getColumnNumber() or 0) + 1}: not "
                f"well-formed XML ({error.getMessage()}), expected a complete VOTable"
            ) from error
        self._fed += len(piece)
        parser: Any = vars(self)["_parser"]
        if self._fed - parser.CurrentByteIndex > _LONGEST_TAG:
            raise UploadError(
                f"line {parser.CurrentLineNumber}: a single tag is longer than "
                f"{_LONGEST_TAG >> 20} MB, expected a VOTable"
            )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self._cell and self._is_plain_cell(attributes):
            self._path.append("TD")  # the way of most elements by far
            self._text, self._text_size = [], 0
            return
        name = tag.rpartition(":")[2]
        path = self._path
        if len(path) >= _DEEPEST:
            raise UploadError(f"more than {_DEEPEST} nested elements, expected a VOTable")
        if not path and name != "VOTABLE":
            raise UploadError(f"found the root element {name[:60]}, expected VOTABLE")
        above = path[-1] if path else ""
        path.append(name)
        if name == "TABLE" and above == "RESOURCE":
            self._in_table = not self.ended
        elif self._in_table:
            self._tag = tag
            self._begin(name, above, attributes)

    def _is_plain_cell(self, attributes: dict[str, str]) -> bool:
        return not attributes and self._path[-1] == "TR" and len(self._row) < self._width

    def _begin(self, name: str, above: str, attributes: dict[str, str]) -> None:
        """Begin an element within the table."""
        if name == "TD":
            self._begin_cell(attributes)
        elif name == "TR":
            self._row = []
            self._count += 1
        elif name == "FIELD" and above == "TABLE":
            self._begin_field(attributes)
        elif above == "FIELD":
            self._in_field(name, attributes)
        elif above == "DATA" and name in _FORMS:
            if self.form:
                raise UploadError("the TABLE has more than one DATA, expected one")
            self._settle()
            self.form = name
        elif name == "STREAM":
            self._begin_stream(attributes)

    def _begin_field(self, attributes: dict[str, str]) -> None:
        if self.form:
            raise UploadError("found a FIELD after the DATA of its TABLE, expected it before")
        if len(self.fields) >= MOST_COLUMNS:
            raise UploadError(f"the table has more than {MOST_COLUMNS} columns, expected fewer")
        self.fields.append(VOField(attributes))

    def _in_field(self, name: str, attributes: dict[str, str]) -> None:
        if name == "VALUES" and "null" in attributes and self.fields[-1].null is None:
            self.fields[-1].null = attributes["null"]
        elif name == "DESCRIPTION":
            self._text, self._text_size = [], 0

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        if attributes.get("encoding"):
            raise UploadError(
                f"row {self._count}: a TD with an encoding is not read: expected text"
            )
        if len(self._row) >= len(self.fields):
            raise UploadError(
                f"row {self._count} has more than {len(self.fields)} cells: expected one for each "
                "column"
            )
        self._text, self._text_size = [], 0
        self._cell, self._width = self._tag, len(self.fields)

    def _begin_stream(self, attributes: dict[str, str]) -> None:
        if attributes.get("href"):
            raise UploadError(
                "a STREAM with an href is not followed: expected its bytes within the document"
            )
        encoding = attributes.get("encoding") or "none"
        if encoding != "base64":
            raise UploadError(f"found a STREAM of encoding {encoding[:40]!r}, expected base64")

    def _settle(self) -> None:
        for one in self.fields:
            one.settle()

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
            self._text_size += len(text)
            if self._text_size > (_LONGEST_CELL if self.form else _LONGEST_TEXT):
                raise UploadError("a single text is too long: expected a table of short values")
        elif self._in_table and self._path[-1] == "STREAM":
            self._decode(text)

    def _decode(self, text: str, *, last: bool = False) -> None:
        """Base64 as it comes: whole groups of four letters, the rest is kept."""
        try:
            letters = self._base64 + _BLANK.sub(b"", text.encode("ascii"))
            whole = len(letters) if last else len(letters) - len(letters) % 4
            self.data += binascii.a2b_base64(letters[:whole])
        except (binascii.Error, UnicodeEncodeError) as error:
            message = f"the STREAM is not base64 ({str(error)[:80]})"
            raise UploadError(message) from error
        self._base64 = letters[whole:]

    def _end(self, _tag: str) -> None:
        name = self._path.pop()
        if not self._in_table:
            return
        if name == "TD":
            text = "".join(self._text or ())
            self._text = None
            self._row.append(None if text.isspace() else text or None)
        elif name == "TR":
            if len(self._row) != len(self.fields):
                raise UploadError(
                    f"row {self._count} has {len(self._row)} cells, expected {len(self.fields)}"
                )
            self.rows.append(self._row)
        elif name == "DESCRIPTION" and self._text is not None:
            self.fields[-1].description = "".join(self._text)
            self._text = None
        elif name == "STREAM":
            self._decode("", last=True)
        elif name == "TABLE":
            if not self.form:
                self._settle()
            self.ended = True
            self._in_table = False
            self._cell = ""
