"""Files that come in, read to their end: whole, and as their own sums say."""

from __future__ import annotations

__all__ = ["sound_headers"]

import gzip
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from astropy.io import fits
else:
    fits = deferred("astropy.io.fits")

_GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 1 << 20


def sound_headers(path: Path, remark: Callable[[str], None]) -> list[fits.Header]:
    """Read a whole file, so that one that is damaged is refused now and not in the night.

    Parameters
    ----------
    path
        The file.
    remark
        Told what is odd, and no reason to refuse it.

    Returns
    -------
    list of Header
        Of all HDUs, of tile-compressed images those of the images that they stand for.

    Raises
    ------
    IngestError
        If it is cut off, cannot be read, has no pixel that is a number, or if the data of an HDU
        are not those that its DATASUM is of.

    Notes
    -----
    Standard: FITS-4.0 4.4.2.7. DATASUM is of the data alone. CHECKSUM is of the header, too,
    and is stale wherever a header was edited afterwards: that is remarked.
    """
    _see_unpacked(path)
    headers: list[fits.Header] = []
    numbers: list[bool] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*")
            _see_sums(path, remark)
            with (
                path.open("rb") as stream,
                fits.open(stream, memmap=False, ignore_blank=True) as hdus,
            ):
                for hdu in hdus:
                    headers.append(hdu.header.copy())
                    if hdu.is_image and hdu.data is not None:
                        numbers.append(bool(np.isfinite(hdu.data).any()))
                        del hdu.data  # a mosaic's chips are never in memory together
    except IngestError:
        raise
    except Exception as error:  # astropy raises many kinds for a broken file
        what = f"not a whole FITS file ({error}); expected one that reads to its end"
        raise IngestError(path.name, what) from error
    if numbers and not any(numbers):
        raise IngestError(path.name, "its pixels hold no number, all are NaN")
    return headers


def _see_unpacked(path: Path) -> None:
    """See that a gzipped file unpacks to its end, where the sum of its bytes stands.

    Who reads FITS out of it stops at the end of the last HDU, and never looks.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_GZIP)) != _GZIP:
                return
        with gzip.open(path) as unpacked:
            while unpacked.read(_BLOCK):
                pass
    except Exception as error:  # zlib has errors of its own
        what = f"not a whole gzip file ({error}); expected one that unpacks to its end"
        raise IngestError(path.name, what) from error


def _see_sums(path: Path, remark: Callable[[str], None]) -> None:
    """See that the data of each HDU are those that its DATASUM is of, as they are in the file."""
    with (
        path.open("rb") as stream,
        fits.open(
            stream,
            memmap=False,
            ignore_blank=True,
            disable_image_compression=True,
            do_not_scale_image_data=True,
        ) as hdus,
    ):
        for number, hdu in enumerate(hdus):
            name = f"HDU {number}" + (f" ({hdu.name})" if hdu.name else "")
            said = str(hdu.header.get("DATASUM", "")).strip()
            if said.isdecimal() and not hdu.verify_datasum():
                what = (
                    f"the data of {name} were altered since they were written: their DATASUM is "
                    f"{said}, and they are not; expected a copy as the telescope wrote it"
                )
                raise IngestError(path.name, what)
            if str(hdu.header.get("CHECKSUM", "")).strip() and not hdu.verify_checksum():
                remark(f"the header of {name} was edited since its CHECKSUM was written")
