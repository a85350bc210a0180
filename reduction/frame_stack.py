"""The frames that one product is the mean of: in memory, or in a file where they are many."""

from __future__ import annotations

__all__ = ["FrameStack"]

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.blocks import release

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.scratch import Scratch

#: Bytes of frames from which on they are kept in a file.
_LARGE: Final = 800_000_000


class FrameStack:
    """Frames of one shape, added one by one.

    A night has any number of biases and flats, and a worker a memory that does not grow with them.

    Parameters
    ----------
    scratch
        Makes the file.
    count
        Frames that may be added.
    limit
        Bytes of all of them from which on they are in a file.

    Attributes
    ----------
    frames
        What was added, shape (ny, nx), float32 where in a file. To be read some rows at a time
        (:func:`reduction.steps.blocks.release`).
    """

    def __init__(self, scratch: Scratch, count: int, *, limit: int = _LARGE) -> None:
        self._scratch, self._count = replace(scratch, limit=limit), count
        self._room: NDArray[np.float32] | None = None
        self.frames: list[NDArray[np.float32]] = []

    def add(self, frame: NDArray[np.float32]) -> None:
        """Add a frame, which is the stack's from then on.

        Raises
        ------
        StorageError
            If the disk has no room for it.
        """
        if not self._scratch.holds(self._count * frame.nbytes):
            self.frames.append(frame)
            return
        if self._room is None:
            self._room = self._scratch.full((self._count, *frame.shape), 0.0, np.float32)
        if frame.shape != self._room.shape[1:]:  # whoever combines them says what is wrong
            self.frames.append(frame)
            return
        plane = self._room[len(self.frames)]
        plane[:] = frame
        release(plane)
        self.frames.append(plane)
