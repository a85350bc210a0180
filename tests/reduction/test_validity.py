"""For which moments calibrations hold: what selects them and what they say are the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from sqlalchemy import text

import reduction.publish
import reduction.validity
from reduction.batches import batched
from reduction.edits import edit_validity
from reduction.instruments.base import FrameKind
from reduction.moments import stamp
from reduction.operate import find_target, forget_parameter, set_parameter, sync_recipes
from schemas.database import migrate
from schemas.errors import ParameterError, ReductionError
from schemas.tables import Product
from tests.reduction.test_chain import add_second_night
from tests.support.toy import ToyBias, ToyFlat, ToyImage, write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

SAID = "SELECT timestamp_start, timestamp_end FROM archive.toy_bias"


def said(archive: Archive, asof: str = "") -> list[Any]:
    """What users read of the bias's validity, now or as of a moment."""
    with archive.transaction() as session:
        session.execute(text("SELECT set_config('vo.asof', :asof, true)"), {"asof": asof})
        return [tuple(row) for row in session.execute(text(SAID))]


def holds(archive: Archive, class_name: str) -> tuple[float | None, float | None]:
    """What the selection rule goes by."""
    target = find_target(archive, class_name)
    return target.validity_start, target.validity_end


def now(archive: Archive) -> str:
    with archive.transaction() as session:
        return str(session.scalar(text("SELECT value FROM vo.service_fact WHERE name = 'moment'")))


def let_hold(archive: Archive, **days: float) -> None:
    """Let the camera's module give some classes another validity, and start anew."""
    toy = archive.registry.instruments["toy"]
    longer = {name: (number, number) for name, number in days.items()}
    archive.registry.instruments["toy"] = replace(toy, validity={**toy.validity, **longer})
    sync_recipes(archive)


def test_a_product_that_is_published_again_holds_for_the_time_that_its_target_does(
    archive: Archive, night: Path, work_log: Path
) -> None:
    first = ToyBias.get()
    was, before = (first.timestamp_start, first.timestamp_end), now(archive)
    set_parameter(archive, "ToyBias", "OFFSET", 5.0, instrument="toy", why="a try")
    second = ToyBias.get()
    edit_validity(archive, second.object_id, 58000.0, 59000.0, why="the same chip, cooled")
    forget_parameter(archive, "ToyBias", "OFFSET", instrument="toy", why="no better")
    again = ToyBias.get()
    assert again.object_id == first.object_id
    assert (again.timestamp_start, again.timestamp_end) == (58000.0, 59000.0)
    assert said(archive) == [holds(archive, "ToyBias")] == [(58000.0, 59000.0)]
    assert said(archive, before) == [was]
    with archive.transaction() as session:
        query = "SELECT value_before, value_after FROM archive.edits WHERE object_id = :number"
        rows = session.execute(text(query), {"number": first.object_id}).all()
    assert [tuple(map(float, row)) for row in rows] == [(was[0], 58000.0), (was[1], 59000.0)]


def test_the_validity_of_a_calibration_that_was_superseded_is_refused_with_the_one_that_holds(
    archive: Archive, night: Path, work_log: Path
) -> None:
    first = ToyBias.get()
    set_parameter(archive, "ToyBias", "OFFSET", 5.0, instrument="toy", why="a try")
    second = ToyBias.get()
    wanted = f"expected object {second.object_id}, which is"
    with pytest.raises(ParameterError, match=wanted):
        edit_validity(archive, first.object_id, 58000.0, None, why="longer")
    with archive.transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM archive.edits WHERE field <> 'x'")) == 1


