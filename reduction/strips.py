"""Pieces of frames that are in compressed files, each pixel decompressed once if there is room."""

from __future__ import annotations

__all__ = ["Strips", "stripe_width"]

from bisect import bisect_right
from collections import OrderedDict
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.frames import Sections
    from reduction.instruments.base import Section
    from reduction.progenitor import Progenitor
    from reduction.steps.coadd import Planes

_PLANES: Final = ("IMAGE", "WEIGHT", "MASK")
#: Rows of a strip: those of the files' tiles.
_ROWS: Final = 256
#: Bytes of a pixel's image, weight and mask.
_PIXEL: Final = 9
#: Bytes of strips that are kept.
_LIMIT: Final = 300_000_000
#: Files that are open at a time.
_FILES: Final = 100
#: A narrower stripe would be two thirds of pixels that its neighbours decompress as well.
_LEAST: Final = 256


def stripe_width(boxes: Sequence[Section], *, limit: int = _LIMIT) -> int:
    """Columns of the widest stripes of a coadd whose frames' strips can all be kept.

    Parameters
    ----------
    boxes
        Parts of the grid that frames are, one or more.
    limit
        Bytes of strips that are kept.

    Returns
    -------
    int
        256 or more, even where that is too much.
    """
    edges = np.array([(box.y0, box.y1, box.x0, box.x1) for box in boxes])
    first, last = int(edges[:, 2].min()), int(edges[:, 3].max())
    widths = (max(-(-(last - first) // stripes), _LEAST) for stripes in count(1))
    return next(
        width
        for width in widths
        if width == _LEAST
        or all(_held(edges, x, x + width) <= limit for x in range(first, last, width))
    )


def _held(edges: NDArray[np.int_], left: int, right: int) -> int:
    """Most bytes of the strips, two a frame, that a row of tiles of a stripe is in."""
    y0, y1, x0, x1 = edges.T
    columns = np.clip(np.minimum(x1, right) - np.maximum(x0, left), 0, None)
    size = columns * (2 * _ROWS * _PIXEL)
    rows = np.concatenate((y0, y1 + _ROWS))
    order = np.argsort(rows, kind="stable")
    return int(np.cumsum(np.concatenate((size, -size))[order]).max())


class Strips:
    """Reads pieces of frames, and keeps the strips of tiles that they are in for the next ones.

    A piece is in one or two strips, and its neighbours in the same again.

    Parameters
    ----------
    stripes
        First columns on the grid of the stripes that a coadd is made in.
    margin
        Columns on either side of a stripe that its pieces reach into.
    limit
        Bytes that are kept; what was not used for longest goes first.
    """

    def __init__(
        self, stripes: Sequence[int] = (0,), *, margin: int = 0, limit: int = _LIMIT
    ) -> None:
        self._stripes, self._margin, self._limit, self._held = stripes, margin, limit, 0
        self._kept: OrderedDict[tuple[int, int, int], Planes] = OrderedDict()
        self._files: OrderedDict[int, Sections | None] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files, all of them, though one may have been altered meanwhile."""
        with ExitStack() as closing:
            for file in self._files.values():
                if file is not None:
                    closing.callback(file.close)
            self._files.clear()

    def read(self, frame: Progenitor, part: Section) -> Planes:
        """Image, weight and mask of a rectangle of a regridded frame."""
        left = int(frame["grid_x"])
        stripe = bisect_right(self._stripes, left + (part.x0 + part.x1) // 2) - 1
        start = max(self._stripes[stripe] - self._margin - left, 0)
        stop = int(frame["grid_nx"])
        if stripe + 1 < len(self._stripes):
            stop = min(self._stripes[stripe + 1] + self._margin - left, stop)
        pieces: list[Planes] = []
        for number in range(part.y0 // _ROWS, -(-part.y1 // _ROWS)):
            rows = slice(max(part.y0 - number * _ROWS, 0), part.y1 - number * _ROWS)
            cut = (rows, slice(part.x0 - start, part.x1 - start))
            image, weight, mask = self._strip(frame, (number, stripe), slice(start, stop))
            pieces.append((image[cut], weight[cut], mask[cut]))
        if len(pieces) == 1:
            return pieces[0]
        images, weights, masks = zip(*pieces, strict=True)
        return np.concatenate(images), np.concatenate(weights), np.concatenate(masks)

    def _strip(self, frame: Progenitor, which: tuple[int, int], columns: slice) -> Planes:
        """A strip of a frame within a stripe."""
        key = frame.object_id, *which
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        rows = slice(which[0] * _ROWS, min((which[0] + 1) * _ROWS, int(frame["grid_ny"])))
        image, weight, mask = (self._pixels(frame, name, (rows, columns)) for name in _PLANES)
        self._kept[key] = image, weight, mask
        self._held += _size(self._kept[key])
        while self._held > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._held -= _size(oldest)
        return self._kept[key]

    def _pixels(self, frame: Progenitor, name: str, slices: tuple[slice, slice]) -> NDArray[Any]:
        """A rectangle of one of a frame's images, from its open file."""
        if frame.object_id not in self._files:
            if len(self._files) >= _FILES:
                self._close_oldest()
            self._files[frame.object_id] = frame.sections()
        self._files.move_to_end(frame.object_id)
        file = self._files[frame.object_id]
        return frame.section(name, slices) if file is None else file.read(name, slices)

    def _close_oldest(self) -> None:
        """Close the file that was not used for longest."""
        _, file = self._files.popitem(last=False)
        if file is not None:
            file.close()


def _size(planes: Planes) -> int:
    """Bytes of a strip."""
    return sum(plane.nbytes for plane in planes)
