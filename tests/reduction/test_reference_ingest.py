"""Reference catalogues in the archive: which are the same, and what is kept of their files."""

from __future__ import annotations

__all__: list[str] = []

import gzip
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import psycopg2
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from sqlalchemy import select

from reduction.depends import references
from reduction.edits import edit
from reduction.fetch import fetch
from reduction.keys import hash_of
from reduction.reference_ingest import catalogues_of
from reduction.target import FrameTarget
from reduction.verdicts import Verdict, VerdictKind
from schemas.errors import IngestError
from schemas.tables import File, Product, ReferenceSource, Target

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

STARS = "name,ra,dec,Bx,e_Bx,Vx,e_Vx\na,150.1,2.1,15.5,0.02,15.0,0.01\n"
WRONG = {"V": "Bx", "e_V": "e_Bx"}
RIGHT = {"V": "Vx", "e_V": "e_Vx"}


def valid_magnitudes(archive: Archive) -> list[dict[str, float]]:
    query = select(ReferenceSource.mags).join(
        Product, Product.product_id == ReferenceSource.product_id
    )
    with archive.transaction() as session:
        return list(
            session.scalars(query.where(Product.is_valid > 0).order_by(Product.product_id))
        )


def test_a_catalogue_read_with_wrong_columns_is_read_again_with_the_right_ones(
    archive: Archive, tmp_path: Path
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text(STARS)
    assert archive.load_references(path, "stars", columns=WRONG) == 1
    assert archive.load_references(path, "stars", columns=WRONG) == 0
    with archive.transaction() as session:
        wrong = session.scalars(select(Product)).one()
    edit(archive, wrong.product_id, "is_valid", 0, who="ann", why="V is another column")
    assert archive.load_references(path, "stars", columns=WRONG) == 0
    renamed = path.rename(tmp_path / "stars.txt")
    assert archive.load_references(renamed, "stars", columns=RIGHT) == 1
    assert archive.load_references(path.with_suffix(".txt"), "again", columns=RIGHT) == 0
    assert valid_magnitudes(archive) == [{"Bx": 15.5, "V": 15.0}]
    with archive.transaction() as session:
        assert len(session.scalars(select(File)).all()) == 1
        right = session.scalars(select(Product).where(Product.is_valid > 0)).one()
    assert right.process_params == RIGHT
    assert right.content_hash != wrong.content_hash
    assert len(kept(archive)) == 1


def test_a_file_that_was_lost_comes_back_when_it_is_loaded_again(
    archive: Archive, tmp_path: Path
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text(STARS)
    assert archive.load_references(path, "stars", columns=WRONG) == 1
    (lost,) = kept(archive)
    lost.unlink()
    renamed = path.rename(tmp_path / "stars.txt")
    assert archive.load_references(renamed, "stars", columns=RIGHT) == 1
    assert kept(archive) == [lost]
    assert lost.read_text() == STARS


def forget_columns(archive: Archive) -> None:
    """Make of a catalogue what it was before columns were recorded and part of its key."""
    with archive.transaction() as session:
        (digest,) = session.scalars(select(File.sha256)).all()
    key = hash_of(["ReferenceCatalogue", digest])
    with psycopg2.connect(archive.settings.database.owner_url) as owner, owner.cursor() as cursor:
        cursor.execute(
            "UPDATE vo.product SET process_params = '{}', key = %s, content_hash = %s", (key, key)
        )


@pytest.mark.parametrize("motion", ["", ",pmra,pmdec,epoch"])
def test_a_catalogue_of_before_columns_were_recorded_is_known_by_its_stars(
    archive: Archive, tmp_path: Path, motion: str
) -> None:
    path = tmp_path / "stars.csv"
    values = ",1.5,-2.25,2016.0" if motion else ""
    path.write_text(
        "".join(f"{x}{y}\n" for x, y in zip(STARS.split(), (motion, values), strict=True))
    )
    assert archive.load_references(path, "stars", columns=RIGHT) == 1
    forget_columns(archive)
    assert archive.load_references(path, "stars", columns=RIGHT) == 0
    assert archive.load_references(path, "stars") == 0
    assert len(valid_magnitudes(archive)) == 1
    assert archive.load_references(path, "stars", columns=WRONG) == 1
    assert [len(p.process_params) for p in catalogues_of(archive, path)] == [0, 2]


def test_a_file_is_kept_as_what_it_is_packed_or_not(archive: Archive, tmp_path: Path) -> None:
    expected = {"fits": "application/fits", "votable": "application/x-votable+xml"}
    for form in expected:
        stream = io.BytesIO()
        Table({"name": ["a"], "ra": [150.1], "dec": [2.1]}).write(stream, format=form)
        plain, packed = tmp_path / form, tmp_path / f"{form}.gz"
        plain.write_bytes(stream.getvalue())
        packed.write_bytes(gzip.compress(stream.getvalue()))
        assert archive.load_references(plain, "plain") == 1
        assert archive.load_references(packed, "packed") == 1
    with archive.transaction() as session:
        found = {file.name: file.media_type for file in session.scalars(select(File))}
    assert found == expected | {f"{form}.gz": word for form, word in expected.items()}


def test_of_several_who_bring_a_catalogue_at_once_one_does(
    archive: Archive, tmp_path: Path
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text(STARS)
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: archive.load_references(path, "stars"), range(4)))
    assert sorted(numbers) == [0, 0, 0, 1]
    assert len(valid_magnitudes(archive)) == 1


def test_a_catalogue_that_is_refused_leaves_no_file(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    for wrong in (STARS.replace("15.5", "inf"), STARS.replace("a,", "a\0,")):
        path.write_text(wrong)
        with pytest.raises(IngestError):
            archive.load_references(path, "stars")
    assert kept(archive) == []


def test_a_catalogue_without_stars_is_refused(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "none.fits"
    Table({"name": ["a"], "ra": [1.0], "dec": [2.0]})[:0].write(path)
    with pytest.raises(IngestError, match="a table without rows, expected at least a star"):
        archive.load_references(path, "none")
    assert kept(archive) == []


@pytest.mark.parametrize("dec", [89.95, -89.95, 20.0])
def test_all_stars_around_a_place_are_fetched_and_none_of_elsewhere(
    archive: Archive, tmp_path: Path, dec: float
) -> None:
    radius, place = 0.2, SkyCoord(359.99, dec, unit="deg")
    angles = np.linspace(0, 360, 12, endpoint=False) * u.deg
    near = place.directional_offset_by(angles, 0.19 * u.deg)
    far = place.directional_offset_by(angles, 0.35 * u.deg)
    path = tmp_path / "ring.csv"
    lines = [
        f"{kind}{n},{star.ra.deg},{star.dec.deg}"
        for kind, ring in (("near", near), ("far", far))
        for n, star in enumerate(ring)
    ]
    path.write_text("\n".join(["name,ra,dec", *lines]))
    archive.load_references(path, "ring")
    with archive.transaction() as session:
        catalogue = session.scalars(select(Product)).one()
        target = Target(
            class_name="Around", instrument="toy", chip="t1", filter="", ra=359.99, dec=dec
        )
        target.radius = radius
        verdict = Verdict(target, VerdictKind.STALE, inputs={"stars": [catalogue]})
        (found,) = fetch(archive, session, verdict, Around).stars
    names = set(found.name)
    assert names >= {f"near{n}" for n in range(12)}
    assert abs(dec) > 80 or names == {f"near{n}" for n in range(12)}


class Around(FrameTarget):
    """The stars around a place."""

    stars = references()


def kept(archive: Archive) -> list[Path]:
    """Files of catalogues in the storage."""
    return [path for path in archive.storage.path("reference").rglob("*") if path.is_file()]
