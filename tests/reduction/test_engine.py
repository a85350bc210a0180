"""The Dask engine: plans run on its workers, and survive the loss of any of its processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import distributed
import psutil
import pytest
from sqlalchemy import text

from reduction.archive import Archive
from reduction.engine import InlineEngine
from reduction.instruments.base import FrameKind
from reduction.operate import edit, find_target, targets_matching
from reduction.scope import Scope
from schemas.errors import BusyError, NotMadeYetError, StorageError, UnreadableError
from schemas.settings import EngineSettings, LimitSettings
from tests.reduction.test_restore import damage
from tests.reduction.test_single_flight import environment
from tests.support.serving import kill_tree
from tests.support.toy import ToyBias, ToyImage, work_done, write_frame
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Scope(classes=frozenset({"ToyImage"}))


def test_who_asks_again_in_this_process_waits_with_the_first(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VO_TOY_SLEEP", "0.3")
    with archive.transaction() as session:
        query = "SELECT target_id FROM vo.target WHERE class_name = 'ToyImage'"
        numbers = list(session.scalars(text(query)))
    engine = archive.engine
    assert isinstance(engine, InlineEngine)
    for _ in range(8):
        with pytest.raises(NotMadeYetError):
            engine.run(archive.plan(numbers), budget_s=0.01)
    assert len(engine._running) == 1
    # a part of it is waited for alone
    with archive.transaction() as session:
        query = "SELECT target_id FROM vo.target WHERE class_name = 'ToyBias'"
        (bias,) = session.scalars(text(query))
    assert [o.target_id for o in engine.run(archive.plan([bias]), budget_s=60.0)] in ([bias], [])
    assert archive.plan(numbers).steps
    outcomes = engine.run(archive.plan(numbers), budget_s=60.0)
    assert {outcome.target_id for outcome in outcomes} >= set(numbers)
    assert sorted(work_done(work_log)) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]


def test_a_small_question_does_not_wait_for_a_large_plan_that_it_is_part_of(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [
        write_frame(night, f"more{number}", FrameKind.SCIENCE, 310 + number, hour=3 + number)
        for number in range(4)
    ]
    assert archive.ingest(more).ingested == len(more)
    ToyImage.get(raw="science.fits")
    numbers = [target.target_id for target in targets_matching(archive, "ToyImage")]
    engine, cls = archive.engine, archive.registry.classes["ToyImage"]
    compute, first = cls.compute, threading.Event()
    go = threading.Event()

    def held(self: Any, inputs: Any, parameters: Any) -> Any:
        if not first.is_set():
            first.set()
            assert go.wait(60)
        return compute(self, inputs, parameters)

    monkeypatch.setattr(cls, "compute", held)
    whole = archive.plan(numbers)
    with pytest.raises(NotMadeYetError):
        engine.run(whole, budget_s=0.01)
    assert first.wait(30)
    last = whole.steps[-1].target_id
    try:
        assert [o.target_id for o in engine.run(archive.plan([last]), budget_s=30.0)] == [last]
    finally:
        go.set()
    assert {o.target_id for o in engine.run(whole, budget_s=60.0)} >= {last}


def start_engine(env: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    program = (
        "from reduction.cluster import run_cluster\n"
        "if __name__ == '__main__':\n"
        f"    run_cluster(host='127.0.0.1', port={port}, workers=2, threads=1)\n"
    )
    script = f"{env['VO_TOY_LOG']}.engine.py"
    with open(script, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a script beside the log
        stream.write(program)
    with Path(script).with_suffix(".log").open("wb") as log:
        return subprocess.Popen([sys.executable, script], env=env, stdout=log, stderr=log)


@contextmanager
def asking(archive: Archive, port: int, budget_s: float = 60) -> Iterator[Archive]:
    changed = {
        "engine": EngineSettings(address=f"tcp://127.0.0.1:{port}"),
        "limits": LimitSettings(make_budget_s=budget_s),
    }
    opened = Archive(archive.settings.model_copy(update=changed))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def working(
    archive: Archive, work_log: Path, *, budget_s: float = 60, **env: str
) -> Iterator[tuple[Archive, subprocess.Popen[bytes]]]:
    """An archive that asks an engine of its own, and the engine."""
    port = free_port("127.0.0.1")
    engine = start_engine(environment(archive, work_log, **env), port)
    try:
        with asking(archive, port, budget_s) as asker:
            yield asker, engine
    except BaseException as error:
        log = work_log.with_name(f"{work_log.name}.engine.log").read_text(errors="replace")
        error.add_note(f"the engine (ended: {engine.poll()}) said: {log[-4000:]}")
        raise
    finally:
        kill_tree(engine)


def ask(archive: Archive) -> tuple[list[tuple[float]], int]:
    with (
        archive.snapshot(IMAGES, timeout_s=30) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute("SELECT level FROM archive.toy_image")
        return [(round(level, 4),) for (level,) in cursor], answering.report.remade


def until_made(archive: Archive) -> tuple[list[tuple[float]], int]:
    """Ask again, as the error says, while targets are being made."""
    deadline = time.monotonic() + 600
    while True:
        try:
            return ask(archive)
        except NotMadeYetError:
            assert time.monotonic() < deadline


def wait_for_work(work_log: Path, word: str) -> None:
    deadline = time.monotonic() + 60
    while not (work_log.exists() and word in work_log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_workers(engine: subprocess.Popen[bytes]) -> None:
    for worker in psutil.Process(engine.pid).children(recursive=True):
        if "spawn_main" in " ".join(worker.cmdline()):
            os.kill(worker.pid, signal.SIGKILL)


def test_a_plan_runs_on_the_workers(archive: Archive, night: Path, work_log: Path) -> None:
    with working(archive, work_log) as (asker, _):
        assert ask(asker) == ([(20.0,)], 4)
        assert ask(asker) == ([(20.0,)], 0)
        assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]
        edit(archive, ToyBias.get().raw_bias_frames[0].object_id, "is_valid", 0, why="x")
        rows, remade = ask(asker)
        assert rows == [(round(100 * 199 / 999, 4),)]
        assert remade == 4


def test_an_engine_shows_no_pages_and_says_nothing_alarming_when_it_starts(
    archive: Archive, work_log: Path
) -> None:
    with socket.socket() as other:
        with suppress(OSError):  # somebody has it already
            other.bind(("127.0.0.1", 8787))  # which any Dask cluster of this machine takes
            other.listen()
        with working(archive, work_log) as (asker, _):
            assert ask(asker) == ([], 0)
            (log,) = work_log.parent.glob("*.engine.log")
            until = time.monotonic() + 60
            while not (at := re.search(r"dashboard at:\s+(\S+)", log.read_text())):
                assert time.monotonic() < until
                time.sleep(0.1)
            with pytest.raises(HTTPError, match="404"):
                urlopen(at[1], timeout=10)
    said = log.read_text()
    for word in ("8787", "Warning", "install", "closed before handshake"):
        assert word not in said


def test_a_killed_worker_does_not_lose_the_question(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with (
        working(archive, work_log, VO_TOY_SLEEP="0.7") as (asker, engine),
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(ask, asker)
        wait_for_work(work_log, "ToyBias")
        kill_workers(engine)
        assert answer.result(timeout=90) == ([(20.0,)], 4)


def test_a_killed_scheduler_that_comes_back_does_not_lose_the_question(
    archive: Archive, night: Path, work_log: Path
) -> None:
    port = free_port("127.0.0.1")
    env = environment(archive, work_log, VO_TOY_SLEEP="0.7")
    engine = start_engine(env, port)
    try:
        with asking(archive, port) as asker, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, asker)
            wait_for_work(work_log, "ToyBias")
            kill_tree(engine)
            engine = start_engine(env, port)
            rows, _ = answer.result(timeout=90)
            assert rows == [(20.0,)]
    finally:
        kill_tree(engine)


def test_without_an_engine_the_question_is_told_so(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with (
        asking(archive, free_port("127.0.0.1"), budget_s=2) as asker,
        pytest.raises(BusyError, match="engine that makes targets is not there"),
    ):
        ask(asker)


def test_a_failure_that_passes_does_not_stay_with_the_engine(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with archive.transaction() as session:
        location = session.scalar(text("SELECT location FROM vo.file WHERE name = 'bias0.fits'"))
    path = archive.storage.path(str(location))
    away = path.with_suffix(".away")
    with working(archive, work_log) as (asker, _):
        path.rename(away)
        with pytest.raises(StorageError, match="cannot be read"):
            ask(asker)
        away.rename(path)
        assert ask(asker)[0] == [(20.0,)]


def test_workers_that_come_back_late_come_back(
    archive: Archive, night: Path, work_log: Path
) -> None:
    # Dask gives up a worker that takes longer than this to start again, as on a busy machine
    with working(archive, work_log, DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT="100ms") as (
        asker,
        engine,
    ):
        assert ask(asker)[0] == [(20.0,)]
        kill_workers(engine)
        edit(archive, ToyBias.get().raw_bias_frames[0].object_id, "is_valid", 0, why="x")
        assert until_made(asker)[0] == [(round(100 * 199 / 999, 4),)]


def test_a_file_that_will_not_mend_is_read_once_and_its_object_is_named(
    archive: Archive, night: Path, work_log: Path
) -> None:
    archive.ingest(
        [write_frame(night, f"more{n}", FrameKind.SCIENCE, 402 + n, hour=3 + n) for n in range(6)]
    )
    with archive.transaction() as session:
        query = "SELECT product_id FROM vo.product WHERE class_name = 'RawBiasFrame'"
        raw = sorted(session.scalars(text(query)))[1]
    damage(archive, raw)
    said = f"RawBiasFrame object {raw} .*restore {raw} --file COPY"
    with pytest.raises(UnreadableError, match=said):
        ask(archive)
    assert work_done(work_log) == ["ToyBias"]
    with working(archive, work_log) as (asker, _):
        with pytest.raises(UnreadableError, match=said):
            ask(asker)
        assert work_done(work_log) == ["ToyBias"]


def test_one_more_worker_says_that_its_engine_stopped(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with working(archive, work_log) as (asker, engine):
        address = asker.settings.engine.address
        program = f"from reduction.cluster import run_worker; run_worker({address!r}, threads=1)"
        script = work_log.with_suffix(".worker.py")
        script.write_text(f"if __name__ == '__main__':\n    {program}\n", encoding="utf-8")
        lent = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment(archive, work_log),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with distributed.Client(address) as client:
                client.wait_for_workers(3, timeout=60)
            engine.terminate()
            _, said = lent.communicate(timeout=60)
        finally:
            kill_tree(lent)
    assert lent.returncode == 1
    assert f"the worker of {address} ended: its engine stopped" in said


@pytest.mark.timeout(900)
def test_a_recipe_that_ends_its_workers_fails_alone(
    archive: Archive, night: Path, work_log: Path
) -> None:
    with working(archive, work_log, VO_TOY_KILL="ToyFlat") as (asker, _):
        # eight workers are started anew meanwhile: on a busy machine for longer than one budget
        assert until_made(asker)[0] == []
    failed = find_target(archive, "ToyFlat")
    assert failed.state == "failed"
    assert "ended the engine's workers" in failed.reasons[0]["text"]
    assert find_target(archive, "ToyMap").state == "fresh"
