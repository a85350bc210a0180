"""Pixels of products that this process has read or made lately."""

from __future__ import annotations

__all__ = ["PIXELS", "PixelCache"]

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]


class PixelCache:
    """Images by file and extension, the latest used ones up to a number of bytes.

    Stored files never change but by damage, and are named by their content, so that nothing here
    gets stale. What comes out is a copy, which costs a tenth of reading: its owner may write into
    it.

    Parameters
    ----------
    limit
        Bytes held at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._images: OrderedDict[tuple[Path, str], Array] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, name: str) -> Array | None:
        """A copy of an image, or None."""
        with self._lock:
            image = self._images.get((path, name))
            if image is None:
                return None
            self._images.move_to_end((path, name))
        return image.copy()

    def forget(self, path: Path) -> None:
        """Let go of a file's images: it was not as it was written."""
        with self._lock:
            for key in [key for key in self._images if key[0] == path]:
                self._held -= self._images.pop(key).nbytes

    def put(self, path: Path, name: str, image: Array, *, copy: bool = False) -> None:
        """Keep an image that takes no more than half of the room.

        Parameters
        ----------
        copy
            Keep a copy: without it nobody may write into the image from now on.
        """
        key = path, name
        if 2 * image.nbytes > self._limit or key in self._images:
            return
        image = image.copy() if copy else image
        with self._lock:
            if key in self._images:
                return
            self._images[key] = image
            self._held += image.nbytes
            while self._held > self._limit:
                _, oldest = self._images.popitem(last=False)
                self._held -= oldest.nbytes


#: A chip's bias, flat and maps of 2048 x 4100 pixels are 84 MB, a reduced frame 76 MB.
PIXELS: Final = PixelCache(192_000_000)
