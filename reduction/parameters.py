"""Process parameters: typed defaults, chip constants, overrides; checked where they are set."""

from __future__ import annotations

__all__ = [
    "BandConstant",
    "ChipConstant",
    "check_parameters",
    "default_parameters",
    "from_band",
    "from_chip",
    "near_names",
    "parameter_types",
    "resolve_parameters",
]

import json
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reduction.instruments.base import Band, Chip


@dataclass(frozen=True, slots=True)
class ChipConstant:
    """Marks a parameter whose default is a constant of the chip ("gain", "saturation" ...)."""

    name: str


def from_chip(name: str) -> Any:  # noqa: ANN401  # stands in for a value of the field's type
    """Use a constant of the chip as default of a process parameter."""
    return ChipConstant(name)


@dataclass(frozen=True, slots=True)
class BandConstant:
    """Marks a parameter whose default is a constant of the filter ("extinction" ...)."""

    name: str


def from_band(name: str) -> Any:  # noqa: ANN401  # stands in for a value of the field's type
    """Use a constant of the filter as default of a process parameter; None where unknown."""
    return BandConstant(name)


def default_parameters(parameters: type[Any]) -> dict[str, Any]:
    """Name -> default of a class's process parameters; chip constants are still marks."""
    return {item.name: item.default for item in fields(parameters) if item.default is not MISSING}


@lru_cache(maxsize=1024)
def _adapters(parameters: type[Any]) -> Mapping[str, tuple[str, TypeAdapter[Any]]]:
    types = get_type_hints(parameters)
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    return {
        item.name: (_words(item.type), TypeAdapter(types[item.name], config=strict))
        for item in fields(parameters)
    }


def _words(declared: Any) -> str:  # noqa: ANN401  # text under postponed annotations, else a type
    return declared if isinstance(declared, str) else getattr(declared, "__name__", str(declared))


def parameter_types(parameters: type[Any]) -> dict[str, str]:
    """Name -> type of a class's process parameters, as they are declared ("float")."""
    return {name: declared for name, (declared, _) in _adapters(parameters).items()}  # type: ignore[arg-type]  # classes are hashable


def near_names(name: str, known: Iterable[str]) -> str:
    """Say which names there are: those that look like a wrong one first, else all of them."""
    names = sorted(known)
    by_folded = {n.upper(): n for n in names}
    near = [by_folded[n] for n in get_close_matches(name.upper(), by_folded, n=3, cutoff=0.6)]
    if near:
        return " or ".join(near)
    return f"one of {', '.join(names)}" if names else "none: there are no parameters"


def check_parameters(
    class_name: str, parameters: type[Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """See that a class has parameters of these names, and that the values are of their types.

    A whole number will do for a float, and becomes one; nothing else is converted: the text "5"
    is no number, 5.5 is no whole number, 1 is no boolean. NaN and infinities are refused.

    Parameters
    ----------
    class_name
        For the error.
    parameters
        The class's Parameters.
    values
        By name.

    Returns
    -------
    dict
        Values of JSON types, as they go into a product's key.

    Raises
    ------
    ParameterError
        If a name is unknown, with the names that look like it; or a value is of another type.
    """
    adapters = _adapters(parameters)  # type: ignore[arg-type]  # classes are hashable
    checked = {}
    for name, value in values.items():
        if name not in adapters:
            raise ParameterError(f"{class_name}.{name}", value, near_names(name, adapters))
        declared, adapter = adapters[name]
        try:
            found = adapter.validate_json(json.dumps(value, allow_nan=False))
        except (ValidationError, TypeError, ValueError) as error:
            expected = f"a value of type {declared}"
            raise ParameterError(f"{class_name}.{name}", value, expected) from error
        checked[name] = adapter.dump_python(found, mode="json")
    return checked


def resolve_parameters(
    class_name: str,
    parameters: type[Any],
    overrides: Mapping[str, Any],
    chip: Chip,
    band: Band | None = None,
) -> dict[str, Any]:
    """Give every process parameter of a class its value for one chip and filter.

    Returns
    -------
    dict
        Values of JSON types by name; what a product's key is made of.

    Raises
    ------
    ParameterError
        If an override names a parameter that the class does not have, or has another type.
    """
    values = default_parameters(parameters) | check_parameters(class_name, parameters, overrides)
    return {name: _value(value, chip, band) for name, value in values.items()}


def _value(value: Any, chip: Chip, band: Band | None) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, ChipConstant):
        return getattr(chip, value.name)
    if isinstance(value, BandConstant):
        found = getattr(band, value.name, None)
        return list(found) if isinstance(found, tuple) else found
    return value
