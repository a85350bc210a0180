"""Cutouts: the smallest rectangle of pixels that a region touches, with a header that is right.

Arrays, headers and WCS only. The rectangle is not masked: pixels in its corners that the region
does not touch keep their values. FITS' 1-based pixels exist in the headers only.
"""

from __future__ import annotations

__all__ = ["Image", "Stamp", "cutout_header", "open_image", "pixel_box", "to_fits"]

import io
import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, NoConvergence
from numpy.typing import NDArray

from reduction.damage import Held, reading
from reduction.instruments.base import Section
from schemas.values import Circle, Range
from sia.regions import Cap, contains, outline, to_positions, to_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from schemas.values import Shape

Floats: TypeAlias = NDArray[np.float64]
Pixels: TypeAlias = NDArray[np.float32]

_FINEST, _COARSEST = 0.25, 8.0
_SAGITTA: Final = 0.001
_SLACK: Final = 1e-4
_EDGE_POINTS: Final = 16
_STALE: Final = re.compile(
    r"CHECKSUM|DATASUM|Z?HECKSUM|ZDATASUM|DATAMIN|DATAMAX|BLANK|BSCALE|BZERO|XTENSION|SIMPLE"
    r"|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|EXTNAME|EXTVER|INHERIT"
    r"|(DATA|BIAS|TRIM|CCD|DET|AMP|ORIG|IMG)SEC[A-Z]?"
)
_REFERENCE: Final = re.compile(r"CRPIX([12])[A-Z]?")
_CARD: Final = 80
_PLAIN: Final = re.compile(r"[A-Z0-9_-]{1,8}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A keyword that says where a cutout comes from."""

    keyword: str
    value: str | float | int
    comment: str = ""


def pixel_box(wcs: WCS, shape: tuple[int, int], region: Shape) -> Section | None:
    """Find the pixels of an image that a region touches.

    Parameters
    ----------
    wcs
        Celestial, of the image's two axes, ICRS.
    shape
        Pixels (ny, nx) of the image.
    region
        A shape on the sphere.

    Returns
    -------
    Section or None
        The smallest rectangle that holds every pixel with at least a part inside the region, cut
        to the image; None where there is no such pixel.

    Notes
    -----
    Extremes of (region within image) lie on the region's outline or are corners of the image. The
    outline is followed in straight steps that stay within a thousandth of a pixel of it, and only
    near the image, so that neither poles, nor longitude 0, nor the far side of a projection
    matter.
    """
    ny, nx = shape
    edges = _edge_vectors(wcs, ny, nx)
    near = Cap.around(edges)
    pixel = _pixel_size(edges, ny, nx)
    near = Cap(near.axis, min(math.pi, near.radius * 1.01 + 2 * pixel))
    sides = outline(region, near, _step(region, pixel))
    touched = [_clipped(_to_pixels(wcs, side), ny, nx) for side in sides]
    corners = np.array([[-0.5, -0.5], [nx - 0.5, -0.5], [-0.5, ny - 0.5], [nx - 0.5, ny - 0.5]])
    held = contains(region, _to_sky(wcs, corners))
    points = np.concatenate([*touched, corners[held]])
    if not len(points):
        return None
    x0, y0 = np.clip(np.floor(points.min(axis=0) + 0.5 + _SLACK), 0, (nx - 1, ny - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0) + 0.5 - _SLACK), (x0 + 1, y0 + 1), (nx, ny))
    return Section(y0=int(y0), y1=int(y1), x0=int(x0), x1=int(x1))


def _step(region: Shape, pixel: float) -> float:
    """Radians after which the outline has left a straight line by ``_SAGITTA`` pixels."""
    radii = [90.0]
    if isinstance(region, Circle):
        radii = [region.radius]
    if isinstance(region, Range):
        radii = [90 - region.dec1, 90 - region.dec2]
    radius = math.radians(min(min(r, 180 - r) for r in radii)) / pixel
    return min(max(math.sqrt(8 * _SAGITTA * radius), _FINEST), _COARSEST) * pixel


def _edge_vectors(wcs: WCS, ny: int, nx: int) -> Floats:
    """Positions along the image's four edges, shape (n, 3)."""
    along = np.linspace(0, 1, _EDGE_POINTS, endpoint=False)
    x, y = along * nx - 0.5, along * ny - 0.5
    right, top = np.full_like(x, nx - 0.5), np.full_like(y, ny - 0.5)
    left = np.full_like(x, -0.5)
    sides = [(x, left), (right, y), (x[::-1], top), (left, y[::-1])]
    found = _to_sky(wcs, np.concatenate([np.stack(side, axis=1) for side in sides]))
    return found[np.isfinite(found).all(axis=1)]


def _pixel_size(edges: Floats, ny: int, nx: int) -> float:
    """Radians that a pixel has along the edges on average."""
    length = np.linalg.norm(edges - np.roll(edges, 1, axis=0), axis=1).sum()
    return float(length) / (2 * (ny + nx))


def _to_sky(wcs: WCS, pixels: Floats) -> Floats:
    """Unit vectors, shape (n, 3), of 0-based pixels (x, y), shape (n, 2)."""
    ra, dec = wcs.all_pix2world(pixels[:, 0], pixels[:, 1], 0)
    return to_vectors(ra, dec)


def _to_pixels(wcs: WCS, pairs: Floats) -> Floats:
    """0-based pixels (x, y), shape (n, 2, 2), of pairs of vectors, shape (n, 2, 3)."""
    ra, dec = to_positions(pairs.reshape(-1, 3))
    try:
        x, y = wcs.all_world2pix(ra, dec, 0)
    except NoConvergence as error:  # distortions far outside the image
        x, y = error.best_solution.T
    return np.stack([x, y], axis=-1).reshape(-1, 2, 2)


