"""Targets of many frames: nights and fields, on a real database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from reduction.archive import Archive
from reduction.causes import causes_of
from reduction.edits import edit_validity
from reduction.fields import FieldSpec, close_field, declare_field
from reduction.instruments.base import FrameKind
from reduction.operate import edit, find_target, initialise, sync_recipes, targets_matching
from schemas.errors import NotFoundError, ParameterError, ReductionError
from schemas.settings import ReductionSettings
from tests.support.archives import opened_archive
from tests.support.toy import ToyFlat, ToyImage, work_done, write_frame
from tests.support.toy_field import ToyCoadd, ToyDeep, ToyNight, ToyPair

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.settings import DatabaseSettings

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)
TOYS = ("ToyBias", "ToyFlat", "ToyMap", "ToyImage", "ToyRegridded", "ToyCoadd")


@pytest.fixture
def plugins() -> tuple[str, ...]:
    """The toy camera and its classes of fields."""
    return ("tests.support.toy", "tests.support.toy_field")


def add(archive: Archive, folder: Path, name: str, level: float = 402, hour: float = 2.0) -> None:
    write_frame(folder, name, FrameKind.SCIENCE, level, hour=hour)
    assert archive.ingest([folder / f"{name}.fits"]).refused == []


def test_a_coadd_is_of_all_frames_of_its_field_and_a_new_one_joins(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    first = ToyCoadd.get(field="deep", filter="V")
    assert (first.frames, first.scale) == (1, 0.5)
    assert first.instrument.name == "toy"
    work_done(work_log)
    add(archive, night, "second", hour=3.0)
    assert find_target(archive, "ToyCoadd").state == "suspect"
    verdict = archive.why(find_target(archive, "ToyCoadd").target_id)
    assert "progenitor stale" in {reason.kind.value for reason in verdict.reasons}
    assert ToyCoadd.get(field="deep").frames == 2
    assert work_done(work_log) == ["ToyCoadd", "ToyImage", "ToyRegridded"]


def test_a_frame_that_cannot_be_made_is_left_out_of_its_field(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    add(archive, night, "empty", level=0, hour=3.0)
    coadd = ToyCoadd.get(field="deep")
    assert coadd.frames == 1
    assert find_target(archive, "ToyRegridded", raw="empty.fits").state == "failed"


def test_a_rejected_frame_leaves_its_field_and_comes_back(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    add(archive, night, "second", hour=3.0)
    assert ToyCoadd.get(field="deep").frames == 2
    raw = ToyImage.get(raw="second.fits").raw_science_frame
    edit(archive, raw.object_id, "is_valid", 0, why="trailed")
    assert ToyCoadd.get(field="deep").frames == 1
    edit(archive, raw.object_id, "is_valid", 1, why="not that bad")
    work_done(work_log)
    assert ToyCoadd.get(field="deep").frames == 2
    assert work_done(work_log) == []


def test_a_field_is_of_its_place_time_and_instruments_only(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with pytest.raises(ParameterError, match="some raw science frame reaches"):
        declare_field(archive, FieldSpec("elsewhere", 50.0, 20.0, 0.05))
    with pytest.raises(ParameterError, match="some raw science frame reaches"):
        declare_field(archive, FieldSpec("later", 10.0, 20.0, 0.05, start=60000.0))
    with pytest.raises(ParameterError, match=r"720000 pixels to a side.* 48000 at most"):
        declare_field(archive, FieldSpec("fine", 10.0, 20.0, 1.0, pixel_scale=0.01))
    with pytest.raises(ParameterError, match="one of"):
        declare_field(archive, FieldSpec("wrong", 10.0, 20.0, 0.05, instruments=("hubble",)))
    with pytest.raises(ParameterError, match="some raw science frame reaches"):
        declare_field(archive, FieldSpec("beside", 10.0, 21.0, 0.05))  # others reach that far
    own = {"ToyBias": {"OFFSET": 5.0}}
    with pytest.raises(ParameterError, match="made per field"):
        declare_field(archive, FieldSpec("deaf", 10.0, 20.0, 0.05, parameters=own))
    declare_field(archive, FIELD)
    declare_field(archive, FIELD)
    with pytest.raises(ParameterError, match="a new name"):
        declare_field(archive, FieldSpec("deep", 10.0, 20.0, 0.06))
    assert len(targets_matching(archive, "ToyCoadd")) == 1
    with pytest.raises(NotFoundError, match="deep"):
        ToyCoadd.get(field="shallow")


def test_a_band_that_comes_later_brings_its_own_coadd(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    write_frame(night, "blueflat", FrameKind.DOME_FLAT, 1102, hour=1.5, filter="B")
    write_frame(night, "blue", FrameKind.SCIENCE, 302, hour=4.0, filter="B")
    archive.ingest([night / "blueflat.fits", night / "blue.fits"])
    assert [t.filter for t in targets_matching(archive, "ToyCoadd", field="deep")] == ["V", "B"]
    assert ToyDeep.get(field="deep", filter="B").level == pytest.approx(20.0, rel=0.01)


def test_a_closed_field_is_answered_with_no_longer(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    ToyCoadd.get(field="deep")
    assert close_field(archive, "deep", why="superseded") > 0
    with pytest.raises(ReductionError, match="field deep was closed"):
        ToyCoadd.get(field="deep")
    with archive.transaction() as session:
        rows = session.execute(text("SELECT field, is_valid FROM archive.fields")).all()
    assert rows == [("deep", 0)]


def test_a_calibration_of_a_whole_night_follows_its_frames(
    archive: Archive, night: Path, work_log: Path
) -> None:
    assert ToyNight.get().frames == 1
    assert ToyNight.get().chip.name == ""
    add(archive, night, "second", hour=3.0)
    assert ToyNight.get().frames == 2


def test_a_slot_is_looked_at_only_where_its_correction_is_asked_for(
    archive: Archive, night: Path, work_log: Path
) -> None:
    pair = ToyPair.get(raw="science.fits")
    assert (pair.used, pair.night) == ("flat", None)
    assert "ToyNight" not in work_done(work_log)


def test_the_fields_own_parameters_and_grid_are_part_of_the_product(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    declare_field(archive, FieldSpec("coarse", 10.0, 20.0, 0.05, pixel_scale=2.0))
    fine, coarse = ToyCoadd.get(field="deep"), ToyCoadd.get(field="coarse")
    assert (fine.scale, coarse.scale) == (0.5, 2.0)
    assert fine.object_id != coarse.object_id


def test_a_call_s_parameter_reaches_a_field_s_products_and_leaves_the_published_ones(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    add(archive, night, "second", hour=3.0)
    published = ToyDeep.get(field="deep")
    work_done(work_log)
    own = ToyDeep.get(field="deep", parameters={"ToyBias.OFFSET": 10.0})
    assert own.coadd.frames == 2
    # both frames (302 and 402) less a bias of 112, over flats of 1102 less it
    assert own.level == pytest.approx(100 * (352 - 112) / (1102 - 112), rel=1e-6)
    assert ToyDeep.get(field="deep").object_id == published.object_id
    again = ToyDeep.get(field="deep", parameters={"ToyBias.OFFSET": 10.0})
    assert again.object_id == own.object_id
    assert work_done(work_log).count("ToyRegridded") == 2


def test_parameters_of_a_field_are_checked_when_it_is_declared(
    archive: Archive, night: Path
) -> None:
    for parameters, words in (
        ({"ToyCoad": {}}, "no target class 'ToyCoad'"),
        ({"ToyDeep": {"CLIP": 3.0}}, "there are no parameters"),
        ({"ToyCoadd": {"CLIP": 3.0}}, "expected one of FACTOR"),
    ):
        with pytest.raises((NotFoundError, ParameterError), match=words):
            declare_field(archive, FieldSpec("tuned", 10.0, 20.0, 0.05, parameters=parameters))


def test_an_archive_opens_without_a_camera_that_it_has_frames_and_fields_of(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    without = archive.settings.model_copy(update={"reduction": ReductionSettings()})
    poorer = Archive(without)
    initialise(without, poorer.registry)
    bias = poorer.registry.classes["BiasFrame"]
    poorer.registry.classes["BiasFrame"] = type(
        "BiasFrame", (bias,), {"VERSION": bias.VERSION + 1, "__module__": bias.__module__}
    )
    sync_recipes(poorer)
    coadd = find_target(archive, "ToyCoadd")
    poorer.registry.classes.update({n: archive.registry.classes[n] for n in TOYS})
    (cause,) = causes_of(poorer, [coadd.target_id])
    assert (cause.said, cause.reasons[0].kind) == ("unmakeable", "no such camera")
    assert cause.reasons[0].text.endswith(": this installation has no camera toy")
    poorer.close()
    assert find_target(archive, "ToyCoadd").state == "failed"
    sync_recipes(archive)
    assert ToyCoadd.get(field="deep").frames == 1


def test_a_field_that_takes_the_place_of_another_has_products_of_its_own(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    first = ToyCoadd.get(field="deep")
    close_field(archive, "deep", why="another clipping")
    declare_field(archive, replace(FIELD, name="deep-2"))
    second = ToyCoadd.get(field="deep-2")
    assert second.object_id != first.object_id
    assert second.level == first.level


def test_calibrations_follow_the_validity_that_their_camera_gives_them(
    archive: Archive, night: Path, work_log: Path
) -> None:
    edited = ToyFlat.get()
    edit_validity(archive, edited.object_id, None, edited.moment + 0.25, why="the lamp died")
    toy = archive.registry.instruments["toy"]
    longer = {**toy.validity, "ToyBias": (9.0, 9.0), "ToyFlat": (9.0, 9.0)}
    archive.registry.instruments["toy"] = replace(toy, validity=longer)
    sync_recipes(archive)
    bias, flat = find_target(archive, "ToyBias"), find_target(archive, "ToyFlat")
    assert (bias.validity_start, bias.validity_end) == (bias.moment - 9.0, bias.moment + 9.0)
    assert flat.validity_end == edited.moment + 0.25


def test_classes_that_come_later_find_the_frames_that_are_there(
    fresh_database: DatabaseSettings, tmp_path: Path, work_log: Path
) -> None:
    toy = ReductionSettings(plugins=("tests.support.toy",))
    with opened_archive(fresh_database, tmp_path / "files", reduction=toy) as before:
        for number, level in enumerate((100, 102)):
            write_frame(tmp_path, f"bias{number}", FrameKind.BIAS, level, hour=number / 100)
        write_frame(tmp_path, "flat", FrameKind.DOME_FLAT, 1102, hour=1)
        write_frame(tmp_path, "science", FrameKind.SCIENCE, 302, hour=2)
        assert before.ingest([tmp_path]).refused == []
        declare_field(before, FIELD)
    plugins = ("tests.support.toy", "tests.support.toy_field")
    later = before.settings.model_copy(update={"reduction": ReductionSettings(plugins=plugins)})
    after = Archive(later)
    initialise(later, after.registry)
    said = sync_recipes(after)
    assert "1 targets of ToyPair can be made now" in said
    assert sync_recipes(after) == []
    Archive.use(after)
    assert ToyPair.get(raw="science.fits").used == "flat"
    assert ToyNight.get().frames == 1
    assert ToyCoadd.get(field="deep").frames == 1
    after.close()


def test_a_camera_that_is_described_in_another_way_makes_its_products_stale(
    archive: Archive, night: Path, work_log: Path
) -> None:
    before = ToyImage.get(raw="science.fits")
    work_done(work_log)
    toy = archive.registry.instruments["toy"]
    other = replace(toy, pixel_scale=2.0, validity={**toy.validity, "ToyFlat": (9.0, 9.0)})
    archive.registry.instruments["toy"] = other
    assert sync_recipes(archive) != []
    verdict = archive.why(find_target(archive, "ToyBias").target_id)
    assert [reason.text for reason in verdict.reasons] == [
        "the camera is described in another way"
    ]
    assert ToyImage.get(raw="science.fits").object_id != before.object_id
    target = find_target(archive, "ToyImage")
    assert target.radius == pytest.approx(2.0 * 5.657 / 3600 + 0.01, rel=1e-3)
