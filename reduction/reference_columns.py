"""Columns of catalogue files as texts under our names, whatever form the file has."""

from __future__ import annotations

__all__ = ["FileColumns", "named", "quiet", "table_columns"]

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.steps.reference import ReferenceKind, columns_of, recognise_reference
from schemas.deferred import deferred
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from astropy import table, units

    Columns = Mapping[str, Sequence[str]]
else:
    units = deferred("astropy.units")

#: Our names, and what files call them, in capitals or not; the first that is there is taken.
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("name", "id", "source_id", "designation", "main_id", "objid", "recno"),
    "ra": ("ra", "ra_icrs", "_raj2000", "raj2000", "ra_j2000", "alpha_j2000"),
    "dec": ("dec", "de_icrs", "dec_icrs", "_dej2000", "dej2000", "dec_j2000", "delta_j2000"),
    "pmra": ("pmra", "pm_ra"),
    "pmdec": ("pmdec", "pmde", "pm_dec", "pm_de"),
    "epoch": ("epoch", "ref_epoch"),
}
_OURS: Final[Mapping[str, str]] = {
    alias: ours for ours, aliases in _ALIASES.items() for alias in aliases
}
#: Quantities that have errors and are no magnitudes, where the file says no units.
_NO_BANDS: Final = frozenset((*_OURS, "plx", "parallax", "rv", "radial_velocity"))
_VIZIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9]?)mag")
#: Units that our columns have; all the others that are numbers are magnitudes.
_UNITS: Final[Mapping[str, str]] = {
    "ra": "deg",
    "dec": "deg",
    "pmra": "mas / yr",
    "pmdec": "mas / yr",
    "epoch": "yr",
    "ref_epoch": "yr",
}
_WORDS: Final = frozenset(("name", "Name", "DAOPHOTID", "field", "RA", "DEC"))


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Columns as a file has them.

    Attributes
    ----------
    texts
        By the file's names, all of the same length; an empty text is "no value".
    units
        What the file says of a column's unit (astropy), by the file's names.
    marked
        The file's name of a column by ours, where the file says which it is (UCDs).
    """

    texts: Columns
    units: Mapping[str, Any] = field(default_factory=dict)
    marked: Mapping[str, str] = field(default_factory=dict)


def named(columns: FileColumns, own: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Columns under our names, in our units.

    Parameters
    ----------
    columns
        As the file has them.
    own
        The file's name of a column by ours (name, ra, dec, pmra, V, e_V ...), as a person said
        it; ``epoch`` may be a year for all stars.

    Returns
    -------
    dict
        What nobody said: ``name``, ``ra``, ``dec``, proper motions and ``epoch`` by what such
        columns are usually called, bands by their errors: X where there is e_X, by VizieR's rule
        without "mag" (``Vmag`` and ``e_Vmag`` are V). What has another meaning (a position, a
        motion, a column that a person named something else) or is measured in something else
        than magnitudes is no band. Columns of a published form stay under its names.

    Raises
    ------
    IngestError
        If a column that was named is not there, a magnitude is named without its error, or a
        column has a unit that does not fit what it is.
    """
    columns = FileColumns(_with_year(columns.texts, own), columns.units, columns.marked)
    for ours, theirs in own.items():
        if theirs not in columns.texts:
            there = ", ".join(columns.texts)
            raise IngestError("", f"found no column {theirs} for {ours}: there are {there}")
    form = {**{name: name for name in columns.texts}, **own}
    needed = _published(list(form))
    roles = form if needed else _native(columns, own)
    if not {"pmra", "pmdec"} & set(roles):
        roles = {ours: theirs for ours, theirs in roles.items() if _OURS.get(ours) != "epoch"}
    return {
        ours: _converted(columns, ours, theirs, used=not needed or ours in {*needed, *_UNITS})
        for ours, theirs in roles.items()
    }


def _with_year(texts: Columns, own: Mapping[str, str]) -> Columns:
    """Columns, with one of a year that a person gave for all stars."""
    years = {theirs for ours, theirs in own.items() if _OURS.get(ours.lower()) == "epoch"}
    number = len(next(iter(texts.values()), ()))
    return {
        **{year: [year] * number for year in years if re.fullmatch(r"\d{4}(\.\d*)?", year)},
        **texts,
    }


def _published(names: Sequence[str]) -> frozenset[str]:
    """Columns of the published form that a file with these has; empty where it has none."""
    try:
        kind = recognise_reference(names)
    except IngestError:
        return frozenset()
    return frozenset() if kind is ReferenceKind.NATIVE else columns_of(kind)