def test_a_camera_that_gives_calibrations_a_longer_time_gives_it_to_those_that_are_there(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias, flat, before = ToyBias.get(), ToyFlat.get(), None
    write_frame(night, "lonely", FrameKind.SCIENCE, 302, night="2020-01-04", hour=2.0)
    archive.ingest([night / "lonely.fits"])
    with pytest.raises(ReductionError, match="ToyBias"):
        ToyImage.get(raw="lonely.fits")
    edit_validity(archive, flat.object_id, None, flat.moment + 7.0, why="the lamp died")
    before = now(archive)
    let_hold(archive, ToyBias=9.0, ToyMap=9.0, ToyFlat=20.0)
    longer = (bias.moment - 9.0, bias.moment + 9.0)
    assert said(archive) == [holds(archive, "ToyBias")] == [longer]
    assert said(archive, before) == [(bias.timestamp_start, bias.timestamp_end)]
    assert holds(archive, "ToyFlat") == (flat.timestamp_start, flat.moment + 7.0)
    assert ToyImage.get(raw="lonely.fits").bias.object_id == bias.object_id


def test_a_new_validity_makes_no_calibration_of_its_class_stale(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    toy = archive.registry.instruments["toy"]
    longer = {**toy.validity, "ToyBias": (9.0, 9.0)}
    archive.registry.instruments["toy"] = replace(toy, validity=longer)
    assert sync_recipes(archive) == []
    ToyImage.get(raw="science.fits")
    assert find_target(archive, "ToyImage").state == "fresh"


def test_a_frame_that_begins_the_night_earlier_moves_the_time_by_the_camera_s_new_measure(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias, flat = ToyBias.get(), ToyFlat.get()
    edit_validity(archive, flat.object_id, None, flat.moment + 0.25, why="the lamp died")
    let_hold(archive, ToyBias=9.0, ToyFlat=9.0)
    for name, kind in (("bias9", FrameKind.BIAS), ("flat9", FrameKind.DOME_FLAT)):
        write_frame(night, name, kind, 102, hour=-1.0)
        archive.ingest([night / f"{name}.fits"])
    earlier = bias.moment - 1 / 24
    assert find_target(archive, "ToyBias").moment == pytest.approx(earlier)
    assert holds(archive, "ToyBias") == pytest.approx((earlier - 9.0, earlier + 9.0))
    assert find_target(archive, "ToyFlat").moment == pytest.approx(earlier)
    assert holds(archive, "ToyFlat") == (flat.timestamp_start, flat.moment + 0.25)


def test_an_archive_of_before_knows_which_validities_a_person_set(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    flat = ToyFlat.get()
    edit_validity(archive, flat.object_id, None, flat.moment + 0.25, why="the lamp died")
    with pytest.raises(ParameterError, match="the reason, in words"):
        edit_validity(archive, flat.object_id, None, flat.moment + 0.25, why=" ")
    with (
        psycopg2.connect(archive.settings.database.owner_url) as owner,
        owner.cursor() as cursor,
    ):
        # as of a product of then that was not the one that the archive answered with
        cursor.execute(
            "INSERT INTO vo.edit (product_id, subject, field, old, new, who, why) "
            "VALUES (%s, 'ToyBias', 'timestamp_end', '1.0', '2.0', 'ann', 'before')",
            (bias.object_id,),
        )
        cursor.execute("ALTER TABLE vo.target DROP COLUMN validity_edited")
        cursor.execute("UPDATE vo.alembic_version SET version_num = '0013'")
    migrate(archive.settings.database.owner_url)
    edited = {n: find_target(archive, n).validity_edited for n in ("ToyBias", "ToyFlat")}
    assert edited == {"ToyBias": False, "ToyFlat": True}


@pytest.mark.parametrize("level", [102, 2**30])
def test_a_frame_that_begins_the_night_earlier_moves_what_its_product_says_as_well(
    archive: Archive, night: Path, work_log: Path, level: int
) -> None:
    ToyFlat.get()
    bias, before = ToyBias.get(), now(archive)
    was = (bias.timestamp_start, bias.timestamp_end)
    for name, day, hour in (("dawn", "2019-12-31", 9.3), ("dusk", "2020-01-01", 14.3)):
        path = write_frame(night, name, FrameKind.SCIENCE, 302, night=day, hour=hour)
        assert archive.ingest([path]).refused == []
    with pytest.raises(ReductionError, match="ToyBias"):
        ToyImage.get(raw="dawn.fits")
    # flagged and not used, or used: it is a frame of the night
    archive.ingest([write_frame(night, "early", FrameKind.BIAS, level, hour=-1.0)])
    assert said(archive) == [holds(archive, "ToyBias")]
    assert said(archive)[0] == pytest.approx((was[0] - 1 / 24, was[1] - 1 / 24))
    assert said(archive, before) == [was]
    flagged = level != 102
    assert ToyImage.get(raw="dawn.fits").bias.object_id == ToyBias.get().object_id
    assert (ToyBias.get().object_id == bias.object_id) is flagged
    assert said(archive) == [holds(archive, "ToyBias")]
    with pytest.raises(ReductionError, match="ToyBias"):
        ToyImage.get(raw="dusk.fits")


def test_a_night_that_begins_earlier_while_its_bias_is_published_moves_that_one(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = write_frame(night, "early", FrameKind.BIAS, 2**30, hour=-1.0)
    inside, go = stopped(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(archive.get, "ToyBias")
        assert inside.wait(60)
        coming = pool.submit(archive.ingest, [early])
        with pytest.raises(TimeoutError):
            coming.result(timeout=0.5)
        go.set()
        assert coming.result(60).refused == []
        making.result(60)
    assert said(archive) == [holds(archive, "ToyBias")]


def test_a_calibration_that_is_superseded_while_its_time_is_edited_is_refused(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ToyBias.get()
    set_parameter(archive, "ToyBias", "OFFSET", 5.0, instrument="toy", why="a try")
    inside, go = stopped(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(archive.get, "ToyBias")
        assert inside.wait(60)
        number = first.object_id
        editing = pool.submit(edit_validity, archive, number, 58000.0, 59000.0, why="longer")
        with pytest.raises(TimeoutError):
            editing.result(timeout=0.5)
        go.set()
        with pytest.raises(ParameterError, match="which is not what the archive answers with"):
            editing.result(60)
        making.result(60)
    assert said(archive) == [holds(archive, "ToyBias")]
    assert said(archive) == [(first.timestamp_start, first.timestamp_end)]


def stopped(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let publications wait before they are stamped: they say so, and go on when they are told."""
    depend = reduction.publish.depend
    inside, go = threading.Event(), threading.Event()

    def held(session: Any, verdict: Any) -> None:
        depend(session, verdict)
        session.flush()
        inside.set()
        go.wait(60)

    monkeypatch.setattr(reduction.publish, "depend", held)
    return inside, go


def test_no_stamp_is_held_while_a_product_is_waited_for(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_second_night(archive, tmp_path)
    dates = ("2020-01-01", "2020-01-03")
    numbers = [ToyBias.get(date=date).object_id for date in dates]
    monkeypatch.setattr(reduction.validity, "batched", partial(batched, size=1))
    with ThreadPoolExecutor(1) as pool:
        with archive.transaction() as other:
            other.get_one(Product, numbers[1], with_for_update=True)
            following = pool.submit(let_hold, archive, ToyBias=9.0)
            with pytest.raises(TimeoutError):
                following.result(timeout=1.0)
            other.execute(text("SET LOCAL lock_timeout = '5s'"))
            assert stamp(other) == stamp(other)
        following.result(60)
    query = "SELECT count(*), count(DISTINCT at), min(who) FROM vo.edit WHERE field ~ 'timestamp'"
    with archive.transaction() as session:
        assert tuple(session.execute(text(query)).one()) == (4, 1, "module of toy")


def test_moments_go_on_where_the_clock_was_set_back(archive: Archive) -> None:
    late = "2999-01-01T00:00:00.000000Z"
    with archive.transaction() as session:
        stamp(session)
        query = "UPDATE vo.service_fact SET value = :late WHERE name = 'moment'"
        session.execute(text(query), {"late": late})
    for number in (1, 2):
        with archive.transaction() as session:
            assert f"{stamp(session).astimezone(UTC):%Y %f}" == f"2999 {number:06d}"


def test_calibrations_follow_their_camera_some_at_a_time(
    archive: Archive, night: Path, work_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_second_night(archive, tmp_path)
    monkeypatch.setattr(reduction.validity, "_PIECE", 1)
    let_hold(archive, ToyBias=9.0)
    query = "SELECT DISTINCT validity_end - validity_start FROM vo.target WHERE class_name = :name"
    with archive.transaction() as session:
        assert session.scalars(text(query), {"name": "ToyBias"}).all() == [18.0]


@pytest.mark.parametrize("end", [float("nan"), 57000.0])
def test_a_range_that_is_none_is_refused(
    archive: Archive, night: Path, work_log: Path, end: float
) -> None:
    with pytest.raises(ParameterError, match="begins before it ends"):
        edit_validity(archive, ToyBias.get().object_id, None, end, why="longer")
