"""Queryable attributes of the archive's classes, and the queries written with them.

``(ReducedScienceFrame.chip.name == "ccd53") & (ReducedScienceFrame.filter.name == "V")`` is a
:class:`Query`: iterate over it, take its length, combine it further.
"""

from __future__ import annotations

__all__ = ["Attribute", "AttributePath", "ImStat", "Query", "attribute", "imstat"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Boolean, Float, Integer, Text, and_, cast, not_, or_

from schemas.tables import Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement

    from reduction.archive import Archive
    from reduction.target import DBObject

_SQL_TYPES: dict[type, Any] = {float: Float, int: Integer, str: Text, bool: Boolean}
_STANDARD: dict[str, Any] = {
    "object_id": Product.product_id,
    "instrument.name": Product.instrument,
    "chip.name": Product.chip,
    "filter.name": Product.filter,
    "creation_date": Product.creation_date,
    "is_valid": Product.is_valid,
    "quality_flags": Product.quality_flags,
    "timestamp_start": Product.timestamp_start,
    "timestamp_end": Product.timestamp_end,
    "recipe_version": Product.recipe_version,
    "moment": Product.moment,
}

#: An attribute on an object is its value, and on a class a path of a query.
Value: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value that a class computes and the archive keeps, publishes and can search by.

    Attributes
    ----------
    type
        float, int, str or bool. A float that is NaN is kept as "no value".
    unit, ucd, utype, description
        As in TAP_SCHEMA.
    name
        Set by the class.
    """

    type: type
    unit: str = ""
    ucd: str = ""
    utype: str = ""
    description: str = ""
    name: str = ""


def attribute(
    type_: type, description: str, *, unit: str = "", ucd: str = "", utype: str = ""
) -> Value:
    """Declare an attribute of a class."""
    return Attribute(type_, unit, ucd, utype, description)


@dataclass(frozen=True, slots=True)
class ImStat:
    """Statistics of an image's valid pixels (Astro-WISE ``imstat``).

    Attributes
    ----------
    min, max, mean, median, stdev
        adu, or relative units for flat fields.
    npix
        Number of pixels.
    """

    min: float
    max: float
    mean: float
    median: float
    stdev: float
    npix: int


@dataclass(frozen=True, slots=True)
class _ImStatDeclaration:
    unit: str


def imstat(unit: str = "adu") -> Value:
    """Declare the six statistics ``imstat.min`` ... ``imstat.npix`` of a class's image."""
    return _ImStatDeclaration(unit)


def expand(name: str, declared: object) -> tuple[Attribute, ...]:
    """Attributes that one declaration stands for; empty if it is not a declaration."""
    if isinstance(declared, Attribute):
        return (
            Attribute(
                declared.type,
                declared.unit,
                declared.ucd,
                declared.utype,
                declared.description,
                name,
            ),
        )
    if isinstance(declared, _ImStatDeclaration):
        unit = declared.unit
        words = {
            "min": "phot.count;stat.min",
            "max": "phot.count;stat.max",
            "mean": "phot.count;stat.mean",
            "median": "phot.count;stat.median",
            "stdev": "stat.stdev",
        }
        return (
            *(
                Attribute(float, unit, ucd, "", f"{word} of the valid pixels", f"{name}.{word}")
                for word, ucd in words.items()
            ),
            Attribute(int, "", "meta.number", "", "number of valid pixels", f"{name}.npix"),
        )
    return ()


class AttributePath:
    """``Class.attribute`` in a query: compare it to get a :class:`Query`."""

    def __init__(self, owner: type[DBObject], path: str) -> None:
        self._owner, self._path = owner, path

    def __getattr__(self, name: str) -> AttributePath:
        """Go one step down: ``chip.name``, ``imstat.stdev``."""
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self._path}.{name}"
        known = {*_STANDARD, *(a.name for a in self._owner.ATTRIBUTES)}
        if not any(k == path or k.startswith(path + ".") for k in known):
            near = ", ".join(sorted(k for k in known if k.startswith(self._path + ".")))
            message = f"{self._owner.__name__} has no {path}; there is {near or 'nothing below'}"
            raise AttributeError(message)
        return AttributePath(self._owner, path)

    def _column(self) -> ColumnElement[Any]:
        standard = _STANDARD.get(self._path, _STANDARD.get(self._path + ".name"))
        if standard is not None:
            column: ColumnElement[Any] = standard
            return column
        for item in self._owner.ATTRIBUTES:
            if item.name == self._path:
                return cast(Product.attributes[item.name].astext, _SQL_TYPES[item.type])
        message = f"{self._owner.__name__}.{self._path} cannot be compared"
        raise AttributeError(message)

    def __eq__(self, other: object) -> Query:  # type: ignore[override]  # builds a query, as SQLAlchemy does
        """Objects whose value equals ``other``."""
        return Query(self._owner, self._column() == other)

    def __ne__(self, other: object) -> Query:  # type: ignore[override]  # builds a query, as SQLAlchemy does
        """Objects whose value differs from ``other``."""
        return Query(self._owner, self._column() != other)

    def __lt__(self, other: object) -> Query:
        """Objects whose value is below ``other``."""
        return Query(self._owner, self._column() < other)

    def __le__(self, other: object) -> Query:
        """Objects whose value is at most ``other``."""
        return Query(self._owner, self._column() <= other)

    def __gt__(self, other: object) -> Query:
        """Objects whose value is above ``other``."""
        return Query(self._owner, self._column() > other)

    def __ge__(self, other: object) -> Query:
        """Objects whose value is at least ``other``."""
        return Query(self._owner, self._column() >= other)

    __hash__ = object.__hash__


def _archive() -> Archive:
    from reduction.archive import Archive  # noqa: PLC0415  # the archive knows the classes

    return Archive.current()


class Query:
    """A set of published objects of one class; runs when it is iterated over."""

    def __init__(self, owner: type[DBObject], condition: ColumnElement[bool]) -> None:
        self._owner, self._condition = owner, condition

    def _with(self, other: Query, condition: ColumnElement[bool]) -> Query:
        if other._owner is not self._owner:
            message = (
                f"a query is about one class: found {self._owner.__name__} "
                f"and {other._owner.__name__}"
            )
            raise TypeError(message)
        return Query(self._owner, condition)

    def __and__(self, other: Query) -> Query:
        """Objects in both."""
        return self._with(other, and_(self._condition, other._condition))

    def __or__(self, other: Query) -> Query:
        """Objects in either."""
        return self._with(other, or_(self._condition, other._condition))

    def __invert__(self) -> Query:
        """Objects of the class that are not in it."""
        return Query(self._owner, not_(self._condition))

    def __iter__(self) -> Iterator[Any]:
        """Published objects, oldest observation first."""
        return iter(_archive().search(self._owner, self._condition))

    def __len__(self) -> int:
        """Number of objects."""
        return _archive().count(self._owner, self._condition)

    def __bool__(self) -> bool:
        """Refuse to be a truth value: ``a == 1 and b == 2`` is written ``(a == 1) & (b == 2)``."""
        message = "combine queries with & | ~ and brackets; use len(query) to ask if it is empty"
        raise TypeError(message)
