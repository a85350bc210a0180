"""Short questions are answered while long ones run; who comes too many is told when to return."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.errors import BusyError, QuotaError
from schemas.settings import LimitSettings, Settings, StorageSettings, WebSettings
from tests.support.serving import served
from vo_service.admission import Admission
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

LIMITS = LimitSettings(client_requests=3, long_queries=2, long_queries_of_client=2, short_cost=100)
SLOW = "SELECT COUNT(*) AS n FROM " + ", ".join(f"tap_schema.columns AS c{i}" for i in range(6))
SHORT = "SELECT TOP 1 table_name FROM tap_schema.tables"


def must_not_ask():
    pytest.fail("the planner was asked where nothing is contended")


def test_while_there_is_room_nobody_is_looked_at():
    admission = Admission(LIMITS, threads=16)
    assert admission.enter("a").admit(must_not_ask) is None
    assert admission.enter("b").admit(must_not_ask) is None


def test_past_that_short_queries_come_in_for_a_short_time_and_long_ones_do_not():
    admission = Admission(LIMITS, threads=16)
    inside = [admission.enter(name) for name in "ab"]
    for ticket in inside:
        ticket.admit(must_not_ask)
    assert admission.enter("c").admit(lambda: 99.0) == LIMITS.short_timeout_s
    with pytest.raises(BusyError, match="2 such queries are running") as caught:
        admission.enter("d").admit(lambda: 101.0)
    assert caught.value.retry_after_s > 0
    inside[0].close()
    assert admission.enter("d").admit(must_not_ask) is None


def test_one_client_cannot_take_all_places():
    admission = Admission(LIMITS.model_copy(update={"long_queries": 4}), threads=16)
    mine = [admission.enter("a") for _ in range(3)]
    assert [ticket.admit(must_not_ask) for ticket in mine[:2]] == [None, None]
    with pytest.raises(QuotaError, match="2 long queries of yours"):
        mine[2].admit(lambda: 101.0)
    with pytest.raises(QuotaError, match="3 requests of yours"):
        admission.enter("a")
    assert admission.enter("b").admit(must_not_ask) is None
    mine[0].close()
    mine[0].close()
    assert admission.enter("a").admit(must_not_ask) is None


def test_threads_are_left_for_what_is_never_refused():
    admission = Admission(LIMITS.model_copy(update={"client_requests": 99}), threads=16)
    for number in range(14):
        admission.enter(str(number))
    with pytest.raises(BusyError, match="14 requests are being answered"):
        admission.enter("one more")


@pytest.fixture
def crowded(fresh_database, tmp_path):
    """A small server: 8 threads, 2 long queries, behind a proxy."""
    settings = Settings(
        database=fresh_database,
        storage=StorageSettings(root=tmp_path / "files"),
        limits=LimitSettings(sync_timeout_s=3, client_requests=6, long_queries=2),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1, threads=8, proxies=1),
    )
    prepare_database(settings)
    with served(settings, tmp_path / "server.log") as url:
        yield url


def ask(url, path="/tap/sync", *, client="192.0.2.1", **query):
    """Status, headers and body."""
    address = f"{url}{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(address, headers={"X-Forwarded-For": client})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body, status, headers = answer.read(), answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            body, status, headers = error.read(), error.code, error.headers
    return status, headers, body.decode()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_full_of_long_queries_answers_short_ones_and_recovers(crowded):
    url = crowded
    with ThreadPoolExecutor(40) as pool:
        flood = [
            pool.submit(ask, url, LANG="ADQL", QUERY=SLOW, client=f"192.0.2.{n % 8}")
            for n in range(30)
        ]
        until(lambda: any(each.done() for each in flood))
        for path in ("/tap/availability", "/tap/capabilities", "/tap/examples", "/health", "/"):
            assert ask(url, path)[0] == 200, path
        for _ in range(5):
            status, _, body = ask(url, LANG="ADQL", QUERY=SHORT, client="198.51.100.7")
            assert status == 200, body
        assert sum(not each.done() for each in flood) == 2  # the long ones run on meanwhile
        answers = [each.result() for each in flood]
    statuses = sorted(status for status, *_ in answers)
    assert set(statuses) <= {400, 429, 503}
    assert statuses.count(400) == 2  # those that ran, into their limit of 3 s
    for status, headers, body in answers:
        if status != 400:
            assert int(headers["Retry-After"]) > 0
            assert "async" in body or "ask again" in body or "wait" in body
    assert ask(url, LANG="ADQL", QUERY=SHORT)[0] == 200


def test_a_client_that_sends_too_many_at_once_is_told_so_and_others_are_not(crowded):
    url = crowded
    stop = threading.Event()
    statuses = []

    def flood():
        while not stop.is_set():
            statuses.append(ask(url, LANG="ADQL", QUERY=SLOW)[0])

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(flood)
        until(lambda: 429 in statuses)
        status, *_ = ask(url, LANG="ADQL", QUERY=SHORT, client="198.51.100.7")
        stop.set()
    assert status == 200
    assert 500 not in statuses
