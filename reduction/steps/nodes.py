"""A smooth plane, known at every so-manieth pixel."""

from __future__ import annotations

__all__ = ["Nodes", "places_of_nodes"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Section

    Array = NDArray[np.float64]


def places_of_nodes(shape: tuple[int, int], step: int) -> tuple[NDArray[np.intp], ...]:
    """Rows and columns of the nodes of a plane, the last ones at its last pixels or beyond."""
    rows, columns = (np.arange((size - 1) // step + 2) * step for size in shape)
    return rows, columns


@dataclass(frozen=True, slots=True)
class Nodes:
    """Values at nodes, and between them by straight lines along both axes.

    Attributes
    ----------
    values
        Shape (rows, columns) of the nodes.
    step
        Pixels from one to the next; the first one is the plane's first pixel.
    """

    values: Array
    step: int

    def piece(self, part: Section) -> NDArray[np.float32]:
        """Values in the pixels of a part of the plane."""
        (j, v), (i, u) = (
            self._between(np.arange(first, last), size)
            for first, last, size in zip(
                (part.y0, part.x0), (part.y1, part.x1), self.values.shape, strict=True
            )
        )
        rows = self.values[j] * (1.0 - v)[:, None] + self.values[j + 1] * v[:, None]
        low = rows[:, i].astype(np.float32)
        low += (rows[:, i + 1] - rows[:, i]).astype(np.float32) * u.astype(np.float32)
        return low

    def _between(self, places: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], Array]:
        """The node before each place, and the part of the step from there to it."""
        before = np.minimum(places // self.step, size - 2)
        return before, (places - before * self.step) / self.step
