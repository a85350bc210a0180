"""Compressed images too large for memory, in and out of FITS files some rows of tiles at a time.

What is written and read is what :class:`astropy.io.fits.CompImageHDU` does with the whole image,
byte by byte but for dates and checksums: the library compresses strips, and their parts are put in
one table.
"""

from __future__ import annotations

__all__ = ["append_hdu", "append_image", "is_large", "read_image", "strip_rows"]

import io
import math
import re
import tempfile
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.steps.blocks import release
from schemas.deferred import deferred
from schemas.errors import ReductionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from astropy.io import fits

    from reduction.scratch import Scratch

    Array = np.ndarray[Any, Any]
else:
    fits = deferred("astropy.io.fits")

#: Pixels of the largest image that is compressed, or read, as a whole.
_WHOLE: Final = 32_000_000
#: Pixels of a strip, about.
_STRIP: Final = 8_000_000
#: FITS: files are in blocks.
_BLOCK: Final = 2880
#: Seeds that dithering has: tile number n takes that of n modulo this.
_SEEDS: Final = 10_000
_COPIED: Final = 1 << 22
#: FITS 4.0, 7.3.5: the largest number of elements, at the end of a column's form.
_LENGTH: Final = re.compile(r"\((\d+)\)$")
#: Bytes that the table's numbers can count.
_LARGEST: Final = (1 << 31) - 1


def is_large(shape: Sequence[int]) -> bool:
    """Whether an image of a shape is written and read some rows of tiles at a time."""
    return math.prod(shape) > _WHOLE


def strip_rows(shape: tuple[int, ...], tile: int) -> Iterator[slice]:
    """Strips of an image (rows), each of whole tiles and not too large for memory."""
    rows = max(_STRIP // (shape[1] * tile), 1) * tile
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def append_image(
    path: Path,
    image: Array,
    compress: Callable[[Array, int], fits.CompImageHDU],
    *,
    tile: int,
    cards: Mapping[str, tuple[Any, str]],
) -> None:
    """Add a compressed image to a FITS file.

    Parameters
    ----------
    path
        The file; has its primary HDU already.
    image
        Shape (ny, nx).
    compress
        Gives a strip's HDU, for its dithering's seed.
    tile
        Rows of a tile.
    cards
        Keyword -> (value, comment) for the image's header.

    Raises
    ------
    ReductionError
        If the image is larger than its form in FITS allows.

    Notes
    -----
    FITS 4.0, 10.1: one row of a table a tile, whose bytes are in the heap behind the rows.
    """
    rows: list[Array] = []
    header, size, blank = fits.Header(), 0, None
    longest: dict[str, str] = {}
    with tempfile.TemporaryFile(dir=path.parent) as heap:
        for strip in strip_rows(image.shape, tile):
            first = sum(map(len, rows))
            hdu = compress(np.ascontiguousarray(image[strip]), first % _SEEDS + 1)
            release(image)
            found, table, data = _parts(hdu)
            for name in ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA"):
                if name in (table.dtype.names or ()):
                    table[name][:, 1] += np.where(table[name][:, 0] > 0, size, 0).astype(">i4")
            heap.write(data)
            size += len(data)
            if size > _LARGEST:
                name = found.get("EXTNAME", "")
                message = f"the image {name} takes more than {_LARGEST} bytes compressed"
                raise ReductionError(f"{message}: expected a smaller field, or larger pixels")
            header = header if rows else found
            rows.append(table)
            longest = _longest(longest, found)
            blank = found.get("ZBLANK", blank)
        whole = np.concatenate(rows).astype(rows[0].dtype)  # joining made it the machine's order
        header["NAXIS2"], header["PCOUNT"], header["ZNAXIS2"] = len(whole), size, image.shape[0]
        header.update(longest)
        if blank is not None:
            header.set("ZBLANK", blank)
        for keyword, (value, comment) in cards.items():
            header[keyword] = (value, comment)
        _write(path, header, whole, heap)


def _longest(before: Mapping[str, str], header: fits.Header) -> dict[str, str]:
    """Forms of a table's columns of arrays, by keyword, with the longer of two largest lengths."""
    found = dict(before)
    for keyword, form in header["TFORM*"].items():
        if length := _LENGTH.search(form):
            known = _LENGTH.search(found.get(keyword, form))
            if known is None or int(length[1]) >= int(known[1]):
                found[keyword] = form
    return found


def append_hdu(path: Path, hdu: fits.CompImageHDU | fits.BinTableHDU) -> None:
    """Add an HDU that fits into memory to a FITS file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer, checksum=True)
    buffer.seek(0)
    fits.Header.fromfile(buffer)  # the primary HDU is a header alone
    with path.open("ab") as file:
        file.write(buffer.read())


def _parts(hdu: fits.CompImageHDU) -> tuple[fits.Header, Array, bytes]:
    """Header, rows and heap of the table that a compressed image is."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    held = memoryview(buffer.getvalue())
    with fits.open(io.BytesIO(held), disable_image_compression=True) as hdus:
        table = hdus[1]
        header, kind = table.header.copy(), table.columns.dtype.newbyteorder(">")
        start = table.fileinfo()["datLoc"]
    end = start + header["NAXIS1"] * header["NAXIS2"]
    rows = np.frombuffer(held[start:end], kind).copy()
    return header, rows, bytes(held[end : end + header["PCOUNT"]])


def _write(path: Path, header: fits.Header, rows: Array, heap: IO[bytes]) -> None:
    """Write the table at the end of a file, with its checksums."""
    header["DATASUM"] = ("0", "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    with path.open("ab") as file:
        file.write(header.tostring().encode("ascii"))
        written = file.write(rows.tobytes())
        heap.seek(0)
        while block := heap.read(_COPIED):
            written += file.write(block)
        file.write(bytes(-written % _BLOCK))
    with (
        warnings.catch_warnings(),
        fits.open(path, mode="update", memmap=True, disable_image_compression=True) as hdus,
    ):
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        hdus[-1].add_checksum()


def read_image(hdu: fits.CompImageHDU, scratch: Scratch) -> Array:
    """Pixels of a compressed image, native byte order, read strip by strip."""
    shape = tuple(hdu.shape)
    strips = strip_rows(shape, hdu.tile_shape[0])
    strip = next(strips)
    found = hdu.section[strip]
    plane = scratch.full(shape, 0, found.dtype.newbyteorder("="))
    plane[strip] = found
    del found
    release(plane)
    for strip in strips:
        plane[strip] = hdu.section[strip]
        release(plane)
    return plane