def _native(columns: FileColumns, own: Mapping[str, str]) -> dict[str, str]:
    """The file's names by ours, of a file of no published form."""
    roles = _said(columns.texts, own)
    folded = {name.lower(): name for name in reversed(list(columns.texts))}
    for ours, aliases in _ALIASES.items():
        exact = [ours] if ours in columns.texts else []
        marked = [columns.marked[ours]] if ours in columns.marked else []
        usual = [folded[alias] for alias in aliases if alias in folded]
        for theirs in (exact + marked + usual)[:1]:
            roles.setdefault(ours, theirs)
    taken = {*roles.values(), *columns.marked.values()}
    free = [name for name in columns.texts if name.lower() not in _NO_BANDS and name not in taken]
    free = [name for name in free if _may_be_band(columns, name)]
    vizier = {name: match[1] for name in free if (match := _VIZIER.fullmatch(name))}
    bands = chain(((name, name) for name in free if name not in vizier), vizier.items())
    for theirs, ours in bands:
        errors = roles.get(f"e_{ours}", f"e_{theirs}")
        if ours not in roles and errors in columns.texts:
            roles[ours], roles[f"e_{ours}"] = theirs, errors
    return roles


def _said(texts: Columns, own: Mapping[str, str]) -> dict[str, str]:
    """What a person said, with the errors of each band."""
    roles = {_OURS.get(ours.lower(), ours): theirs for ours, theirs in own.items()}
    for ours in list(roles):
        error = f"e_{ours}"
        if ours in _ALIASES or ours.startswith("e_") or error in roles:
            continue
        if error not in texts:
            raise IngestError(
                "", f"found no column {error}, expected that of the errors of {ours}"
            )
        roles[error] = error
    return roles


def _may_be_band(columns: FileColumns, name: str) -> bool:
    """Whether a column is in magnitudes, or called so (and refused later where it is not)."""
    unit = columns.units.get(name)
    return unit is None or _VIZIER.fullmatch(name) is not None or _factor(unit, name) is not None


def _converted(columns: FileColumns, ours: str, theirs: str, *, used: bool) -> Sequence[str]:
    """Texts of a column in our unit; as they are where the file says no unit.

    Raises
    ------
    IngestError
        If a column that is ``used`` has a unit of something else.
    """
    texts, unit = columns.texts[theirs], columns.units.get(theirs)
    if unit is None or ours in _WORDS:
        return texts
    factor = _factor(unit, ours)
    if factor is None and used:
        expected = _UNITS.get(ours, "mag")
        what = f"found the unit {unit} of column {theirs} for {ours}"
        raise IngestError("", f"{what}, expected {expected} or one that can be turned into it")
    return texts if factor in (None, 1.0) else [_times(text, factor) for text in texts]


def _factor(unit: units.UnitBase, ours: str) -> float | None:
    """What numbers in a unit are multiplied with to be in ours; None where it does not fit."""
    wanted = units.Unit(_UNITS.get(ours, "mag"))
    if isinstance(unit, units.UnrecognizedUnit):  # by the rules of FITS, as mag(AB) is
        unit = units.Unit(str(unit), parse_strict="silent")
    plain = getattr(unit, "function_unit", unit)  # magnitudes of a system are magnitudes
    if wanted == units.yr:
        return 1.0 if plain == units.yr else None  # a date in days is no number of years
    if wanted == units.mag and not str(plain).endswith("mag"):  # dex and decibel are no magnitudes
        return None
    if ours == "ra" and plain == units.hour:
        plain = units.hourangle
    return float(plain.to(wanted)) if plain.is_equivalent(wanted) else None


def _times(text: str, factor: float | None) -> str:
    try:
        return repr(float(text) * (factor or 1.0))
    except ValueError:
        return text  # no number: refused with its row when it is read


@contextmanager
def quiet() -> Iterator[None]:
    """No word of units that are not known: where they matter they are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def table_columns(found: table.Table, marked: Mapping[str, str] | None = None) -> FileColumns:
    """All columns of single values; what is not there is an empty text."""
    names = [
        name
        for name in found.colnames
        if found[name].ndim == 1 and found[name].dtype.kind in "biufUSO"
    ]
    said = {name: found[name].unit for name in names}
    return FileColumns(
        {name: _column(found[name]) for name in names},
        {name: unit for name, unit in said.items() if unit not in (None, units.Unit(""))},
        {ours: name for ours, name in (marked or {}).items() if ours and name in names},
    )


def _column(values: table.Column) -> list[str]:
    missing = np.ma.getmaskarray(values)
    plain = np.asarray(np.ma.getdata(values))
    return ["" if gone else _text(value) for value, gone in zip(plain, missing, strict=True)]


def _text(value: object) -> str:
    if isinstance(value, np.floating):
        return "" if np.isnan(value) else repr(float(value))
    return value.decode() if isinstance(value, bytes) else str(value).strip()
