"""The pixels along a straight line, cut into pieces, to see whether a trail lies on it."""

from __future__ import annotations

__all__ = ["LOW_ERROR", "REACH", "Strip", "low_levels", "row_medians"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from reduction.steps.line import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Half width of a strip, pixels along the image's axis that the line crosses more steeply.
REACH: Final = 24

#: Length of a piece, pixels (of those that are looked at).
_PIECE: Final = 48

#: Part of a column's pixels that lie below its level: stars, which are on many pixels of crowded
#: frames, are above. Its error, for pixels of a normal distribution, is little more than the
#: median's (1.25): sqrt(p (1 - p)) over the density there, a standard deviation over sqrt(n).
_LOW: Final = 0.3
LOW_ERROR: Final = 1.318


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
    def middle(self) -> NDArray[np.float64]:
        """Where the line is at each step, pixels along the crossing axis, shape (n,)."""
        return self._middle(self.steps)

    def _middle(self, steps: NDArray[np.intp]) -> NDArray[np.float64]:
        cosine, sine = math.cos(self.line.angle), math.sin(self.line.angle)
        most, least = (cosine, sine) if self.is_steep else (sine, cosine)
        return np.asarray((self.line.distance - steps * least) / most)

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
        at = self.steps[steps].astype(float)
        across = self._middle(self.steps[steps]) + by
        x, y = (across, at) if self.is_steep else (at, across)
        angle = math.atan2(x[1] - x[0], -(y[1] - y[0])) % math.pi
        line = Line(angle, x[0] * math.cos(angle) + y[0] * math.sin(angle))
        return type(self).along(line, shape, stride=self.stride) or self


def low_levels(pieces: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Level of each column of each piece below which the pixels of sources lie, and its pixels.

    Returns
    -------
    tuple
        The percentile ``_LOW`` along the piece, of a third of the piece's steps or more, else
        NaN; and the number of valid pixels; both of shape (pieces, 2 REACH + 1).
    """
    steps = pieces.shape[1]
    ordered = np.sort(pieces.transpose(0, 2, 1).reshape(-1, steps), axis=1)  # NaN last
    valid = np.isfinite(ordered).sum(axis=1)
    rank = _LOW * np.maximum(valid - 1, 0)
    low = rank.astype(np.intp)
    part = (rank - low).astype(np.float32)
    rows = np.arange(len(ordered))
    below, above = ordered[rows, low], ordered[rows, np.minimum(low + 1, steps - 1)]
    level = np.where(part > 0, below + part * (above - below), below)
    level[3 * valid < steps] = np.nan
    shape = (len(pieces), pieces.shape[2])
    return level.reshape(shape).astype(np.float32), valid.reshape(shape)


def row_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of each row's valid values, shape (rows,); NaN where there is none."""
    ordered = np.sort(values, axis=1)  # NaN last
    valid = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(valid - 1, 0) // 2]
    high = ordered[rows, np.minimum(valid // 2, ordered.shape[1] - 1)]
    return np.where(valid > 0, (low + high) / 2, np.nan).astype(np.float32)
