"""What a process parameter is: its default, its range or choices, its unit and what it means.

A class says it where it declares the parameter, once; what is set is checked by it, and commands
and documentation show it.
"""

from __future__ import annotations

__all__ = [
    "BandConstant",
    "ChipConstant",
    "ClassParameters",
    "Declared",
    "Limits",
    "declared_parameters",
    "from_band",
    "from_chip",
    "parameter",
]

import json
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from dataclasses import Field as DataclassField

_T = TypeVar("_T")

#: A value of the type that the field is declared with, or a mark that stands in for one.
FieldValue: TypeAlias = Any
#: Parameters of some class: what overrides a method takes those of its own class.
ClassParameters: TypeAlias = Any

_KEY: Final = "declared"
_STRICT: Final = ConfigDict(strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ChipConstant:
    """Marks a parameter whose default is a constant of the chip ("gain", "saturation" ...)."""

    name: str


def from_chip(name: str) -> FieldValue:
    """Use a constant of the chip as default of a process parameter."""
    return ChipConstant(name)


@dataclass(frozen=True, slots=True)
class BandConstant:
    """Marks a parameter whose default is a constant of the filter ("extinction" ...)."""

    name: str


def from_band(name: str) -> FieldValue:
    """Use a constant of the filter as default of a process parameter; None where unknown."""
    return BandConstant(name)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is said of a parameter beside its type and default; see :func:`parameter`."""

    description: str = ""
    unit: str = ""
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    choices: tuple[Any, ...] = ()
    odd: bool = False

    @property
    def range(self) -> str:
        """Words for the end of "a number ...": ``above 0``, ``from 1 to 3``; empty without."""
        low = _first(("above", self.above), ("from", self.at_least))
        high = _first(("below", self.below), ("to", self.at_most))
        if low == "" or high == "":
            return (low + high).replace("to ", "up to ") if high else _or_more(low)
        if low.startswith("above"):
            return f"{low} and {high.replace('to ', 'up to ')}"
        return f"{low} {high.replace('below', 'to below')}"

    def fits(self, value: FieldValue) -> FieldValue:
        """Give a value back that is among the choices, or odd, where that is asked for.

        Raises
        ------
        ValueError
            If it is not.
        """
        if (self.choices and value not in self.choices) or (self.odd and value % 2 == 0):
            raise ValueError(value)
        return value


def _first(*words: tuple[str, float | None]) -> str:
    return next((f"{word} {limit:.12g}" for word, limit in words if limit is not None), "")


def _or_more(low: str) -> str:
    return f"{low} up" if low.startswith("from") else low


def parameter(  # noqa: PLR0913  # what can be said of one
    default: _T,
    description: str,
    *,
    unit: str = "",
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    choices: Iterable[Any] = (),
    odd: bool = False,
) -> _T:
    """Declare a process parameter: ``SIGMA_CLIP: float = parameter(3.0, "...", above=0.0)``.

    Parameters
    ----------
    default
        A value, :func:`from_chip` or :func:`from_band`.
    description
        What it means, in one line.
    unit
        As in TAP_SCHEMA where it is a physical one, else a word ("sigma").
    above, at_least, below, at_most
        Range of a number: above and below are no values of it, at_least and at_most are.
    choices
        The only values there are; an Enum gives those of its members.
    odd
        Whether a whole number has to be odd.
    """
    values = tuple(getattr(choice, "value", choice) for choice in choices)
    limits = Limits(description, unit, above, at_least, below, at_most, values, odd)
    return field(default=default, metadata={_KEY: limits})


@dataclass(frozen=True, slots=True)
class Declared:
    """One process parameter of a class.

    Attributes
    ----------
    name, type
        ``SIGMA_CLIP``, and its type as it is written: ``float``.
    default
        A value, a mark (:class:`ChipConstant`, :class:`BandConstant`), or MISSING for none.
    limits
        Range, choices, unit and meaning; empty where the class does not say them.
    kind
        Its type without None.
    optional
        Whether None is a value of it.
    adapter
        Checks and converts values.
    """

    name: str
    type: str
    default: Any
    limits: Limits
    kind: Any
    optional: bool
    adapter: TypeAdapter[Any]

    @property
    def default_words(self) -> str:
        """The default as a person reads it."""
        if isinstance(self.default, ChipConstant):
            return f"the chip's {self.default.name}"
        if isinstance(self.default, BandConstant):
            return f"the filter's {self.default.name}"
        return "none" if self.default is MISSING else json.dumps(self.default, default=str)

    @property
    def range(self) -> str:
        """Which values there are: ``above 0``, ``WEIGHTED, CLIPPED``; empty for all."""
        if self.limits.choices:
            return ", ".join(str(choice) for choice in self.limits.choices)
        odd = "odd" if self.limits.odd else ""
        said = ", ".join(words for words in (odd, self.limits.range) if words)
        return f"{said}, or null" if said and self.optional else said

    @property
    def expected(self) -> str:
        """What would be right, as the end of "expected ..."."""
        limits = self.limits
        words = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
        if limits.choices:
            said = f"one of {', '.join(str(choice) for choice in limits.choices)}"
        elif self.kind in words:
            said = "an odd whole number" if limits.odd else words[self.kind]
            said += f" {limits.range}" if limits.range else ""
        else:
            said = f"a value of type {self.type.replace(' | None', '')}"
        said += f" ({limits.unit})" if limits.unit else ""
        return f"{said}, or null for none" if self.optional else said


def declared_parameters(parameters: type[Any]) -> Mapping[str, Declared]:
    """Process parameters of a class by name, in the order in which it declares them."""
    return _declared(parameters)  # type: ignore[arg-type]  # classes are hashable


@lru_cache(maxsize=1024)
def _declared(parameters: type[Any]) -> Mapping[str, Declared]:
    types = get_type_hints(parameters)
    return {item.name: _one(parameters, item, types[item.name]) for item in fields(parameters)}


def _one(parameters: type[Any], item: DataclassField[Any], declared: object) -> Declared:
    default = item.default
    if default is MISSING and item.default_factory is not MISSING:
        default = item.default_factory()
    words = item.type if isinstance(item.type, str) else getattr(item.type, "__name__", None)
    limits = _limits(parameters, item)
    union = get_origin(declared) in (Union, UnionType)
    parts = [part for part in get_args(declared) if part is not NoneType] if union else [declared]
    optional = union and NoneType in get_args(declared)
    kind = parts[0] if len(parts) == 1 else declared
    return Declared(
        name=item.name,
        type=words or str(item.type),
        default=default,
        limits=limits,
        kind=kind,
        optional=optional,
        adapter=_adapter(kind, limits, optional=optional),
    )


def _limits(parameters: type[Any], item: DataclassField[Any]) -> Limits:
    """What is said of a parameter; by a base class where its heir says a new default alone."""
    for base in parameters.__mro__:
        known = vars(base).get("__dataclass_fields__", {}).get(item.name)
        if known is None or known.type != item.type:
            continue
        if _KEY in known.metadata:
            found: Limits = known.metadata[_KEY]
            return found
    return Limits()


def _adapter(kind: object, limits: Limits, *, optional: bool) -> TypeAdapter[Any]:
    marks: list[Any] = []
    if kind in (int, float):
        above, below = limits.above, limits.below
        marks.append(Field(gt=above, ge=limits.at_least, lt=below, le=limits.at_most))
    if limits.choices or limits.odd:
        marks.append(AfterValidator(limits.fits))
    checked: Any = kind
    for mark in marks:
        checked = Annotated[checked, mark]
    return TypeAdapter(checked | None if optional else checked, config=_STRICT)
