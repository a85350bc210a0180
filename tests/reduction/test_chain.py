"""What is remade, why, and what is not: on a real database, with a chain that counts its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from reduction.instruments.base import FrameKind
from reduction.operate import bump, edit, edit_validity, find_target, set_parameter, sync_recipes
from reduction.verdicts import VerdictKind
from schemas.errors import NotFoundError, ParameterError, ReductionError
from tests.support.toy import (
    ToyBias,
    ToyCatalogue,
    ToyFlat,
    ToyImage,
    ToyNorm,
    ToyTotal,
    work_done,
    write_frame,
)

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

EVERYTHING = ["ToyBias", "ToyCatalogue", "ToyFlat", "ToyImage", "ToyMap"]


def state(archive: Archive, class_name: str) -> str:
    return find_target(archive, class_name).state


def test_get_makes_the_whole_chain_once(archive: Archive, night: Path, work_log: Path) -> None:
    catalogue = ToyCatalogue.get(raw="science.fits")
    assert catalogue.count == 1
    assert work_done(work_log) == EVERYTHING
    again = ToyCatalogue.get(raw="science.fits")
    assert again.object_id == catalogue.object_id
    assert work_done(work_log) == []


def test_rejecting_a_raw_bias_remakes_what_its_content_reaches(
    archive: Archive, night: Path, work_log: Path
) -> None:
    before = ToyImage.get(raw="science.fits")
    catalogue = ToyCatalogue.get(raw="science.fits")
    bias = before.bias
    rejected = bias.raw_bias_frames[2]
    work_done(work_log)
    edit(archive, rejected.object_id, "is_valid", 0, why="light leak")
    for name in EVERYTHING:
        assert state(archive, name) == "suspect"
    verdict = archive.why(find_target(archive, "ToyBias").target_id)
    assert [(r.kind.value, r.role) for r in verdict.reasons] == [
        ("progenitor invalidated", "raw_bias_frames")
    ]
    after = ToyImage.get(raw="science.fits")
    assert after.bias.level == 101.0
    assert [r.object_id for r in after.bias.raw_bias_frames] == [
        r.object_id for r in bias.raw_bias_frames[:2]
    ]
    assert after.level != before.level
    # the map came out as before, so it was computed but what hangs on it alone was not
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]
    assert ToyCatalogue.get(raw="science.fits").object_id != catalogue.object_id
    assert work_done(work_log) == ["ToyCatalogue"]
    ToyCatalogue.get(raw="science.fits")
    assert work_done(work_log) == []


def test_accepting_it_again_brings_the_old_products_back_without_work(
    archive: Archive, night: Path, work_log: Path
) -> None:
    before = ToyCatalogue.get(raw="science.fits")
    raw = ToyBias.get().raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="a doubt")
    assert ToyCatalogue.get(raw="science.fits").object_id != before.object_id
    edit(archive, raw.object_id, "is_valid", 1, why="no reason for the doubt")
    work_done(work_log)
    assert ToyCatalogue.get(raw="science.fits").object_id == before.object_id
    assert work_done(work_log) == []


def test_identical_content_stops_the_remaking_and_its_lineage_moves_on(
    archive: Archive, night: Path, work_log: Path
) -> None:
    catalogue = ToyCatalogue.get(raw="science.fits")
    old = ToyBias.get()
    work_done(work_log)
    assert bump(archive, "ToyBias", why="library upgraded") == 5
    plan = archive.plan([find_target(archive, "ToyCatalogue").target_id])
    assert {step.name.split("/")[0] for step in plan.steps} == set(EVERYTHING)
    assert ToyCatalogue.get(raw="science.fits").object_id == catalogue.object_id
    assert work_done(work_log) == ["ToyBias"]
    new = ToyBias.get()
    assert new.object_id != old.object_id
    assert new.recipe_version == "1.1"
    with archive.transaction() as session:
        ancestors = (
            session.execute(
                text("SELECT ancestor_id FROM archive.ancestors WHERE object_id = :i"),
                {"i": catalogue.object_id},
            )
            .scalars()
            .all()
        )
    assert new.object_id in ancestors
    assert old.object_id not in ancestors


def test_raising_a_recipe_remakes_its_products_and_their_descendants_only(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyCatalogue.get(raw="science.fits")
    work_done(work_log)
    bump(archive, "ToyFlat", why="better flats")
    assert state(archive, "ToyBias") == "fresh"
    assert state(archive, "ToyMap") == "fresh"
    assert state(archive, "ToyImage") == "suspect"


def test_a_parameter_reaches_the_key_and_the_descendants(
    archive: Archive, night: Path, work_log: Path
) -> None:
    before = ToyImage.get(raw="science.fits")
    work_done(work_log)
    set_parameter(archive, "ToyBias", "OFFSET", 10.0, instrument="toy", why="a try")
    reasons = archive.why(find_target(archive, "ToyBias").target_id).reasons
    assert [r.text for r in reasons] == ["OFFSET: 0.0 -> 10.0"]
    after = ToyImage.get(raw="science.fits")
    assert after.bias.process_params["OFFSET"] == 10.0
    assert after.bias.level == before.bias.level + 10.0
    # 302 - 112 over 1102 - 112 against 302 - 102 over 1102 - 102
    assert after.level == pytest.approx(100 * 190 / 990, rel=1e-6)
    assert before.level == pytest.approx(100 * 200 / 1000, rel=1e-6)


def test_new_raw_frames_of_the_night_are_taken_up(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    assert len(ToyBias.get().raw_bias_frames) == 3
    late = write_frame(tmp_path, "late", FrameKind.BIAS, 110, hour=0.5)
    archive.ingest([late])
    reasons = archive.why(find_target(archive, "ToyBias").target_id).reasons
    assert [r.kind.value for r in reasons] == ["new raw data"]
    assert len(ToyBias.get().raw_bias_frames) == 4


def test_newer_flats_eclipse_older_ones_where_both_are_valid(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    before = ToyImage.get(raw="science.fits")
    work_done(work_log)
    for number, level in enumerate((100, 102, 104)):
        path = write_frame(
            tmp_path, f"b{number}", FrameKind.BIAS, level, night="2020-01-03", hour=number / 100
        )
        archive.ingest([path])
    archive.ingest(
        [write_frame(tmp_path, "newflat", FrameKind.DOME_FLAT, 602, night="2020-01-03", hour=1)]
    )
    reasons = archive.why(find_target(archive, "ToyImage").target_id).reasons
    assert any("2020-01-03" in r.text for r in reasons)
    after = ToyImage.get(raw="science.fits")
    assert after.flat.level == 500.0
    assert after.flat.object_id != before.flat.object_id
    assert after.bias.object_id == before.bias.object_id
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage"]
    edit(archive, after.flat.object_id, "timestamp_start", 58850.0, why="dome lamp changed")
    back = ToyImage.get(raw="science.fits")
    assert back.object_id == before.object_id


def add_second_night(archive: Archive, folder: Path) -> None:
    for number, level in enumerate((100, 102, 104)):
        archive.ingest(
            [
                write_frame(
                    folder,
                    f"b{number}",
                    FrameKind.BIAS,
                    level,
                    night="2020-01-03",
                    hour=number / 100,
                )
            ]
        )
    archive.ingest(
        [write_frame(folder, "newflat", FrameKind.DOME_FLAT, 602, night="2020-01-03", hour=1)]
    )


def test_targets_made_from_the_same_inputs_share_a_product_and_go_their_own_ways(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    add_second_night(archive, tmp_path)
    first, second = (ToyNorm.get(date=d) for d in ("2020-01-01", "2020-01-03"))
    assert first.object_id == second.object_id
    assert ToyTotal.get(raw="science.fits").total == 500.0
    assert work_done(work_log).count("ToyNorm") == 1
    newer = second.flat
    edit(archive, newer.object_id, "timestamp_start", 58850.0, why="lamp moved")
    assert ToyNorm.get(date="2020-01-01").norm == 1000.0
    assert ToyNorm.get(date="2020-01-03").norm == 500.0
    total = ToyTotal.get(raw="science.fits")
    assert total.total == 500.0
    edit(archive, ToyNorm.get(date="2020-01-03").object_id, "timestamp_start", 58850.0, why="too")
    assert ToyTotal.get(raw="science.fits").total == 1000.0


def test_flats_of_another_filter_change_nothing(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    ToyImage.get(raw="science.fits")
    archive.ingest([write_frame(tmp_path, "b", FrameKind.DOME_FLAT, 500, filter="B", hour=1)])
    assert state(archive, "ToyImage") == "fresh"


def test_a_flagged_calibration_is_not_selected_and_the_next_one_is(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    good = ToyFlat.get(date="2020-01-01")
    for number in range(2):
        archive.ingest(
            [
                write_frame(
                    tmp_path,
                    f"hot{number}",
                    FrameKind.BIAS,
                    2000,
                    night="2020-01-03",
                    hour=number / 100,
                )
            ]
        )
    archive.ingest(
        [write_frame(tmp_path, "newflat", FrameKind.DOME_FLAT, 602, night="2020-01-03", hour=1)]
    )
    image = ToyImage.get(raw="science.fits")
    assert image.flat.object_id == good.object_id
    assert ToyBias.get(date="2020-01-03").quality_flags == 1
    words = r"ToyBias/toy/t1/2020-01-03 \(object \d+\) is flagged LEVEL_TOO_HIGH \(the level"
    with pytest.raises(ReductionError, match=words):
        ToyFlat.get(date="2020-01-03")


def test_what_cannot_be_made_says_why_and_is_no_longer_published(
    archive: Archive, night: Path, work_log: Path
) -> None:
    image = ToyImage.get(raw="science.fits")
    for raw in image.bias.raw_bias_frames[:2]:
        edit(archive, raw.object_id, "is_valid", 0, why="clouds in the dome")
    with pytest.raises(ReductionError, match="needs 2 valid RawBiasFrame"):
        ToyImage.get(raw="science.fits")
    assert len(ToyImage.chip.name == "t1") == 0
    assert state(archive, "ToyImage") == "failed"


def test_a_frame_that_a_recipe_refuses_fails_alone_and_is_not_tried_again(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    archive.ingest([write_frame(tmp_path, "empty", FrameKind.SCIENCE, 0, hour=3)])
    targets = [find_target(archive, "ToyImage", raw=n).target_id for n in ("empty", "science")]
    archive.make(targets)
    assert find_target(archive, "ToyImage", raw="science").state == "fresh"
    verdict = archive.why(targets[0])
    assert verdict.kind is VerdictKind.UNMAKEABLE
    assert verdict.reasons[0].text.endswith(": empty.fits is empty")
    work_done(work_log)
    archive.make(targets)
    assert work_done(work_log) == []


def test_a_rejected_product_is_not_made_again(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    edit(archive, bias.object_id, "is_valid", 0, why="looks odd")
    with pytest.raises(ReductionError, match="was rejected"):
        ToyBias.get()


def test_unchanged_recipes_mark_nothing(archive: Archive, night: Path) -> None:
    ToyCatalogue.get(raw="science.fits")
    assert sync_recipes(archive) == []
    assert state(archive, "ToyCatalogue") == "fresh"


def test_a_higher_version_in_the_code_is_noticed(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ToyCatalogue.get(raw="science.fits")
    monkeypatch.setattr(ToyFlat, "VERSION", 2)
    monkeypatch.setattr(archive.registry.classes["ToyFlat"], "VERSION", 2)
    said = sync_recipes(archive)
    assert {"the recipe of ToyFlat for toy changed", "3 targets are suspect"} <= set(said)
    flat = archive.get("ToyFlat", date="2020-01-01")
    assert flat.recipe_version == "2"


def test_edits_are_recorded(archive: Archive, night: Path) -> None:
    raw = ToyBias.get().raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="satellite", who="eva")
    with archive.transaction() as session:
        row = session.execute(
            text("SELECT field, value_before, value_after, who, why FROM archive.edits")
        ).one()
    assert tuple(row) == ("is_valid", "1", "0", "eva", "satellite")


def test_the_past_answers_as_it_did(archive: Archive, night: Path) -> None:
    before = ToyImage.get(raw="science.fits")
    with archive.transaction() as session:
        moment = session.scalar(text("SELECT clock_timestamp()"))
    edit(archive, before.bias.raw_bias_frames[0].object_id, "is_valid", 0, why="x")
    after = ToyImage.get(raw="science.fits")
    with archive.transaction() as session:
        session.execute(text("SELECT set_config('vo.asof', :t, true)"), {"t": moment.isoformat()})
        then = session.execute(text("SELECT object_id, level FROM archive.toy_image")).all()
    with archive.transaction() as session:
        now = session.execute(text("SELECT object_id, level FROM archive.toy_image")).all()
    assert then == [(before.object_id, before.level)]
    assert now == [(after.object_id, after.level)]


def test_the_five_line_script(archive: Archive, night: Path) -> None:
    ToyImage.get(raw="science.fits")
    q = (ToyImage.chip.name == "t1") & (ToyImage.filter.name == "V")
    assert [k.flat.level for k in q] == [1000.0]
    assert len(q & (ToyImage.level > 1e6)) == 0
    assert len(~(ToyImage.level > 1e6)) == 1
    with pytest.raises(TypeError, match="combine queries"):
        bool(q)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = ToyImage.colour


def test_a_question_about_nothing_lists_what_there_is(archive: Archive, night: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there are 1, of night 2020-01-01"):
        ToyBias.get(date="1999-01-01")


def test_a_validity_is_changed_at_both_ends_or_not_at_all(archive: Archive, night: Path) -> None:
    bias = ToyBias.get()
    before = (bias.timestamp_start, bias.timestamp_end)
    for start, end in ((59000.0, 58000.0), (59000.0, None), (None, 100.0)):
        with pytest.raises(ParameterError, match="begins before it ends"):
            edit_validity(archive, bias.object_id, start, end, why="slip")
    with pytest.raises(ParameterError, match="only these have a validity"):
        edit_validity(archive, bias.raw_bias_frames[0].object_id, 1.0, 2.0, why="slip")
    again = ToyBias.get()
    assert (again.timestamp_start, again.timestamp_end) == before
    edit_validity(archive, bias.object_id, 59000.0, 59010.0, why="later")
    moved = archive.object(bias.object_id)
    assert (moved.timestamp_start, moved.timestamp_end) == (59000.0, 59010.0)
    with pytest.raises(ReductionError, match="needs 1 valid ToyBias"):
        ToyImage.get(raw="science.fits")
