"""Columns that several published tables have, and the forms in which columns are declared."""

from __future__ import annotations

__all__ = [
    "CHIP",
    "COMMON_COLUMNS",
    "END",
    "FIELD_COLUMN",
    "FILTER",
    "INSTRUMENT",
    "NIGHT",
    "OBJECT",
    "QUALITY",
    "RECIPE",
    "START",
    "TO_PRODUCT",
    "VALID",
    "number",
    "text",
    "time",
    "words",
]

from dataclasses import replace
from typing import Final, TypedDict, Unpack

from schemas.columns import Column, ForeignKey


class Flags(TypedDict, total=False):
    """Flags of a column (TAP-1.1 4.3); what is not said is false."""

    principal: bool
    indexed: bool
    std: bool


def text(name: str, ucd: str, description: str, **flags: Unpack[Flags]) -> Column:
    """Declare a column of ASCII text."""
    return Column(name, "char", "*", ucd=ucd, description=description, **flags)


def words(name: str, ucd: str, description: str, **flags: Unpack[Flags]) -> Column:
    """A text that people or files write, in any letters: readers take ``char`` for ASCII."""
    return Column(name, "unicodeChar", "*", ucd=ucd, description=description, **flags)


def number(
    name: str, datatype: str, unit: str, ucd: str, description: str, **flags: Unpack[Flags]
) -> Column:
    """Declare a column of numbers."""
    return Column(name, datatype, unit=unit, ucd=ucd, description=description, **flags)


OBJECT: Final = number(
    "object_id",
    "long",
    "",
    "meta.id",
    "number of the object in the archive",
    principal=True,
    indexed=True,
)
INSTRUMENT: Final = text("instrument", "meta.id;instr", "camera", principal=True)
CHIP: Final = text("chip", "meta.id;instr.det", "CCD")
FILTER: Final = text("filter", "meta.id;instr.filter", "filter, empty where none applies")
NIGHT: Final = text("night", "time.epoch", "date on which the night began, local noon to noon")
VALID: Final = number(
    "is_valid",
    "short",
    "",
    "meta.code.qual",
    "0 rejected by a person, 1 valid, 2 proposed, -1 doubted: maybe of an altered raw frame",
)
QUALITY: Final = number(
    "quality_flags", "int", "", "meta.code.qual", "bits set by verify; 0: no problem"
)
START: Final = number("timestamp_start", "double", "d", "time.start", "begin of validity, MJD UTC")
END: Final = number("timestamp_end", "double", "d", "time.end", "end of validity, MJD UTC")
RECIPE: Final = text("recipe_version", "meta.version", "version of the recipe")


def time(name: str, ucd: str, description: str) -> Column:
    """Declare a column of moments: DALI timestamps, UTC."""
    return Column(name, "char", "*", "timestamp", ucd=ucd, description=description)


COMMON_COLUMNS: Final = (
    OBJECT,
    replace(INSTRUMENT, indexed=True),
    CHIP,
    FILTER,
    NIGHT,
    number("moment", "double", "d", "time.epoch", "moment of observation, MJD UTC"),
    time("creation_date", "time.creation", "when it was made, UTC"),
    VALID,
    QUALITY,
    START,
    END,
    RECIPE,
)

FIELD_COLUMN: Final = text("field", "meta.id;obs.field", "field that it belongs to")

TO_PRODUCT = ForeignKey("archive.products", (("object_id", "object_id"),), "the product")
