"""Jobs whose worker, server or database dies: none is lost, none is half."""

from __future__ import annotations

import datetime as dt
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
import requests
from sqlalchemy import text

from reduction.archive import Archive
from schemas.errors import SettingsError
from schemas.jobs import Job
from schemas.uws import Event
from tests.support.clusters import Databases, throw_away_cluster
from tests.support.jobs import LONG, QUICK, Jobs, backends, until
from tests.support.serving import kill_tree, working
from tests.support.site import site
from vo_service.opening import prepare_database
from vo_service.uws.files import JobFiles
from vo_service.uws.folder import claim_folder
from vo_service.uws.store import JobStore
from vo_service.uws.tender import Tender

SECONDS = (
    "SELECT COUNT(*) AS n FROM tap_schema.columns AS a, tap_schema.columns AS b, "
    "tap_schema.columns AS c WHERE a.column_index + b.column_index > c.column_index "
    "AND c.table_name LIKE 'ivoa%'"
)


@pytest.fixture(scope="module")
def held(database, tmp_path_factory):
    """A service without anybody who runs its jobs."""
    limits = {"attempts": 2, "running_per_owner": 1, "queued_per_owner": 2, "slots": 2}
    with site(database, tmp_path_factory.mktemp("held"), workers=0, **limits) as service:
        yield service


def executing(jobs, where):
    until(lambda: jobs.phase(where) == "EXECUTING")


