"""What a reader of an uploaded table gives, whatever the table's format."""

from __future__ import annotations

__all__ = ["MOST_COLUMNS", "Opener", "Reading", "declared", "exactly"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from schemas.columns import Column
from schemas.errors import UploadError

if TYPE_CHECKING:
    from schemas.blocks import Block

#: Gives the file from its start, as often as it is called.
Opener: TypeAlias = Callable[[], BinaryIO]

#: Columns of a table that PostgreSQL can hold.
MOST_COLUMNS: Final = 1600

_SCALARS: Final = {
    "boolean": "bool",
    "unsignedByte": "int2",
    "short": "int2",
    "int": "int4",
    "long": "int8",
    "float": "float4",
    "double": "float8",
}
_TEXTS: Final = {"char", "unicodeChar"}
_GEOMETRIES: Final = {"point", "circle", "polygon", "interval", "adql:POINT"}
_TIMESTAMPS: Final = {"timestamp", "adql:TIMESTAMP"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A table whose columns are known and whose rows can be read.

    Attributes
    ----------
    columns
        With everything the file says of them; ``sql_type`` is the type the database gives them.
    blocks
        Gives the rows from the first one, as often as it is called. Moments are texts.
    """

    columns: tuple[Column, ...]
    blocks: Callable[[], Iterator[Block]]


def declared(
    name: str,
    datatype: str,
    arraysize: str | None = None,
    *,
    xtype: str = "",
    unit: str = "",
    ucd: str = "",
    utype: str = "",
    description: str = "",
) -> Column:
    """Declare a column of an uploaded table, with the type that the database gives it.

    Texts are of any length in the answer, moments are timestamps (and ``char`` there, whatever the
    file has), and geometries doubles, as the functions of ADQL want them.

    Raises
    ------
    UploadError
        If the name is empty, or the datatype one that no query can use.

    Notes
    -----
    Standard: VOTable-1.4 2.1 and 2.2; DALI-1.1 3.3.
    """
    if not name.strip():
        raise UploadError("a column has no name: expected one for each")
    if "\0" in name:
        raise UploadError(f"column {name!r}: expected a name without NUL characters")
    if datatype in _TEXTS:
        said, stored = xtype or None, "text"
        if xtype in _TIMESTAMPS:
            datatype, said, stored = "char", "timestamp", "timestamp"
        return Column(name, datatype, "*", said, unit, ucd, utype, description, sql_type=stored)
    if datatype not in _SCALARS:
        raise UploadError(
            f"column {name} has the datatype {datatype!r}, which no query can use: expected one "
            f"of {', '.join((*_SCALARS, *sorted(_TEXTS)))}"
        )
    stored = _SCALARS[datatype]
    if arraysize in {None, "", "1"}:
        arraysize = None
    else:
        if xtype in _GEOMETRIES and datatype == "float":
            datatype = "double"
        stored = _SCALARS[datatype] + "[]"
    said = xtype or None
    return Column(name, datatype, arraysize, said, unit, ucd, utype, description, sql_type=stored)


def exactly(stream: BinaryIO, count: int) -> bytes:
    """Read so many bytes, fewer only at the end of the file."""
    pieces = []
    while count > 0:
        piece = stream.read(count)
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
