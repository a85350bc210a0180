"""An exposure that came in two files: one of them is used, and a person may say which."""

from __future__ import annotations

__all__: list[str] = []

import gzip
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from astropy.io import fits

from reduction.instruments.base import FrameKind
from reduction.operate import edit
from reduction.quality import describe_flags
from reduction.rejudge import frames_to_judge, rejudge
from reduction.select import usable
from reduction.targets.raw_bias import RawBiasFrame
from schemas.errors import ParameterError
from schemas.tables import Product
from tests.support.toy import ToyBias, write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def packed(path: Path) -> Path:
    """The same file, in other bytes."""
    other = path.with_suffix(".fits.gz")
    other.write_bytes(gzip.compress(path.read_bytes()))
    return other


def touched(path: Path, folder: Path, **cards: Any) -> Path:
    """A copy of the same name, with other cards."""
    folder.mkdir(exist_ok=True)
    other = folder / path.name
    shutil.copyfile(path, other)
    for word, value in {"OBSERVER": "somebody", **cards}.items():
        fits.setval(other, word, value=value)
    return other


def biases(archive: Archive) -> list[Product]:
    with archive.transaction() as session:
        found = session.query(Product).filter(Product.class_name == "RawBiasFrame")
        return found.order_by(Product.product_id).all()


@pytest.fixture
def third(archive: Archive, night: Path) -> tuple[Path, Product]:
    """The file of the last of three biases, and the frame."""
    return night / "bias2.fits", biases(archive)[2]


def test_an_exposure_in_other_bytes_is_flagged_and_the_first_stays(
    archive: Archive, third: tuple[Path, Product], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, first = third
    assert ToyBias.get().level == 102.0
    with caplog.at_level(logging.WARNING):
        report = archive.ingest([packed(path), touched(path, tmp_path / "again")])
    assert (report.ingested, report.frames, report.refused) == (2, 2, [])
    assert f"as bias2.fits (object {first.product_id}), which stays in use" in caplog.text
    for copy in biases(archive)[3:]:
        assert describe_flags(RawBiasFrame.Flags, copy.quality_flags) == "DUPLICATE"
        assert copy.attributes["duplicate_of"] == first.product_id
        assert not usable(copy)
    made = ToyBias.get()
    assert made.level == 102.0
    assert [raw.object_id for raw in made.raw_bias_frames][2] == first.product_id
    assert len(made.raw_bias_frames) == 3
    assert archive.object(copy.product_id).duplicate_of == first.product_id
    assert made.raw_bias_frames[2].duplicate_of is None


def test_a_renamed_copy_is_known_by_its_pixels_and_another_frame_of_the_moment_is_not_one(
    archive: Archive, third: tuple[Path, Product], tmp_path: Path
) -> None:
    path, _ = third
    folder = tmp_path / "more"
    renamed = touched(path, folder).rename(folder / "other.fits")
    fast = write_frame(folder, "fast", FrameKind.BIAS, 106, hour=0.02)
    later = write_frame(folder, "later", FrameKind.BIAS, 104, hour=0.03)
    dome = write_frame(folder, "bias2", FrameKind.DOME_FLAT, 104, hour=0.02)
    archive.ingest([renamed, fast, later, dome])
    assert [frame.quality_flags for frame in biases(archive)[3:]] == [128, 0, 0]
    with archive.transaction() as session:
        flats = session.query(Product).filter(Product.class_name == "RawDomeFlatFrame")
        assert {flat.quality_flags for flat in flats} == {0}


def test_of_two_that_come_at_the_same_time_one_is_used(archive: Archive, tmp_path: Path) -> None:
    path = write_frame(tmp_path, "bias", FrameKind.BIAS, 100)
    copies = [path, packed(path), *(touched(path, tmp_path / f"{n}", N=n) for n in range(2))]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda copy: archive.ingest([copy]), copies))
    assert [report.ingested for report in reports] == [1] * 4
    assert [usable(frame) for frame in biases(archive)].count(True) == 1


def test_a_person_says_which_of_two_is_right(
    archive: Archive, third: tuple[Path, Product], tmp_path: Path
) -> None:
    path, first = third
    archive.ingest([packed(path)])
    copy = biases(archive)[3]
    with pytest.raises(ParameterError, match=f"object {first.product_id} \\(bias2.fits\\)"):
        edit(archive, copy.product_id, "is_valid", 2, why="the header is right in this one")
    edit(archive, first.product_id, "is_valid", 0, why="a wrong header")
    edit(archive, copy.product_id, "is_valid", 2, why="the header is right in this one")
    made = ToyBias.get()
    assert [raw.object_id for raw in made.raw_bias_frames][2] == copy.product_id
    with pytest.raises(ParameterError, match=f"object {copy.product_id}"):
        edit(archive, first.product_id, "is_valid", 1, why="both")
    edit(archive, copy.product_id, "is_valid", 1, why="neither is needed")  # its flag counts again
    edit(archive, first.product_id, "is_valid", 1, why="this one")
    assert [usable(frame) for frame in biases(archive)[2:]] == [True, False]


def test_a_frame_that_was_rejected_may_come_again(
    archive: Archive, third: tuple[Path, Product], tmp_path: Path
) -> None:
    path, first = third
    edit(archive, first.product_id, "is_valid", 0, why="cut off when it was copied")
    archive.ingest([touched(path, tmp_path / "again")])
    assert [usable(frame) for frame in biases(archive)[2:]] == [False, True]


def test_copies_that_came_before_they_were_looked_for_are_found_when_frames_are_judged(
    archive: Archive, third: tuple[Path, Product]
) -> None:
    path, first = third
    archive.ingest([packed(path)])
    copy = biases(archive)[3]
    connection = psycopg2.connect(archive.settings.database.owner_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE vo.product SET quality_flags = 0")
    connection.close()
    report = rejudge(archive, frames_to_judge(archive, every=True))
    ((name, said),) = report.failed
    assert name == f"bias2.fits.gz (object {copy.product_id})"
    assert f"object {first.product_id} is the same exposure" in said
    assert [frame.is_valid for frame in biases(archive)] == [1, 1, 1, 0]
