"""Comparison of a product with the version before: what a person should look at.

A value that is not there, before or now, is not a change: ``lost`` asks for that.
"""

from __future__ import annotations

__all__ = ["differs_in_part", "fell", "lost"]

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def fell(previous: Mapping[str, Any], name: str, value: float | None, part: float) -> bool:
    """Whether a number is below a part of what it was.

    Parameters
    ----------
    previous
        Attributes of the previous version.
    name
        Of the attribute, a count.
    value
        Now.
    part
        Of the previous value: 0.5 is a half.
    """
    before, now = previous.get(name), _known(value)
    return before is not None and now is not None and now < part * before


def differs_in_part(
    previous: Mapping[str, Any], name: str, value: float | None, part: float
) -> bool:
    """Whether a value has changed by more than a part of what it was.

    Parameters
    ----------
    previous
        Attributes of the previous version.
    name
        Of the attribute.
    value
        Now.
    part
        Of the previous value, positive.
    """
    before, now = previous.get(name), _known(value)
    return before is not None and now is not None and abs(now - before) > part * abs(before)


def lost(previous: Mapping[str, Any], name: str, value: float | None) -> bool:
    """Whether there was a value, and is none now."""
    return previous.get(name) is not None and _known(value) is None


def _known(value: float | None) -> float | None:
    """A finite number; None for none."""
    return None if value is None or not math.isfinite(value) else float(value)
