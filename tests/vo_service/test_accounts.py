"""Accounts: whose a job is, and who else may not use it."""

from __future__ import annotations

import pytest

from reduction.archive import Archive
from schemas.errors import NotFoundError
from tests.support.jobs import Jobs
from vo_service.uws.owners import Accounts


@pytest.fixture
def jobs(observatory):
    """Somebody without an account."""
    return Jobs(observatory.url + "/tap/async")


def test_an_account_has_jobs_that_nobody_else_may_use(observatory, jobs):
    archive = Archive(observatory.settings)
    try:
        ann, bob = (Accounts(archive).add(name) for name in ("ann", "bob"))
    finally:
        archive.close()
    hers = Jobs(jobs.url)
    hers.session.auth = ("ann", ann)
    where = hers.make()
    assert hers.over(where) == "COMPLETED"
    assert hers.get(where + "/owner").text == "ann"
    assert hers.told(where, "uws:ownerId") == "ann"
    bearer = Jobs(jobs.url)
    bearer.session.headers["Authorization"] = f"Bearer {ann}"
    assert bearer.listed() == [where.rpartition("/")[2]]
    answer = jobs.get(where)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    his = Jobs(jobs.url)
    his.session.auth = ("bob", bob)
    assert his.get(where + "/results/result").status_code == 403
    assert his.session.delete(where, timeout=60).status_code == 403
    for wrong in (("ann", bob), ("ann", "x"), ("nobody", ann)):
        his.session.auth = wrong
        assert his.get().status_code == 401
        assert his.post("").status_code == 401


def test_an_account_that_is_removed_is_nobody_s(observatory, jobs):
    archive = Archive(observatory.settings)
    try:
        accounts = Accounts(archive)
        his = Jobs(jobs.url)
        his.session.auth = ("carl", accounts.add("carl"))
        assert "carl" in accounts.names()
        where = his.make(run=False)
        accounts.remove("carl")
        assert "carl" not in accounts.names()
        assert his.get(where).status_code == 401
        assert jobs.get(where).status_code == 401
        with pytest.raises(NotFoundError, match="account list"):
            accounts.remove("carl")
        his.session.auth = ("carl", accounts.add("carl"))
        assert his.get(where).status_code == 200
    finally:
        archive.close()


def test_pages_elsewhere_neither_see_jobs_nor_change_them_with_a_kept_token(observatory, jobs):
    archive = Archive(observatory.settings)
    try:
        token = Accounts(archive).add("dora")
    finally:
        archive.close()
    hers = Jobs(jobs.url)
    hers.session.auth = ("dora", token)
    where = hers.make(run=False)
    answer = hers.get(where)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert jobs.get(f"{observatory.url}/tap/tables").headers["Access-Control-Allow-Origin"] == "*"
    hers.session.headers["Sec-Fetch-Site"] = "cross-site"
    assert hers.post(where + "/phase", PHASE="RUN").status_code == 403
    assert hers.session.delete(where, timeout=60).status_code == 403
    hers.session.headers["Sec-Fetch-Site"] = "same-origin"
    assert hers.post(where + "/phase", PHASE="RUN").status_code == 303
