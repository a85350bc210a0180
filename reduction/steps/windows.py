"""Medians in square windows, computed only where they are asked for."""

from __future__ import annotations

__all__ = ["Windows"]

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Values gathered at a time.
_CHUNK = 4_000_000


class Windows:
    """An image, padded by its mirror, to look at through square windows.

    Parameters
    ----------
    image
        Shape (ny, nx), float32. NaN is "no value".
    half
        Largest half side of a window that will be asked for, pixels.
    """

    def __init__(self, image: NDArray[np.float32], half: int) -> None:
        self._half = half
        pad = [(half, half)] * 2
        self._padded = np.pad(image, pad, mode="symmetric")

    @property
    def image(self) -> NDArray[np.float32]:
        """The image without its margin, as it is now: a view, shape (ny, nx)."""
        ny, nx = self._padded.shape
        return self._padded[self._half : ny - self._half, self._half : nx - self._half]

    def values(self, y: NDArray[np.intp], x: NDArray[np.intp], half: int) -> NDArray[np.float32]:
        """Pixels around positions.

        Parameters
        ----------
        y, x
            0-based pixels, shape (n,).
        half
            Half side of the window, at most the one given to the constructor.

        Returns
        -------
        ndarray
            Shape (n, 2 half + 1, 2 half + 1).
        """
        offsets = np.arange(-half, half + 1) + self._half
        rows = y[:, None, None] + offsets[None, :, None]
        columns = x[:, None, None] + offsets[None, None, :]
        values: NDArray[np.float32] = self._padded[rows, columns]
        return values

    def median(self, y: NDArray[np.intp], x: NDArray[np.intp], half: int) -> NDArray[np.float32]:
        """Median of the valid pixels around positions; NaN where there is none.

        Parameters
        ----------
        y, x
            0-based pixels, shape (n,).
        half
            Half side of the window.

        Returns
        -------
        ndarray
            Shape (n,), float32; the lower middle value where the number of pixels is even.
        """
        size = (2 * half + 1) ** 2
        medians = np.empty(y.size, dtype=np.float32)
        step = max(_CHUNK // size, 1)
        for start in range(0, y.size, step):
            part = slice(start, start + step)
            values = self.values(y[part], x[part], half).reshape(-1, size)
            values.sort(axis=1)  # NaN last
            valid = size - np.isnan(values).sum(axis=1)
            middle = np.maximum(valid - 1, 0) // 2
            medians[part] = values[np.arange(len(values)), middle]
        return medians

    def put(
        self, y: NDArray[np.intp], x: NDArray[np.intp], values: NDArray[np.float32] | np.float32
    ) -> None:
        """Change pixels; the mirrored margin follows.

        Parameters
        ----------
        y, x
            0-based pixels, shape (n,).
        values
            Shape (n,) or one number.
        """
        half, padded = self._half, self._padded
        padded[y + half, x + half] = values
        if min(padded.shape) < 4 * half:  # the mirror of a mirror may be in sight
            self._padded = np.pad(self.image.copy(), half, mode="symmetric")
            return
        for view in (padded, padded.T) if half else ():
            view[:half] = view[half : 2 * half][::-1]
            view[-half:] = view[-2 * half : -half][::-1]
