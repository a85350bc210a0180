"""Jobs over HTTP: every resource and parameter of UWS 1.1, as plain requests see it."""

from __future__ import annotations

import datetime as dt
import io
import socket
import time
from urllib.parse import urlsplit

import psycopg2
import pytest
import requests
from astropy.io.votable import parse_single_table
from lxml import etree

from tests.support.jobs import LONG, QUICK, Jobs, backends, until

UWS = {"uws": "http://www.ivoa.net/xml/UWS/v1.0"}


@pytest.fixture
def jobs(observatory):
    """Somebody new, without cookies."""
    return Jobs(observatory.url + "/tap/async")


def ident(where):
    return where.rpartition("/")[2]


def said_as_it_is(url, path):
    """Beginning of the answer to a path that no client mends."""
    parts = urlsplit(url + path)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        return connection.recv(100)


def test_a_job_that_is_run_at_once_gives_the_result_that_sync_gives(observatory, jobs):
    where = jobs.make(RESPONSEFORMAT="csv", RUNID="night 7")
    assert jobs.over(where) == "COMPLETED"
    result = jobs.get(where + "/results/result")
    sync = requests.get(
        observatory.url + "/tap/sync",
        params={"LANG": "ADQL", "QUERY": QUICK, "RESPONSEFORMAT": "csv"},
        timeout=60,
    )
    assert result.content == sync.content
    assert result.headers["Content-Type"] == sync.headers["Content-Type"]
    assert jobs.told(where, "uws:runId") == "night 7"
    rows = len(result.text.splitlines()) - 1
    assert jobs.told(where, "uws:jobInfo/result_rows") == str(rows)
    href = etree.fromstring(jobs.get(where + "/results").content)[0].get(
        "{http://www.w3.org/1999/xlink}href"
    )
    assert href == where + "/results/result"


def test_a_job_waits_for_its_parameters_until_it_is_run(jobs):
    where = jobs.post("").headers["Location"]
    assert jobs.phase(where) == "PENDING"
    assert jobs.post(where + "/parameters", QUERY="SELECT", lang="ADQL").status_code == 303
    assert jobs.post(where + "/parameters", query=QUICK, MAXREC="2").status_code == 303
    said = etree.fromstring(jobs.get(where + "/parameters").content)
    assert {(p.get("id"), p.text) for p in said} == {
        ("QUERY", QUICK),
        ("LANG", "ADQL"),
        ("MAXREC", "2"),
    }
    answer = jobs.post(where + "/phase", PHASE="RUN")
    assert (answer.status_code, answer.headers["Location"]) == (303, where)
    assert jobs.over(where) == "COMPLETED"
    table = parse_single_table(io.BytesIO(jobs.get(where + "/results/result").content))
    assert len(table.array) == 2
    late = jobs.post(where + "/parameters", QUERY="SELECT 1")
    assert late.status_code == 409
    assert "the job is COMPLETED" in late.text


def test_parameters_in_the_address_and_in_parts_are_the_same(jobs):
    query = {"LANG": "ADQL", "QUERY": QUICK, "PHASE": "RUN"}
    address = jobs.session.post(jobs.url, params=query, allow_redirects=False, timeout=60)
    assert jobs.over(address.headers["Location"]) == "COMPLETED"
    where = jobs.make(files={"stars": ("a.csv", b"ra,dec\n1,2\n", "text/csv")})
    assert jobs.over(where) == "COMPLETED"


def test_running_twice_is_not_an_error_and_loses_nothing(jobs):
    where = jobs.make(LONG)
    for phase in ("QUEUED", "EXECUTING"):
        until(lambda phase=phase: jobs.phase(where) in {phase, "EXECUTING"})
        assert jobs.post(where + "/phase", PHASE="RUN").status_code == 303
    assert jobs.told(where, "uws:jobInfo/attempts") == "1"
    assert jobs.phase(where) == "EXECUTING"
    jobs.session.delete(where, allow_redirects=False, timeout=60)
    where = jobs.make()
    assert jobs.over(where) == "COMPLETED"
    again = jobs.post(where + "/phase", PHASE="RUN")
    assert again.status_code == 409
    assert "the job is COMPLETED: RUN is not possible now, nothing can be asked" in again.text
    assert jobs.get(where + "/results/result").status_code == 200


def test_a_wrong_query_ends_in_error_and_says_why_in_a_votable(jobs):
    where = jobs.make("SELECT nothing FROM tap_schema.tables")
    assert jobs.over(where) == "ERROR"
    error = jobs.get(where + "/error")
    assert error.status_code == 200
    assert b'value="ERROR"' in error.content
    assert b"unknown column `nothing`" in error.content
    assert "nothing" in jobs.told(where, "uws:errorSummary/uws:message")
    assert jobs.get(where + "/results/result").status_code == 404
    assert len(etree.fromstring(jobs.get(where + "/results").content)) == 0


