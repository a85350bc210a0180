"""The main story over HTTP: ask; something becomes known; ask again; exactly that is remade.

What has to be remade is not read off the archive that remakes it: a second archive, which knew
from the start what became known, says what everything should be made from.
"""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest
from pyvo.dal import DALQueryError

from reduction.archive import Archive
from reduction.operate import bump, edit, set_parameter
from reduction.simulate import simulate
from reduction.targets.master_flat import MasterFlatFrame
from schemas.settings import ReductionSettings
from tests.support.asking import (
    CATALOGUE,
    ask,
    catalogue,
    cutout,
    get,
    half_published,
    made_since,
    rows_of,
    until_answered,
)
from tests.support.serving import SIMULATED, observed, served
from tests.support.witness import held, needed, to_remake, witness
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

OF_THE_BIAS = {"ReadNoise", "BiasFrame"}
OF_THE_FRAME = {
    "PhotSrcCatalog",
    "ReducedScienceFrame",
    "Catalog",
    "AstrometricParameters",
    "PhotometricParameters",
    "SourceList",
}


@pytest.fixture(scope="module")
def stage(databases, tmp_path_factory):
    """A served archive of these tests alone."""
    with (
        databases.fresh() as database,
        observed(database, tmp_path_factory.mktemp("s"), field=False) as held,
    ):
        yield held


@pytest.fixture(scope="module")
def archive(stage):
    opened = Archive(stage.settings)
    yield opened
    opened.close()


@dataclass(frozen=True)
class Remade:
    """What a question remade.

    ``targets`` changed their product; ``after`` is what the archive holds of each target since.
    """

    targets: set
    after: dict
    answer: object
    infos: dict

    @property
    def classes(self):
        return {name[0] for name in self.targets}


class Story:
    """Makes one thing known, asks, and compares what was remade with what the witness says."""

    def __init__(self, stage, archive, databases, folder):
        self.stage, self.archive = stage, archive
        self._databases, self._folder = databases, folder

    def tell(self, question, goals, *, stage=None):
        """``question`` gives an answer and INFO values, and rests on the targets of ``goals``."""
        stage = stage or self.stage
        rows = rows_of(stage)
        before = self.before
        with (
            self._databases.fresh() as database,
            witness(stage, self.archive, database, self._folder) as right,
        ):
            knowing, whole = held(right), catalogue(right)
        answer, infos = question(stage)
        after = held(rows)
        wanted = {name for name in knowing if goals(name)}
        assert wanted
        changed = {
            n
            for n, one in after.items()
            if n not in before or one.object_id != before[n].object_id
        }
        assert changed == to_remake(before, knowing, wanted)
        assert int(infos["TARGETS_REMADE"]) == len(changed)
        for name in needed(knowing, wanted):
            assert (after[name].content, after[name].made_by) == (
                knowing[name].content,
                knowing[name].made_by,
            )
        if question is whole_catalogue:
            assert np.array_equal(answer, whole)
        again, infos = question(stage)
        assert int(infos["TARGETS_REMADE"]) == 0
        assert np.array_equal(again, answer)
        return Remade(changed, after, answer, infos)

    def begin(self):
        """Remember what the archive holds before anything becomes known."""
        self.before = held(rows_of(self.stage))
        return self.before


@pytest.fixture
def story(stage, archive, databases, tmp_path):
    """Everything is made and right; then the story begins."""
    whole_catalogue(stage)
    ask(stage, "SELECT obs_publisher_did FROM ivoa.obscore")
    told = Story(stage, archive, databases, tmp_path)
    told.begin()
    return told


def whole_catalogue(stage):
    table, infos = ask(stage, CATALOGUE)
    found = np.array([tuple(row) for row in table], dtype=np.float64)
    return found, infos


def sources(name):
    return name[0] == "SourceList"


def a_bias(stage, number=-1):
    rows = rows_of(stage)(
        "SELECT object_id FROM archive.raw_frames WHERE class_name = 'RawBiasFrame' "
        "AND is_valid > 0 AND night = '2026-01-10' ORDER BY mjd_obs"
    )
    return rows[number][0]


def ancestors(stage, class_name):
    """Objects of a class, with their nights, that the catalogue rests on; makes nothing."""
    rows = rows_of(stage)(
        "SELECT DISTINCT a.ancestor_id, p.night FROM archive.targets AS t JOIN archive.ancestors "
        "AS a ON a.object_id = t.object_id JOIN archive.products AS p "
        "ON p.object_id = a.ancestor_id "
        f"WHERE t.class_name = 'SourceList' AND a.ancestor_class = '{class_name}'"
    )
    return dict(rows)


