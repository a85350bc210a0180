"""Frames in and out of FITS files; FITS' own conventions stop here.

Products are tile compressed: floats by RICE on values quantised at a sixteenth of the noise of the
image's quiet parts, with subtractive dithering that keeps zeros (the file *is* the product),
integers without loss. RICE knows none of 64 bits: those are not compressed.
"""

from __future__ import annotations

__all__ = [
    "Sections",
    "StoredImages",
    "StoredTables",
    "read_headers",
    "read_images",
    "read_raw",
    "read_tables",
    "write_images",
]

import warnings
from collections.abc import Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from reduction.damage import Held, reading, see_unaltered, see_whole
from reduction.large_images import append_hdu, append_image, read_image, strip_rows
from reduction.pixel_cache import PIXELS
from reduction.scratch import Scratch
from reduction.steps.blocks import release
from reduction.steps.tile_noise import tile_noise
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from astropy.io import fits

    Hdu: TypeAlias = fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU | fits.CompImageHDU
else:
    fits = deferred("astropy.io.fits")

Array = np.ndarray[Any, Any]

_TILE = 256
_QUANTISATION = 16.0
_QUIET = 10.0
#: Pixels of the largest image that is compressed, or read, as a whole.
_WHOLE = 32_000_000
#: Bytes of the largest integers that FITS compresses.
_PACKED = 4


def read_headers(path: Path) -> list[fits.Header]:
    """Headers of all HDUs, tile-compressed images as the images they stand for.

    Raises
    ------
    OSError
        If the file is no FITS file or is cut off.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
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
    UnreadableError
        If the pixels cannot be read, or a file of the storage is not as it was written.
    """
    what = Held(f"{path.name}: the pixels of HDU {hdu}")
    see_unaltered(path, what)
    with reading(what):
        pixels = _raw_pixels(path, hdu)
    see_unaltered(path, what)
    return pixels


def _raw_pixels(path: Path, hdu: int) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False, ignore_blank=True) as hdus:
            data = hdus[hdu].data
            if data is None or data.ndim != 2:  # an image has two axes
                message = f"HDU {hdu} holds no image"
                raise ValueError(message)
            return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))


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
    if any(data.size > _WHOLE for data in images.values()):
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
        if data.size > _WHOLE and not plain:
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


def read_images(path: Path, scratch: Scratch | None = None) -> dict[str, Array]:
    """Pixels of a product by EXTNAME, native byte order, read anew from its file.

    Parameters
    ----------
    path
        The file.
    scratch
        Room for what is large.

    Raises
    ------
    UnreadableError
        If the file is not there or cannot be read.
    """
    with reading(Held(f"{path.name}: the product")), fits.open(path, memmap=False) as hdus:
        room = scratch or Scratch()
        return {hdu.name: _pixels(hdu, room) for hdu in hdus[1:] if hdu.is_image}


def read_tables(path: Path) -> dict[str, Array]:
    """Tables of a product by EXTNAME as structured arrays, native byte order.

    Raises
    ------
    UnreadableError
        As :func:`read_images`.
    """
    return dict(StoredTables(path))


class _Stored(Mapping[str, Array]):
    """Extensions of a product file by name: read when they are asked for, then kept.

    Whatever is asked for, a file that is gone or damaged raises
    :class:`schemas.errors.UnreadableError`, which names the object and the file. Where ``sure``,
    that is so of a single altered byte: its checksum is looked at before the first reading.
    """

    def __init__(self, path: Path, owner: Held | None = None, *, sure: bool = False) -> None:
        self._path, self._sure = path, sure
        self._said = owner or Held(f"{path.name}: the product")
        self._names: tuple[str, ...] | None = None
        self._read: dict[str, Array] = {}

    def __iter__(self) -> Iterator[str]:
        if self._names is None:
            self._names = self._find()
        return iter(self._names)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, name: str) -> Array:
        if name not in self._read:
            if name not in list(iter(self)):
                see_whole(self._path, self._said)
                raise KeyError(name)
            self._read[name] = self._fetch(name)
        return self._read[name]

    def forget(self) -> None:
        """Let go of what was read."""
        self._read.clear()

    def _find(self) -> tuple[str, ...]:
        with self._opened(plain=True) as hdus:
            return tuple(hdu.name for hdu in hdus[1:] if self._is_mine(hdu))

    @contextmanager
    def _opened(self, *, plain: bool = False) -> Iterator[fits.HDUList]:
        """The file; with compressed images as the tables that they are where ``plain``."""
        self._see()
        with (
            reading(self._said),
            fits.open(self._path, memmap=False, disable_image_compression=plain) as hdus,
        ):
            yield hdus
        self._see()

    def _see(self) -> None:
        """See that the file is as it was written, where that is asked for.

        Before it is read, and afterwards: it may be altered meanwhile.
        """
        if self._sure:
            see_unaltered(self._path, self._said)

    def _is_mine(self, hdu: Hdu) -> bool:
        raise NotImplementedError

    def _fetch(self, name: str) -> Array:
        raise NotImplementedError


