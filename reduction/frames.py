"""Frames out of FITS files; FITS' own conventions stop here, and where files are written."""

from __future__ import annotations

__all__ = [
    "Sections",
    "StoredImages",
    "StoredTables",
    "read_headers",
    "read_images",
    "read_raw",
    "read_tables",
]

import warnings
from collections.abc import Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from reduction.damage import Held, reading, see_unaltered, see_whole
from reduction.large_images import is_large, read_image
from reduction.pixel_cache import PIXELS
from reduction.scratch import Scratch
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from astropy.io import fits

    Hdu: TypeAlias = fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU | fits.CompImageHDU
else:
    fits = deferred("astropy.io.fits")

Array = np.ndarray[Any, Any]


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
    if isinstance(hdu, fits.CompImageHDU) and is_large(hdu.shape):
        return read_image(hdu, scratch)
    return _native(hdu.data)


def _native(data: Array) -> Array:
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
