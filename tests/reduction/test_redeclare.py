"""Targets that frames of before make possible when classes and cameras are others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

import reduction.operate
import reduction.redeclare
from reduction.depends import calibration
from reduction.fields import FieldSpec, declare_field
from reduction.fingerprints import fingerprint
from reduction.instruments.base import FrameKind
from reduction.operate import find_target, sync_recipes, targets_matching
from reduction.redeclare import redeclare
from schemas.errors import NotFoundError
from schemas.settings import ReductionSettings
from tests.support.toy import INSTRUMENT, ToyImage, write_frame
from tests.support.toy_field import ToyCoadd, ToyNight, ToyPair, ToyRegridded, ToySum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)


@contextmanager
def transactions(archive: Archive) -> Iterator[list[int]]:
    """Number of frames that each transaction meanwhile went through."""
    seen: list[int] = []

    def note(_conn: Any, cursor: Any, said: str, *_more: Any) -> None:
        if "LIMIT" in said and "vo.product.product_id >" in said:
            seen.append(cursor.rowcount)

    event.listen(archive.database.service, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(archive.database.service, "after_cursor_execute", note)


def learn(archive: Archive, *classes: type) -> None:
    """Let the archive's code have more classes."""
    archive.registry.classes.update({cls.__name__: cls for cls in classes})


def test_a_start_with_another_setting_goes_through_no_frames(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with transactions(archive) as seen:
        archive.settings = archive.settings.model_copy(
            update={
                "reduction": ReductionSettings(
                    plugins=("tests.support.toy",),
                    parameters={"toy": {"ToyBias": {"OFFSET": 5.0}}},
                )
            }
        )
        changed, _ = sync_recipes(archive)
        assert changed == "the recipe of ToyBias for toy changed"
    assert seen == []


def test_a_new_class_finds_the_frames_that_are_there_some_at_a_time(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the earliest of a night came last
    write_frame(night, "early", FrameKind.SCIENCE, 402, hour=1.5)
    archive.ingest([night / "early.fits"])
    ToyImage.get(raw="science.fits")
    monkeypatch.setattr(reduction.redeclare, "_PIECE", 1)
    learn(archive, ToyNight, ToyPair)
    with transactions(archive) as seen:
        said = sync_recipes(archive)
    assert seen == [1, 1, 0]  # biases and flats are nothing to them
    assert said == [
        "1 targets of ToyNight can be made now",
        "2 targets of ToyPair can be made now",
    ]
    assert sync_recipes(archive) == []
    early = find_target(archive, "ToyImage", raw="early.fits")
    target = find_target(archive, "ToyNight")
    assert target.moment == early.moment
    assert (target.validity_start, target.validity_end) == (early.moment - 0.5, early.moment + 0.5)
    assert ToyNight.get().frames == 2
    assert ToyPair.get(raw="early.fits").used == "flat"


def test_frames_reach_as_far_as_their_camera_says_now(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    toy = archive.registry.instruments["toy"]
    archive.registry.instruments["toy"] = replace(toy, pointing_error=0.5)
    sync_recipes(archive)
    radius = find_target(archive, "ToyImage").radius
    assert radius == pytest.approx(8 / 2 * 2**0.5 / 3600 + 0.5)


def test_what_was_made_before_its_frame_reached_further_is_looked_at_again(
    archive: Archive, night: Path, work_log: Path
) -> None:
    learn(archive, ToySum)
    write_frame(night, "beside", FrameKind.SCIENCE, 402, hour=2.5)
    archive.ingest([night / "beside.fits"])
    with archive.transaction() as session:
        session.execute(text("UPDATE vo.target SET dec = 20.3 WHERE identity ~ 'beside'"))
    sync_recipes(archive)
    declare_field(archive, FIELD)
    toy = archive.registry.instruments["toy"]
    archive.registry.instruments["toy"] = replace(toy, pointing_error=0.5)
    archive.transact(partial(reduction.operate._sync, archive))
    assert ToySum.get(field="deep").frames == 1
    ToyImage.get(raw="beside.fits")
    redeclare(archive)
    assert find_target(archive, "ToyImage", raw="beside.fits").state == "suspect"
    assert ToySum.get(field="deep").frames == 2


def test_an_ingest_of_older_code_takes_no_more_frames(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    older = dict(archive.registry.classes)
    learn(archive, ToyNight)
    sync_recipes(archive)
    archive.registry.classes.pop("ToyNight")
    write_frame(night, "late", FrameKind.SCIENCE, 402, night="2020-01-02", hour=2.5)
    (refused,) = archive.ingest([night / "late.fits"]).refused
    assert "other code than this process has, which makes ToyNight for toy" in refused[1]
    assert archive.registry.classes == older
    sync_recipes(archive)
    assert archive.ingest([night / "late.fits"]).ingested == 1
    learn(archive, ToyNight)  # back again: the frames that came meanwhile are its own as well
    assert sync_recipes(archive) == ["1 targets of ToyNight can be made now"]


def test_of_two_starts_one_waits_for_the_other(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    learn(archive, ToyNight)
    with ThreadPoolExecutor(1) as pool:
        with archive.single_flight(0):
            second = pool.submit(sync_recipes, archive)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.5)
        assert second.result(timeout=30) == ["1 targets of ToyNight can be made now"]


def test_a_target_of_a_class_that_is_gone_is_refused_with_a_sentence(
    archive: Archive, night: Path, work_log: Path
) -> None:
    target = find_target(archive, "ToyTotal")
    del archive.registry.classes["ToyTotal"]
    with pytest.raises(NotFoundError, match="no target class 'ToyTotal'"):
        archive.plan([target.target_id])


def test_other_inputs_or_another_module_are_another_recipe() -> None:
    own = fingerprint(ToyPair, INSTRUMENT, {})
    same = {"__module__": ToyPair.__module__, "__qualname__": "ToyPair"}
    optional = {**same, "flat": calibration("ToyFlat", unless=("night",))}
    assert fingerprint(type("ToyPair", (ToyPair,), dict(same)), INSTRUMENT, {}) == own
    assert fingerprint(type("ToyPair", (ToyPair,), optional), INSTRUMENT, {}) != own
    elsewhere = {**same, "__module__": "elsewhere"}
    assert fingerprint(type("ToyPair", (ToyPair,), elsewhere), INSTRUMENT, {}) != own


def test_what_a_killed_start_had_begun_is_done_by_the_next(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(archive, ToyPair)
    sync_recipes(archive)
    assert ToyPair.get(raw="science.fits").used == "flat"
    learn(archive, ToyNight)
    monkeypatch.setattr(reduction.redeclare, "_end", killed)
    with pytest.raises(KeyboardInterrupt):
        sync_recipes(archive)
    assert len(targets_matching(archive, "ToyNight")) == 1
    assert find_target(archive, "ToyPair").state == "fresh"
    monkeypatch.undo()
    assert sync_recipes(archive) == []
    assert find_target(archive, "ToyPair").state == "suspect"


def killed(*_words: Any, **_more: Any) -> None:
    """As a process that is ended by hand."""
    raise KeyboardInterrupt


def test_a_class_of_fields_finds_the_fields_that_are_there(
    archive: Archive, night: Path, work_log: Path
) -> None:
    learn(archive, ToyRegridded)
    sync_recipes(archive)
    declare_field(archive, FIELD)
    learn(archive, ToyCoadd)
    sync_recipes(archive)
    assert ToyCoadd.get(field="deep").frames == 1
