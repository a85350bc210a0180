"""Jobs as astronomers' programs have them: pyvo, STILTS, astroquery."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess

import pytest
import pyvo
import requests
from astroquery.utils.tap import TapPlus
from pyvo.dal.exceptions import DALQueryError

from tests.support.jobs import LONG, QUICK, until

# clients leave connections to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")
SOURCES = "SELECT TOP 5 source_id, ra, dec FROM archive.sources ORDER BY source_id"


@pytest.fixture(autouse=True)
def collected():
    """Let go of what clients have left open while that is no error yet."""
    yield
    gc.collect()


@pytest.fixture
def tap(observatory):
    with requests.Session() as session:
        yield pyvo.dal.TAPService(observatory.url + "/tap", session=session)


def test_pyvo_has_a_job_from_its_making_to_its_end(tap):
    job = tap.submit_job(QUICK, maxrec=3)
    assert job.phase == "PENDING"
    job.query = SOURCES
    job.execution_duration = 120
    assert job.execution_duration.sec == 120
    assert job.run() is job
    job.wait(phases=["COMPLETED", "ERROR", "ABORTED"], timeout=60)
    job.raise_if_error()
    assert len(job.fetch_result()) == 3
    assert [result.id_ for result in job.results] == ["result"]
    listed = tap.get_job_list(last=1)
    assert [one.jobid for one in listed] == [job.job_id]
    assert [one.jobid for one in tap.get_job_list(phases=["COMPLETED"])] == [job.job_id]
    job.delete()
    assert tap.get_job_list() == []


def test_pyvo_asks_asynchronously_in_one_call_and_is_told_what_is_wrong(tap):
    assert len(tap.run_async(QUICK)) > 3
    with pytest.raises(DALQueryError, match="unknown column `nothing`"):
        tap.run_async("SELECT nothing FROM tap_schema.tables")
    assert tap.get_job_list(phases=["COMPLETED"]) == []


def test_pyvo_aborts_a_job(tap):
    job = tap.submit_job(LONG).run()
    until(lambda: job.phase == "EXECUTING")
    job.abort()
    assert job.phase == "ABORTED"
    job.delete()


def test_a_job_makes_what_it_needs_first(observatory, tap):
    """The same question at the same moment is answered the same, whichever way it is asked."""
    job = tap.run_async(SOURCES)
    sync = tap.run_sync(SOURCES)
    assert len(job) == 5
    assert job.to_table().as_array().tolist() == sync.to_table().as_array().tolist()


def test_astroquery_launches_a_job_and_waits_for_it(observatory):
    tap = TapPlus(url=observatory.url + "/tap")
    job = tap.launch_job_async(QUICK, verbose=False)
    assert job.get_phase() == "COMPLETED"
    assert len(job.get_results()) > 3


@needs_stilts
@pytest.mark.parametrize("query", [QUICK, "SELECT nothing FROM tap_schema.tables"])
def test_stilts_asks_asynchronously_and_deletes_its_job(observatory, query):
    ran = subprocess.run(
        [
            *("stilts", "tapquery", f"tapurl={observatory.url}/tap", "sync=false"),
            *(f"adql={query}", "ofmt=csv", "delete=finished"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DELETED" in ran.stderr
    if query == QUICK:
        assert "tap_schema.columns" in ran.stdout
    else:
        assert "unknown column `nothing`" in ran.stderr


@needs_stilts
def test_taplint_finds_no_fault_in_jobs(observatory):
    ran = subprocess.run(
        [
            *("stilts", "taplint", f"tapurl={observatory.url}/tap", "stages=TMS CAP QAS UWS"),
            *("format=json", "report=EWF"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [one for section in json.loads(ran.stdout)["sections"] for one in section["reports"]]
    assert [one for one in found if one["level"] in {"ERROR", "WARNING", "FAILURE"}] == []
