"""Columns of published tables: which of them is what, and in which unit."""

from __future__ import annotations

__all__: list[str] = []

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.table import Table

from reduction.reference import read_reference
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reduction.steps.reference import ReferenceTable

#: A table as VizieR gives it: an error beside every quantity.
VIZIER = {
    "recno": [1, 2],
    "RAJ2000": [150.1, 150.2],
    "e_RAJ2000": [20.0, 30.0],
    "DEJ2000": [2.1, 2.2],
    "e_DEJ2000": [20.0, 30.0],
    "pmRA": [120.5, 3.0],
    "e_pmRA": [0.1, 0.1],
    "pmDE": [-80.0, 2.0],
    "e_pmDE": [0.1, 0.1],
    "Epoch": [2015.5, 2015.5],
    "Plx": [4.0, 5.0],
    "e_Plx": [0.1, 0.1],
    "Vmag": [14.0, 15.0],
    "e_Vmag": [0.01, 0.02],
    "B-V": [0.5, 0.6],
    "e_B-V": [0.02, 0.02],
}
UNITS = {
    "RAJ2000": "deg",
    "e_RAJ2000": "mas",
    "DEJ2000": "deg",
    "e_DEJ2000": "mas",
    "pmRA": "mas/yr",
    "e_pmRA": "mas/yr",
    "pmDE": "mas/yr",
    "e_pmDE": "mas/yr",
    "Epoch": "yr",
    "Plx": "mas",
    "e_Plx": "mas",
    "Vmag": "mag",
    "e_Vmag": "mag",
    "B-V": "mag",
    "e_B-V": "mag",
}


def read(table: Table, form: str = "fits", own: Mapping[str, str] | None = None) -> ReferenceTable:
    stream: Any = io.StringIO() if form == "ascii.csv" else io.BytesIO()
    table.write(stream, format=form)
    content = stream.getvalue().encode() if form == "ascii.csv" else stream.getvalue()
    return read_reference(content, f"stars.{form}", own or {})


def small(**units: str) -> Table:
    """One star, with units of its columns."""
    values = {
        "name": ["a"],
        "ra": [1.0],
        "dec": [0.5],
        "pmra": [2.0],
        "pmdec": [3.0],
        "epoch": [2000.0],
        "V": [14.0],
        "e_V": [20.0],
    }
    return Table(values, units=units)


@pytest.mark.parametrize("form", ["fits", "votable", "ascii.csv"])
def test_only_magnitudes_of_a_vizier_table_are_bands(form: str) -> None:
    stars = read(Table(VIZIER, units=UNITS), form)
    assert set(stars.mags) == set(stars.mag_errs) == {"V"}
    assert stars.brightness().tolist() == [14.0, 15.0]
    assert stars.ra.tolist() == [150.1, 150.2]


def test_a_column_that_a_person_names_is_no_band_of_its_own_name() -> None:
    table = Table({**VIZIER, "G1": [16.0, 17.0], "e_G1": [0.1, 0.1]}, units=UNITS)
    stars = read(table, own={"V": "G1", "e_V": "e_G1"})
    assert set(stars.mags) == {"V"}
    assert stars.brightness().tolist() == [16.0, 17.0]


def test_of_two_positions_the_other_is_no_band() -> None:
    text = b"name,_RAJ2000,_DEJ2000,RAJ2000,e_RAJ2000,DEJ2000,e_DEJ2000,g,e_g\n"
    stars = read_reference(text + b"a,10.1,2.1,10.2,1,2.2,1,15,0.1\n", "two.csv")
    assert set(stars.mags) == {"g"}
    assert stars.ra.tolist() == [10.1]


@pytest.mark.parametrize("form", ["fits", "votable"])
@pytest.mark.parametrize("own", [{}, {"pmra": "pmRA", "epoch": "Epoch"}, {"pmRA": "pmRA"}])
def test_motions_are_found_in_capitals_and_when_named(form: str, own: dict[str, str]) -> None:
    stars = read(Table(VIZIER, units=UNITS), form, own)
    assert stars.motion["pm_ra"].tolist() == [120.5, 3.0]
    assert stars.motion["pm_dec"].tolist() == [-80.0, 2.0]
    assert stars.motion["epoch"].tolist() == [2015.5, 2015.5]


def test_one_year_may_be_said_for_all_positions() -> None:
    table = Table(VIZIER, units=UNITS)
    table.remove_column("Epoch")
    with pytest.raises(IngestError, match=r"no column epoch: .*--column epoch=2000\.0"):
        read(table)
    assert read(table, own={"epoch": "2016.0"}).motion["epoch"].tolist() == [2016.0, 2016.0]


