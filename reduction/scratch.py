"""Room for planes that are too large for memory."""

from __future__ import annotations

__all__ = ["Scratch"]

import errno
import mmap
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.steps.blocks import row_blocks
from schemas.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

#: Bytes from which on a plane is in a file.
_LARGE: Final = 128_000_000


@dataclass(frozen=True, slots=True)
class Scratch:
    """Makes planes: small ones in memory, large ones in nameless files that end with the plane.

    A plane in a file is an array as others. Its pages in memory are the system's to take away;
    :func:`reduction.steps.blocks.release` gives them back at once.

    Attributes
    ----------
    folder
        Where the files are; the system's own place for such where None.
    limit
        Bytes from which on a plane is in a file.
    """

    folder: Path | None = None
    limit: int = _LARGE

    def holds(self, nbytes: int) -> bool:
        """Whether a plane of so many bytes is kept in a file."""
        return nbytes >= self.limit

    def full(self, shape: tuple[int, ...], value: float, dtype: DTypeLike) -> NDArray[Any]:
        """A plane of one value, to be written into.

        Raises
        ------
        StorageError
            If the disk has no room for it, or the folder takes no file.
        """
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape)) * kind.itemsize
        if not self.holds(nbytes) or nbytes == 0:
            return np.full(shape, value, kind)
        plane: NDArray[Any] = np.frombuffer(self._mapped(nbytes), kind).reshape(shape)
        if value != 0:
            for rows in row_blocks(plane):
                plane[rows] = value
        return plane

    def _mapped(self, nbytes: int) -> mmap.mmap:
        folder = self.folder or tempfile.gettempdir()
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder, prefix="plane-") as file:
                os.posix_fallocate(file.fileno(), 0, nbytes)
                return mmap.mmap(file.fileno(), nbytes)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            place = "no room on the disk" if full else f"cannot make a file in {folder}"
            message = f"{place} for a plane of {nbytes} bytes: {error.strerror}"
            raise StorageError(message) from error
