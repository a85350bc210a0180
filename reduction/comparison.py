"""Comparison of a product with the version before: what a person should look at.

A value that is not there, before or now, is not a change: ``lost`` asks for that.
"""

from __future__ import annotations

__all__ = ["changed", "differs", "differs_in_part", "fell", "lost"]

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


def differs(
    previous: Mapping[str, Any] | None, name: str, value: float | None, limit: float
) -> bool:
    """Whether an attribute has changed by more than a limit since the previous version.

    Parameters
    ----------
    previous
        Attributes of the previous version; None where there is none.
    name
        Of the attribute.
    value
        Now; NaN and None are "no value".
    limit
        Largest change, in the attribute's unit.

    Returns
    -------
    bool
        False where there is nothing to compare with.
    """
    before = None if previous is None else previous.get(name)
    if before is None or value is None:
        return False
    return math.isfinite(value) and abs(value - before) > limit


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


def changed(previous: Mapping[str, Any], name: str, value: float | None, limit: float) -> bool:
    """Whether there was a value that is gone, or has changed by more than a limit."""
    return lost(previous, name, value) or differs(previous, name, value, limit)


def _known(value: float | None) -> float | None:
    """A finite number; None for none."""
    return None if value is None or not math.isfinite(value) else float(value)
