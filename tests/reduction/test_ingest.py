"""Raw frames come in once, whole and understood, or are refused with a sentence."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from reduction.archive import Archive
from reduction.instruments.base import FrameKind
from reduction.intake import sound_headers
from reduction.operate import status
from reduction.storage import checksum
from schemas.errors import IngestError
from tests.support.toy import write_frame


def test_a_second_ingest_is_a_no_op(archive: Archive, night: Path) -> None:
    before = status(archive)
    report = archive.ingest([night])
    assert (report.ingested, report.known, report.refused) == (0, 6, [])
    assert status(archive) == before


def test_a_gzipped_file_is_read_to_its_last_byte(archive: Archive, tmp_path: Path) -> None:
    whole = gzip.compress(write_frame(tmp_path, "plain", FrameKind.BIAS, 100).read_bytes())
    cut_off, altered = tmp_path / "short.fits.gz", tmp_path / "altered.fits.gz"
    cut_off.write_bytes(whole[:-8])  # all pixels are there, the sum of the bytes is not
    altered.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    report = archive.ingest([cut_off, altered])
    said = dict(report.refused)
    assert "not a whole gzip file (Compressed file ended" in said["short.fits.gz"]
    assert "not a whole gzip file (CRC check failed" in said["altered.fits.gz"]
    (tmp_path / "whole.fits.gz").write_bytes(whole)
    assert archive.ingest([tmp_path / "whole.fits.gz"]).ingested == 1


def test_data_that_are_not_those_of_their_sum_are_refused(
    archive: Archive, tmp_path: Path
) -> None:
    plain = write_frame(tmp_path, "plain", FrameKind.BIAS, 100)
    whole = sums_added(plain)
    altered = tmp_path / "altered.fits"
    altered.write_bytes(flipped(whole, 2880 + 3))
    ((_, said),) = archive.ingest([altered]).refused
    assert (
        "the data of HDU 0 (PRIMARY) were altered since they were written: their DATASUM" in said
    )
    # headers are edited by many, after the sums were written
    edited = tmp_path / "edited.fits"
    edited.write_bytes(whole.replace(b"FILTER  = 'V", b"FILTER  = 'B"))
    report = archive.ingest([edited])
    assert (report.ingested, report.refused) == (1, [])
    ((name, said),) = report.remarks
    assert name == "edited.fits"
    assert "header of HDU 0 (PRIMARY) was edited since its CHECKSUM" in said
    report = archive.ingest([plain])
    assert (report.ingested, report.refused, report.remarks) == (1, [], [])
    # an empty sum says that there is none
    fits.setval(plain, "DATASUM", value="")
    assert archive.ingest([plain]).refused == []


def test_sums_are_those_of_the_data_as_they_are_in_the_file(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(90, 60000, (300, 300)).astype(np.uint16)
    path = tmp_path / "packed.fits.fz"
    packed = fits.CompImageHDU(data, name="ccd1", compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), packed, fits.ImageHDU(data)]).writeto(path, checksum=True)
    said: list[str] = []
    assert len(sound_headers(path, said.append)) == 3
    assert said == []
    with fits.open(path, disable_image_compression=True) as hdus:
        begin, end = (hdus[n].fileinfo()["datLoc"] for n in (1, 2))
    whole = path.read_bytes()
    for at, name in ((begin + 5000, r"HDU 1 \(CCD1\)"), (end + 5001, "HDU 2 ")):
        path.write_bytes(flipped(whole, at))
        with pytest.raises(IngestError, match=f"the data of {name}.*were altered"):
            sound_headers(path, said.append)


def sums_added(path: Path) -> bytes:
    """A file with the sums of its HDUs."""
    with fits.open(path) as hdus:
        hdus[0].add_checksum()
        hdus.writeto(path, overwrite=True)
    return path.read_bytes()


def flipped(whole: bytes, at: int) -> bytes:
    """The same with one bit changed."""
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


def test_a_copy_of_what_the_archive_has_lost_is_told_what_it_is_good_for(
    archive: Archive, night: Path
) -> None:
    with archive.transaction() as session:
        sql = "SELECT location, product_id FROM vo.file JOIN vo.product USING (file_id) "
        sql += "WHERE name = 'bias1.fits'"
        location, number = session.execute(text(sql)).one()
    path = archive.storage.path(location)
    whole = path.read_bytes()
    for harm in (flipped(whole, 2880 + 3), whole[:3000], None):
        path.unlink()
        if harm is not None:
            path.write_bytes(harm)
        report = archive.ingest([night])
        assert (report.known, report.refused) == (6, [])
        ((name, said),) = report.damaged
        assert name == "bias1.fits"
        assert (
            f"`vo-service restore {number} --file {night / 'bias1.fits'}` brings it back" in said
        )


def test_the_stored_raw_file_has_the_bytes_of_the_original(archive: Archive, night: Path) -> None:
    with archive.transaction() as session:
        rows = session.execute(text("SELECT name, sha256, location FROM vo.file")).all()
    assert len(rows) == 6
    for name, digest, location in rows:
        stored = archive.storage.path(location)
        assert checksum(stored) == digest == checksum(night / name)
        assert stored.stat().st_mode & 0o222 == 0


def test_bad_files_are_refused_with_sentences_and_the_rest_goes_on(
    archive: Archive, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = write_frame(folder, "good", FrameKind.BIAS, 100)
    cut_off = folder / "cut.fits"
    cut_off.write_bytes(good.read_bytes()[:2900])
    packed = folder / "cut.fits.gz"
    packed.write_bytes(gzip.compress(good.read_bytes())[:200])
    (folder / "text.fits").write_text("this is no image")
    foreign = fits.PrimaryHDU()
    foreign.header["INSTRUME"] = "WFPC9"
    foreign.writeto(folder / "foreign.fits")
    odd = folder / "odd.fits"
    shutil.copyfile(good, odd)
    fits.setval(odd, "KIND", value="LUNCH")
    blank = fits.PrimaryHDU(np.full((8, 8), np.nan, dtype=np.float32), fits.getheader(good))
    blank.writeto(folder / "blank.fits")
    (folder / "gone.fits").symlink_to(tmp_path / "nowhere.fits")
    report = archive.ingest([folder])
    assert report.ingested == 1
    said = dict(report.refused)
    assert set(said) == {
        "cut.fits",
        "cut.fits.gz",
        "text.fits",
        "foreign.fits",
        "odd.fits",
        "blank.fits",
        "gone.fits",
    }
    assert "all are NaN" in said["blank.fits"]
    assert "cannot be read" in said["gone.fits"]
    for name in ("cut.fits", "text.fits"):
        assert "not a whole FITS file" in said[name]
    assert "not a whole gzip file (Compressed file ended" in said["cut.fits.gz"]
    assert "INSTRUME is 'WFPC9'" in said["foreign.fits"]
    assert "toy" in said["foreign.fits"]
    assert "KIND is 'LUNCH'" in said["odd.fits"]
    assert not any((archive.storage.root / "incoming").iterdir())


def test_a_path_that_is_not_there_is_named(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="nowhere"):
        archive.ingest([tmp_path / "nowhere"])


def test_other_names_than_fits_are_refused(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("x")
    report = archive.ingest([path])
    assert report.refused == [
        ("notes.txt", "expected a name ending in .fits, .fits.gz or .fits.fz")
    ]


def test_a_name_that_is_no_text_and_a_chip_that_there_is_not_stop_no_other_file(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.fits"))
    write_frame(folder, "plain", FrameKind.BIAS, 100).rename(odd)
    assert (archive.ingest([odd]).frames, archive.ingest([odd]).known) == (1, 1)
    with archive.transaction() as session:
        assert session.scalar(text("SELECT name FROM vo.file")) == "caf\ufffd.fits"
    toy = archive.registry.instruments["toy"]
    chips = {"t9": toy.chips["t1"]}
    monkeypatch.setitem(archive.registry.instruments, "toy", replace(toy, chips=chips))
    report = archive.ingest([write_frame(folder, "next", FrameKind.BIAS, 101)])
    assert report.refused == [("next.fits", "chip 't1', expected one of t9")]


def test_a_file_that_changes_while_it_is_read_is_refused(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_frame(tmp_path, "growing", FrameKind.BIAS, 100)
    toy = archive.registry.instruments["toy"]

    def describe(headers: Any) -> Any:
        found = toy.describe(headers)
        fits.setval(path, "OBSERVER", value="late")
        return found

    monkeypatch.setitem(archive.registry.instruments, "toy", replace(toy, describe=describe))
    ((name, said),) = archive.ingest([path]).refused
    assert (name, said.partition(";")[0]) == ("growing.fits", "it changed while it was read")
    assert [p for p in archive.storage.path("").rglob("*") if p.is_file()] == []
    monkeypatch.undo()
    assert archive.ingest([path]).frames == 1


@pytest.mark.parametrize("part", ["recognises", "chips", "describe"])
def test_a_camera_whose_module_fails_on_a_file_has_that_file_refused_and_not_the_next(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    paths = [write_frame(tmp_path, f"bias{n}", FrameKind.BIAS, 100 + n) for n in range(2)]
    toy = archive.registry.instruments["toy"]
    names: list[str] = []

    def fails_once(*words: Any) -> Any:
        names.append("called")
        if len(names) == 1:
            raise LookupError("no such card")
        return getattr(toy, part)(*words)

    other = (
        replace(toy, **{part: fails_once})
        if part != "chips"
        else replace(toy, chips=Broken(toy.chips))
    )
    monkeypatch.setitem(archive.registry.instruments, "toy", other)
    report = archive.ingest(paths)
    assert [name for name, _ in report.refused] == ["bias0.fits"]
    assert "LookupError('no such card')" in report.refused[0][1]
    assert report.ingested == 1


class Broken(dict[str, Any]):
    """Chips of a camera that cannot be looked up the first time."""

    asked = 0

    def __getitem__(self, name: str) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise LookupError("no such card")
        return super().__getitem__(name)
