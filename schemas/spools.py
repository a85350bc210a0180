"""A temporary file that is read by several at once, each from its start."""

from __future__ import annotations

__all__ = ["opener_of"]

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer


class _View(io.RawIOBase):
    """Reads a file by its number without moving the file's own place.

    It holds a number of its own: the file may be closed before it.
    """

    def __init__(self, number: int, size: int) -> None:
        self._number = os.dup(number)
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        """Yes: it does nothing else."""
        return True

    def seekable(self) -> bool:
        """Yes: places are this view's alone."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer from this view's place on; the bytes read, 0 at the file's end."""
        target = memoryview(buffer)
        count = os.preadv(self._number, [target], self._place)
        self._place += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move this view's place, and say where it is: bytes from the file's start.

        Places behind the end are allowed, as for any file: nothing is read there.

        Raises
        ------
        ValueError
            If the place is before the file's start; it stays where it was.
        """
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            message = "a place before the file's start"
            raise ValueError(message)
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Say where the next byte is read: bytes from the file's start."""
        return self._place

    def close(self) -> None:
        """Give the number back; a second time does nothing."""
        if not self.closed:
            os.close(self._number)
        super().close()


def opener_of(file: BinaryIO) -> Callable[[], BinaryIO]:
    """Make what opens a whole file anew, as often as it is called while the file is open.

    Parameters
    ----------
    file
        A file of the system, written to its end. What has been opened outlives it.
    """
    file.flush()

    def opened() -> BinaryIO:
        """The file from its beginning, with a position of its own."""
        number = file.fileno()
        view = _View(number, os.fstat(number).st_size)
        return cast("BinaryIO", io.BufferedReader(view, 1 << 16))

    return opened