def test_a_failure_after_the_first_rows_is_an_error_and_leaves_nothing(observatory, jobs):
    sync = {"LANG": "ADQL", "RESPONSEFORMAT": "csv"}
    sync["QUERY"] = "SELECT MAX(column_index) AS most FROM tap_schema.columns"
    told = requests.get(observatory.url + "/tap/sync", params=sync, timeout=60).text
    most = told.split()[1]
    # one pair of all fails, none of the first
    where = jobs.make(
        f"SELECT 1 / (ABS(a.column_index - {most}) + ABS(b.column_index - {most})) AS x FROM "
        "tap_schema.columns AS a, tap_schema.columns AS b WHERE a.table_name = 'ivoa.obscore'",
        MAXREC="100000",
    )
    assert jobs.over(where) == "ERROR"
    assert b"division by zero" in jobs.get(where + "/error").content
    folder = observatory.settings.jobs.folder / "jobs" / ident(where)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_overflow_and_the_policy_of_freshness_are_said_as_in_sync(jobs):
    where = jobs.make("SELECT * FROM tap_schema.columns", MAXREC="3", FRESH="any")
    assert jobs.over(where) == "COMPLETED"
    body = jobs.get(where + "/results/result").content
    infos = {
        one.get("name"): one.get("value")
        for one in etree.fromstring(body).iter("{http://www.ivoa.net/xml/VOTable/v1.3}INFO")
    }
    assert infos["FRESH"] == "any"
    assert b'value="OVERFLOW"' in body


def test_a_result_can_be_had_in_parts_and_need_not_be_had_twice(observatory, jobs):
    where = jobs.make(RESPONSEFORMAT="csv") + "/results/result"
    jobs.over(where.removesuffix("/results/result"))
    whole = jobs.get(where)
    part = jobs.session.get(where, headers={"Range": "bytes=5-11"}, timeout=60)
    assert (part.status_code, part.content) == (206, whole.content[5:12])
    assert part.headers["Content-Range"] == f"bytes 5-11/{len(whole.content)}"
    assert part.headers["Content-Type"] == whole.headers["Content-Type"]
    path = where.partition("/tap")[2]
    until(lambda: f"/tap{path}" in observatory.log.read_text())  # downloads are in the log
    far = jobs.session.get(where, headers={"Range": "bytes=999999-"}, timeout=60)
    assert far.status_code == 416
    assert far.headers["Content-Range"] == f"bytes */{len(whole.content)}"
    known = {"If-None-Match": whole.headers["ETag"]}
    assert jobs.session.get(where, headers=known, timeout=60).status_code == 304
    head = jobs.session.head(where, timeout=60)
    assert int(head.headers["Content-Length"]) == len(whole.content)
    assert "tap.csv" in whole.headers["Content-Disposition"]


def test_the_list_has_ones_own_jobs_alone_and_can_be_filtered(observatory, jobs):
    first = jobs.make()
    jobs.over(first)
    second = jobs.make(run=False)
    created = jobs.told(second, "uws:creationTime")
    third = jobs.make(run=False)
    assert jobs.listed() == [ident(first), ident(second), ident(third)]
    assert jobs.listed(PHASE="COMPLETED") == [ident(first)]
    assert jobs.listed(PHASE=["COMPLETED", "PENDING"], LAST=2) == [ident(second), ident(third)]
    # moments are told in milliseconds
    assert ident(third) in jobs.listed(AFTER=created)
    assert ident(first) not in jobs.listed(AFTER=created)
    assert jobs.listed(PHASE="HELD") == []
    assert Jobs(jobs.url).listed() == []
    assert Jobs(jobs.url).phase(first) == "COMPLETED"  # whoever knows the address may use it
    for wrong in ({"PHASE": "RUNNING"}, {"LAST": "0"}, {"LAST": "x"}, {"AFTER": "soon"}):
        answer = jobs.get(**wrong)
        assert answer.status_code == 400
        assert "expected" in answer.text


