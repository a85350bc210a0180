"""Columns of catalogue files as texts under our names, whatever form the file has."""

from __future__ import annotations

__all__ = ["fits_columns", "named", "votable_columns"]

import io
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.deferred import deferred
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy import table, units
    from astropy.io import fits, votable

    Columns = Mapping[str, Sequence[str]]
else:
    table = deferred("astropy.table")
    units = deferred("astropy.units")
    fits = deferred("astropy.io.fits")
    votable = deferred("astropy.io.votable")

#: Our names, and what files call them, in capitals or not; the first that is there is taken.
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("name", "id", "source_id", "designation", "main_id", "objid", "recno"),
    "ra": ("ra", "ra_icrs", "_raj2000", "raj2000", "ra_j2000", "alpha_j2000"),
    "dec": ("dec", "de_icrs", "dec_icrs", "_dej2000", "dej2000", "dec_j2000", "delta_j2000"),
}
_UCDS: Final[Mapping[str, str]] = {
    "meta.id;meta.main": "name",
    "pos.eq.ra;meta.main": "ra",
    "pos.eq.dec;meta.main": "dec",
}
_VIZIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9]?)mag")


def named(columns: Columns, own: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Columns under our names, beside those that the file gives them.

    Parameters
    ----------
    columns
        Texts by the file's names.
    own
        The file's name of a column by ours (name, ra, dec, V, e_V ...), as a person said it.

    Returns
    -------
    dict
        What nobody said: ``name``, ``ra`` and ``dec`` by what such columns are usually called,
        bands by VizieR's rule (``Vmag`` and ``e_Vmag`` are V).

    Raises
    ------
    IngestError
        If a column that was named is not there, or a magnitude is named without its error.
    """
    found: dict[str, Sequence[str]] = dict(columns)
    for ours, theirs in own.items():
        if theirs not in columns:
            there = ", ".join(columns)
            raise IngestError("", f"found no column {theirs} for {ours}: there are {there}")
        found[ours] = columns[theirs]
    for ours in own:
        if ours not in _ALIASES and not ours.startswith("e_") and f"e_{ours}" not in found:
            raise IngestError(
                "", f"found no column e_{ours}, expected that of the errors of {ours}"
            )
    folded = {name.lower(): name for name in reversed(list(columns))}
    for ours, aliases in _ALIASES.items():
        usual = [folded[alias] for alias in aliases if alias in folded]
        if ours not in found and usual:
            found[ours] = columns[usual[0]]
    for theirs in columns:
        band = _VIZIER.fullmatch(theirs)
        if band and f"e_{theirs}" in columns and band[1] not in found:
            found[band[1]], found[f"e_{band[1]}"] = columns[theirs], columns[f"e_{theirs}"]
    return found


def fits_columns(content: bytes) -> dict[str, list[str]]:
    """Columns of the first table of a FITS file.

    Raises
    ------
    IngestError
        If it has no table, or cannot be read.
    """
    try:
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            first = next((hdu for hdu in hdus if isinstance(hdu.data, np.recarray)), None)
            found = None if first is None else table.Table.read(first)
    except Exception as error:  # astropy raises many kinds for a broken file
        raise IngestError("", f"found {error}, expected a whole FITS file") from error
    if found is None:
        what = "found a FITS file without a table, expected one with a table of stars"
        raise IngestError("", f"{what}; raw frames are for `vo-service ingest`")
    found.convert_bytestring_to_unicode()
    return _texts(found)


def votable_columns(content: bytes) -> dict[str, list[str]]:
    """Columns of the first table of a VOTable; its UCDs say which are the main position.

    Raises
    ------
    IngestError
        If it cannot be read.
    """
    try:
        read = votable.parse_single_table(io.BytesIO(content))
        found = read.to_table(use_names_over_ids=True)
    except Exception as error:  # astropy raises many kinds for a broken document
        raise IngestError("", f"found {error}, expected a whole VOTable") from error
    texts = _texts(found)
    for field in read.fields:
        ours = _UCDS.get(str(field.ucd).lower())
        if ours and ours not in texts and field.name in texts:
            texts[ours] = texts[field.name]
    return texts


def _texts(found: table.Table) -> dict[str, list[str]]:
    """Texts of all columns of single values; positions in degrees, what is not there empty."""
    return {
        name: _column(name, found[name])
        for name in found.colnames
        if found[name].ndim == 1 and found[name].dtype.kind in "biufUSO"
    }


def _column(name: str, values: Any) -> list[str]:  # noqa: ANN401  # a Column of any kind
    missing = np.ma.getmaskarray(values)
    plain = np.asarray(np.ma.getdata(values))
    unit = getattr(values, "unit", None)
    if unit is not None and plain.dtype.kind in "iuf" and unit.is_equivalent(units.deg):
        # positions and nothing else of a catalogue are read as angles
        position = any(name.lower() in aliases for aliases in list(_ALIASES.values())[1:])
        plain = (plain * unit).to_value(units.deg) if position else plain
    return ["" if gone else _text(value) for value, gone in zip(plain, missing, strict=True)]


def _text(value: Any) -> str:  # noqa: ANN401  # one value of any kind
    if isinstance(value, np.floating):
        return "" if np.isnan(value) else repr(float(value))
    return value.decode() if isinstance(value, bytes) else str(value).strip()
