"""Files that were lost or damaged, and how they come back."""

from __future__ import annotations

__all__: list[str] = []

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select, text

from reduction import frames
from reduction.causes import causes_of
from reduction.damaged_files import damaged_files
from reduction.doubtful import doubted
from reduction.instruments.base import FrameKind
from reduction.operate import bump, find_target
from reduction.pixel_cache import PIXELS
from reduction.restore import restore
from reduction.verdicts import ReasonKind
from schemas.errors import (
    IngestError,
    NotFoundError,
    ReductionError,
    UnreadableError,
)
from schemas.recipe_tables import Edit
from schemas.tables import File, Product, Target
from tests.support.toy import ToyBias, ToyFlat, ToyImage, work_done, write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive
    from reduction.target import Made


def path_of(archive: Archive, object_id: int) -> Path:
    with archive.transaction() as session:
        file_id = session.get_one(Product, object_id).file_id
        return archive.storage.path(session.get_one(File, file_id).location)


def lose(archive: Archive, object_id: int) -> Path:
    path = path_of(archive, object_id)
    path.unlink()
    PIXELS.forget(path)
    return path


def damage(archive: Archive, object_id: int) -> None:
    """Change one byte of the pixels; the size stays."""
    path = path_of(archive, object_id)
    data = bytearray(path.read_bytes())
    data[-3000] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(data)
    PIXELS.forget(path)


