"""Straight lines among points: the Hough transform, against what chance would give."""

from __future__ import annotations

__all__ = ["HoughTransform", "Line"]

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Points = NDArray[np.float32]

#: Width of a line, pixels.
_WIDTH: Final = 3.0

#: Points times angles counted at a time.
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line x cos(angle) + y sin(angle) = distance, 0-based pixels.

    Attributes
    ----------
    angle
        Of its normal to the x axis, radians, 0 to pi.
    distance
        From pixel (0, 0), signed.
    """

    angle: float
    distance: float

    def offset(self, x: Points, y: Points) -> Points:
        """Signed distance of points from the line, pixels."""
        ax, ay = np.float32(math.cos(self.angle)), np.float32(math.sin(self.angle))
        return np.asarray(x * ax + y * ay - np.float32(self.distance), dtype=np.float32)

    def scaled(self, factor: float) -> Line:
        """The same line in an image with ``factor`` times as many pixels a side."""
        shift = (factor - 1) / 2.0 * (math.cos(self.angle) + math.sin(self.angle))
        return Line(self.angle, self.distance * factor + shift)


class HoughTransform:
    """Numbers of points on every line that crosses an image.

    Parameters
    ----------
    x, y
        Points, 0-based pixels, shape (n,).
    shape
        (ny, nx) of the image they lie in.

    Notes
    -----
    Duda & Hart 1972, CACM 15, 11. A step of the angle moves a line's end by half its width.
    Chance is the points' mean density times the length of the line in the image.
    """

    def __init__(self, x: Points, y: Points, shape: tuple[int, int]) -> None:
        self._shape = shape
        diagonal = math.hypot(*shape)
        self._angles = _angles(shape)
        self._bins = int(diagonal / _WIDTH) + 3
        self._density = np.float32(x.size * _WIDTH / (shape[0] * shape[1]))
        self._votes = self._count(x, y)
        chance = self._density * _lengths(shape, self._bins)
        self._votes -= chance
        chance += 1
        np.sqrt(chance, out=chance)
        self._scale = np.divide(1, chance, out=chance)

    def take_out(self, x: Points, y: Points) -> None:
        """Forget some of the points, shape (n,)."""
        for part, index in self._places(x, y):
            np.subtract.at(self._votes[part].reshape(-1), index.ravel(), np.float32(1.0))

    def best(self) -> tuple[Line, float]:
        """Line with most points above chance.

        Returns
        -------
        tuple
            The line, and its points above chance in standard deviations of chance. Evenly
            scattered points in an image of 500 x 1000 pixels reach about 5.
        """
        ny, nx = self._shape
        excess = self._votes * self._scale
        row, column = divmod(int(excess.argmax()), self._bins)
        angle = float(self._angles[row])
        centre = (nx - 1) / 2.0 * math.cos(angle) + (ny - 1) / 2.0 * math.sin(angle)
        distance = (column + 0.5) * _WIDTH - self._bins * _WIDTH / 2.0
        return Line(angle, distance + centre), float(excess[row, column])

    def _count(self, x: Points, y: Points) -> NDArray[np.float32]:
        """Points by angle and distance, shape (angles, bins)."""
        votes = np.empty((self._angles.size, self._bins), dtype=np.float32)
        for part, index in self._places(x, y):
            rows = len(index)
            count = np.bincount(index.ravel(), minlength=rows * self._bins)
            votes[part] = count.reshape(rows, self._bins)
        return votes

    def _places(self, x: Points, y: Points) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """For some angles at a time: where points are in a table of (angles, bins), flat."""
        ny, nx = self._shape
        across = ((x - (nx - 1) / 2.0) / _WIDTH).astype(np.float32)
        up = ((y - (ny - 1) / 2.0) / _WIDTH).astype(np.float32)
        middle = np.float32(self._bins / 2.0)
        cosine, sine = (f(self._angles).astype(np.float32)[:, None] for f in (np.cos, np.sin))
        step = max(_CHUNK // max(x.size, 1), 1)
        for start in range(0, self._angles.size, step):
            part = slice(start, start + step)
            place = cosine[part] * across[None, :]
            place += sine[part] * up[None, :]
            place += middle
            index = place.astype(np.int32)
            index += np.arange(len(index), dtype=np.int32)[:, None] * np.int32(self._bins)
            yield part, index


@lru_cache(maxsize=4)
def _lengths(shape: tuple[int, int], bins: int) -> NDArray[np.float32]:
    """Length of every line inside an image, pixels, shape (angles, bins); not to be changed."""
    ny, nx = shape
    angles = _angles(shape)
    a = np.abs(np.cos(angles))[:, None] * nx / 2.0
    b = np.abs(np.sin(angles))[:, None] * ny / 2.0
    distance = np.abs(np.arange(bins) + 0.5 - bins / 2.0)[None, :] * _WIDTH
    inner, outer = np.abs(a - b), a + b
    longest = nx * ny / (2.0 * np.maximum(a, b))
    ramp = np.clip((outer - distance) / np.maximum(outer - inner, 1e-9), 0.0, 1.0)
    return np.asarray(longest * ramp, dtype=np.float32)


def _angles(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Directions that are tried, radians."""
    return np.arange(0.0, math.pi, _WIDTH / math.hypot(*shape))
