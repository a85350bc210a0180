"""Where an image lies on the grid of its field, as the classes of such images declare it."""

from __future__ import annotations

__all__ = ["GRID_X", "GRID_Y"]

from typing import Final

from reduction.attributes import Attribute

GRID_X: Final = Attribute(
    int, ucd="pos.cartesian.x", description="column of the grid of its first pixel"
)
"""From 0, as :func:`reduction.steps.grid.part_of` counts."""

GRID_Y: Final = Attribute(
    int, ucd="pos.cartesian.y", description="row of the grid of its first pixel"
)
"""From 0, as :func:`reduction.steps.grid.part_of` counts."""
