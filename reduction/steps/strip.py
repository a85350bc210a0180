"""The pixels along a straight line, cut into pieces, to see whether a trail lies on it."""

from __future__ import annotations

__all__ = ["REACH", "Strip", "row_medians"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from reduction.steps.hough import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Half width of a strip, pixels along the image's axis that the line crosses more steeply.
REACH: Final = 24

#: Length of a piece, pixels (of those that are looked at).
_PIECE: Final = 48

#: Largest distance from the line of what may be a trail's middle, and smallest of its sky.
_CORE: Final = 3
_FLANK: Final = 14

#: Pixels of a flank with which its median says something.
_HARDLY: Final = 30

#: Standard deviation of a normal distribution's median over that of its mean.
_MEDIAN: Final = 1.2533


@dataclass(frozen=True, slots=True)
class Strip:
    """Pixels within reach of a line.

    Attributes
    ----------
    line
        The line.
    y, x
        Indices of the pixels, shape (n, 2 REACH + 1): along the line, and across it. Those
        outside the image are clipped to its edge.
    inside
        Whether they lie in the image.
    scale
        Pixels between neighbours, perpendicular to the line.
    stride
        Pixels along the image's axis from one step to the next.
    """

    line: Line
    y: NDArray[np.intp]
    x: NDArray[np.intp]
    inside: NDArray[np.bool_]
    scale: float
    stride: int = 1

    @classmethod
    def along(
        cls,
        line: Line,
        shape: tuple[int, ...],
        *,
        margin: float = 0.0,
        most_steps: int | None = None,
        stride: int = 1,
    ) -> Self | None:
        """Strip of a line in an image (ny, nx) widened by a margin; None where there is none.

        Every ``stride``-th step is taken, or as many as make ``most_steps`` or somewhat more.
        """
        ny, nx = shape
        margin = min(margin, REACH - 1.0)
        cosine, sine = math.cos(line.angle), math.sin(line.angle)
        steep = abs(cosine) >= abs(sine)  # the line runs up rather than across
        most, least = (cosine, sine) if steep else (sine, cosine)
        steps = np.arange(ny if steep else nx)
        if most_steps is not None:
            stride = max(steps.size // most_steps, 1)
        steps = steps[::stride]
        middle = (line.distance - steps * least) / most
        limit = nx if steep else ny
        on_image = (middle >= -margin) & (middle <= limit - 1 + margin)
        steps, middle = steps[on_image], middle[on_image]
        if steps.size == 0:
            return None
        across = np.rint(middle).astype(np.intp)[:, None] + np.arange(-REACH, REACH + 1)
        inside = (across >= 0) & (across < limit)
        across = np.clip(across, 0, limit - 1)
        along = np.broadcast_to(steps[:, None], across.shape)
        y, x = (along, across) if steep else (across, along)
        return cls(line, y, x, inside, abs(most), stride)

    @property
    def is_steep(self) -> bool:
        """Whether the line runs up rather than across."""
        return bool(self.y[0, 0] == self.y[0, -1])

    @property
    def steps(self) -> NDArray[np.intp]:
        """Index of each step along the line: y where it is steep, else x; shape (n,)."""
        return np.asarray((self.y if self.is_steep else self.x)[:, 0])

    @property
    def length(self) -> float:
        """Of the line in the image, pixels."""
        return len(self.y) * self.stride / self.scale

    def pieces(
        self, image: NDArray[np.float32], bad: NDArray[np.bool_] | None
    ) -> NDArray[np.float32]:
        """Pixels by piece, shape (pieces, steps, 2 REACH + 1); NaN where bad or outside.

        Pieces are of about equal length; one step or more at the end may be left over.
        """
        values = image[self.y, self.x]
        wrong = ~np.isfinite(values) | ~self.inside
        if bad is not None:
            wrong |= bad[self.y, self.x]
        values[wrong] = np.nan
        count = max(round(len(self.y) / self.scale / _PIECE), 1)
        steps = max(len(values) // count, 1)
        count = len(values) // steps
        return values[: count * steps].reshape(count, steps, -1)

    def excess(
        self, pieces: NDArray[np.float32], noise: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Median of each piece's core above its brighter flank, and its error, shape (pieces,).

        At a step or on a slope no line is brighter than both its sides. The error is that of the
        noise, or what lines beside this one scatter by where that is more: among crowded stars.
        NaN where less than a third of the core is valid, or hardly a pixel of the flanks.
        """
        offset = np.arange(-REACH, REACH + 1) * self.scale
        away = min(_FLANK, 0.8 * REACH * self.scale)
        core = _within(pieces, np.abs(offset) <= _CORE)
        left, right = _within(pieces, offset <= -away), _within(pieces, offset >= away)
        in_core, in_left, in_right = (
            np.isfinite(part).sum(axis=1) for part in (core, left, right)
        )
        in_flank = np.maximum(in_left, in_right)
        sides = [
            np.where(count < _HARDLY, -np.inf, row_medians(part))
            for part, count in ((left, in_left), (right, in_right))
        ]
        sky = np.maximum(*sides)
        signal = row_medians(core) - sky
        error = (
            _MEDIAN * noise * np.sqrt(1.0 / np.maximum(in_core, 1) + 1.0 / np.maximum(in_flank, 1))
        )
        signal[(3 * in_core < core.shape[1]) | (in_flank < _HARDLY)] = np.nan
        beside = []
        for side in (-1.0, 1.0):
            other = row_medians(_within(pieces, np.abs(offset - side * away) <= _CORE)) - sky
            other[~np.isfinite(other)] = np.nan
            # From piece to piece, without what a galaxy rises and falls by.
            change = other[:-2] - 2.0 * other[1:-1] + other[2:]
            change = change[np.isfinite(change)]
            if change.size >= 5:
                beside.append(1.4826 / math.sqrt(6.0) * float(np.median(np.abs(change))))
        least = min(beside, default=0.0)
        return signal, np.maximum(error, least).astype(np.float32)

    def profile(self, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Median over pieces of their medians across the line, above the flanks'.

        Returns
        -------
        ndarray
            Shape (2 REACH + 1,), in the image's unit.
        """
        across = _across(pieces)
        offset = np.abs(np.arange(-REACH, REACH + 1)) * self.scale
        flank = offset >= min(_FLANK, 0.8 * REACH * self.scale)
        across -= row_medians(across[:, flank])[:, None]
        return row_medians(across.T)

    def centroids(
        self, pieces: NDArray[np.float32], peak: float, reach: float
    ) -> NDArray[np.float64]:
        """Where each piece's light is, pixels from the line along the crossing axis.

        Parameters
        ----------
        pieces
            As :meth:`pieces` gives them.
        peak, reach
            Where the light is looked for, and how far from there, pixels along the axis.
        """
        offset = np.arange(-REACH, REACH + 1)
        near = np.abs(offset - peak) <= reach
        across = _across(pieces)
        light = np.nan_to_num(across - row_medians(across[:, np.abs(offset) > _FLANK])[:, None])
        light = light[:, near]
        light = np.where(light > 0.3 * light.max(axis=1, keepdims=True), light, 0.0)
        total = light.sum(axis=1)
        middles = np.where(total > 0, light @ offset[near] / np.maximum(total, 1e-6), peak)
        return np.asarray(middles, dtype=np.float64)

    def aside(self, by: float) -> Line:
        """The line at some distance from this one's, pixels, towards where indices grow."""
        most = math.cos(self.line.angle) if self.is_steep else math.sin(self.line.angle)
        return Line(self.line.angle, self.line.distance + math.copysign(by, by * most))

    def moved(
        self, by: NDArray[np.float64], steps: NDArray[np.intp], shape: tuple[int, ...]
    ) -> Self:
        """The strip of the line through places beside two steps of this one.

        Parameters
        ----------
        by
            Distance from the line at each, pixels along the crossing axis, shape (2,).
        steps
            Which, shape (2,).
        shape
            (ny, nx) of the image.
        """
        x, y = self.x[steps, REACH].astype(float), self.y[steps, REACH].astype(float)
        x, y = (x + by, y) if self.is_steep else (x, y + by)
        angle = math.atan2(x[1] - x[0], -(y[1] - y[0])) % math.pi
        line = Line(angle, x[0] * math.cos(angle) + y[0] * math.sin(angle))
        return type(self).along(line, shape, stride=self.stride) or self


def _within(pieces: NDArray[np.float32], columns: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels of some columns by piece, shape (pieces, n)."""
    return pieces[:, :, columns].reshape(len(pieces), -1)


def _across(pieces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Medians along each piece, shape (pieces, 2 REACH + 1)."""
    columns = np.ascontiguousarray(pieces.transpose(0, 2, 1))
    return row_medians(columns.reshape(-1, pieces.shape[1])).reshape(len(pieces), -1)


def row_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of each row's valid values, shape (rows,); NaN where there is none."""
    ordered = np.sort(values, axis=1)  # NaN last
    valid = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(valid - 1, 0) // 2]
    high = ordered[rows, np.minimum(valid // 2, ordered.shape[1] - 1)]
    return np.where(valid > 0, (low + high) / 2, np.nan).astype(np.float32)
