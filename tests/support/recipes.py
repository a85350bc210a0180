"""Make products by their recipes from raw files, without an archive."""

from __future__ import annotations

__all__ = ["RawChip", "compute", "raw_chips", "resolved"]

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from reduction.frames import read_headers, read_raw
from reduction.parameters import resolve_parameters
from reduction.target import Inputs, Made, Progenitor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from reduction.instruments.base import FrameDescription, Instrument
    from reduction.target import ProcessTarget

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class RawChip:
    """One CCD of a raw file: its description, pixels and file name."""

    description: FrameDescription
    pixels: Any
    file: str

    @property
    def progenitor(self) -> Progenitor:
        """As a recipe sees it."""
        d = self.description
        attributes = {
            "name": self.file,
            "object": d.object,
            "exptime": d.exptime,
            "mjd_obs": d.mjd_obs,
            "ra": d.ra,
            "dec": d.dec,
            "airmass": d.airmass,
            "wcs": dict(d.wcs),
            "science": d.science,
            "overscan": d.overscan,
        }
        return Progenitor(next(_NUMBERS), d.kind.value, d.filter, attributes, {"RAW": self.pixels})


def raw_chips(instrument: Instrument, files: Iterable[Path], chip: str) -> list[RawChip]:
    """All frames of one chip, in the order in which they were taken."""
    found = [
        RawChip(description, read_raw(path, description.hdu), path.name)
        for path in files
        for description in instrument.describe(read_headers(path))
        if description.chip == chip
    ]
    return sorted(found, key=lambda frame: frame.description.mjd_obs)


def resolved(cls: type[ProcessTarget], instrument: Instrument, chip: str, **other: Any) -> Any:
    """Process parameters of a class as the archive would give them."""
    overrides: Mapping[str, Any] = {**instrument.parameters.get(cls.__name__, {}), **other}
    values = resolve_parameters(cls.__name__, cls.Parameters, overrides, instrument.chips[chip])
    return cls.Parameters(**values)


def compute(
    cls: type[ProcessTarget], instrument: Instrument, chip: str, filter: str = "", **slots: Any
) -> tuple[Progenitor, Made, int]:
    """Run a recipe: the product as a progenitor of others, what was made, and its flags."""
    recipe, parameters = cls(), resolved(cls, instrument, chip)
    given = {name: slots.get(name) for name in cls.SLOTS}
    inputs = Inputs(cls.__name__, given, instrument=instrument, chip=chip, filter=filter)
    made = recipe.compute(inputs, parameters)
    flags = recipe.verify(made, parameters)
    product = Progenitor(next(_NUMBERS), cls.__name__, filter, made.attributes, made.images, flags)
    return product, made, flags
