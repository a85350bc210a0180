"""However many ask, one makes; whoever is killed leaves nothing to clean up by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from reduction.archive import Archive, Fresh
from reduction.operate import edit, find_target
from reduction.scope import Scope
from schemas.errors import NotMadeYetError, StaleError
from schemas.settings import LimitSettings
from tests.support.toy import ToyBias, ToyImage, work_done

ROOT = Path(__file__).resolve().parents[2]
IMAGES = Scope(classes=frozenset({"ToyImage"}))


def environment(archive: Archive, work_log: Path, **more: str) -> dict[str, str]:
    database = archive.settings.database
    return {
        **os.environ,
        "VO_DATABASE__OWNER_URL": database.owner_url,
        "VO_DATABASE__SERVICE_URL": database.service_url,
        "VO_DATABASE__READER_URL": database.reader_url,
        "VO_STORAGE__ROOT": str(archive.settings.storage.root),
        "VO_REDUCTION__PLUGINS": '["tests.support.toy"]',
        "VO_TOY_LOG": str(work_log),
        "PYTHONPATH": str(ROOT),
        **more,
    }


def start_asker(env: dict[str, str]) -> subprocess.Popen[str]:
    program = """
        from reduction.archive import Archive
        from reduction.scope import Scope
        with Archive.current().snapshot(
            Scope(classes=frozenset({"ToyImage"})), timeout_s=30
        ) as answering:
            with answering.connection.cursor() as cursor:
                cursor.execute("SELECT object_id, level FROM archive.toy_image")
                print(cursor.fetchall())
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_threads_and_processes_make_each_target_once(
    archive: Archive, night: Path, work_log: Path
) -> None:
    def ask(_: int) -> tuple[int, float]:
        with (
            archive.snapshot(IMAGES, timeout_s=30) as answering,
            answering.connection.cursor() as cursor,
        ):
            cursor.execute("SELECT object_id, level FROM archive.toy_image")
            return cursor.fetchall()

    others = [start_asker(environment(archive, work_log)) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    answers += [eval(p.communicate(timeout=60)[0]) for p in others]  # noqa: S307  # printed by our own program
    assert len({str(answer) for answer in answers}) == 1
    assert len(answers[0]) == 1
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]


def test_a_killed_maker_leaves_nothing_half_and_the_next_one_succeeds(
    archive: Archive, night: Path, work_log: Path
) -> None:
    doomed = start_asker(environment(archive, work_log, VO_TOY_SLEEP="1.5"))
    deadline = time.monotonic() + 30
    while not (work_log.exists() and "ToyFlat" in work_log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.communicate()
    with archive.transaction() as session:
        half = session.execute(
            text(
                "SELECT p.product_id FROM vo.product p LEFT JOIN vo.lineage l USING (product_id) "
                "LEFT JOIN vo.publication u USING (product_id) WHERE p.target_id IS NOT NULL "
                "AND (l.product_id IS NULL OR u.product_id IS NULL)"
            )
        ).all()
    assert half == []
    work_done(work_log)
    image = ToyImage.get(raw="science.fits")
    assert image.level == pytest.approx(20.0)
    assert "ToyImage" in work_done(work_log)


def test_a_question_past_its_budget_is_told_so_and_making_goes_on(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VO_TOY_SLEEP", "0.3")
    limits = LimitSettings(make_budget_s=0.5)
    hasty = Archive(archive.settings.model_copy(update={"limits": limits}))
    with (
        pytest.raises(NotMadeYetError, match="targets are being made") as caught,
        hasty.snapshot(IMAGES, timeout_s=5),
    ):
        pass
    assert caught.value.retry_after_s >= 2
    deadline = time.monotonic() + 20
    while find_target(archive, "ToyImage").state != "fresh":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with hasty.snapshot(IMAGES, timeout_s=5) as answering:
        assert answering.report.remade == 0
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]
    hasty.close()


def test_policies_make_take_or_refuse(archive: Archive, night: Path, work_log: Path) -> None:
    def levels(fresh: Fresh) -> tuple[list[tuple[float]], int, int]:
        with (
            archive.snapshot(IMAGES, fresh=fresh, timeout_s=5) as answering,
            answering.connection.cursor() as cursor,
        ):
            cursor.execute("SELECT level FROM archive.toy_image")
            return cursor.fetchall(), answering.report.remade, answering.report.stale

    assert levels(Fresh.ANY) == ([], 0, 1)
    with pytest.raises(StaleError, match="FRESH=require"):
        levels(Fresh.REQUIRE)
    assert work_done(work_log) == []
    rows, remade, stale = levels(Fresh.MAKE)
    assert (len(rows), remade, stale) == (1, 4, 0)
    assert levels(Fresh.REQUIRE) == (rows, 0, 0)
    edit(archive, ToyBias.get().raw_bias_frames[0].object_id, "is_valid", 0, why="x")
    work_done(work_log)
    assert levels(Fresh.ANY) == (rows, 0, 1)
    with pytest.raises(StaleError, match=r"was rejected|has to be made"):
        levels(Fresh.REQUIRE)
    assert work_done(work_log) == []


def test_the_scope_of_a_question_leaves_the_rest_alone(
    archive: Archive, night: Path, work_log: Path
) -> None:
    for scope in (
        Scope(classes=frozenset()),
        Scope(classes=frozenset({"ToyImage"}), instruments=frozenset({"nickel"})),
        Scope(classes=frozenset({"ToyImage"}), time=(50000.0, 50001.0)),
        Scope(classes=frozenset({"ToyImage"}), datasets=frozenset({"ivo://x/y?z"})),
    ):
        with archive.snapshot(scope, timeout_s=5) as answering:
            assert answering.report.remade == 0
    assert work_done(work_log) == []


def test_an_event_during_the_making_is_not_lost(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ToyBias.get().raw_bias_frames[2]
    monkeypatch.setenv("VO_TOY_SLEEP", "0.4")
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(ToyImage.get, raw="science.fits")
        time.sleep(0.6)
        edit(archive, raw.object_id, "is_valid", 0, why="seen just now")
        image = making.result()
    monkeypatch.setenv("VO_TOY_SLEEP", "0")
    image = ToyImage.get(raw="science.fits")
    assert image.bias.level == 101.0
    assert image.flat.bias.object_id == image.bias.object_id
    assert find_target(archive, "ToyImage").state == "fresh"