def test_a_catalogue_query_remakes_what_a_rejected_frame_spoilt_and_nothing_else(story):
    stage = story.stage
    before, infos = whole_catalogue(stage)
    assert len(before) > 10
    assert infos["TARGETS_REMADE"] == "0"
    rejected = a_bias(stage)
    assert rejected in ancestors(stage, "RawBiasFrame")

    suspects = edit(story.archive, rejected, "is_valid", 0, why="a lamp was on", who="tester")

    query = {"LANG": "ADQL", "QUERY": CATALOGUE}
    status, headers, body = get(stage.url + "/tap/sync", **query, FRESH="require")
    assert status == 409
    assert "FRESH=make" in body.decode()
    assert "Retry-After" not in headers  # waiting alone does not make anything
    with pytest.raises(DALQueryError, match=r"UsageFault: .* was rejected"):
        ask(stage, CATALOGUE, FRESH="require")
    _, _, body = get(stage.url + "/tap/sync", **query, FRESH="any")
    assert b'name="TARGETS_STALE"' in body
    assert rejected in ancestors(stage, "RawBiasFrame")

    remade = story.tell(whole_catalogue, sources)
    assert remade.classes >= OF_THE_BIAS | OF_THE_FRAME
    assert remade.classes.isdisjoint({"CalibratedScienceFrame"})
    assert len(remade.targets) <= suspects
    assert not np.array_equal(remade.answer, before)
    rest = ancestors(stage, "RawBiasFrame")
    assert rest
    assert rejected not in rest


def test_a_cutout_remakes_its_own_image_and_nothing_else(story):
    stage = story.stage
    dataset, raw, ra, dec = rows_of(stage)(
        "SELECT TOP 1 o.obs_publisher_did, r.file_name, o.s_ra, o.s_dec FROM ivoa.obscore AS o "
        "JOIN archive.targets AS t ON t.obs_publisher_did = o.obs_publisher_did "
        "JOIN archive.raw_frames AS r ON r.object_id = t.raw_object_id"
    )[0]

    def cut(stage):
        return cutout(stage, dataset, (ra, dec, 0.003))

    before, header = cut(stage)
    assert int(header["TARGETS_REMADE"]) == 0
    rejected = a_bias(stage)
    edit(story.archive, rejected, "is_valid", 0, why="a lamp was on", who="tester")
    remade = story.tell(cut, lambda name: name[0] == "CalibratedScienceFrame" and name[4] == raw)
    assert remade.classes >= OF_THE_BIAS | {"ReducedScienceFrame", "CalibratedScienceFrame"}
    assert {name[4] for name in remade.targets} == {"", raw}
    assert before.shape == remade.answer.shape
    assert (before != remade.answer).any()
    edit(story.archive, rejected, "is_valid", 1, why="it was not", who="tester")


def test_more_flats_of_the_night_remake_what_rests_on_its_flat(story, tmp_path):
    flats = replace(SIMULATED, n_bias=0, n_dome=7, n_twilight=0, n_science=0)
    simulate(tmp_path / "flats", config=flats)
    report = story.archive.ingest([tmp_path / "flats" / "raw"])
    assert (report.ingested, report.refused) == (2, [])
    story.stage.folders.append(tmp_path / "flats")
    flat = ancestors(story.stage, "DomeFlatFrame")
    remade = story.tell(whole_catalogue, sources)
    assert remade.classes >= {"DomeFlatFrame", "MasterFlatFrame", "ReducedScienceFrame"}
    assert remade.classes.isdisjoint(OF_THE_BIAS | {"HotPixelMap"})
    new = ancestors(story.stage, "DomeFlatFrame")
    assert len(new) == 1
    assert new.keys().isdisjoint(flat)
    assert len(ancestors(story.stage, "RawDomeFlatFrame")) == 7


def test_flats_of_a_later_night_take_the_place_of_the_older(story, tmp_path):
    later = replace(
        SIMULATED, nights=("2026-01-11",), n_bias=3, n_dome=4, n_twilight=2, n_science=0
    )
    simulate(tmp_path / "later", config=later)
    report = story.archive.ingest([tmp_path / "later" / "raw"])
    assert (report.ingested, report.refused) == (9, [])
    story.stage.folders.append(tmp_path / "later")
    assert set(ancestors(story.stage, "MasterFlatFrame").values()) == {"2026-01-10"}
    remade = story.tell(whole_catalogue, sources)
    assert ("MasterFlatFrame", "ccd50", "V", "2026-01-11", "") in remade.targets
    assert {name[3] for name in remade.targets if not name[4]} == {"2026-01-11"}
    assert set(ancestors(story.stage, "MasterFlatFrame").values()) == {"2026-01-11"}
    assert set(ancestors(story.stage, "RawDomeFlatFrame").values()) == {"2026-01-11"}


