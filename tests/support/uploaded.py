"""What a reader of uploads makes of a file, as Python values."""

from __future__ import annotations

__all__ = ["first_fault", "table_of", "votable"]

import io

import numpy as np

from schemas.blocks import Fixed, Layout
from schemas.errors import UploadError
from tap.uploads.formats import read


def table_of(data, media_type=""):
    """Columns of a file, and its rows with None where there is no value."""
    reading = read(lambda: io.BytesIO(data), media_type)
    rows = []
    for block in reading.blocks():
        pairs = zip(reading.columns, block.fields, strict=True)
        rows += zip(*[_values(*pair) for pair in pairs], strict=True)
    return reading.columns, rows


def _values(column, field):
    nulls = field.nulls.tolist()
    if isinstance(field, Fixed):
        found = field.values.tolist()
    else:
        dtype = Layout.of(column).dtype
        found = [
            piece.decode() if dtype is None else np.frombuffer(piece, dtype).tolist()
            for piece in field.pieces()
        ]
    return [None if null else value for null, value in zip(nulls, found, strict=True)]


def first_fault(data, media_type=""):
    """The sentence with which a file is refused."""
    try:
        table_of(data, media_type)
    except UploadError as error:
        return str(error)
    message = "the file was read"
    raise AssertionError(message)


def votable(fields, data, *, version="1.4"):
    """A VOTable document around its FIELDs and the content of DATA."""
    namespace = {"1.1": "v1.1", "1.2": "v1.2"}.get(version, "v1.3")
    return (
        f'<?xml version="1.0"?>\n<VOTABLE version="{version}" '
        f'xmlns="http://www.ivoa.net/xml/VOTable/{namespace}">'
        f"<RESOURCE><TABLE>{fields}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()
