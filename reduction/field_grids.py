"""The field of a making, and the grid of a field."""

from __future__ import annotations

__all__ = ["grid_of", "own_field"]

from typing import TYPE_CHECKING

from reduction.steps.grid import field_grid
from schemas.errors import FatalError

if TYPE_CHECKING:
    from reduction.fields import FieldSpec
    from reduction.steps.wcs import TanWcs
    from reduction.target import Inputs


def own_field(inputs: Inputs) -> FieldSpec:
    """Field of a class that is made per field.

    Raises
    ------
    FatalError
        If the class is made for something else.
    """
    if inputs.field is None:
        message = "what is made here belongs to no field; see the class's ANCHOR"
        raise FatalError(message)
    return inputs.field


def grid_of(field: FieldSpec) -> tuple[TanWcs, tuple[int, int]]:
    """Projection and shape (ny, nx) of a field's grid."""
    return field_grid(field.ra, field.dec, radius=field.radius, pixel_scale=field.pixel_scale)
