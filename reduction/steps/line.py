"""A straight line in an image."""

from __future__ import annotations

__all__ = ["Line"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float32]


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

    @classmethod
    def through(cls, one: tuple[float, float], other: tuple[float, float]) -> Self:
        """The line through two places, each (x, y), pixels."""
        angle = math.atan2(other[0] - one[0], one[1] - other[1]) % math.pi
        return cls(angle, one[0] * math.cos(angle) + one[1] * math.sin(angle))

    def offset(self, x: Points, y: Points) -> Points:
        """Signed distance of points from the line, pixels."""
        ax, ay = np.float32(math.cos(self.angle)), np.float32(math.sin(self.angle))
        return np.asarray(x * ax + y * ay - np.float32(self.distance), dtype=np.float32)

    def scaled(self, factor: float) -> Line:
        """The same line in an image with ``factor`` times as many pixels a side."""
        shift = (factor - 1) / 2.0 * (math.cos(self.angle) + math.sin(self.angle))
        return Line(self.angle, self.distance * factor + shift)
