from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from procrastinate.schema import SchemaManager

from schemas.errors import PhaseError, SettingsError
from schemas.job_documents import job_document, jobs_document, moment_text, parameters_document
from schemas.jobs import Job
from schemas.uws import ACTIVE, OVER, Event, Phase, legal
from vo_service.uws.queue import check_library

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
NOW = dt.datetime(2026, 11, 27, 12, 30, 1, 250_000, tzinfo=dt.UTC)


def followed(events):
    """Phases of a new job to which these happen; what is not legal is left out."""
    phases = [Phase.PENDING]
    for event in events:
        try:
            phases.append(legal(phases[-1], event))
        except PhaseError:
            continue
    return phases


@given(st.lists(st.sampled_from(Event), max_size=40))
def test_a_job_that_is_over_is_never_begun_again(events):
    phases = followed(events)
    for before, after in pairwise(phases):
        if before in OVER:
            assert after in {before, Phase.ARCHIVED}


@given(st.lists(st.sampled_from(Event), max_size=40))
def test_only_what_was_executing_can_be_completed(events):
    phases = followed(events)
    for before, after in pairwise(phases):
        if after is Phase.COMPLETED:
            assert before is Phase.EXECUTING
        if after is Phase.EXECUTING and before is not Phase.EXECUTING:
            assert before in {Phase.QUEUED, Phase.SUSPENDED}


@given(st.sampled_from(Phase), st.sampled_from((Event.RUN, Event.ABORT)))
def test_what_a_user_says_twice_is_as_if_he_had_said_it_once(phase, event):
    try:
        once = legal(phase, event)
    except PhaseError as error:
        said = str(error)
    else:
        assert legal(once, event) is once
        return
    assert phase in said
    assert event in said


@given(st.sampled_from(Phase), st.sampled_from(Event))
def test_a_phase_and_an_event_lead_to_one_phase_or_to_an_error_that_says_what_is_possible(
    phase, event
):
    try:
        assert legal(phase, event) in Phase
    except PhaseError as error:
        for other in (Event.RUN, Event.ABORT):
            if other in error.allowed:
                legal(phase, other)


def test_every_active_job_can_be_aborted():
    for phase in ACTIVE | {Phase.HELD, Phase.SUSPENDED}:
        assert legal(phase, Event.ABORT) is Phase.ABORTED


def job(**more):
    known = {
        "job_id": "abc",
        "protocol": "tap",
        "owner": "cookie:x",
        "phase": "PENDING",
        "created": NOW,
        "destruction": NOW,
        "execution_duration": 10,
        "parameters": [["QUERY", "SELECT 1 < 2 & 'é'"], ["UPLOAD", "a,b"], ["UPLOAD", "c,d"]],
        "run_id": "",
        "attempts": 0,
        "error_message": "",
        "error_transient": False,
    }
    return Job(**{**known, **more})


def test_parameters_are_told_in_their_order_and_as_they_were_said():
    root = etree.fromstring(parameters_document(job()))
    said = [(one.get("id"), one.text) for one in root]
    assert said == [("QUERY", "SELECT 1 < 2 & 'é'"), ("UPLOAD", "a,b"), ("UPLOAD", "c,d")]


def test_what_is_not_known_yet_is_nil_and_an_owner_without_a_name_too():
    root = etree.fromstring(job_document(job(), "http://x/abc", quote=None))
    nil = "{http://www.w3.org/2001/XMLSchema-instance}nil"
    for name in ("ownerId", "quote", "startTime", "endTime"):
        assert root.find(UWS + name).get(nil) == "true"
    assert root.find(UWS + "runId") is None
    assert root.find(UWS + "creationTime").text == "2026-11-27T12:30:01.250Z"


def test_a_completed_job_tells_its_result_and_no_other_does():
    facts = {"result_file": "r", "result_bytes": 12, "result_media_type": "text/csv"}
    done = etree.fromstring(
        job_document(job(phase="COMPLETED", **facts), "http://x/abc", quote=NOW)
    )
    result = done.find(f"{UWS}results/{UWS}result")
    assert result.get("{http://www.w3.org/1999/xlink}href") == "http://x/abc/results/result"
    assert (result.get("size"), result.get("mime-type")) == ("12", "text/csv")
    failed = job(phase="ERROR", error_message="a < b", owner="account:ann", **facts)
    root = etree.fromstring(job_document(failed, "http://x/abc", quote=None))
    assert len(root.find(UWS + "results")) == 0
    assert root.findtext(f"{UWS}errorSummary/{UWS}message") == "a < b"
    assert root.findtext(UWS + "ownerId") == "ann"


def test_a_list_tells_of_each_job_where_it_is():
    root = etree.fromstring(
        jobs_document([job(), job(job_id="d")], lambda j: f"http://{j.job_id}")
    )
    assert [one.get("id") for one in root] == ["abc", "d"]
    assert root.get("version") == "1.1"


def test_moments_are_told_in_utc():
    zone = dt.timezone(dt.timedelta(hours=2))
    assert moment_text(dt.datetime(2026, 1, 1, 1, tzinfo=zone)) == "2025-12-31T23:00:00.000Z"
    assert moment_text(None) == ""


def test_the_queue_library_has_no_newer_tables_than_ours(monkeypatch, tmp_path):
    check_library()  # else a migration of ours must bring the new tables
    (tmp_path / "03.11.00_01_pre_new.sql").write_text("")
    monkeypatch.setattr(SchemaManager, "get_migrations_path", lambda: str(tmp_path))
    with pytest.raises(SettingsError, match=r"03\.11\.00_01_pre_new\.sql: expected 03\.04\.00"):
        check_library()
