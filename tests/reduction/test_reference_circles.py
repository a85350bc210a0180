"""Which frames a reference catalogue reaches, anywhere on the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from sqlalchemy import select, text

from reduction.edits import edit
from reduction.select import reference_catalogues
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def load(archive: Archive, folder: Path, name: str, stars: SkyCoord) -> int:
    """Load a catalogue of stars; its number."""
    path = folder / f"{name}.csv"
    ra, dec = np.atleast_1d(stars.ra.deg), np.atleast_1d(stars.dec.deg)
    lines = [
        f"{name}{n},{r!r},{d!r}"
        for n, (r, d) in enumerate(zip(ra.tolist(), dec.tolist(), strict=True))
    ]
    path.write_text("\n".join(["name,ra,dec", *lines]) + "\n")
    archive.load_references(path, name)
    with archive.transaction() as session:
        query = select(Product.product_id).where(Product.attributes["name"].astext == name)
        return session.scalars(query).one()


@pytest.mark.parametrize("dec", [0.0, 60.0, 89.9, -89.99, 90.0])
def test_catalogues_are_found_that_have_a_star_in_a_circle_and_no_others(
    archive: Archive, tmp_path: Path, dec: float
) -> None:
    generator = np.random.default_rng(7)
    centre = SkyCoord(0.05, dec, unit="deg")
    turn, far = generator.uniform(0, 360, 60), generator.uniform(0, 1.0, 60)
    stars = centre.directional_offset_by(turn * u.deg, far * u.deg)
    halves = [stars[:30], stars[30:]]
    numbers = [load(archive, tmp_path, f"half{n}", half) for n, half in enumerate(halves)]
    turn, far = generator.uniform(0, 360, 40), generator.uniform(0, 1.2, 40)
    middles = centre.directional_offset_by(turn * u.deg, far * u.deg)
    radii = generator.uniform(0.01, 0.3, 40)
    places = [
        (float(middle.ra.deg), float(middle.dec.deg), float(radius))
        for middle, radius in zip(middles, radii, strict=True)
    ]
    with archive.transaction() as session:
        found = reference_catalogues(session, places)
    expected = [
        {n for n, half in zip(numbers, halves, strict=True) if near(half, middle, radius)}
        for middle, radius in zip(middles, radii, strict=True)
    ]
    assert [{row.product_id for row in found[place]} for place in places] == expected
    assert {frozenset(names) for names in expected} >= {frozenset(), frozenset(numbers)}


def near(stars: SkyCoord, middle: SkyCoord, radius: float) -> bool:
    return bool((stars.separation(middle).deg <= radius).any())


def epoch(archive: Archive) -> int:
    """How often the frame's astrometry was made suspect."""
    with archive.transaction() as session:
        query = select(Target.epoch).where(Target.class_name == "AstrometricParameters")
        return session.scalars(query).one()


@pytest.mark.parametrize(
    ("ra", "dec", "reached"),
    [
        ([10.0], [20.3], 0),
        ([9.0, 11.0], [20.0, 20.0], 1),
        ([100.0, 190.0], [-20.0, -20.0], 0),
        ([10.0, 190.0], [0.0, 0.0], 1),  # all around the sky: no circle is small enough
    ],
)
def test_a_catalogue_marks_the_frames_that_its_stars_surround(
    archive: Archive, night: Path, tmp_path: Path, ra: list[float], dec: list[float], reached: int
) -> None:
    before = epoch(archive)
    number = load(archive, tmp_path, "some", SkyCoord(ra, dec, unit="deg"))
    assert epoch(archive) == before + reached
    edit(archive, number, "is_valid", 0, why="wrong epoch")
    assert epoch(archive) == before + 2 * reached


def test_a_catalogue_around_the_pole_reaches_across_it(
    archive: Archive, night: Path, tmp_path: Path
) -> None:
    with archive.transaction() as session:
        session.execute(
            text(
                "UPDATE vo.target SET ra = 200, dec = 89.9 "
                "WHERE class_name = 'AstrometricParameters'"
            )
        )
    before = epoch(archive)
    load(archive, tmp_path, "beyond", SkyCoord([10.0, 30.0], [89.5, 89.5], unit="deg"))
    assert epoch(archive) == before
    load(archive, tmp_path, "across", SkyCoord([20.0, 200.0], [89.5, 89.8], unit="deg"))
    assert epoch(archive) == before + 1