def test_a_long_list_is_the_newest_thousand_unless_more_are_asked_for(observatory, jobs):
    newest = jobs.make(run=False)
    connection = psycopg2.connect(observatory.settings.database.service_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO uws.job (job_id, protocol, owner, client, created, destruction, "
            "execution_duration, parameters) SELECT lpad(n::text, 22, '0'), protocol, owner, "
            "'address:many', created - make_interval(secs => 2000 - n), destruction, 1, '[]' "
            "FROM uws.job, generate_series(1, 1000) AS n WHERE job_id = %s",
            (ident(newest),),
        )
    connection.close()
    short = jobs.session.get(
        jobs.url, params={"PHASE": "PENDING"}, allow_redirects=False, timeout=60
    )
    assert short.status_code == 303
    assert short.headers["Location"] == jobs.url + "?PHASE=PENDING&LAST=1000"
    listed = jobs.listed(PHASE="PENDING")
    assert (len(listed), listed[0], listed[-1]) == (1000, "2".zfill(22), ident(newest))
    assert jobs.listed(PHASE="PENDING", LAST=2000) == ["1".zfill(22), *listed]


def test_the_cookie_is_for_the_browser_alone(jobs):
    answer = jobs.post("")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Set-Cookie" not in jobs.post("").headers


def test_limits_of_a_job_are_set_within_those_of_the_service(observatory, jobs):
    where = jobs.make(run=False)
    most = observatory.settings.jobs.duration_hard_s
    for asked, held in (("100", "100"), ("0", str(most)), ("999999999", str(most))):
        answer = jobs.post(where + "/executionduration", EXECUTIONDURATION=asked)
        assert (answer.status_code, answer.headers["Location"]) == (303, where)
        assert jobs.get(where + "/executionduration").text == held
        assert jobs.told(where, "uws:executionDuration") == held
    jobs.post(where + "/destruction", DESTRUCTION="2999-01-01T00:00:00Z")
    held = dt.datetime.fromisoformat(jobs.get(where + "/destruction").text)
    longest = dt.timedelta(seconds=observatory.settings.jobs.retention_hard_s)
    assert abs(held - dt.datetime.now(dt.UTC) - longest) < dt.timedelta(minutes=1)
    for part, name in (("executionduration", "EXECUTIONDURATION"), ("destruction", "DESTRUCTION")):
        for value in ("-1", "soon"):
            assert jobs.post(f"{where}/{part}", **{name: value}).status_code == 400
        assert jobs.post(f"{where}/{part}").status_code == 400
    assert jobs.get(where + "/owner").text == ""


def test_the_quote_is_a_moment_in_the_future_before_a_job_and_its_end_after(jobs):
    where = jobs.make(run=False)
    quoted = dt.datetime.fromisoformat(jobs.get(where + "/quote").text)
    assert quoted > dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    jobs.post(where + "/phase", PHASE="RUN")
    jobs.over(where)
    assert jobs.get(where + "/quote").text == jobs.told(where, "uws:endTime")
    slow = jobs.make(LONG, run=False)
    assert float(jobs.told(slow, "uws:jobInfo/estimated_s")) > 10
    later = dt.datetime.fromisoformat(jobs.get(slow + "/quote").text)
    assert later > dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10)


def test_aborting_cancels_the_query_in_the_database_at_once(observatory, jobs):
    dsn = observatory.settings.database.reader_url
    where = jobs.make(LONG)
    until(lambda: backends(dsn))
    begun = time.monotonic()
    assert jobs.post(where + "/phase", PHASE="ABORT").status_code == 303
    assert jobs.phase(where) == "ABORTED"
    until(lambda: not backends(dsn), 10)
    assert time.monotonic() - begun < 5
    assert jobs.post(where + "/phase", PHASE="ABORT").status_code == 303
    assert jobs.post(where + "/phase", PHASE="RUN").status_code == 409


def test_deleting_cancels_the_query_and_leaves_nothing(observatory, jobs):
    dsn = observatory.settings.database.reader_url
    where = jobs.make(LONG)
    until(lambda: backends(dsn))
    assert jobs.post(where, ACTION="DELETE").headers["Location"] == jobs.url
    until(lambda: not backends(dsn), 10)
    for part in ("", "/phase", "/results", "/results/result", "/error", "/quote", "/parameters"):
        answer = jobs.get(where + part)
        assert answer.status_code == 404
        assert "there is no job" in answer.text
    assert not (observatory.settings.jobs.folder / "jobs" / ident(where)).exists()


def test_a_job_that_takes_longer_than_its_execution_duration_is_aborted(observatory, jobs):
    where = jobs.make(LONG, EXECUTIONDURATION="1")
    assert jobs.over(where) == "ABORTED"
    assert "after its execution duration of 1 s" in jobs.told(
        where, "uws:errorSummary/uws:message"
    )
    assert b"EXECUTIONDURATION" in jobs.get(where + "/error").content
    until(lambda: not backends(observatory.settings.database.reader_url), 10)


