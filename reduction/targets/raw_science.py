"""Raw science frames."""

from __future__ import annotations

__all__ = ["RawScienceFrame"]

from reduction.targets.raw import RawFrame


class RawScienceFrame(RawFrame):
    """A raw science frame, standard fields included: flagged if empty, saturated or no numbers."""
