"""Frames in and out of FITS files; FITS' own conventions stop here.

Products are tile compressed: floats by RICE on values quantised at a sixteenth of the noise with
subtractive dithering that keeps zeros (the file *is* the product), integers without loss.
"""

from __future__ import annotations

__all__ = ["read_headers", "read_images", "read_raw", "write_images"]

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from schemas.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Array = np.ndarray[Any, Any]

_TILE = 256
_QUANTISATION = 16.0


def read_headers(path: Path) -> list[fits.Header]:
    """Headers of all HDUs, tile-compressed images as the images they stand for.

    Raises
    ------
    OSError
        If the file is no FITS file or is cut off.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        with fits.open(path, memmap=False, ignore_blank=True) as hdus:
            return [hdu.header.copy() for hdu in hdus]


def read_raw(path: Path, hdu: int) -> Array:
    """Pixels of a raw frame.

    Parameters
    ----------
    path, hdu
        File, and index of its HDU.

    Returns
    -------
    ndarray
        Shape (ny, nx), native byte order; unsigned integers where the file keeps such.

    Raises
    ------
    StorageError
        If the pixels cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False, ignore_blank=True) as hdus:
                data = hdus[hdu].data
                if data is None or data.ndim != 2:  # an image has two axes
                    message = f"{path.name}: HDU {hdu} holds no image"
                    raise StorageError(message)
                return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    except (OSError, ValueError, TypeError, IndexError) as error:
        message = f"{path.name}: the pixels of HDU {hdu} cannot be read ({error})"
        raise StorageError(message) from error


def write_images(
    path: Path, images: Mapping[str, Array], cards: Mapping[str, tuple[Any, str]]
) -> None:
    """Write a product file: one compressed image extension for each image.

    Parameters
    ----------
    path
        A scratch file.
    images
        Pixels by EXTNAME, shape (ny, nx), float32 or integers.
    cards
        Keyword -> (value, comment) for the first extension.
    """
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for number, (name, data) in enumerate(images.items()):
        hdus.append(_compressed(name, data))
        if number == 0:
            for keyword, (value, comment) in cards.items():
                hdus[-1].header[keyword] = (value, comment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        hdus.writeto(path, checksum=True)


def _compressed(name: str, data: Array) -> fits.CompImageHDU:
    tile = tuple(min(_TILE, n) for n in data.shape)
    if data.dtype.kind == "f":
        return fits.CompImageHDU(
            np.asarray(data, dtype=np.float32),
            name=name,
            compression_type="RICE_1",
            tile_shape=tile,
            quantize_level=_QUANTISATION,
            quantize_method=2,
            dither_seed=1,
        )
    return fits.CompImageHDU(data, name=name, compression_type="RICE_1", tile_shape=tile)


def read_images(path: Path) -> dict[str, Array]:
    """Pixels of a product by EXTNAME, native byte order.

    Raises
    ------
    StorageError
        If the file is not there or cannot be read.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            return {
                hdu.name: np.ascontiguousarray(hdu.data, dtype=hdu.data.dtype.newbyteorder("="))
                for hdu in hdus[1:]
            }
    except OSError as error:
        message = f"{path.name}: the product cannot be read ({error})"
        raise StorageError(message) from error
