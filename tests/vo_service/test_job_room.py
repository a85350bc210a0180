"""What jobs may take of the disk: of a job, of its owner, and of all together."""

from __future__ import annotations

import io
import resource
from contextlib import contextmanager

import pytest
from werkzeug.datastructures import FileStorage

from schemas.errors import BusyError, StorageError
from schemas.settings import LimitSettings
from tests.support.jobs import QUICK, Jobs
from tests.support.serving import working
from tests.support.site import site
from vo_service.uws.files import JobFiles

JOB = "j" * 22


@contextmanager
def full_after(size):
    """Let no file of this process become larger: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def part(content):
    return FileStorage(io.BytesIO(content), name="t")


def test_an_upload_that_the_disk_does_not_take_leaves_the_others_alone(tmp_path):
    files = JobFiles(tmp_path)
    kept = files.keep_upload(JOB, part(b"kept"))
    with full_after(1000), pytest.raises(StorageError, match="an uploaded file cannot be kept"):
        files.keep_upload(JOB, part(b"x" * 100_000))
    assert [path.name for path in files.path(JOB, "").iterdir()] == [kept]
    assert files.path(JOB, kept).read_bytes() == b"kept"


def test_a_result_that_the_disk_does_not_take_says_so_and_leaves_nothing(tmp_path):
    files = JobFiles(tmp_path)
    writing = files.write(JOB, 1, "csv", 10**9)
    with full_after(1000), pytest.raises(StorageError, match="the result cannot be kept: File"):
        writing.write(b"x" * (2 << 20))
    writing.drop()
    assert list(files.path(JOB, "").iterdir()) == []


def test_nothing_more_is_written_where_the_disk_is_nearly_full(tmp_path):
    files = JobFiles(tmp_path, free_bytes=1 << 60)
    with pytest.raises(BusyError, match="nearly full"):
        files.check_room(1)
    with pytest.raises(StorageError, match="nearly full"):
        files.write(JOB, 1, "csv", 10)
    JobFiles(tmp_path, free_bytes=1).check_room(1)


@pytest.fixture(scope="module")
def small(database, tmp_path_factory):
    """A service whose owners may have 20 kB, and nobody who runs their jobs."""
    folder = tmp_path_factory.mktemp("small")
    limits = LimitSettings(upload_bytes=15_000)
    with site(database, folder, workers=0, request=limits, bytes_per_owner=20_000) as service:
        yield service


def left(site):
    own = site.settings.jobs.folder / "jobs"
    return sorted(path.stat().st_size for path in own.glob("*/*")) if own.exists() else []


def test_uploads_are_limited_by_job_and_by_owner_before_they_are_written(small):
    jobs = small.jobs
    large, more = ({"t": ("t.csv", b"x" * size, "text/csv")} for size in (10_000, 6_000))
    where = jobs.make(run=False, files=large)
    second = {"u": more["t"]}
    refused = jobs.post(where + "/parameters", files=second)
    assert refused.status_code == 413
    assert "the uploads of the job have 16000 bytes, those of a job may have 15000" in refused.text
    assert left(small) == [10_000]
    assert jobs.post(where + "/parameters", files=more).status_code == 303  # in place of the other
    assert left(small) == [6_000]
    other = jobs.make(run=False, files=large)
    refused = jobs.post("", files=more)
    assert refused.status_code == 429
    assert "uploads and results of your jobs have 0.022 MB, one may have 0.02 MB" in refused.text
    assert left(small) == [6_000, 10_000]
    assert len(jobs.listed()) == 2  # what was refused is not there
    too_large = jobs.post("", files={"t": ("t.csv", b"x" * 15_001, "text/csv")})
    assert too_large.status_code == 413
    jobs.session.delete(other, allow_redirects=False, timeout=60)
    assert jobs.post("", files=more).status_code == 303


def test_a_result_for_which_the_disk_has_no_room_ends_in_error(small):
    jobs = Jobs(small.jobs.url)
    full = small.settings.model_copy(
        update={"jobs": small.settings.jobs.model_copy(update={"free_bytes": 1 << 60})}
    )
    where = jobs.make()
    with working(full, small.log):
        assert jobs.over(where) == "ERROR"
    assert "disk for results is nearly full" in jobs.get(where + "/error").text


def test_where_nothing_may_be_uploaded_ordinary_requests_still_come_through(
    database, tmp_path_factory
):
    limits = LimitSettings(upload_bytes=0)
    with site(database, tmp_path_factory.mktemp("none"), workers=0, request=limits) as service:
        jobs = service.jobs
        sync = jobs.url.replace("async", "sync")
        form = {"LANG": "ADQL", "QUERY": QUICK + " -- " + "x" * 100_000}
        assert jobs.post(sync, **form).status_code == 200
        assert jobs.post("", **form).status_code == 303
        for url in (sync, jobs.url):
            refused = jobs.post(url, files={"t": ("t.csv", b"a\n1\n", "text/csv")}, **form)
            assert refused.status_code == 413
            assert "at most 0 bytes in a request (limits.upload_bytes)" in refused.text
        assert jobs.post(sync, QUERY="x" * 1_100_000).status_code == 413