def test_a_lost_product_is_made_again_and_stays_the_same_object(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    before = bias.images["BIAS"].copy()
    assert list(damaged_files(archive)) == []
    lose(archive, bias.object_id)
    (found,) = damaged_files(archive)
    assert (found.class_name, found.object_ids, found.raw) == ("ToyBias", (bias.object_id,), False)
    assert found.what == "it is not there"
    assert restore(archive, bias.object_id, who="eva") == [bias.object_id]
    again = ToyBias.get()
    assert again.object_id == bias.object_id
    assert np.array_equal(again.images["BIAS"], before)
    assert list(damaged_files(archive)) == []
    assert restore(archive, bias.object_id) == []
    with archive.transaction() as session:
        edit = session.scalars(select(Edit).where(Edit.field == "file")).one()
        assert (edit.product_id, edit.who) == (bias.object_id, "eva")
        kept = session.scalars(select(File.sha256).where(File.sha256 == edit.new)).all()
        assert len(kept) == 1


def test_what_it_is_made_from_is_restored_before_it(
    archive: Archive, night: Path, work_log: Path
) -> None:
    image, bias, flat = ToyImage.get(), ToyBias.get(), ToyFlat.get()
    pixels = image.images["IMAGE"].copy()
    lose(archive, image.object_id)
    damage(archive, bias.object_id)
    assert {d.object_ids[0] for d in damaged_files(archive)} == {image.object_id, bias.object_id}
    assert {d.object_ids[0] for d in damaged_files(archive, read=False)} == {image.object_id}
    assert restore(archive, image.object_id) == [bias.object_id, image.object_id]
    assert np.array_equal(ToyImage.get().images["IMAGE"], pixels)
    assert ToyFlat.get().object_id == flat.object_id
    assert list(damaged_files(archive)) == []


def test_what_a_new_frame_needs_is_restored_when_it_is_asked_for(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    ToyImage.get()
    bias = ToyBias.get()
    lose(archive, bias.object_id)
    archive.ingest([write_frame(tmp_path, "late", FrameKind.SCIENCE, 303, hour=3)])
    image = ToyImage.get(raw="late.fits")
    assert image.bias.object_id == bias.object_id
    assert list(damaged_files(archive)) == []


def test_a_changed_byte_that_can_be_read_goes_into_nothing(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    image, bias = ToyImage.get(), ToyBias.get()
    pixels = image.images["IMAGE"].copy()
    raw = bias.raw_bias_frames[0]
    whole = path_of(archive, raw.object_id).read_bytes()
    damage(archive, raw.object_id)
    bump(archive, "ToyBias", why="try")
    with pytest.raises(UnreadableError, match=f"object {raw.object_id} .*not as it was written"):
        ToyImage.get()
    copy = tmp_path / "copy.fits"
    copy.write_bytes(whole)
    assert restore(archive, raw.object_id, source=copy) == [raw.object_id]
    # a product with such a byte is made again on the way
    damage(archive, ToyBias.get().object_id)
    bump(archive, "ToyImage", why="try")
    assert np.array_equal(ToyImage.get().images["IMAGE"], pixels)
    assert list(damaged_files(archive)) == []


def test_what_could_not_be_read_stands_with_the_target_until_it_is_back(
    archive: Archive, night: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with archive.transaction() as session:
        query = select(Product.product_id).where(Product.class_name == "RawBiasFrame")
        raw = session.scalars(query.order_by(Product.product_id)).first() or 0
    copy = shutil.copy(path_of(archive, raw), tmp_path / "copy.fits")
    damage(archive, raw)
    with caplog.at_level("INFO"), pytest.raises(UnreadableError):
        ToyImage.get()
    assert "restored" not in caplog.text
    bias, image = (find_target(archive, name).target_id for name in ("ToyBias", "ToyImage"))

    def noted() -> list[str]:
        """What the archive says of the bias."""
        with archive.transaction() as session:
            target = session.get_one(Target, bias)
            assert target.state == "missing"
            return [r["text"] for r in target.reasons if r["kind"] == "file cannot be read"]

    for _ in range(2):
        (said,) = noted()
        assert f"RawBiasFrame object {raw} (bias0.fits" in said
        (cause,) = causes_of(archive, [image])  # looks at the targets anew
        kinds = [r.kind for below in cause.everything_below() for r in below.reasons]
        assert ReasonKind.UNREADABLE in kinds
    whole = copy.read_bytes()
    path = path_of(archive, raw)
    path.write_bytes(whole)  # as a disk that was away
    assert ToyImage.get().bias.level == pytest.approx(102.0)
    with archive.transaction() as session:
        assert session.get_one(Target, bias).reasons == []
        said = session.execute(text("SELECT reasons::text FROM vo.publication")).scalars().all()
        assert not [reasons for reasons in said if "cannot be read" in reasons]
    damage(archive, raw)
    bump(archive, "ToyBias", why="try")
    with pytest.raises(UnreadableError):
        ToyBias.get()
    restore(archive, raw, source=copy)
    with archive.transaction() as session:
        left = session.get_one(Target, bias).reasons
        assert not [reason for reason in left if "cannot be read" in reason["kind"]]


def test_what_may_have_been_made_of_altered_bytes_is_made_again(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    with archive.transaction() as session:
        query = select(Product.product_id).where(Product.class_name == "RawBiasFrame")
        raw = session.scalars(query.order_by(Product.product_id)).first() or 0
    path, copy = path_of(archive, raw), tmp_path / "copy.fits"
    shutil.copy(path, copy)
    # the bias is made while the frame's pixels are others, and nobody looks
    whole = path.read_bytes()
    written = write_frame(tmp_path, "other", FrameKind.BIAS, 400)
    path.chmod(0o644)
    path.write_bytes(written.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "see_unaltered", lambda path, what: None)
        bias, image = ToyBias.get(), ToyImage.get()
    assert bias.level == pytest.approx(202.0)
    assert path.read_bytes() != whole
    work_done(work_log)
    restore(archive, raw, source=copy, who="eva")
    with archive.transaction() as session:
        assert doubted(session, raw) == [bias.object_id]
        edit = session.scalars(select(Edit).where(Edit.product_id == bias.object_id)).one()
        assert (edit.field, edit.old, edit.new, edit.who) == ("is_valid", "1", "-1", "eva")
        assert f"RawBiasFrame object {raw} (bias0.fits" in edit.why
    (cause,) = causes_of(archive, [find_target(archive, "ToyBias").target_id])
    assert [r.kind for r in cause.reasons] == [ReasonKind.PROGENITOR_DOUBTED]
    again = ToyImage.get()
    assert again.object_id != image.object_id
    assert again.bias.level == pytest.approx(102.0)
    assert {"ToyBias", "ToyImage"} <= set(work_done(work_log))
    with archive.transaction() as session:
        assert doubted(session, raw) == []
    # the next times the same comes out: what rests on it stays
    for _ in range(2):
        bias = ToyBias.get()
        damage(archive, raw)
        restore(archive, raw, source=copy)
        assert ToyImage.get().object_id == again.object_id
        assert work_done(work_log) == ["ToyBias"]
        assert ToyBias.get().object_id != bias.object_id
    # what was lost, nobody can have read: nothing is made again
    lose(archive, raw)
    restore(archive, raw, source=copy)
    assert ToyImage.get().object_id == again.object_id
    assert work_done(work_log) == []


def test_what_cannot_be_restored_is_named(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    ToyImage.get()
    bias = ToyBias.get()
    lose(archive, bias.object_id)
    lost = lose(archive, next(iter(bias.raw_bias_frames)).object_id)
    archive.ingest([write_frame(tmp_path, "late", FrameKind.SCIENCE, 303, hour=3)])
    with pytest.raises(UnreadableError, match=f"ToyBias.* {bias.object_id}"):
        ToyImage.get(raw="late.fits")
    assert not lost.exists()
    assert ToyBias.get().object_id == bias.object_id


def test_nothing_is_made_anew_because_a_file_came_back(
    archive: Archive, night: Path, work_log: Path
) -> None:
    image, bias = ToyImage.get(), ToyBias.get()
    lose(archive, bias.object_id)
    fresh = "SELECT target_id, epoch FROM vo.target WHERE state = 'fresh' ORDER BY 1"
    with archive.transaction() as session:
        before = session.execute(text(fresh)).all()
    restore(archive, bias.object_id)
    with archive.transaction() as session:
        assert session.execute(text(fresh)).all() == before
    assert work_done(work_log).count("ToyBias") == 2
    assert ToyImage.get().object_id == image.object_id
    assert work_done(work_log) == []


def test_a_raw_frame_comes_back_from_a_copy_of_itself_alone(
    archive: Archive, night: Path, tmp_path: Path
) -> None:
    with archive.transaction() as session:
        raw = session.scalars(select(Product).where(Product.target_id.is_(None))).first()
        assert raw is not None
        number = raw.product_id
        name = session.get_one(File, raw.file_id).name
    copy = tmp_path / "copy.fits"
    shutil.copy(path_of(archive, number), copy)
    path = lose(archive, number)
    said = rf"object {number} \({name}.*raw data cannot be made.*restore {number} --file COPY"
    with pytest.raises(UnreadableError, match=said):
        restore(archive, number)
    other = tmp_path / "other.fits"
    other.write_bytes(copy.read_bytes() + b" ")
    with pytest.raises(IngestError, match=f"no copy of {name}"):
        restore(archive, number, source=other)
    assert not path.exists()
    assert restore(archive, number, source=copy, why="from tape 7", who="eva") == [number]
    assert path.read_bytes() == copy.read_bytes()
    assert list(damaged_files(archive)) == []
    with archive.transaction() as session:
        edit = session.scalars(select(Edit).where(Edit.product_id == number)).one()
        assert (edit.field, edit.old, edit.new) == ("file", None, path.name.partition(".")[0])
        assert (edit.who, edit.why) == ("eva", "from tape 7")
    with pytest.raises(IngestError, match=f"no copy of {name}"):  # also where nothing is damaged
        restore(archive, number, source=other)


def test_a_product_of_other_content_is_not_taken_for_it(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch, work_log: Path
) -> None:
    bias = ToyBias.get()
    lose(archive, bias.object_id)
    own = ToyBias.compute

    def otherwise(self: ToyBias, inputs: Any, parameters: Any) -> Made:
        made = own(self, inputs, parameters)
        made.images["BIAS"] = made.images["BIAS"] + np.float32(1)
        return made

    monkeypatch.setattr(ToyBias, "compute", otherwise)
    with pytest.raises(ReductionError, match=r"comes out otherwise.*a copy of .*bump ToyBias"):
        restore(archive, bias.object_id)
    monkeypatch.undo()
    assert restore(archive, bias.object_id) == [bias.object_id]


def test_objects_that_are_not_there_or_have_no_file_are_named(archive: Archive) -> None:
    with pytest.raises(NotFoundError, match="no object 77777"):
        restore(archive, 77777)
    with archive.transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM vo.edit")) == 0
