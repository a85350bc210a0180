"""Events, verdicts and publications that meet: nothing is lost, nothing half, nothing sticks."""

from __future__ import annotations

import errno
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select, text

import reduction.make
import reduction.publish
from reduction.archive import Archive
from reduction.instruments.base import FrameKind
from reduction.operate import bump, edit, find_target, sync_recipes, targets_matching
from reduction.publish import Superseded, confirm, publish_again
from reduction.verdicts import Verdict, VerdictKind
from schemas.errors import BusyError, ReductionError, StorageError, UnreadableError
from schemas.tables import Product
from tests.reduction.test_chain import add_second_night
from tests.support.toy import ToyBias, ToyFlat, ToyImage, ToyNorm, work_done, write_frame

if TYPE_CHECKING:
    from pathlib import Path


def rows(archive: Archive, sql: str, asof: str = "") -> list[Any]:
    with archive.transaction() as session:
        session.execute(text("SELECT set_config('vo.asof', :t, true)"), {"t": asof})
        return list(session.execute(text(sql)).all())


def test_a_candidate_that_was_passed_over_and_changes_meanwhile_is_not_forgotten(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.ingest([write_frame(tmp_path, "b0", FrameKind.BIAS, 100, night="2020-01-03")])
    archive.ingest(
        [write_frame(tmp_path, "nf", FrameKind.DOME_FLAT, 602, night="2020-01-03", hour=1)]
    )
    late = write_frame(tmp_path, "b1", FrameKind.BIAS, 102, night="2020-01-03", hour=0.1)
    cls = archive.registry.classes["ToyImage"]
    compute = cls.compute
    came = []

    def interrupted(self: Any, inputs: Any, parameters: Any) -> Any:
        if not came:
            came.append(archive.ingest([late]))
        return compute(self, inputs, parameters)

    monkeypatch.setattr(cls, "compute", interrupted)
    assert ToyImage.get(raw="science.fits").flat.level == 501.0


def test_an_event_that_waits_for_a_publication_reaches_what_was_published(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ToyFlat.get().raw_dome_flats[0]
    archive.get("ToyMap")
    image = find_target(archive, "ToyImage").target_id
    depend = reduction.publish.depend
    inside, go = threading.Event(), threading.Event()

    def held(session: Any, verdict: Any) -> None:
        depend(session, verdict)
        if verdict.target.target_id == image:
            session.flush()
            inside.set()
            go.wait(5)

    monkeypatch.setattr(reduction.publish, "depend", held)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(archive.get, "ToyImage")
        assert inside.wait(60)
        rejecting = pool.submit(edit, archive, raw.object_id, "is_valid", 0, why="x")
        time.sleep(0.5)
        go.set()
        rejecting.result(60)
        making.result(60)
    monkeypatch.undo()
    current = ToyFlat.get().object_id
    assert ToyImage.get(raw="science.fits").flat.object_id == current


@pytest.mark.parametrize("trouble", ["disk", "database"])
def test_trouble_that_passes_leaves_the_target_as_it_was(
    archive: Archive, night: Path, work_log: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ToyImage.get(raw="science.fits").bias.raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="x")
    name = {"disk": "write_images", "database": "fetch"}[trouble]
    error: Exception = OSError(errno.ENOSPC, "No space left on device")
    if trouble == "database":
        error = BusyError("the database takes no further connection")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(reduction.make, name, fail)
    expected = StorageError if trouble == "disk" else BusyError
    with pytest.raises(expected, match=r"space left|no further connection"):
        ToyImage.get(raw="science.fits")
    assert len(rows(archive, "SELECT object_id FROM archive.toy_image")) == 1
    monkeypatch.undo()
    assert ToyImage.get(raw="science.fits").bias.level == 103.0


def test_an_edit_and_a_publication_do_not_stop_each_other(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = rows(archive, "SELECT product_id FROM vo.product WHERE class_name = 'RawBiasFrame'")[0][
        0
    ]
    hold = reduction.publish.hold
    inside = threading.Event()

    def slow(session: Any, verdict: Any) -> Any:
        held = hold(session, verdict)
        inside.set()
        time.sleep(0.7)
        return held

    monkeypatch.setattr(reduction.publish, "hold", slow)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(archive.get, "ToyBias")
        assert inside.wait(60)
        pool.submit(edit, archive, raw, "is_valid", 0, why="x").result(30)
        making.result(30)
    monkeypatch.undo()
    assert len(ToyBias.get().raw_bias_frames) == 2


def test_a_shared_product_that_is_accepted_again_is_right_for_all_that_share_it(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    add_second_night(archive, tmp_path)
    shared = [ToyNorm.get(date=date).object_id for date in ("2020-01-01", "2020-01-03")]
    assert shared[0] == shared[1]
    nights = rows(archive, "SELECT night FROM archive.toy_norm ORDER BY night")
    assert nights == [("2020-01-01",), ("2020-01-03",)]
    edit(archive, shared[0], "is_valid", 0, why="x")
    archive.make([find_target(archive, "ToyNorm", date="2020-01-01").target_id])
    edit(archive, shared[0], "is_valid", 1, why="y")
    for date in ("2020-01-01", "2020-01-03"):
        assert ToyNorm.get(date=date).object_id == shared[0]


def test_two_that_confirm_a_shared_product_at_once_do_it_one_after_the_other(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norm, target = ToyNorm.get(), find_target(archive, "ToyNorm")
    with archive.transaction() as session:
        product = session.get_one(Product, norm.object_id)
        others = session.scalars(select(Product).where(Product.class_name == "RawBiasFrame")).all()
    verdicts = [
        Verdict(target, VerdictKind.FRESH, inputs={"flat": [other]}) for other in others[:2]
    ]
    taken, asked = reduction.publish.stamp, threading.Event()

    def confirmed() -> None:
        with archive.transaction() as session:
            confirm(session, product, verdicts[1])

    def asks(session: Any) -> Any:
        asked.set()
        return taken(session)

    with ThreadPoolExecutor(1) as pool:
        with archive.transaction() as session:
            confirm(session, product, verdicts[0])
            monkeypatch.setattr(reduction.publish, "stamp", asks)
            second = pool.submit(confirmed)
            assert asked.wait(60)  # it has looked at what stands
        second.result(60)
    query = "SELECT progenitor_id FROM vo.confirmation WHERE valid_to = 'infinity'"
    assert rows(archive, query) == [(others[1].product_id,)]


def test_a_product_that_is_rejected_after_the_verdict_is_not_published_again(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    raw = bias.raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="x")
    assert ToyBias.get().object_id != bias.object_id
    edit(archive, raw.object_id, "is_valid", 1, why="y")
    verdict = archive.examine(find_target(archive, "ToyBias").target_id)
    assert verdict.reuse is not None
    assert verdict.reuse.product_id == bias.object_id
    with archive.transaction() as session:
        session.execute(
            text("UPDATE vo.product SET is_valid = 0 WHERE product_id = :p"),
            {"p": bias.object_id},
        )
    with pytest.raises(Superseded), archive.transaction() as session:
        publish_again(session, verdict)


@pytest.mark.parametrize("value", [np.nan, np.float32(1.5), object()])
def test_a_value_that_cannot_be_kept_fails_its_target_alone(
    archive: Archive, night: Path, work_log: Path, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = archive.registry.classes["ToyBias"]
    compute = cls.compute

    def odd(self: Any, inputs: Any, parameters: Any) -> Any:
        made = compute(self, inputs, parameters)
        made.cards["ODD"] = (value, "a value")
        return made

    monkeypatch.setattr(cls, "compute", odd)
    if isinstance(value, (float, np.floating)):
        assert ToyBias.get().level == 102.0
        return
    with pytest.raises(ReductionError, match="cannot be"):
        ToyBias.get()
    assert find_target(archive, "ToyBias").state == "failed"


def test_attributes_that_were_not_declared_fail_their_target_alone(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = archive.registry.classes["ToyBias"]
    compute = cls.compute

    def odd(self: Any, inputs: Any, parameters: Any) -> Any:
        made = compute(self, inputs, parameters)
        made.attributes["lvl"] = 1.0
        return made

    monkeypatch.setattr(cls, "compute", odd)
    with pytest.raises(ReductionError, match="declares and computes different attributes: lvl"):
        ToyBias.get()


def test_a_file_that_is_lost_ends_its_own_making_and_not_the_nights(
    archive: Archive, night: Path, work_log: Path
) -> None:
    archive.ingest([write_frame(night, "second", FrameKind.SCIENCE, 402, hour=3)])
    (path,) = (p for p in archive.storage.path("raw").rglob("*") if is_frame(p, 302))
    away = path.rename(path.with_suffix(".away"))
    numbers = [t.target_id for t in targets_matching(archive, "ToyImage")]
    with pytest.raises(UnreadableError, match="cannot be read"):
        archive.make(numbers)
    states = {t.raw_id: t.state for t in targets_matching(archive, "ToyImage")}
    assert sorted(states.values()) == ["fresh", "missing"]
    away.rename(path)
    archive.make(numbers)
    assert {t.state for t in targets_matching(archive, "ToyImage")} == {"fresh"}


def is_frame(path: Path, level: int) -> bool:
    """Whether a stored file is a science frame of a level."""
    return path.is_file() and fits.getdata(path)[0, 0] == level


def test_a_process_with_another_version_of_a_recipe_makes_nothing(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = archive.registry.classes["ToyBias"]
    with monkeypatch.context() as newer:
        newer.setattr(cls, "VERSION", 2)
        sync_recipes(archive)
    with pytest.raises(BusyError, match="restart the service"):
        ToyBias.get()
    assert work_done(work_log) == []


def test_the_order_in_which_files_come_does_not_matter(archive: Archive, tmp_path: Path) -> None:
    late = write_frame(tmp_path, "late", FrameKind.BIAS, 100, hour=20)
    early = write_frame(tmp_path, "early", FrameKind.BIAS, 101, hour=2)
    archive.ingest([late])
    archive.ingest([early])
    target = find_target(archive, "ToyBias")
    assert target.moment % 1 == pytest.approx(2 / 24)
    assert (target.validity_start, target.validity_end) == pytest.approx(
        (target.moment - 0.6, target.moment + 0.6)
    )


def test_the_past_is_answered_as_it_was_edits_and_confirmations_included(
    archive: Archive, night: Path, work_log: Path
) -> None:
    image = ToyImage.get(raw="science.fits")
    moment = rows(archive, "SELECT value FROM vo.service_fact WHERE name = 'moment'")[0][0]
    questions = (
        "SELECT object_id, is_valid, timestamp_start FROM archive.toy_image",
        (
            f"SELECT ancestor_id AS a FROM archive.ancestors WHERE object_id = {image.object_id} "
            "ORDER BY a"
        ),
        "SELECT object_id, is_valid FROM archive.raw_frames ORDER BY 1",
    )
    then = [rows(archive, q) for q in questions]
    edit(archive, image.object_id, "is_valid", 2, why="promote")
    edit(archive, image.object_id, "timestamp_start", 58000.0, why="longer")
    bump(archive, "ToyBias", why="early cutoff")
    edit(archive, image.raw_science_frame.object_id, "is_valid", 2, why="promote")
    ToyImage.get(raw="science.fits")
    assert [rows(archive, q) for q in questions] != then
    assert [rows(archive, q, asof=moment) for q in questions] == then
    gaps = rows(
        archive,
        "SELECT 1 FROM vo.publication a JOIN vo.publication b ON a.target_id = b.target_id "
        "AND b.published_from > a.published_from AND a.published_to <> b.published_from",
    )
    assert gaps == []


def test_why_something_is_stale_and_why_it_was_made_can_be_asked_for(
    archive: Archive, night: Path, work_log: Path
) -> None:
    raw = ToyImage.get(raw="science.fits").bias.raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="x")
    archive.why(find_target(archive, "ToyBias").target_id)
    (said,) = rows(archive, "SELECT reasons FROM archive.targets WHERE class_name = 'ToyBias'")
    assert f"RawBiasFrame object {raw.object_id} was rejected" in said[0]
    made = ToyBias.get()
    (said,) = rows(
        archive,
        f"SELECT reasons FROM archive.publications WHERE object_id = {made.object_id}",
    )
    assert "progenitor invalidated" in said[0]


def test_comparison_with_the_version_before_does_not_make_a_product_unfit(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(self: Any, made: Any, previous: Any, parameters: Any) -> int:
        return int(previous["level"] != made.attributes["level"])

    monkeypatch.setattr(archive.registry.classes["ToyBias"], "compare", differs)
    raw = ToyBias.get().raw_bias_frames[2]
    edit(archive, raw.object_id, "is_valid", 0, why="light leak")
    assert ToyImage.get(raw="science.fits").bias.level == 101.0
    flags = "SELECT quality_flags, compare_flags FROM archive.products WHERE is_current = 1 "
    assert rows(archive, flags + "AND class_name = 'ToyBias'") == [(0, 1)]