class StoredImages(_Stored):
    """Pixels of a product, or of one HDU of a raw frame as "RAW", by name.

    Parameters
    ----------
    path
        The file.
    hdu
        Index of a raw frame's HDU; None for a product.
    scratch
        Room for what is large.
    owner
        What sentences call the file; its name where not given.
    sure
        Read nothing of a file that is not as it was written.
    """

    def __init__(
        self,
        path: Path,
        hdu: int | None = None,
        scratch: Scratch | None = None,
        *,
        owner: Held | None = None,
        sure: bool = False,
    ) -> None:
        super().__init__(path, owner, sure=sure)
        self._hdu = hdu
        self._scratch = scratch or Scratch()
        if hdu is not None:
            self._names = ("RAW",)

    def section(self, name: str, slices: tuple[slice, slice]) -> Array:
        """Pixels of a rectangle; nothing else is decompressed, and nothing is kept."""
        if self._hdu is not None or name in self._read:
            return self[name][slices]
        with closing(self.sections()) as sections:
            return sections.read(name, slices)

    def sections(self) -> Sections:
        """The same from a product's file that is opened once for many rectangles."""
        self._see()
        with reading(self._said):
            return Sections(fits.open(self._path, memmap=False), self._said, self._see)

    def _is_mine(self, hdu: Hdu) -> bool:
        return bool(hdu.is_image)

    def _fetch(self, name: str) -> Array:
        self._see()
        if self._hdu is not None:
            with reading(self._said):
                pixels = _raw_pixels(self._path, self._hdu)
            self._see()
            return pixels
        known = PIXELS.get(self._path, name)
        if known is not None:
            return known
        with self._opened(plain=True) as hdus:
            hdu = hdus[name]
            compressed = isinstance(hdu, fits.BinTableHDU)
            image = fits.CompImageHDU(bintable=hdu) if compressed else hdu
            pixels = _pixels(image, self._scratch)
        if self._sure:  # others take what is kept here for right
            PIXELS.put(self._path, name, pixels, copy=True)
        return pixels


class Sections:
    """Rectangles of a product's images, from a file that is open: headers are read but once.

    Parameters
    ----------
    hdus
        The file.
    said
        What to call it in a sentence.
    see
        Sees that it is as it was written, once more when all is read.
    """

    def __init__(self, hdus: fits.HDUList, said: Held, see: Callable[[], None]) -> None:
        self._hdus, self._said, self._see = hdus, said, see

    def read(self, name: str, slices: tuple[slice, slice]) -> Array:
        """Pixels of a rectangle; nothing else is decompressed, and nothing is kept."""
        with reading(self._said):
            return _native(self._hdus[name].section[slices])

    def close(self) -> None:
        """Close the file.

        Raises
        ------
        UnreadableError
            If it was altered since it was opened.
        """
        self._hdus.close()
        self._see()


class StoredTables(_Stored):
    """Tables of a product by name."""

    def _is_mine(self, hdu: Hdu) -> bool:
        return isinstance(hdu, fits.BinTableHDU) and not hdu.is_image

    def _fetch(self, name: str) -> Array:
        with self._opened() as hdus:
            rows = hdus[name].data
            kind = [(n, rows[n].dtype.newbyteorder("="), rows[n].shape[1:]) for n in rows.names]
            table = np.empty(len(rows), dtype=kind)
            for column in rows.names:
                table[column] = rows[column]
            return table


def _pixels(hdu: fits.ImageHDU | fits.CompImageHDU, scratch: Scratch) -> Array:
    """Pixels of an image."""
    if isinstance(hdu, fits.CompImageHDU) and np.prod(hdu.shape) > _WHOLE:
        return read_image(hdu, scratch)
    return _native(hdu.data)


def _native(data: Array) -> Array:
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
