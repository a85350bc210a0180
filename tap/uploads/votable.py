"""VOTables of versions 1.1 to 1.5, in all their serializations, read as streams."""

from __future__ import annotations

__all__ = ["read_fields", "read_votable"]

import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Final

from schemas.blocks import Block
from schemas.errors import UploadError
from tap.uploads.cells import field_of_texts
from tap.uploads.fits import blocks_of_fits
from tap.uploads.reading import Reading
from tap.uploads.votable_binary import rows_of_stream
from tap.uploads.votable_document import Document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from schemas.columns import Column
    from tap.uploads.reading import Opener

_PIECE: Final = 1 << 17
_WHOLE: Final = 1 << 20


def read_votable(opener: Opener) -> Reading:
    """Read the first table of the first resource that has one.

    Raises
    ------
    UploadError
        If there is none, or it cannot be read.

    Notes
    -----
    Standard: VOTable-1.4; TAP-1.1 2.7.6.
    """
    with closing(opener()) as stream:
        document = _begun(stream)
    columns = tuple(one.column for one in document.fields)
    return Reading(columns, lambda: _blocks(opener))


def read_fields(text: bytes) -> tuple[Column, ...]:
    """Columns of a VOTable without rows, such as a Parquet file holds (VOParquet-1.0)."""
    document = Document()
    document.take(text, last=True)
    return tuple(one.column for one in document.fields)


def _begun(stream: BinaryIO) -> Document:
    """Read until the columns are known."""
    document = Document()
    while not (document.form or document.ended):
        piece = stream.read(_PIECE)
        document.take(piece, last=not piece)
        if not piece:
            break
    if not (document.form or document.ended):
        raise UploadError("the VOTable has no TABLE in a RESOURCE: expected one")
    return document


def _blocks(opener: Opener) -> Iterator[Block]:
    with closing(opener()) as stream:
        document = _begun(stream)
        if document.form == "TABLEDATA":
            yield from _tabledata(document, stream)
        elif document.form == "FITS":
            with tempfile.TemporaryFile() as whole:
                for piece in _streamed(document, stream):
                    whole.write(piece)
                yield from blocks_of_fits(whole, [one.column for one in document.fields])
        elif document.form:
            masked = document.form == "BINARY2"
            yield from rows_of_stream(document.fields, _streamed(document, stream), masked=masked)


def _read_on(document: Document, stream: BinaryIO) -> bool:
    """Read a piece; False at the end. The whole document is read: a broken one is refused."""
    piece = stream.read(_PIECE)
    document.take(piece, last=not piece)
    return bool(piece)


def _streamed(document: Document, stream: BinaryIO) -> Iterator[bytes]:
    more = True
    while more:
        more = _read_on(document, stream)
        if len(document.data) >= _WHOLE or not more:
            piece, document.data = bytes(document.data), bytearray()
            yield piece


def _tabledata(document: Document, stream: BinaryIO) -> Iterator[Block]:
    first = 1
    more = True
    while more:
        more = _read_on(document, stream)
        rows, document.rows = document.rows, []
        if not rows:
            continue
        cells = tuple(
            field_of_texts(one.column, texts, first=first, null=one.null)
            for one, texts in zip(document.fields, zip(*rows, strict=True), strict=True)
        )
        yield Block(len(rows), cells)
        first += len(rows)
