"""Reference stars from the columns of published catalogues: positions and standard magnitudes."""

from __future__ import annotations

__all__ = [
    "ReferenceKind",
    "ReferenceTable",
    "columns_of",
    "parse_reference",
    "recognise_reference",
]

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.transformation import with_transformations
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Columns = Mapping[str, Sequence[str]]

_VALID_MAG: Final = (5.0, 30.0)
#: Names that the epoch of positions has: our own, and Gaia's.
_EPOCHS: Final = ("epoch", "ref_epoch")
#: Columns whose errors make no band of them.
_PLACE: Final = frozenset(("ra", "dec", "pmra", "pmdec", *_EPOCHS))
_MOTION: Final = "expected pmra, pmdec (mas/yr) and epoch (`--column epoch=2000.0` for all)"
_COLOURS: Final = ("V", "B-V", "U-B", "V-R", "V-I")


class ReferenceKind(StrEnum):
    """Forms of catalogue that can be read."""

    SDSS_DAOPHOT = "sdss_daophot"
    LANDOLT = "landolt"
    TYCHO2 = "tycho2"
    NATIVE = "native"


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Reference stars.

    Attributes
    ----------
    name
        As the catalogue has them, shape (n,).
    ra, dec
        Degrees ICRS, shape (n,).
    mags, mag_errs
        Magnitudes and their errors by band, each of shape (n,); NaN where not known.
    motion
        "pm_ra", "pm_dec" (mas a year, the first along the sky) and "epoch" (Julian year of the
        positions), shape (n,), NaN where not known; empty for a catalogue without.
    """

    name: NDArray[np.str_]
    ra: Array
    dec: Array
    mags: Mapping[str, Array]
    mag_errs: Mapping[str, Array]
    motion: Mapping[str, Array] = field(default_factory=dict)

    def band(self, name: str) -> tuple[Array, Array]:
        """Magnitudes and errors of a band, all NaN where the catalogue does not have it."""
        nothing = np.full(len(self.ra), np.nan)
        return self.mags.get(name, nothing), self.mag_errs.get(name, nothing)

    def brightness(self) -> Array:
        """Some magnitude of each star, for an order: the mean of those it has, else NaN."""
        if not self.mags:
            return np.full(len(self.ra), np.nan)
        stack = np.stack([np.asarray(values) for values in self.mags.values()])
        known = np.isfinite(stack)
        total = np.where(known, stack, 0.0).sum(axis=0)
        count = known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def recognise_reference(names: Sequence[str]) -> ReferenceKind:
    """Kind of a catalogue with these columns.

    Raises
    ------
    IngestError
        If they are those of no kind, naming what was found and what is expected.
    """
    have = set(names)
    for kind, needed in _NEEDED.items():
        if needed <= have:
            return kind
    wanted = "; ".join(f"{kind}: {', '.join(sorted(cols))}" for kind, cols in _NEEDED.items())
    raise IngestError("", f"found the columns {', '.join(names)}, expected one of {wanted}")


def columns_of(kind: ReferenceKind) -> frozenset[str]:
    """Names of the columns that a catalogue of a kind has to have."""
    return _NEEDED[kind]


def parse_reference(
    columns: Columns, kind: ReferenceKind | None = None, *, first: int = 0
) -> ReferenceTable:
    """Reference stars from a catalogue's columns as text.

    Parameters
    ----------
    columns
        Texts by column name, all of the same length; an empty text is "no value".
    kind
        The catalogue's form; recognised from the columns where not given.
    first
        Rows of the catalogue before these, where they are a part of it.

    Raises
    ------
    IngestError
        If columns are missing, or a position cannot be read or lies outside of the sky.

    Notes
    -----
    Missing magnitudes of the SDSS files are 0 or 99.999: 5 < mag < 30 is kept. B, V, R and I of
    these are Lupton's (2005), see :mod:`reduction.steps.transformation`. ``native`` has the
    columns name, ra, dec (degrees) and for each band its magnitude under the band's name and its
    error under ``e_`` and the name. Any kind may have ``pmra`` (times cos dec) and ``pmdec``, mas
    a year, as Gaia has them, and then has to have the positions' ``epoch`` (or ``ref_epoch``), a
    Julian year.
    """
    kind = kind or recognise_reference(list(columns))
    missing = _NEEDED[kind] - set(columns)
    if kind is ReferenceKind.SDSS_DAOPHOT and "gError" not in columns:
        missing |= {f"{band}Err" for band in "ugriz"} - set(columns)
    if missing:
        raise IngestError("", f"found no column {', '.join(sorted(missing))} (a {kind} catalogue)")
    if kind is ReferenceKind.LANDOLT:
        ra, dec = _degrees(columns, "RA", first) * 15.0, _degrees(columns, "DEC", first)
    else:
        ra, dec = _numbers(columns, "ra", first), _numbers(columns, "dec", first)
    wrong = np.flatnonzero(~((ra >= 0.0) & (ra < 360.0) & (np.abs(dec) <= 90.0)))
    if len(wrong):
        row = int(wrong[0])
        found = f"ra {ra[row]:g}, dec {dec[row]:g} in row {first + row + 1}"
        raise IngestError("", f"found {found}, expected 0 <= ra < 360 and -90 <= dec <= 90")
    name, mag, err = _PARSERS[kind](columns, first)
    _refuse_nul(name, mag, first)
    motion = _motion(columns, first)
    return ReferenceTable(np.asarray(name, dtype=np.str_), ra, dec, mag, err, motion)


def _refuse_nul(names: Sequence[str], bands: Mapping[str, Array], first: int) -> None:
    """Refuse what no database can hold as text."""
    row = next((row for row, name in enumerate(names, start=1) if "\0" in name), 0)
    band = next((band for band in bands if "\0" in band), "")
    if row or band:
        found = f"name {names[row - 1]!r} in row {first + row}" if row else f"column {band!r}"
        raise IngestError("", f"found {found}, expected a text without NUL")


def _motion(columns: Columns, first: int) -> dict[str, Array]:
    """Proper motions and epoch, where a catalogue has them."""
    if "pmra" not in columns and "pmdec" not in columns:
        return {}
    epoch = next((name for name in _EPOCHS if name in columns), "")
    missing = {"pmra", "pmdec"} - set(columns) | (set() if epoch else {"epoch"})
    if missing:
        found = f"found proper motions, and no column {', '.join(sorted(missing))}"
        raise IngestError("", f"{found}: {_MOTION}")
    motion = {"pm_ra": "pmra", "pm_dec": "pmdec", "epoch": epoch}
    return {name: _numbers(columns, column, first) for name, column in motion.items()}


_NOTHING: Final = frozenset(("", "nan", "null", "none", "-", "--"))

_Parsed = tuple["Sequence[str]", "dict[str, Array]", "dict[str, Array]"]


def _sdss(columns: Columns, first: int) -> _Parsed:
    suffix = "Error" if "gError" in columns else "Err"
    mag, err = {}, {}
    for band in "ugriz":
        values, errors = _numbers(columns, band, first), _numbers(columns, band + suffix, first)
        valid = (values > _VALID_MAG[0]) & (values < _VALID_MAG[1])
        mag[band] = np.where(valid, values, np.nan)
        err[band] = np.where(valid, errors, np.nan)
    mag, err = with_transformations(mag, err)
    return columns["DAOPHOTID"], mag, err


def _landolt(columns: Columns, first: int) -> _Parsed:
    value = {name: _numbers(columns, name, first) for name in _COLOURS}
    error = {name: _numbers(columns, "e_" + name, first) for name in _COLOURS}
    mag, err = {"V": value["V"]}, {"V": error["V"]}
    mag["B"], err["B"] = value["V"] + value["B-V"], np.hypot(error["V"], error["B-V"])
    mag["U"], err["U"] = mag["B"] + value["U-B"], np.hypot(err["B"], error["U-B"])
    mag["R"], err["R"] = value["V"] - value["V-R"], np.hypot(error["V"], error["V-R"])
    mag["I"], err["I"] = value["V"] - value["V-I"], np.hypot(error["V"], error["V-I"])
    return columns["Name"], mag, err


def _tycho2(columns: Columns, first: int) -> _Parsed:
    magnitude = _numbers(columns, "vt", first)
    name = [f"{field}-{row}" for row, field in enumerate(columns["field"], start=first + 1)]
    return name, {"VT": magnitude}, {"VT": np.full(len(magnitude), np.nan)}


def _native(columns: Columns, first: int) -> _Parsed:
    bands = [name for name in columns if f"e_{name}" in columns and name not in _PLACE]
    colours = [name for name in bands if name.count("-") == 1 and set(name.split("-")) & {*bands}]
    bands = [name for name in bands if name not in colours]
    mag = {band: _numbers(columns, band, first) for band in bands}
    err = {band: _numbers(columns, f"e_{band}", first) for band in bands}
    return columns["name"], mag, err


def _numbers(columns: Columns, name: str, first: int) -> Array:
    """Numbers of a column, NaN where it is empty; anything else is refused with its row."""
    values = np.array([_number(text) for text in columns[name]], dtype=np.float64)
    for row in map(int, np.flatnonzero(~np.isfinite(values))):
        text = columns[name][row].strip()
        if text.lower() not in _NOTHING:
            found = f"column {name}, row {first + row + 1}: found {text!r}"
            raise IngestError("", f"{found}, expected a number or nothing")
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _degrees(columns: Columns, column: str, first: int) -> Array:
    """Sexagesimal texts in units of their first field."""
    values = []
    for row, text in enumerate(columns[column]):
        parts = [_number(part) for part in text.strip().lstrip("+-").split(":")]
        if len(parts) != 3 or not np.isfinite(parts).all():  # d:m:s
            found = f"{column} {text!r} in row {first + row + 1}"
            raise IngestError("", f"found {found}, expected a text like -08:49:19.12")
        value = parts[0] + parts[1] / 60.0 + parts[2] / 3600.0
        values.append(-value if text.strip().startswith("-") else value)
    return np.array(values, dtype=np.float64)


_NEEDED: Final[Mapping[ReferenceKind, frozenset[str]]] = {
    ReferenceKind.SDSS_DAOPHOT: frozenset(("DAOPHOTID", "ra", "dec", *"ugriz")),
    ReferenceKind.LANDOLT: frozenset(
        ("Name", "RA", "DEC", *_COLOURS, *(f"e_{name}" for name in _COLOURS))
    ),
    ReferenceKind.TYCHO2: frozenset(("field", "ra", "dec", "vt")),
    ReferenceKind.NATIVE: frozenset(("name", "ra", "dec")),
}
_PARSERS: Final[Mapping[ReferenceKind, Callable[[Columns, int], _Parsed]]] = {
    ReferenceKind.SDSS_DAOPHOT: _sdss,
    ReferenceKind.LANDOLT: _landolt,
    ReferenceKind.TYCHO2: _tycho2,
    ReferenceKind.NATIVE: _native,
}
