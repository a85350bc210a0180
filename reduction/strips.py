"""Pieces of frames that are in compressed files, without decompressing a pixel again and again."""

from __future__ import annotations

__all__ = ["Strips"]

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from reduction.instruments.base import Section
    from reduction.progenitor import Progenitor
    from reduction.steps.coadd import Planes

_PLANES: Final = ("IMAGE", "WEIGHT", "MASK")
#: Rows of a strip: those of the files' tiles.
_ROWS: Final = 256


class Strips:
    """Reads pieces of frames, and keeps the strips of tiles that they are in for the next ones.

    A piece a little larger than a tile is in four of them, and its neighbour in the same again.

    Parameters
    ----------
    limit
        Bytes that are kept; what was not used for longest goes first.
    """

    def __init__(self, limit: int = 300_000_000) -> None:
        self._limit, self._held = limit, 0
        self._kept: OrderedDict[tuple[int, int], Planes] = OrderedDict()

    def read(self, frame: Progenitor, part: Section) -> Planes:
        """Image, weight and mask of a rectangle of a regridded frame."""
        pieces = []
        for number in range(part.y0 // _ROWS, -(-part.y1 // _ROWS)):
            start = number * _ROWS
            rows = slice(max(part.y0 - start, 0), part.y1 - start)
            strip = self._strip(frame, number)
            pieces.append([plane[rows, part.x0 : part.x1] for plane in strip])
        image, weight, mask = (np.concatenate(planes) for planes in zip(*pieces, strict=True))
        return image, weight, mask

    def _strip(self, frame: Progenitor, number: int) -> Planes:
        key = frame.object_id, number
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        rows = slice(number * _ROWS, min((number + 1) * _ROWS, int(frame["grid_ny"])))
        columns = slice(0, int(frame["grid_nx"]))
        image, weight, mask = (frame.section(name, (rows, columns)) for name in _PLANES)
        self._kept[key] = image, weight, mask
        self._held += _size(self._kept[key])
        while self._held > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._held -= _size(oldest)
        return self._kept[key]


def _size(planes: Planes) -> int:
    return sum(plane.nbytes for plane in planes)