def test_short_jobs_are_not_stuck_behind_long_ones(observatory, jobs):
    long = [jobs.make(LONG) for _ in range(4)]
    until(lambda: backends(observatory.settings.database.reader_url))
    short = [jobs.make() for _ in range(3)]
    assert [jobs.over(where, 20) for where in short] == ["COMPLETED"] * 3
    phases = [jobs.phase(where) for where in long]
    assert set(phases) <= {"QUEUED", "EXECUTING"}
    for where in long:
        jobs.session.delete(where, allow_redirects=False, timeout=60)


def test_wait_answers_when_the_phase_changes(observatory, jobs):
    where = jobs.make(LONG)
    until(lambda: jobs.phase(where) == "EXECUTING")
    begun = time.monotonic()
    assert jobs.get(where, WAIT="1").status_code == 200
    assert 0.9 < time.monotonic() - begun < 5
    begun = time.monotonic()
    jobs.get(where, WAIT="30", PHASE="QUEUED")  # it is no longer that
    assert time.monotonic() - begun < 5
    with requests.Session() as other:
        other.post(where + "/phase", data={"PHASE": "ABORT"}, timeout=60)
    begun = time.monotonic()
    jobs.get(where, WAIT="-1")  # nothing will change
    assert time.monotonic() - begun < 5
    assert jobs.get(where, WAIT="soon").status_code == 400
    short = jobs.make(run=False)
    jobs.post(short + "/phase", PHASE="RUN")
    found = etree.fromstring(jobs.get(short, WAIT="-1", PHASE="QUEUED").content)
    assert found.findtext("uws:phase", namespaces=UWS) != "QUEUED"


def test_wrong_requests_are_told_what_would_be_right(jobs):
    where = jobs.make(run=False)
    assert jobs.post("", PHASE="START").status_code == 400
    assert jobs.post("", PHASE="ABORT").status_code == 400
    assert jobs.post(where, ACTION="BURN").status_code == 400
    assert "one of RUN, ABORT" in jobs.post(where + "/phase", PHASE="HOLD").text
    assert jobs.post(where + "/phase").status_code == 400
    assert jobs.post("", QUERY="a\x01b").status_code == 400
    answer = jobs.post(where + "/quote")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert jobs.get(where + "/nothing").status_code == 404
    assert jobs.get(where + "/results/other").status_code == 404
    assert jobs.get(where + "/error").status_code == 404
    for path in ("/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd"):
        assert said_as_it_is(jobs.url, path).startswith(b"HTTP/1.1 404")
    for name in ("../../.archive", "..%2f..%2f.archive", "result-1.csv"):
        assert said_as_it_is(where, "/results/" + name).startswith(b"HTTP/1.1 404")
    assert jobs.get(jobs.url + "/nobody").status_code == 404


def test_a_job_is_destroyed_on_time_with_its_files(observatory, jobs):
    where = jobs.make()
    jobs.over(where)
    folder = observatory.settings.jobs.folder / "jobs" / ident(where)
    assert list(folder.iterdir())
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    jobs.post(where + "/destruction", DESTRUCTION=soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    until(lambda: jobs.get(where).status_code == 404, 10)
    until(lambda: not folder.exists(), 5)


def test_a_result_that_is_lost_is_a_fault_of_the_service(observatory, jobs):
    where = jobs.make()
    assert jobs.over(where) == "COMPLETED"
    for file in (observatory.settings.jobs.folder / "jobs" / ident(where)).iterdir():
        file.unlink()
    answer = jobs.get(where + "/results/result")
    assert answer.status_code == 500
    assert "is lost: run it again as a new job (incident " in answer.text
    assert answer.headers["X-Request-Id"] in observatory.log.read_text()


def test_the_capabilities_tell_how_long_jobs_may_run_and_are_kept(observatory):
    body = requests.get(observatory.url + "/tap/capabilities", timeout=60).content
    root = etree.fromstring(body)
    settings = observatory.settings.jobs
    for name, default, hard in (
        ("executionDuration", settings.duration_default_s, settings.duration_hard_s),
        ("retentionPeriod", settings.retention_default_s, settings.retention_hard_s),
    ):
        told = [int(one.text) for one in root.find(f".//{name}")]
        assert told == [default, hard]


def test_the_reader_cannot_see_jobs(observatory):
    for table in ("uws.job", "uws.account", "queue.procrastinate_jobs"):
        answer = requests.get(
            observatory.url + "/tap/sync",
            params={"LANG": "ADQL", "QUERY": f"SELECT * FROM {table}"},
            timeout=60,
        )
        assert answer.status_code == 400
