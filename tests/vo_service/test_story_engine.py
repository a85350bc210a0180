"""The story with the engine at work: many who ask at once, and an engine that is killed.

The second test kills the engine that the module's tests share.
"""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.operate import edit
from schemas.settings import EngineSettings
from tests.support.asking import (
    CATALOGUE,
    catalogue,
    get,
    half_published,
    made_since,
    rows_of,
    until_answered,
)
from tests.support.counted import computed
from tests.support.serving import kill_tree, observed, running_engine, served
from tests.support.witness import held, needed, to_remake, witness
from vo_service.supervise import free_port

QUERY = {"LANG": "ADQL", "QUERY": CATALOGUE, "RESPONSEFORMAT": "csv"}


@pytest.fixture(scope="module")
def work_log(tmp_path_factory):
    """File to which every process writes what it computes."""
    path = tmp_path_factory.mktemp("work") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VO_WORK_LOG", str(path))
        yield path


@pytest.fixture(scope="module")
def stage(databases, tmp_path_factory, work_log):
    """An archive that two workers of Gunicorn serve, and whose engine is another process."""
    folder = tmp_path_factory.mktemp("engine")
    address = f"tcp://127.0.0.1:{free_port('127.0.0.1')}"
    counted = ("tests.support.counted",)
    with (
        databases.fresh() as database,
        observed(
            database, folder, engine=address, plugins=counted, workers=2, field=False
        ) as seen,
    ):
        yield seen


@pytest.fixture(scope="module")
def archive(stage):
    opened = Archive(stage.settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def engine(stage):
    with running_engine(stage.settings, stage.log.with_name("engine.log")) as process:
        yield process


def reject_a_bias(stage, archive):
    """Reject the newest valid one, once all is made and right; what the archive held before."""
    assert question(stage)()[0] == 200
    rows = rows_of(stage)
    before = held(rows)
    newest = rows(
        "SELECT object_id FROM archive.raw_frames WHERE class_name = 'RawBiasFrame' "
        "AND is_valid > 0 ORDER BY mjd_obs DESC"
    )[0][0]
    edit(archive, newest, "is_valid", 0, why="a lamp was on", who="tester")
    return before


def making_itself(stage):
    """Settings of a second server of the archive, whose worker makes without the engine."""
    port = free_port("127.0.0.1")
    return stage.settings.model_copy(
        update={
            "engine": EngineSettings(address="inline"),
            "web": stage.settings.web.model_copy(update={"port": port, "workers": 1}),
        }
    )


def question(stage):
    return lambda: until_answered(lambda: get(stage.url + "/tap/sync", **QUERY))


def as_kept(body):
    """The catalogue of a CSV body in the precision in which it is kept, shape (n, 3)."""
    found = np.loadtxt(io.BytesIO(body), delimiter=",", skiprows=1)
    found[:, 2] = found[:, 2].astype(np.float32)
    return found


def test_fifty_who_ask_at_once_have_each_target_made_once(
    stage, archive, engine, databases, work_log, tmp_path
):
    before = reject_a_bias(stage, archive)
    with databases.fresh() as database, witness(stage, archive, database, tmp_path) as right:
        knowing, whole = held(right), catalogue(right)
    expected = to_remake(before, knowing, {name for name in knowing if name[0] == "SourceList"})
    newest = max(one.object_id or 0 for one in before.values())
    computed(work_log)
    together = threading.Barrier(50)

    def ask_with_all(number):
        together.wait(60)
        server = (stage.url, url)[number % 2]
        return until_answered(lambda: get(server + "/tap/sync", **QUERY))

    with (
        served(making_itself(stage), tmp_path / "itself.log") as url,
        ThreadPoolExecutor(50) as askers,
    ):
        answers = list(askers.map(ask_with_all, range(50)))
    assert {status for status, _, _ in answers} == {200}
    bodies = {body for _, _, body in answers}
    assert len(bodies) == 1
    assert np.array_equal(as_kept(bodies.pop()), whole)

    assert computed(work_log) == sorted(name[0] for name in expected)
    rows = rows_of(stage)
    after = held(rows)
    made = rows(f"SELECT object_id FROM archive.products WHERE object_id > {newest}")
    assert sorted(number for (number,) in made) == sorted(
        after[name].object_id for name in expected
    )
    assert {n for n, one in after.items() if one.object_id != before[n].object_id} == expected


def test_an_engine_killed_while_making_leaves_nothing_half_done(
    stage, archive, engine, databases, tmp_path
):
    before = reject_a_bias(stage, archive)
    with databases.fresh() as database, witness(stage, archive, database, tmp_path) as right:
        knowing, whole = held(right), catalogue(right)
    wanted = {name for name in knowing if name[0] == "SourceList"}
    newest = max(one.object_id or 0 for one in before.values())
    with ThreadPoolExecutor(1) as asker:
        answer = asker.submit(question(stage))
        while not made_since(archive, newest):
            assert not answer.done()
            time.sleep(0.01)
        kill_tree(engine)
        made = made_since(archive, newest)
        assert 0 < made < len(to_remake(before, knowing, wanted))
        assert half_published(archive) == []
        with running_engine(stage.settings, stage.log.with_name("engine2.log")):
            status, _, body = answer.result(120)
    assert status == 200
    assert np.array_equal(as_kept(body), whole)
    assert half_published(archive) == []
    after = held(rows_of(stage))
    resting = needed(knowing, wanted)
    assert {n: after[n].made_by for n in resting} == {n: knowing[n].made_by for n in resting}
