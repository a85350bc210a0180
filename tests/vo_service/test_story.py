"""The main story over HTTP: ask, reject a raw frame, ask again, ask a third time."""

from __future__ import annotations

import http.client
import io
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import pyvo
from astropy.io import fits
from astropy.io.votable import parse_single_table

from reduction.archive import Archive
from reduction.operate import edit
from tests.support.serving import observed, served
from vo_service.supervise import free_port

MAGNITUDES = "SELECT source_id, ra, flux FROM archive.sources ORDER BY ra, source_id"


@pytest.fixture(scope="module")
def stage(databases, tmp_path_factory):
    """A served archive of these tests alone."""
    with databases.fresh() as database, observed(database, tmp_path_factory.mktemp("s")) as held:
        yield held


@pytest.fixture(scope="module")
def archive(stage):
    opened = Archive(stage.settings)
    yield opened
    opened.close()


def get(url, **query):
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=90) as said:
            return said.status, said.headers, said.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ask(stage, query=MAGNITUDES, **more):
    """Rows and INFO values by name."""
    result = pyvo.dal.TAPService(stage.url + "/tap").search(query, maxrec=100_000, **more)
    resource = result.votable.resources[0]
    return result.to_table(), {info.name: info.value for info in resource.infos}


def one_bias(stage):
    rows, _ = ask(
        stage,
        "SELECT object_id FROM archive.raw_frames WHERE class_name = 'RawBiasFrame' "
        "AND is_valid > 0 ORDER BY mjd_obs",
    )
    return int(rows["object_id"][-1])


def raw_ancestors(stage):
    """Raw bias frames that the published catalogue rests on."""
    rows, _ = ask(
        stage,
        "SELECT DISTINCT a.ancestor_id FROM archive.sources AS s JOIN archive.ancestors AS a "
        "ON a.object_id = s.object_id WHERE a.ancestor_class = 'RawBiasFrame'",
    )
    return {int(number) for number in rows["ancestor_id"]}


def test_a_catalogue_query_remakes_what_a_rejected_frame_spoilt_and_nothing_else(stage, archive):
    before, _ = ask(stage)
    assert len(before) > 10
    assert ask(stage)[1]["TARGETS_REMADE"] == "0"
    rejected = one_bias(stage)
    assert rejected in raw_ancestors(stage)

    suspects = edit(archive, rejected, "is_valid", 0, why="a lamp was on", who="tester")
    assert suspects > 0

    status, headers, body = get(
        stage.url + "/tap/sync", LANG="ADQL", QUERY=MAGNITUDES, FRESH="require"
    )
    assert status == 503
    assert "FRESH=make" in body.decode()
    assert int(headers["Retry-After"]) > 0

    _, _, body = get(stage.url + "/tap/sync", LANG="ADQL", QUERY=MAGNITUDES, FRESH="any")
    assert b'name="TARGETS_STALE"' in body
    stale = parse_single_table(io.BytesIO(body)).to_table()
    assert stale["flux"].tolist() == before["flux"].tolist()

    after, infos = ask(stage)
    assert 0 < int(infos["TARGETS_REMADE"]) <= suspects
    assert after["flux"].tolist() != before["flux"].tolist()
    assert rejected not in raw_ancestors(stage)
    assert raw_ancestors(stage)

    again, infos = ask(stage)
    assert infos["TARGETS_REMADE"] == "0"
    assert again["flux"].tolist() == after["flux"].tolist()


def test_a_cutout_remakes_its_image_first(stage, archive):
    images, _ = ask(stage, "SELECT TOP 1 obs_publisher_did, s_ra, s_dec FROM ivoa.obscore")
    image = images[0]
    cut = {
        "ID": image["obs_publisher_did"],
        "CIRCLE": f"{image['s_ra']} {image['s_dec']} 0.003",
    }
    before = get(stage.url + "/soda/sync", **cut)[2]
    assert get(stage.url + "/soda/sync", **cut)[2] == before
    rejected = one_bias(stage)
    edit(archive, rejected, "is_valid", 0, why="a lamp was on", who="tester")
    after = get(stage.url + "/soda/sync", **cut)[2]
    pixels, remade = fits.getdata(io.BytesIO(before)), fits.getdata(io.BytesIO(after))
    assert pixels.shape == remade.shape
    assert (pixels != remade).any()
    edit(archive, rejected, "is_valid", 1, why="it was not", who="tester")


def test_fifty_who_ask_at_once_get_fifty_right_answers(stage, archive):
    edit(archive, one_bias(stage), "is_valid", 0, why="a lamp was on", who="tester")
    with ThreadPoolExecutor(50) as askers:
        answers = list(
            askers.map(
                lambda _: get(
                    stage.url + "/tap/sync", LANG="ADQL", QUERY=MAGNITUDES, RESPONSEFORMAT="csv"
                ),
                range(50),
            )
        )
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    assert ask(stage)[1]["TARGETS_REMADE"] == "0"


def test_a_server_that_is_killed_while_making_leaves_nothing_half_done(stage, archive, tmp_path):
    edit(archive, one_bias(stage), "is_valid", 0, why="a lamp was on", who="tester")
    second = stage.settings.model_copy(
        update={"web": stage.settings.web.model_copy(update={"port": free_port("127.0.0.1")})}
    )
    query = {"LANG": "ADQL", "QUERY": MAGNITUDES, "RESPONSEFORMAT": "csv"}
    with ThreadPoolExecutor(1) as asker:
        with served(second, tmp_path / "killed.log") as url:
            answer = asker.submit(get, url + "/tap/sync", **query)
            master = next(
                process
                for process in psutil.Process().children()
                if str(second.web.port) in process.environ().get("VO_WEB__PORT", "")
            )
            time.sleep(0.7)
            for process in [*master.children(recursive=True), master]:
                process.kill()
        with pytest.raises((OSError, http.client.HTTPException)):
            answer.result(30)
    status, _, whole = get(stage.url + "/tap/sync", **query)
    assert status == 200
    assert get(stage.url + "/tap/sync", **query)[2] == whole
    assert ask(stage)[1]["TARGETS_REMADE"] == "0"