def test_another_parameter_remakes_the_products_of_its_class_and_what_rests_on_them(story):
    suspects = set_parameter(
        story.archive, "DomeFlatFrame", "SIGMA_CLIP", 2.5, instrument="simulated", why="rays"
    )
    assert suspects
    remade = story.tell(whole_catalogue, sources)
    assert remade.classes >= {"DomeFlatFrame", "MasterFlatFrame"} | OF_THE_FRAME
    assert remade.classes.isdisjoint(OF_THE_BIAS | {"HotPixelMap", "TwilightFlatFrame"})


def test_a_rebuild_with_the_same_content_stops_there(story):
    before = story.before
    bump(story.archive, "HotPixelMap", why="a faster recipe")
    remade = story.tell(whole_catalogue, sources)
    assert remade.classes == {"HotPixelMap"}
    for name in remade.targets:
        assert remade.after[name].content == before[name].content
    for name in before.keys() - remade.targets:
        assert remade.after[name].object_id == before[name].object_id


def test_a_worker_killed_while_making_leaves_nothing_half_done(story, databases, tmp_path):
    stage, archive = story.stage, story.archive
    edit(archive, a_bias(stage), "is_valid", 0, why="a lamp was on", who="tester")
    with databases.fresh() as database, witness(stage, archive, database, tmp_path) as right:
        whole, knowing = catalogue(right), held(right)
    newest = max(one.object_id or 0 for one in story.before.values())
    query = {"LANG": "ADQL", "QUERY": CATALOGUE}
    with ThreadPoolExecutor(1) as asker:
        answer = asker.submit(get, stage.url + "/tap/sync", **query)
        while not made_since(archive, newest):
            assert not answer.done()
            time.sleep(0.01)
        for worker in workers(stage):
            worker.kill()
        with pytest.raises((OSError, http.client.HTTPException)):
            answer.result(60)
    made = made_since(archive, newest)
    assert 0 < made < len(to_remake(story.before, knowing, {n for n in knowing if sources(n)}))
    assert half_published(archive) == []
    status, _, _ = until_answered(lambda: get(stage.url + "/tap/sync", **query))
    assert status == 200
    assert half_published(archive) == []
    rows = rows_of(stage)
    assert np.array_equal(catalogue(rows), whole)
    after = held(rows)
    wanted = needed(knowing, {name for name in knowing if sources(name)})
    assert {n: after[n].made_by for n in wanted} == {n: knowing[n].made_by for n in wanted}


def workers(stage):
    """Worker processes of the server."""
    port = str(stage.settings.web.port)
    master = next(
        process
        for process in psutil.Process().children()
        if process.environ().get("VO_WEB__PORT") == port
    )
    return master.children(recursive=True)


def test_a_higher_version_of_a_recipe_remakes_its_products_and_what_rests_on_them(story, tmp_path):
    settings = story.stage.settings
    improved = settings.model_copy(
        update={
            "web": settings.web.model_copy(update={"port": free_port("127.0.0.1")}),
            "reduction": ReductionSettings(plugins=("tests.support.improved",)),
        }
    )
    said = prepare_database(improved)
    assert [line for line in said if "MasterFlatFrame for simulated changed" in line]
    old = {"LANG": "ADQL", "QUERY": CATALOGUE}
    status, _, body = get(story.stage.url + "/tap/sync", **old)
    assert status == 503
    assert f"version {MasterFlatFrame.VERSION} of the recipe of MasterFlatFrame" in body.decode()
    with served(improved, tmp_path / "improved.log") as url:
        stage = replace(story.stage, url=url, settings=improved)
        remade = story.tell(whole_catalogue, sources, stage=stage)
    assert remade.classes == {"MasterFlatFrame"} | OF_THE_FRAME
    assert len([name for name in remade.targets if name[0] == "MasterFlatFrame"]) == 1

    prepare_database(settings)
    _, infos = whole_catalogue(story.stage)
    assert int(infos["TARGETS_REMADE"]) == len(remade.targets)
    back = held(rows_of(story.stage))
    assert {n: o.object_id for n, o in back.items()} == {
        n: o.object_id for n, o in story.before.items()
    }