def worker_of(held, where):
    """Process that runs a job."""
    connection = psycopg2.connect(held.settings.database.service_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT worker FROM uws.job WHERE job_id = %s", (where.rpartition("/")[2],))
        name = cursor.fetchone()[0]
    connection.close()
    return int(name.rpartition(":")[2])


def test_a_statement_of_the_queue_that_fails_stops_no_jobs(held):
    jobs = held.jobs
    owner = psycopg2.connect(held.settings.database.owner_url)
    owner.autocommit = True
    with working(held.settings, held.log), owner.cursor() as cursor:
        where = jobs.make(LONG)
        executing(jobs, where)
        cursor.execute("ALTER TABLE queue.procrastinate_workers RENAME TO not_there")
        time.sleep(2.5)
        cursor.execute("ALTER TABLE queue.not_there RENAME TO procrastinate_workers")
        until(lambda: "fell silent" in held.log.read_text())
        executing(jobs, where)  # again
        # the first attempt was given back, and counts for nothing
        assert jobs.told(where, "uws:jobInfo/attempts") == "1"
        jobs.post(where + "/phase", PHASE="ABORT")
        assert jobs.over(jobs.make()) == "COMPLETED"
    owner.close()


def test_a_job_whose_worker_dies_is_begun_again_or_given_up_or_given_back(held):
    jobs = held.jobs
    reader = held.settings.database.reader_url
    where = jobs.make(LONG)
    with working(held.settings, held.log) as one, working(held.settings, held.log) as two:
        until(lambda: backends(reader) == 1)
        first, second = (one, two) if worker_of(held, where) == one.pid else (two, one)
        kill_tree(first)
        until(lambda: jobs.told(where, "uws:jobInfo/attempts") == "2")
        until(lambda: backends(reader) == 1)  # of the dead one nothing runs on
        kill_tree(second)
    with working(held.settings, held.log) as third:
        assert jobs.over(where) == "ERROR"
        message = jobs.told(where, "uws:errorSummary/uws:message")
        assert "given up after 2 attempts: the process that ran it" in message
        assert jobs.over(jobs.make()) == "COMPLETED"
        until(lambda: not backends(reader))
        where = jobs.make(SECONDS)
        executing(jobs, where)
        third.send_signal(signal.SIGTERM)
        assert third.wait(30) == 0
    assert jobs.phase(where) == "QUEUED"
    with working(held.settings, held.log):
        assert jobs.over(where) == "COMPLETED"
    assert jobs.told(where, "uws:jobInfo/attempts") == "1"


@pytest.fixture
def own(tmp_path):
    """A cluster that may be stopped, and a service on it."""
    with (
        throw_away_cluster() as cluster,
        Databases(cluster).fresh() as database,
        site(database, tmp_path) as service,
    ):
        yield cluster, service


def test_jobs_and_answers_survive_a_restart_of_the_database(own):
    cluster, held = own
    jobs = held.jobs
    sync = jobs.url.replace("async", "sync")
    reader = held.settings.database.reader_url
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(requests.get, sync, {"LANG": "ADQL", "QUERY": LONG}, timeout=60)
        until(lambda: backends(reader) == 1)
        running = [jobs.make(SECONDS) for _ in range(3)]
        executing(jobs, running[0])
        cluster.stop()
        assert asked.result().status_code == 503
        # by what the server could still say before it ended
        told = "the database (cannot answer at this moment|went away; ask again)"
        assert re.search(told, asked.result().text)
    for ask in (lambda: jobs.get(running[0]), lambda: jobs.post("", QUERY=QUICK)):
        answer = ask()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    time.sleep(1)
    cluster.start()
    assert [jobs.over(where) for where in running] == ["COMPLETED"] * 3
    answer = requests.get(sync, {"LANG": "ADQL", "QUERY": QUICK}, timeout=60)
    assert answer.status_code == 200
    until(lambda: not backends(reader))


def test_owners_are_limited_and_told_how_to_go_further(held):
    jobs = Jobs(held.jobs.url)
    with working(held.settings, held.log):
        long = [jobs.make(LONG) for _ in range(2)]
        executing(jobs, long[0])
        time.sleep(0.5)
        assert jobs.phase(long[1]) == "QUEUED"  # though a slot is free
        refused = jobs.post("", QUERY=QUICK, LANG="ADQL", PHASE="RUN")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert "2 of your jobs run or wait" in refused.text
        assert len(jobs.listed()) == 2  # what was refused is not there
        kept = jobs.make(run=False)
        assert jobs.post(kept + "/phase", PHASE="RUN").status_code == 429
        assert jobs.phase(kept) == "PENDING"
        jobs.post(long[0] + "/phase", PHASE="ABORT")
        executing(jobs, long[1])
        assert jobs.post(kept + "/phase", PHASE="RUN").status_code == 303
        jobs.post(long[1] + "/phase", PHASE="ABORT")
        assert jobs.over(kept) == "COMPLETED"
        assert Jobs(jobs.url).over(kept) == "COMPLETED"


@pytest.fixture
def store(settings, tmp_path):
    """Jobs in a database that nobody serves."""
    own = settings.model_copy(
        update={
            "jobs": settings.jobs.model_copy(update={"folder": tmp_path / "jobs", "attempts": 2})
        }
    )
    prepare_database(own)
    archive = Archive(own)
    yield JobStore(archive, own.jobs), JobFiles(own.jobs.folder), archive
    archive.close()


def new(job_id):
    return Job(
        job_id=job_id,
        protocol="tap",
        owner="cookie:x",
        client="address:x",
        phase="PENDING",
        queue="short",
        destruction=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        execution_duration=10,
        parameters=[],
        uploads=[],
    )


def test_of_two_who_end_a_job_the_first_has_the_say(store):
    jobs, _, _ = store
    job = new("two")
    jobs.add(job, run=True)
    begun = jobs.start("two", job.queue_id, "me")
    assert begun.attempts == 1
    assert jobs.start("two", job.queue_id, "other") is None
    assert jobs.end("two", 1, Event.COMPLETE, result_file="result-1.csv")
    assert jobs.end("two", 1, Event.COMPLETE, result_file="result-1.csv")  # said again
    assert not jobs.end("two", 1, Event.FAIL, error_message="x")
    assert jobs.get("two", "tap").error_message == ""
    assert jobs.again("two", 1, "late") is None


def test_an_attempt_that_was_given_up_does_not_count_when_it_comes_back(store):
    jobs, files, _ = store
    job = new("back")
    jobs.add(job, run=True)
    jobs.start("back", job.queue_id, "me")
    Tender(jobs, files).look()  # nobody holds its lock
    second = jobs.get("back", "tap")
    assert (second.phase, second.attempts) == ("QUEUED", 1)
    assert second.queue_id != job.queue_id
    assert jobs.start("back", job.queue_id, "late") is None
    assert jobs.start("back", second.queue_id, "me").attempts == 2
    assert not jobs.end("back", 1, Event.COMPLETE, result_file="result-1.csv")
    result = files.write("back", 2, "csv", 100)
    result.write(b"x")
    late = files.write("back", 1, "csv", 100)
    result.keep()
    late.drop()
    assert [path.name for path in files.path("back", "").iterdir()] == ["result-2.csv"]
    Tender(jobs, files).look()
    ended = jobs.get("back", "tap")
    assert ended.phase == "ERROR"
    assert "given up after 2 attempts" in ended.error_message
    assert list(files.path("back", "").iterdir()) == []


def test_a_job_that_is_in_no_queue_is_put_there_again(store):
    jobs, files, archive = store
    job = new("lost")
    jobs.add(job, run=True)
    with archive.transaction() as session:
        session.execute(text("DELETE FROM queue.procrastinate_jobs"))
    Tender(jobs, files).look()
    found = jobs.get("lost", "tap")
    assert found.queue_id not in {None, job.queue_id}
    Tender(jobs, files).look()
    assert jobs.get("lost", "tap").queue_id == found.queue_id


def test_files_that_no_job_has_are_removed_when_they_are_old_enough(store):
    jobs, files, _ = store
    kept, orphan = "kept".ljust(22, "-"), "orphan".ljust(22, "_")
    jobs.add(new(kept), run=False)
    for name in (kept, orphan):
        files.write(name, 1, "csv", 10).keep()
    tender = Tender(jobs, files)
    assert tender.sweep(older_than_s=60) == 0
    assert tender.sweep(older_than_s=-1) == 1
    assert [path.name for path in files.path("", "").iterdir()] == [kept]


def test_what_is_not_a_job_of_ours_is_never_removed(store, tmp_path):
    jobs, files, archive = store
    claim_folder(archive)
    own = files.path("", "")
    elsewhere = tmp_path / "elsewhere"
    foreign = [
        own.parent / "old".ljust(22, "x"),
        own / "2026-11-27",
        own / "lost+found",
        own / ("x" * 23),
        elsewhere,
    ]
    for folder in foreign:
        folder.mkdir()
        (folder / "frame.fits").write_bytes(b"x")
    (own / ("f" * 22)).write_bytes(b"x")
    (own / ("l" * 22)).symlink_to(elsewhere)
    files.write("o" * 22, 1, "csv", 10).keep()
    assert Tender(jobs, files).sweep(older_than_s=-1) == 1
    for name in ("2026-11-27", "../elsewhere", "", ".", "l" * 22):
        files.remove(name)
    assert all((folder / "frame.fits").exists() for folder in foreign)
    assert (own / ("f" * 22)).exists()
    assert (own / ".archive").exists()
    assert not (own / ("o" * 22)).exists()
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_not_this_archives_own_is_refused(store, tmp_path):
    _, _, archive = store

    def refused(folder, root=archive.settings.storage.root):
        settings = archive.settings.model_copy(
            update={
                "jobs": archive.settings.jobs.model_copy(update={"folder": folder}),
                "storage": archive.settings.storage.model_copy(update={"root": root}),
            }
        )
        other = Archive(settings)
        try:
            with pytest.raises(SettingsError) as caught:
                claim_folder(other)
        finally:
            other.close()
        assert str(folder) in str(caught.value)
        return str(caught.value)

    claim_folder(archive)
    claim_folder(archive)  # it is ours
    assert "storage.root" in refused(tmp_path / "files", root=tmp_path / "files")
    assert "storage.root" in refused(tmp_path, root=tmp_path / "a" / "files")
    (tmp_path / "used" / "jobs" / "night").mkdir(parents=True)
    assert "not known to be a job" in refused(tmp_path / "used")
    marker = archive.settings.jobs.folder / "jobs" / ".archive"
    own = marker.read_text()
    marker.write_text("f" * 32 + "\n")
    assert "another archive" in refused(archive.settings.jobs.folder)
    marker.write_text(own)
    (tmp_path / "file").write_bytes(b"")
    assert "nothing can be written" in refused(tmp_path / "file")


def test_a_job_that_was_taken_for_a_short_one_goes_to_the_long_ones(held, database):
    hasty = held.settings.model_copy(
        update={"jobs": held.settings.jobs.model_copy(update={"short_s": 0.3})}
    )
    jobs = Jobs(held.jobs.url)
    where = jobs.make(LONG, run=False)
    connection = psycopg2.connect(database.service_url)
    with connection, connection.cursor() as cursor:
        ident = where.rpartition("/")[2]
        cursor.execute("UPDATE uws.job SET queue = 'short' WHERE job_id = %s", (ident,))
    jobs.post(where + "/phase", PHASE="RUN")

    def row():
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT j.queue, j.attempts, q.queue_name, q.status FROM uws.job j JOIN "
                "queue.procrastinate_jobs q ON q.id = j.queue_id WHERE j.job_id = %s",
                (ident,),
            )
            return cursor.fetchone()

    assert row() == ("short", 0, "short", "todo")
    with working(hasty, held.log):
        until(lambda: row() == ("long", 1, "long", "doing"))
        time.sleep(2)
        assert row() == ("long", 1, "long", "doing")  # there it may stay
        jobs.post(where + "/phase", PHASE="ABORT")
        until(lambda: not backends(held.settings.database.reader_url))
    connection.close()