def _clipped(pieces: Floats, ny: int, nx: int) -> Floats:
    """Ends of the parts inside the image of straight pieces, shape (n, 2, 2), shape (m, 2).

    Notes
    -----
    Liang & Barsky 1984, ACM Trans. Graph. 3, 1.
    """
    pieces = pieces[np.isfinite(pieces).all(axis=(1, 2))]
    start, way = pieces[:, 0], pieces[:, 1] - pieces[:, 0]
    low, high = np.array([-0.5, -0.5]), np.array([nx - 0.5, ny - 0.5])
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - start) / way, (high - start) / way
    parallel = way == 0
    between = (start >= low) & (start <= high)
    enter = np.where(parallel, np.where(between, -np.inf, np.inf), np.minimum(one, other))
    leave = np.where(parallel, np.where(between, np.inf, -np.inf), np.maximum(one, other))
    first = np.maximum(enter.max(axis=1), 0)
    last = np.minimum(leave.min(axis=1), 1)
    hit = first <= last
    first, last = first[hit, None], last[hit, None]
    start, way = start[hit], way[hit]
    return np.concatenate([start + first * way, start + last * way])


@contextmanager
def open_image(file: Path, hdu: int, held: Held | None = None) -> Iterator[Image]:
    """Open an image of a FITS file; pixels are read when they are asked for.

    Parameters
    ----------
    file
        FITS file; its image may be tile-compressed.
    hdu
        Index of the HDU.
    held
        What sentences call the file; its name where not given.

    Raises
    ------
    UnreadableError
        If the file cannot be read.
    """
    what = held or Held(file.name)
    with reading(what):
        opened = fits.open(file, memmap=False, lazy_load_hdus=True)
    with opened:
        with reading(what):
            found = opened[hdu]
        yield Image(what, found)


class Image:
    """An open image.

    Parameters
    ----------
    held
        What sentences call its file.
    hdu
        Of astropy.
    """

    def __init__(self, held: Held, hdu: fits.ImageHDU | fits.CompImageHDU) -> None:
        self._held, self._hdu = held, hdu

    def header(self) -> fits.Header:
        """Its header, of a tile-compressed image as of the image that it stands for."""
        with reading(self._held):
            return self._hdu.header.copy()

    def pixels(self, box: Section) -> Pixels:
        """Read a rectangle, touching only the tiles that it needs.

        Returns
        -------
        ndarray
            float32 in the machine's byte order, shape ``box.shape``, bit-equal to the same
            pixels of the whole image.

        Raises
        ------
        UnreadableError
            If the pixels cannot be read, or the image is smaller than the rectangle.
        """
        with reading(self._held):
            found = np.asarray(self._hdu.section[box.slices])
        if found.shape != box.shape:
            raise self._held.unreadable("the image has fewer pixels than its header says")
        return np.ascontiguousarray(found, dtype=np.float32)


def cutout_header(
    parent: fits.Header | Mapping[str, object], box: Section, stamps: Iterable[Stamp] = ()
) -> fits.Header:
    """Header of a rectangle of an image.

    Parameters
    ----------
    parent
        Header of the whole image, or its cards by keyword.
    box
        Which pixels.
    stamps
        Keywords to add; names that FITS cannot hold are written as HIERARCH cards.

    Returns
    -------
    Header
        The reference pixels of all WCS are moved; keywords that describe the file, the whole
        image or its checksum are gone; ``CUTOUT`` holds the rectangle in the parent's 1-based
        pixels, as IRAF writes sections.
    """
    header = fits.Header()
    cards = parent.cards if isinstance(parent, fits.Header) else parent.items()
    for card in cards:
        keyword = card[0]
        if _STALE.fullmatch(keyword) or not (keyword or card[1]):
            continue
        header.append(fits.Card(*card), bottom=True)
    for keyword in list(header):
        match = _REFERENCE.fullmatch(keyword)
        if match:
            header[keyword] -= box.x0 if match[1] == "1" else box.y0
        elif keyword in {"LTV1", "LTV2"}:
            header[keyword] -= box.x0 if keyword == "LTV1" else box.y0
    section = f"[{box.x0 + 1}:{box.x1},{box.y0 + 1}:{box.y1}]"
    header["CUTOUT"] = (section, "pixels of the parent image, 1-based")
    for stamp in stamps:
        _put(header, stamp)
    return header


def _put(header: fits.Header, stamp: Stamp) -> None:
    """Add a keyword; what its card (or that of a long text) cannot hold becomes history."""
    name = stamp.keyword.upper().replace(" ", "_")
    short = _PLAIN.fullmatch(name) is not None
    room = _CARD - len(f"{name:8}= '' / " if short else f"HIERARCH {name} = '' / ")
    size = max(len(str(stamp.value).replace("'", "''")), 8)
    if not short and size > room:
        header.add_history(f"{name} = {stamp.value} / {stamp.comment}")
        return
    continued = short and size > room
    fits_in = len(stamp.comment) <= (_CARD // 2 if continued else room - size)
    header[name if short else f"HIERARCH {name}"] = (
        stamp.value,
        stamp.comment if fits_in else "",
    )
    if not fits_in:
        header.add_history(f"{name}: {stamp.comment}")


def to_fits(pixels: Pixels, header: fits.Header) -> bytes:
    """Write an image as the primary HDU of a FITS file, with checksums.

    Parameters
    ----------
    pixels
        Shape (ny, nx), float32.
    header
        As :func:`cutout_header` makes it.

    Returns
    -------
    bytes
        The file. The same pixels and cards give the same bytes.
    """
    hdu = fits.PrimaryHDU(pixels, header)
    hdu.add_checksum(when="of the cutout")
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()
