"""What a VOTable says of its columns: FIELD elements as declarations and as layouts of bytes."""

from __future__ import annotations

__all__ = ["VOField"]

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from schemas.errors import UploadError
from tap.uploads.reading import declared

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from schemas.columns import Column

#: A number of items, or an array of such.
_Count = TypeVar("_Count", int, "NDArray[np.int64]")

_WIDTHS: Final = {
    "bit": 1,
    "boolean": 1,
    "unsignedByte": 1,
    "char": 1,
    "unicodeChar": 2,
    "short": 2,
    "int": 4,
    "float": 4,
    "long": 8,
    "double": 8,
}
_ARRAYSIZE: Final = re.compile(r"(?:\d{1,9}x){0,8}(?:\d{0,9}\*|\d{1,9})", re.ASCII)
#: Bytes of one cell that are still read.
_CELL_BYTES: Final = 1 << 26


@dataclass(slots=True)
class VOField:
    """A FIELD of a VOTable (VOTable-1.4 4.1).

    Attributes
    ----------
    attributes
        As the document gives them.
    description
        Text of its DESCRIPTION.
    null
        The number that stands for no value (VALUES null), as text.
    column, width, count
        Its declaration (bits are truth values); bytes of an item in BINARY; items in a value, None
        where it varies. Known after :meth:`settle`.
    """

    attributes: Mapping[str, str]
    description: str = ""
    null: str | None = None
    column: Column = field(init=False)
    width: int = field(init=False)
    count: int | None = field(init=False)

    def settle(self) -> None:
        """Declare the column, once all of the FIELD is known.

        Raises
        ------
        UploadError
            If it cannot be a column of a query, or says things that do not fit together.
        """
        said = self.attributes
        name = said.get("name") or said.get("ID", "")
        datatype = said.get("datatype", "")
        arraysize = said.get("arraysize", "").strip()
        if arraysize and not _ARRAYSIZE.fullmatch(arraysize):
            raise UploadError(
                f"column {name} has the arraysize {arraysize!r}: expected numbers, such as 3, 2x2 "
                "or *"
            )
        self.column = declared(
            name,
            "boolean" if datatype == "bit" else datatype,
            arraysize or None,
            xtype=said.get("xtype", "").strip(),
            unit=said.get("unit", "").strip(),
            ucd=said.get("ucd", "").strip(),
            utype=said.get("utype", "").strip(),
            description=" ".join(self.description.split()),
        )
        self.width = _WIDTHS[datatype]
        self.count = self._count(name, arraysize)
        if self.null is not None:
            self._check_null(name, datatype, self.null)

    def size(self, count: _Count) -> _Count:
        """Bytes of so many items in BINARY: eight bits make one."""
        if self.attributes["datatype"] == "bit":
            return (count + 7) // 8
        return count * self.width

    def _count(self, name: str, arraysize: str) -> int | None:
        if not arraysize:
            return 1
        if arraysize.endswith("*"):
            return None
        count = 1
        for part in arraysize.split("x"):
            count *= int(part)
        if count * self.width > _CELL_BYTES or count == 0:
            raise UploadError(
                f"column {name} has the arraysize {arraysize!r}: expected 1 item or more, and at "
                f"most {_CELL_BYTES >> 20} MB"
            )
        return count

    def _check_null(self, name: str, datatype: str, null: str) -> None:
        if datatype not in {"unsignedByte", "short", "int", "long"}:
            self.null = None  # of other types it says nothing (VOTable-1.4 4.1)
            return
        text = null.strip()
        try:
            self.null = str(int(text, 16 if text[:2].lower() == "0x" else 10))
        except ValueError:
            message = f"column {name}: found the null value {text!r}, expected a whole number"
            raise UploadError(message) from None
