"""Functions of the language of collections: each in numpy, and in SQL where it can be said there.

Where a function has no value for its arguments it gives none, in both: SQL does not stop the
question with an error.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS", "Function", "known", "only_finite"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import Double, and_, case, func, literal, null, or_

from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy import coordinates, units
    from numpy.typing import ArrayLike, NDArray
    from sqlalchemy import ColumnElement

    Array = NDArray[np.float64]
    Sql = ColumnElement[Any]
else:
    units = deferred("astropy.units")
    coordinates = deferred("astropy.coordinates")

_NUMBER: Final = (False,)
_LARGEST_LOG: Final = 700.0


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes
    ----------
    takes
        For each argument whether it is a condition rather than a number.
    numpy, sql
        What it does with arrays, and with SQL expressions; None where SQL cannot say it.
    description
        For people.
    truth
        Whether it gives a condition.
    """

    takes: tuple[bool, ...]
    numpy: Callable[..., Any]
    sql: Callable[..., Any] | None
    description: str
    truth: bool = False


def known(value: ArrayLike) -> NDArray[np.bool_]:
    """Whether there is a value."""
    return np.asarray(~np.isnan(np.asarray(value, np.float64)))


def only_finite(value: NDArray[Any]) -> NDArray[Any]:
    """Values, NaN where they are infinite."""
    return np.where(np.isfinite(value), value, np.nan)


def _double(name: str, *values: Sql) -> Sql:
    function: Sql = getattr(func, name)(*values, type_=Double)
    return function


def _where(condition: Sql, value: Sql) -> Sql:
    """A value under a condition, none otherwise."""
    chosen: Sql = case((condition, value), else_=null())
    return chosen


def _power(base: Sql, exponent: Sql) -> Sql:
    whole = exponent == func.floor(exponent)
    size = exponent * _double("ln", func.abs(_where(base != literal(0.0, Double), base)))
    possible = and_(
        or_(base > 0, and_(base == 0, exponent >= 0), and_(base < 0, whole)),
        or_(base == 0, size.between(-_LARGEST_LOG, _LARGEST_LOG)),
    )
    return _where(possible, _double("power", base, exponent))


def _separation(ra1: Array, dec1: Array, ra2: Array, dec2: Array) -> Array:
    d1, d2, across = np.radians(dec1), np.radians(dec2), np.radians(np.subtract(ra1, ra2))
    half = np.sin((d1 - d2) / 2) ** 2 + np.cos(d1) * np.cos(d2) * np.sin(across / 2) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))))


def _sql_separation(ra1: Sql, dec1: Sql, ra2: Sql, dec2: Sql) -> Sql:
    two = literal(2.0, Double)
    one = _double("sind", (dec1 - dec2) / two)
    other = _double("sind", (ra1 - ra2) / two)
    half = one * one + _double("cosd", dec1) * _double("cosd", dec2) * other * other
    root = _double("sqrt", func.least(half, literal(1.0, Double), type_=Double))
    # least() passes over what is null
    return _where(half.is_not(None), two * _double("asind", root))


def _least(left: Array, right: Array) -> Array:
    return np.asarray(np.fmin(left, right))


def _greatest(left: Array, right: Array) -> Array:
    return np.asarray(np.fmax(left, right))


def _galactic(ra: Array, dec: Array) -> coordinates.SkyCoord:
    return coordinates.SkyCoord(ra=ra, dec=dec, unit=units.deg, frame="icrs").galactic


FUNCTIONS: Final = {
    "abs": Function(_NUMBER, np.abs, lambda x: func.abs(x, type_=Double), "absolute value"),
    "sqrt": Function(_NUMBER, np.sqrt, lambda x: _where(x >= 0, _double("sqrt", x)), "root"),
    "ln": Function(_NUMBER, np.log, lambda x: _where(x > 0, _double("ln", x)), "logarithm"),
    "log10": Function(
        _NUMBER, np.log10, lambda x: _where(x > 0, _double("log", x)), "decimal logarithm"
    ),
    "exp": Function(
        _NUMBER,
        np.exp,
        lambda x: _where(x.between(-_LARGEST_LOG, _LARGEST_LOG), _double("exp", x)),
        "exponential",
    ),
    "floor": Function(_NUMBER, np.floor, lambda x: _double("floor", x), "next whole number down"),
    "ceil": Function(_NUMBER, np.ceil, lambda x: _double("ceil", x), "next whole number up"),
    "sind": Function(
        _NUMBER, lambda x: np.sin(np.radians(x)), lambda x: _double("sind", x), "sine of degrees"
    ),
    "cosd": Function(
        _NUMBER, lambda x: np.cos(np.radians(x)), lambda x: _double("cosd", x), "cosine of degrees"
    ),
    "atan2d": Function(
        (False, False),
        lambda y, x: np.degrees(np.arctan2(y, x)),
        lambda y, x: _double("atan2d", y, x),
        "angle of (y, x), degrees",
    ),
    "power": Function((False, False), np.power, _power, "a to the power of b, as a ** b"),
    "least": Function(
        (False, False), _least, lambda a, b: func.least(a, b, type_=Double), "the smaller one"
    ),
    "greatest": Function(
        (False, False), _greatest, lambda a, b: func.greatest(a, b, type_=Double), "the larger one"
    ),
    "known": Function(_NUMBER, known, lambda x: x.is_not(None), "whether there is a value", True),
    "where": Function(
        (True, False, False),
        np.where,
        lambda condition, a, b: case((condition, a), else_=b),
        "a where the condition holds, else b",
    ),
    "separation": Function(
        (False,) * 4,
        _separation,
        _sql_separation,
        "distance of (ra, dec) from (ra, dec) on the sphere, degrees",
    ),
    "galactic_l": Function(
        (False, False), lambda ra, dec: _galactic(ra, dec).l.deg, None, "galactic longitude"
    ),
    "galactic_b": Function(
        (False, False), lambda ra, dec: _galactic(ra, dec).b.deg, None, "galactic latitude"
    ),
}
"""By name."""
