"""What names a frame (CCD) in the tables of a field, and a file's name without its suffix.

A file's name alone does not: cameras that begin to number anew each night repeat them. Numbers of
the archive would, but they differ between archives, and with them what is made of the same frames.
"""

from __future__ import annotations

__all__ = [
    "FRAME_KEY_FIELDS",
    "SUFFIX",
    "ExposureKey",
    "FrameKey",
    "by_frame",
    "exposure_key",
    "file_stem",
    "frame_key",
    "keys_of",
    "rows_of",
]

import re
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor

#: Camera, chip, name of the raw file, start of the exposure (MJD, UTC).
FrameKey = tuple[str, str, str, float]

#: The same without the chip: what the chips of one exposure share.
ExposureKey = tuple[str, str, float]

#: The key's columns, in its order. File systems have names of up to 255 bytes: none is cut.
FRAME_KEY_FIELDS: Final = (
    ("instrument", "U64"),
    ("chip", "U64"),
    ("name", "U255"),
    ("mjd_obs", "f8"),
)

#: Rows by key of tables that are looked into, by the tables' identity, as long as they are there.
_ROWS: Final[dict[int, tuple[weakref.ref[NDArray[Any]], Mapping[FrameKey, int]]]] = {}

#: Regular expression of the end of a raw file's name, whatever the case of its letters.
SUFFIX: Final = r"\.(fits|fit|fts)(\.(gz|fz))?$"


def frame_key(product: Progenitor) -> FrameKey:
    """Key of a raw frame, or of the one that a product made per frame belongs to."""
    raw = product.raw or product.attributes
    moment = raw.get("mjd_obs")
    return (
        product.instrument,
        product.chip,
        str(raw.get("name", "")),
        0.0 if moment is None else float(moment),
    )


def by_frame(products: Sequence[Progenitor]) -> dict[FrameKey, Progenitor]:
    """Products made per frame by the key of their frame, which is one product's alone.

    Raises
    ------
    UnprocessableError
        If two are of one frame: an exposure that came twice, in files of other bytes.
    """
    found: dict[FrameKey, Progenitor] = {}
    for product in products:
        other = found.setdefault(frame_key(product), product)
        if other is not product:
            _, chip, name, _ = frame_key(product)
            message = (
                f"objects {other.object_id} and {product.object_id}, of {product.class_name}, are "
                f"both of the exposure {name} of chip {chip}, which came in two files: reject one "
                "of its raw frames"
            )
            raise UnprocessableError(message)
    return found


def exposure_key(product: Progenitor) -> ExposureKey:
    """Key of the exposure that a frame, or a product made per frame, belongs to."""
    instrument, _, name, moment = frame_key(product)
    return instrument, name, moment


def keys_of(table: NDArray[Any]) -> list[FrameKey]:
    """Keys of the rows of a table that has the key's columns; FITS pads texts with blanks."""
    texts = [np.char.rstrip(table[name]) for name, _ in FRAME_KEY_FIELDS[:-1]]
    return list(zip(*(text.tolist() for text in texts), table["mjd_obs"].tolist(), strict=True))


def rows_of(table: NDArray[Any]) -> Mapping[FrameKey, int]:
    """Row of each frame in a table that has the key's columns; of two with one key the first.

    Found once for each table, which is not changed any more: each frame of a field asks for its
    own row.
    """
    known = _ROWS.get(id(table))
    if known is not None and known[0]() is table:
        return known[1]
    number = id(table)
    rows: dict[FrameKey, int] = {}
    for row, key in enumerate(keys_of(table)):
        rows.setdefault(key, row)
    _ROWS[number] = weakref.ref(table, lambda _: _ROWS.pop(number, None)), rows
    return rows


def file_stem(name: str) -> str:
    """Name of a raw file without its suffix."""
    return re.sub(SUFFIX, "", name, flags=re.IGNORECASE)