def test_a_band_named_without_its_errors_is_refused_still() -> None:
    with pytest.raises(IngestError, match="no column e_W, expected that of the errors of W"):
        read(Table(VIZIER), own={"W": "Plx"})


def test_units_are_those_of_what_a_column_is_whatever_its_name() -> None:
    table = small(ra="rad", dec="arcmin", pmra="arcsec/yr", pmdec="deg/yr", V="mag", e_V="mmag")
    for name in ("ra", "pmra", "V", "e_V"):
        table.rename_column(name, f"MY{name}")
    stars = read(table, own={name: f"MY{name}" for name in ("ra", "pmra", "V", "e_V")})
    assert stars.ra[0] == pytest.approx(np.degrees(1.0))
    assert stars.dec[0] == pytest.approx(0.5 / 60.0)
    assert stars.motion["pm_ra"][0] == pytest.approx(2000.0)
    assert stars.motion["pm_dec"][0] == pytest.approx(3.0 * 3.6e6)
    assert stars.band("V")[1][0] == pytest.approx(0.02)


def test_right_ascension_in_hours_is_turned_into_degrees() -> None:
    assert read(small(ra="h")).ra[0] == pytest.approx(15.0)


def test_a_position_known_by_its_ucd_is_turned_into_degrees() -> None:
    table = Table({"name": ["a"], "Al": [1.0], "Be": [0.5]}, units={"Al": "rad", "Be": "rad"})
    table["Al"].meta["ucd"], table["Be"].meta["ucd"] = (
        "pos.eq.ra;meta.main",
        "pos.eq.dec;meta.main",
    )
    stars = read(table, "votable")
    assert (stars.ra[0], stars.dec[0]) == pytest.approx(tuple(np.degrees([1.0, 0.5])))


@pytest.mark.parametrize(
    ("column", "unit", "words"),
    [
        ("ra", "mag", "found the unit mag of column ra for ra, expected deg"),
        ("dec", "h", "found the unit h of column dec"),
        ("pmra", "mas", "expected mas / yr"),
        ("epoch", "d", "found the unit d of column epoch for epoch, expected yr"),
        ("e_V", "km/s", "of column e_V for e_V, expected mag"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused(column: str, unit: str, words: str) -> None:
    with pytest.raises(IngestError, match=words):
        read(small(**{column: unit}))


def test_a_flux_that_is_named_a_magnitude_is_refused() -> None:
    table = Table({**VIZIER, "F": [1.0, 2.0]}, units={**UNITS, "F": "Jy"})
    with pytest.raises(IngestError, match="unit Jy of column F for V, expected mag"):
        read(table, own={"V": "F", "e_V": "e_Vmag"})


@pytest.mark.parametrize("form", ["fits", "votable"])
def test_magnitudes_of_a_system_are_magnitudes_and_what_is_not_known_is_none(form: str) -> None:
    table = Table({**VIZIER, "FeH": [0.1, -0.2], "e_FeH": [0.1, 0.1]}, units=UNITS)
    table["Vmag"].unit, table["FeH"].unit = "Pa", "eV"
    stream = io.BytesIO()
    table.write(stream, format=form)
    content = stream.getvalue()
    if form == "fits":
        content = content.replace(b"'Pa      '", b"'mag(AB) '")
        content = content.replace(b"'eV      '", b"'[Sun]   '")
    else:
        content = content.replace(b'"Pa"', b'"mag(AB)"').replace(b'"eV"', b'"[Sun]"')
    assert content.count(b"mag(AB)") == content.count(b"[Sun]") == 1
    assert set(read_reference(content, "stars").mags) == {"V"}


def test_a_column_called_a_magnitude_that_is_a_flux_is_refused() -> None:
    with pytest.raises(IngestError, match="unit Jy of column Vmag for V, expected mag"):
        read(Table(VIZIER, units={**UNITS, "Vmag": "Jy"}))


def test_text_of_a_fits_table_that_is_not_utf_8_is_refused() -> None:
    stream = io.BytesIO()
    Table({"name": np.array([b"Sk\xe5ne"]), "ra": [1.0], "dec": [2.0]}).write(
        stream, format="fits"
    )
    with pytest.raises(
        IngestError, match=r"stars.fits: found 'utf-8' codec.*expected a whole FITS"
    ):
        read_reference(stream.getvalue(), "stars.fits")
