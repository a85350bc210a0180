"""What one target of a class stands for."""

from __future__ import annotations

__all__ = ["Anchor"]

from enum import StrEnum


class Anchor(StrEnum):
    """What one target of a class stands for."""

    NIGHT = "night"
    NIGHT_AND_FILTER = "night_and_filter"
    MOSAIC_NIGHT_AND_FILTER = "mosaic_night_and_filter"
    FRAME = "frame"
    FRAME_AND_FIELD = "frame_and_field"
    FIELD = "field"
    FIELD_AND_FILTER = "field_and_filter"

    @property
    def per_frame(self) -> bool:
        """Whether a target belongs to one raw frame."""
        return self in (Anchor.FRAME, Anchor.FRAME_AND_FIELD)

    @property
    def per_field(self) -> bool:
        """Whether a target belongs to a field."""
        return self in (Anchor.FRAME_AND_FIELD, Anchor.FIELD, Anchor.FIELD_AND_FILTER)

    @property
    def of_whole_field(self) -> bool:
        """Whether a target is made of all frames of a field, of whatever camera."""
        return self in (Anchor.FIELD, Anchor.FIELD_AND_FILTER)

    @property
    def by_filter(self) -> bool:
        """Whether targets of different filters are different ones."""
        return self not in (Anchor.NIGHT, Anchor.FIELD)
