"""Numbers and regions that are made of literals alone, worked out before the database is asked."""

from __future__ import annotations

__all__ = ["CONSTRUCTORS", "constant", "constant_region", "region_constant"]

import math
import operator
from typing import Final

from schemas import sphere
from tap.adql import typed
from tap.adql.kinds import INTEGRAL, Kind, kind_of

#: Functions that make a region of numbers.
CONSTRUCTORS: Final = {"POINT", "CIRCLE", "BOX", "POLYGON"}
_BEYOND_LONG: Final = 2**63
_STCS: Final = {"POSITION": (2, "POINT"), "CIRCLE": (3, "CIRCLE"), "BOX": (4, "BOX")}
_FRAME_WORDS: Final = {"ICRS", "UNKNOWNFRAME", "GEOCENTER", "BARYCENTER", "HELIOCENTER"} | {
    "TOPOCENTER",
    "UNKNOWNREFPOS",
    "SPHERICAL2",
    "LSR",
}


def region_constant(text: str) -> tuple[str, tuple[float, ...]]:
    """Read the argument of REGION: the simple shapes of STC-S.

    Returns
    -------
    tuple
        Name of the constructor (POINT, CIRCLE, BOX, POLYGON) and its numbers, degrees.

    Raises
    ------
    ValueError
        If it is something else, such as a union, or in another frame than ICRS.
    """
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    shape = words[0].upper() if words else ""
    rest = [word for word in words[1:] if word.upper() not in _FRAME_WORDS]
    try:
        numbers = tuple(float(word) for word in rest)
    except ValueError:
        numbers = ()
    count, name = _STCS.get(shape, (0, shape))
    fits = len(numbers) == count if count else len(numbers) >= 6 and len(numbers) % 2 == 0
    if shape not in {*_STCS, "POLYGON"} or not fits or not all(map(math.isfinite, numbers)):
        message = f"found the region {text!r}, expected POSITION, CIRCLE, BOX or POLYGON"
        raise ValueError(message + " with ICRS degrees, such as 'CIRCLE ICRS 10 20 0.5'")
    return name, numbers


def constant(found: typed.Expr) -> float | None:
    """Value of an expression of literals; None if it is none."""
    if isinstance(found, typed.Constant):
        value = found.value
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if not isinstance(found, typed.Apply) or found.function.name not in {*"+-*/", "NEGATIVE"}:
        return None
    values = [constant(argument) for argument in found.arguments]
    if any(value is None for value in values):
        return None
    numbers = [value for value in values if value is not None]
    whole = kind_of(found.column) in INTEGRAL
    return _fold(found.function.name, numbers, whole=whole)


def _fold(word: str, numbers: list[float], *, whole: bool) -> float | None:
    """Calculate as the database does; None where it finds the result out of range."""
    try:
        result = _calculated(word, numbers, whole=whole)
    except (OverflowError, ZeroDivisionError):
        return None
    if isinstance(result, int):
        return result if -_BEYOND_LONG <= result < _BEYOND_LONG else None
    return result if math.isfinite(result) else None


def _calculated(word: str, numbers: list[float], *, whole: bool) -> float:
    if word == "NEGATIVE":
        return -numbers[0]
    one, other = numbers
    if word == "/":
        if not whole:
            return one / other
        quotient = abs(one) // abs(other)
        return quotient if (one < 0) == (other < 0) else -quotient
    result: float = {"+": operator.add, "-": operator.sub, "*": operator.mul}[word](one, other)
    return result


def constant_region(found: typed.Expr) -> tuple[float, ...] | None:
    """DALI numbers of a geometry made of literals; None if it is none.

    Raises
    ------
    ValueError
        If a box has sides that are none.
    """
    if not isinstance(found, typed.Apply) or found.function.name not in CONSTRUCTORS:
        return None
    numbers: list[float] = []
    for argument in found.arguments:
        if kind_of(argument.column) is Kind.POINT:
            point = constant_region(argument)
            if point is None:
                return None
            numbers += point
            continue
        value = constant(argument)
        if value is None:
            return None
        numbers.append(float(value))
    if found.function.name == "BOX":
        return sphere.box_corners(*numbers)
    return tuple(numbers)
