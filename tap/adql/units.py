"""Units and UCDs of computed values."""

from __future__ import annotations

__all__ = ["factor", "product", "quotient", "statistic"]

from functools import lru_cache
from typing import Final

from astropy import units

_COMPOUND: Final = frozenset("./* ()")


def product(left: str, right: str) -> str:
    """Unit of a product, in VOUnits-1.0 syntax; a unit that is not known makes it unknown."""
    if not left or not right:
        return left or right
    return f"{_factor(left)}2" if left == right else f"{_factor(left)}.{_factor(right)}"


def quotient(left: str, right: str) -> str:
    """Unit of a quotient."""
    if left == right:
        return ""
    if not right:
        return left
    return f"{_factor(left)}/{_factor(right)}" if left else f"1/{_factor(right)}"


def _factor(unit: str) -> str:
    return f"({unit})" if _COMPOUND & set(unit) else unit


def statistic(word: str, ucd: str) -> str:
    """UCD of a statistic over a quantity (UCD1+ 1.3: the statistic is the primary word)."""
    words = [part for part in ucd.split(";") if part and part != "meta.main"]
    return ";".join([word, *words])


@lru_cache(maxsize=256)
def factor(source: str, target: str) -> float:
    """Number by which a value is multiplied to get from one unit to another.

    Raises
    ------
    ValueError
        If one of them is no unit, or they do not convert; the text says which.
    """
    if not source:
        message = f"the value has no unit, which does not convert to {target!r}"
        raise ValueError(message)
    try:
        parsed = [units.Unit(text, format="vounit") for text in (source, target)]
        return float(parsed[0].to(parsed[1]))
    except units.UnitConversionError:
        message = f"the unit {source!r} does not convert to {target!r}"
        raise ValueError(message) from None
    except (ValueError, TypeError):
        message = f"{source!r} or {target!r} is no unit that VOUnits-1.0 knows"
        raise ValueError(message) from None
