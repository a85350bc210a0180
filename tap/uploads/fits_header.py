"""Where a FITS file's headers end, and its data."""

from __future__ import annotations

__all__ = ["RECORD", "data_size", "header_at"]

from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from schemas.errors import UploadError
from tap.uploads.reading import exactly

if TYPE_CHECKING:
    from astropy.io import fits

#: Bytes of which headers and data are multiples.
RECORD: Final = 2880
_HEADER_BYTES: Final = 1 << 22


def header_at(stream: BinaryIO, place: int) -> bytes:
    """Cards of a header, up to and with END.

    Raises
    ------
    UploadError
        If the file ends before, or END does not come within some megabytes.
    """
    stream.seek(place)
    records: list[bytes] = []
    while len(records) * RECORD < _HEADER_BYTES:
        record = exactly(stream, RECORD)
        if len(record) < RECORD:
            raise UploadError("the FITS file ends within a header, expected an END card")
        records.append(record)
        if any(record[card : card + 8] == b"END     " for card in range(0, RECORD, 80)):
            return b"".join(records)
    raise UploadError(f"a FITS header is longer than {_HEADER_BYTES >> 20} MB")


def data_size(header: fits.Header) -> int:
    """Bytes of the data that follow a header, without what fills them up (FITS-4.0 4.4.1.1, 6.1).

    Raises
    ------
    UploadError
        If they would be fewer than none.
    """
    axes = [int(header[f"NAXIS{n}"]) for n in range(1, int(header["NAXIS"]) + 1)]
    if header.get("GROUPS") and axes and axes[0] == 0:
        axes = axes[1:]
    items = int(np.prod(axes, dtype=object)) if axes else 0
    groups = int(header.get("GCOUNT", 1))
    size = abs(int(header["BITPIX"])) // 8 * groups * (int(header.get("PCOUNT", 0)) + items)
    if size < 0:
        raise UploadError("the FITS file says that its data have fewer than 0 bytes")
    return size
