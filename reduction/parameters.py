"""Process parameters: defaults, chip constants, overrides; checked where they are set."""

from __future__ import annotations

__all__ = [
    "BY_NAME",
    "BandConstant",
    "ChipConstant",
    "check_defaults",
    "check_parameters",
    "declared_parameters",
    "default_parameters",
    "from_band",
    "from_chip",
    "near_names",
    "parameter",
    "resolve_parameters",
    "stored_values",
]

import json
from dataclasses import MISSING
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from reduction.declared import (
    BandConstant,
    ChipConstant,
    declared_parameters,
    from_band,
    from_chip,
    parameter,
)
from schemas.errors import MissingParameterError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reduction.declared import Declared
    from reduction.instruments.base import Band, Chip

BY_NAME: Final = "values by the names of parameters"
"""What is expected of stored parameters, as the end of "expected ..."."""

_MARKS: Final = (ChipConstant, BandConstant)


def default_parameters(parameters: type[Any]) -> dict[str, Any]:
    """Name -> default of a class's process parameters; chip constants are still marks."""
    known = declared_parameters(parameters)
    return {name: item.default for name, item in known.items() if item.default is not MISSING}


def stored_values(stored: object) -> dict[str, Any] | None:
    """Values by name that the database holds; None where its JSON is of another kind."""
    return stored if isinstance(stored, dict) else None


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
    """See that a class has parameters of these names, and that the values are values of theirs.

    A whole number will do for a float, and becomes one; nothing else is converted: the text "5"
    is no number, 5.5 is no whole number, 1 is no boolean. NaN and infinities are refused, and so
    is what is outside the range, or not among the choices, that the class declares.

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
        If a name is unknown, with the names that look like it; or a value cannot be used, with
        the values that can.
    """
    known = declared_parameters(parameters)
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise ParameterError(f"{class_name}.{name}", value, near_names(name, known))
        checked[name] = _checked(class_name, known[name], value)
    return checked


def _checked(class_name: str, declared: Declared, value: object) -> object:
    try:
        found = declared.adapter.validate_json(json.dumps(value, allow_nan=False))
    except (ValidationError, TypeError, ValueError, RecursionError) as error:
        expected = declared.expected
        if declared.expected == "text" and isinstance(value, (bool, int, float)):
            expected += f', such as "{json.dumps(value)}" with its quotes'
        raise ParameterError(f"{class_name}.{declared.name}", value, expected) from error
    if isinstance(found, float):
        found += 0.0  # -0 is 0, and gives its key
    return declared.adapter.dump_python(found, mode="json")


def check_defaults(class_name: str, parameters: type[Any]) -> None:
    """See that a class's own defaults are values of its parameters.

    Raises
    ------
    ParameterError
        If one is of another type, out of its range or not among its choices.
    """
    _checked_defaults(class_name, parameters)  # type: ignore[arg-type]  # classes are hashable


@lru_cache(maxsize=1024)
def _checked_defaults(class_name: str, parameters: type[Any]) -> Mapping[str, Any]:
    """Defaults as they go into a key; constants of chip and filter are still marks."""
    given = default_parameters(parameters)
    values = {name: value for name, value in given.items() if not isinstance(value, _MARKS)}
    return given | check_parameters(class_name, parameters, values)


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
        If an override names a parameter that the class does not have; or a value, a default or a
        constant of the chip cannot be used; or a parameter without a default is not set.
    """
    given = dict(_checked_defaults(class_name, parameters))  # type: ignore[arg-type]  # classes are hashable
    values = {name: _value(value, chip, band) for name, value in given.items()}
    unknown = {n for n, v in given.items() if isinstance(v, BandConstant) and values[n] is None}
    marks = {name for name, value in given.items() if isinstance(value, _MARKS)} - unknown
    said = {name: values[name] for name in marks} | dict(overrides)
    known = declared_parameters(parameters)
    said = {name: said[name] for name in known if name in said} | said  # names of no use last
    values |= check_parameters(class_name, parameters, said)
    for name, item in known.items():
        if name not in values:
            raise MissingParameterError(f"{class_name}.{name}", f"{item.expected}: no default")
    return values


def _value(value: object, chip: Chip, band: Band | None) -> object:
    if isinstance(value, ChipConstant):
        return getattr(chip, value.name)
    if isinstance(value, BandConstant):
        return getattr(band, value.name, None)
    return value
