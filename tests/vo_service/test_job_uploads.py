"""What comes with jobs over HTTP: files, texts, and names that nothing can have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from lxml import etree

from tests.support.jobs import Jobs


@pytest.fixture
def jobs(observatory):
    """Somebody new, without cookies."""
    return Jobs(observatory.url + "/tap/async")


def ident(where):
    return where.rpartition("/")[2]


def test_files_of_a_job_are_kept_until_it_is_deleted(observatory, jobs):
    files = {"stars": ("../../a.csv", b"ra,dec\n1,2\n", "text/csv")}
    where = jobs.make(run=False, files=files)
    folder = observatory.settings.jobs.folder / "jobs" / ident(where)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"ra,dec\n1,2\n"]
    jobs.post(where + "/parameters", files={"more": ("b", b"x", "text/csv")}, MAXREC="1")
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"ra,dec\n1,2\n", b"x"]
    jobs.post(where + "/parameters", files={"stars": ("c", b"a\n1\n", "text/csv")})
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"a\n1\n", b"x"]
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o077 == 0
    gone = jobs.session.delete(where, allow_redirects=False, timeout=60)
    assert (gone.status_code, gone.headers["Location"]) == (303, jobs.url)
    assert not folder.exists()
    assert jobs.get(where).status_code == 404


def test_what_several_say_at_the_same_time_is_all_kept(observatory, jobs):
    where = jobs.make(run=False, UPLOAD="t,param:part0", files={"part0": ("f", b"0", "text/csv")})
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda n: (
                    requests.post(
                        where + "/parameters",
                        data={"UPLOAD": f"t{n},param:part{n}"},
                        files={f"part{n}": ("f", str(n).encode() * 1000, "text/csv")},
                        allow_redirects=False,
                        timeout=60,
                    ).status_code
                ),
                range(1, 7),
            )
        )
    assert answers == [303] * 6
    said = etree.fromstring(jobs.get(where + "/parameters").content)
    uploads = sorted(one.text for one in said if one.get("id") == "UPLOAD")
    assert uploads == ["t,param:part0", *(f"t{n},param:part{n}" for n in range(1, 7))]
    folder = observatory.settings.jobs.folder / "jobs" / ident(where)
    kept = sorted(path.read_bytes()[:1] for path in folder.iterdir())
    assert kept == [str(n).encode() for n in range(7)]
    jobs.post(where + "/phase", PHASE="RUN")
    jobs.over(where)
    late = jobs.post(where + "/parameters", files={"late": ("f", b"late", "text/csv")})
    assert late.status_code == 409
    assert len([path for path in folder.iterdir() if path.name.startswith("upload")]) == 7


def test_a_table_in_a_form_without_a_files_name_is_an_upload_as_in_sync(jobs):
    form = {
        "LANG": (None, "ADQL"),
        "QUERY": (None, "SELECT b FROM TAP_UPLOAD.t ORDER BY b"),
        "UPLOAD": (None, "t,param:tab"),
        "tab": (None, "a,b\n1,2\n3,4\n"),
        "RESPONSEFORMAT": (None, "csv"),
    }
    sync = requests.post(jobs.url.replace("async", "sync"), files=form, timeout=60)
    form["PHASE"] = (None, "RUN")
    made = jobs.session.post(jobs.url, files=form, allow_redirects=False, timeout=60)
    where = made.headers["Location"]
    assert jobs.over(where) == "COMPLETED", jobs.get(where + "/error").text
    assert jobs.get(where + "/results/result").content == sync.content
    assert sync.text.split() == ["b", "2", "4"]
    said = etree.fromstring(jobs.get(where + "/parameters").content)
    assert "TAB" not in {one.get("id") for one in said}


def test_names_that_nothing_can_have_are_told_so(jobs):
    assert jobs.get(jobs.url + "/a%00b").status_code == 404
    assert jobs.get(jobs.url + "/" + "%00" * 22 + "/phase").status_code == 404
    for name, kind in (("a\0b", "text/csv"), ("ab", "text/c\0sv")):
        body = (
            f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n'
            f"Content-Type: {kind}\r\n\r\na\n1\n\r\n--B--\r\n"
        )
        answer = jobs.session.post(
            jobs.url,
            data=body.encode(),
            headers={"Content-Type": "multipart/form-data; boundary=B"},
            allow_redirects=False,
            timeout=60,
        )
        assert answer.status_code == 400, answer.text
        assert "without control characters" in answer.text
    long = jobs.post("", QUERY="SELECT 1 -- " + "x" * 1_000_000)
    assert long.status_code == 413
    assert "at most 1000000 are taken" in long.text
