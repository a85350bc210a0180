"""Products into FITS files.

They are tile compressed: floats by RICE on values quantised at a sixteenth of the noise of the
image's quiet parts, with subtractive dithering that keeps zeros (the file *is* the product),
integers without loss. RICE knows none of 64 bits: those are not compressed.
"""

from __future__ import annotations

__all__ = ["write_images"]

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.large_images import append_hdu, append_image, is_large, strip_rows
from reduction.steps.blocks import release
from reduction.steps.tile_noise import tile_noise
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from astropy.io import fits
else:
    fits = deferred("astropy.io.fits")

Array = np.ndarray[Any, Any]

_TILE = 256
_QUANTISATION = 16.0
_QUIET = 10.0
#: Bytes of the largest integers that FITS compresses.
_PACKED = 4


def write_images(
    path: Path,
    images: Mapping[str, Array],
    cards: Mapping[str, tuple[Any, str]],
    tables: Mapping[str, Array] | None = None,
) -> None:
    """Write a product file: an image extension for each image, then the tables.

    Parameters
    ----------
    path
        A scratch file.
    images
        Pixels by EXTNAME, shape (ny, nx), floats (stored as float32) or integers of any size.
    cards
        Keyword -> (value, comment) for the first extension.
    tables
        Structured arrays by EXTNAME; signed bytes, which FITS' columns do not know, become int16.

    Raises
    ------
    TypeError
        If an image has pixels of another kind, as bool or complex.
    """
    if any(is_large(data.shape) for data in images.values()):
        _write_in_parts(path, images, cards, tables or {})
        return
    hdus = fits.HDUList([fits.PrimaryHDU()])
    hdus += [_extension(name, data) for name, data in images.items()]
    hdus += [fits.BinTableHDU(_columned(rows), name=name) for name, rows in (tables or {}).items()]
    for keyword, (value, comment) in cards.items():
        hdus[1].header[keyword] = (value, comment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        hdus.writeto(path, checksum=True)


def _columned(rows: Array) -> Array:
    """Rows without columns of signed bytes: astropy would store those as truth values."""
    fields = [(name, rows.dtype[name]) for name in rows.dtype.names or ()]
    if all(kind.base != np.int8 for _, kind in fields):
        return rows
    wide = [
        (name, np.dtype((np.int16, kind.shape)) if kind.base == np.int8 else kind)
        for name, kind in fields
    ]
    return rows.astype(wide)


def _write_in_parts(
    path: Path,
    images: Mapping[str, Array],
    cards: Mapping[str, tuple[Any, str]],
    tables: Mapping[str, Array],
) -> None:
    """The same, one HDU after the other, and large images strip by strip."""
    fits.PrimaryHDU().writeto(path, checksum=True)
    for number, (name, data) in enumerate(images.items()):
        own = {} if number else cards
        level = _quantisation(data) if data.dtype.kind == "f" else None
        plain = data.dtype.kind != "f" and data.dtype.itemsize > _PACKED
        if is_large(data.shape) and not plain:
            compress = partial(_extension, name, level=level)
            append_image(path, data, compress, tile=_TILE, cards=own)
        else:
            hdu = _extension(name, data, level=level)
            for keyword, (value, comment) in own.items():
                hdu.header[keyword] = (value, comment)
            append_hdu(path, hdu)
    for name, rows in tables.items():
        append_hdu(path, fits.BinTableHDU(_columned(rows), name=name))


def _extension(
    name: str, data: Array, seed: int = 1, *, level: float | None = None
) -> fits.ImageHDU | fits.CompImageHDU:
    """An image's HDU; of a strip with the seed of its first tile and the whole image's level."""
    if data.dtype.kind not in "fiu":
        message = f"image {name} has pixels of {data.dtype}: expected floats or integers"
        raise TypeError(message)
    if data.dtype.kind != "f" and data.dtype.itemsize > _PACKED:
        return fits.ImageHDU(data, name=name)
    tile = tuple(min(_TILE, n) for n in data.shape)
    if data.dtype.kind == "f":
        pixels = np.asarray(data, dtype=np.float32)
        return fits.CompImageHDU(
            pixels,
            name=name,
            compression_type="RICE_1",
            tile_shape=tile,
            quantize_level=_quantisation(pixels) if level is None else level,
            quantize_method=2,
            dither_seed=seed,
        )
    return fits.CompImageHDU(data, name=name, compression_type="RICE_1", tile_shape=tile)


def _quantisation(pixels: Array) -> float:
    """Step of an image's values, negative: -1/16 of the noise of its quiet tiles.

    Positive, so that each tile's own noise is measured, where most tiles have none, as in made up
    images: a tile without noise is kept as it is. Measuring takes twice as long as all the rest.
    """
    noises = []
    for strip in strip_rows(pixels.shape, _TILE):
        # as they are stored, whatever they were computed with
        noises.append(tile_noise(pixels[strip].astype(np.float32, copy=False), size=_TILE))
        release(pixels)
    noise = np.concatenate(noises)
    noisy = noise[noise > 0.0]
    if 2 * noisy.size <= noise.size:
        return _QUANTISATION
    return -float(np.percentile(noisy, _QUIET)) / _QUANTISATION
