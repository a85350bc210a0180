"""Process parameters: typed defaults, chip constants, and overrides by instrument."""

from __future__ import annotations

__all__ = [
    "BandConstant",
    "ChipConstant",
    "default_parameters",
    "from_band",
    "from_chip",
    "resolve_parameters",
]

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        If an override names a parameter that the class does not have.
    """
    values = default_parameters(parameters)
    for name, value in overrides.items():
        if name not in values:
            raise ParameterError(
                f"{class_name}.{name}", value, "one of " + ", ".join(sorted(values))
            )
        values[name] = value
    return {name: _value(value, chip, band) for name, value in values.items()}


def _value(value: Any, chip: Chip, band: Band | None) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, ChipConstant):
        return getattr(chip, value.name)
    if isinstance(value, BandConstant):
        found = getattr(band, value.name, None)
        return list(found) if isinstance(found, tuple) else found
    return value
