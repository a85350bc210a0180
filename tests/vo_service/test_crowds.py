"""Clients that send or read slowly, or wait: the others and ``/health`` are answered meanwhile."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from contextlib import ExitStack, contextmanager

import pytest
import requests

from schemas.connections import RESERVED, connections_wanted
from schemas.settings import JobSettings, LimitSettings, Settings, StorageSettings, WebSettings
from tests.support.jobs import QUICK, Jobs, backends, until
from tests.support.serving import served
from vo_service.admission import Admission
from vo_service.clients import client_of
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

THREADS = 8
# what is held is held for longer than the others may wait, however busy the machine
HELD_S, ANSWERED_S = 60, 30
MANY = (
    "SELECT TOP 2000000 a.description, b.description AS bd, a.table_name "
    "FROM tap_schema.columns AS a, tap_schema.columns AS b, tap_schema.columns AS c"
)


def settings_of(database, folder, **web):
    return Settings(
        database=database,
        storage=StorageSettings(root=folder / "files"),
        jobs=JobSettings(folder=folder / "jobs", wait_s=HELD_S),
        limits=LimitSettings(sync_timeout_s=HELD_S, upload_bytes=10_000_000),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1, proxies=1, **web),
    )


@pytest.fixture(scope="module")
def small(database, tmp_path_factory):
    """A server of eight threads, behind a proxy; its settings and its log."""
    folder = tmp_path_factory.mktemp("small")
    settings = settings_of(database, folder, threads=THREADS)
    prepare_database(settings)
    with served(settings, folder / "server.log"):
        yield settings, folder / "server.log"


@contextmanager
def opened(settings, head, *, client, number=THREADS, length=None, more=b""):
    """Connections on which a request was sent, or the beginning of one."""
    fields = [head + " HTTP/1.1", "Host: here", f"X-Forwarded-For: {client}"]
    if length is not None:
        fields.append("Content-Type: application/x-www-form-urlencoded")
        fields.append(f"Content-Length: {length}")
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(ANSWERED_S)
            one.connect(("127.0.0.1", settings.web.port))
            one.sendall("\r\n".join([*fields, "", ""]).encode() + more)
            found.append(one)
        time.sleep(0.5)
        yield found


def asked(settings, path="/tap/sync", client="198.51.100.7", **more):
    return requests.get(
        settings.web.url + path,
        params=more,
        headers={"X-Forwarded-For": client, "Connection": "close"},
        timeout=ANSWERED_S,
    )


def see_others_answered(settings):
    for path in ("/health", "/tap/availability", "/"):
        assert asked(settings, path).status_code == 200, path
    answer = asked(settings, LANG="ADQL", QUERY=QUICK, RESPONSEFORMAT="csv")
    assert answer.status_code == 200, answer.text


def jobs_of(settings, client="192.0.2.1"):
    found = Jobs(settings.web.url + "/tap/async")
    found.session.headers["X-Forwarded-For"] = client
    return found


@pytest.mark.parametrize("path", ["/tap/async", "/tap/sync", "/health", "/nowhere"])
def test_those_who_send_half_a_body_hold_their_share_alone(small, path):
    settings, _ = small
    with opened(settings, f"POST {path}", client="192.0.2.1", length=1000, more=b"QUERY="):
        see_others_answered(settings)
    until(lambda: asked(settings, client="192.0.2.1", LANG="ADQL", QUERY=QUICK).status_code == 200)


def test_those_who_are_refused_for_their_size_hold_their_share_alone(small):
    settings, _ = small
    with opened(settings, "POST /tap/sync", client="192.0.2.2", length=10**9, more=b"QUERY=") as c:
        see_others_answered(settings)
        statuses = {one.recv(15).split()[1] for one in c}
    assert statuses == {b"413", b"429"}


def test_a_large_request_hears_why_it_is_refused(small):
    settings, _ = small
    answer = requests.post(
        settings.web.url + "/tap/async",
        data={"QUERY": "x" * 20_000_000},
        headers={"X-Forwarded-For": "192.0.2.3"},
        timeout=ANSWERED_S,
    )
    assert answer.status_code == 413
    assert "10000000 bytes" in answer.text


def test_those_who_do_not_read_hold_their_share_alone(small):
    settings, _ = small
    query = urllib.parse.urlencode({"LANG": "ADQL", "QUERY": MANY, "MAXREC": "2000000"})
    with opened(settings, f"GET /tap/sync?{query}", client="192.0.2.4"):
        see_others_answered(settings)
    until(lambda: backends(settings.database.reader_url) == 0)


def test_those_who_do_not_read_short_answers_hold_nothing(small):
    settings, _ = small
    with opened(settings, "GET /tap/tables", client="192.0.2.5", number=3 * THREADS):
        see_others_answered(settings)


def test_those_who_do_not_close_their_connections_hold_nobody_up(small):
    settings, _ = small
    with ExitStack() as stack:
        for _ in range(10):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", settings.web.port)))
            one.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        begun = time.monotonic()
        see_others_answered(settings)
        assert time.monotonic() - begun < 4


def test_those_who_wait_hold_their_share_alone_and_nothing_once_they_left(small):
    settings, log = small
    mine = jobs_of(settings)
    where = urllib.parse.urlsplit(mine.make(QUICK, run=False)).path
    clients = ["192.0.2.1", "192.0.2.8", "192.0.2.9", "2001:db8::1", "2001:db8:0:1::1"]
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(
                opened(settings, f"GET {where}?WAIT={HELD_S}", client=client, number=THREADS)
            )
        see_others_answered(settings)
    # they left: their threads are free, long before their time
    until(lambda: len(waits_in(log)) >= len(clients) * THREADS)
    assert max(waits_in(log)) < ANSWERED_S


def waits_in(log):
    """Seconds that requests of documents of jobs took, as the log has it."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"seconds"' in line]
    return [
        line["seconds"]
        for line in lines
        if line["path"].startswith("/tap/async/") and line["method"] == "GET"
    ]


def test_a_client_is_an_address_or_a_network_of_ipv6():
    assert client_of("192.0.2.1") == client_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:1%eth0")
    assert client_of("2001:db8::1") != client_of("2001:db8:0:1::1")
    assert client_of(None) == client_of("") == ""


def test_one_client_has_half_of_the_places_at_most():
    admission = Admission(LimitSettings(client_requests=99), threads=16)
    assert (admission.places, admission.share, admission.waiting_places) == (14, 7, 7)


def test_one_client_cannot_take_all_connections_to_the_database(database, tmp_path):
    settings = settings_of(database, tmp_path)
    query = urllib.parse.urlencode({"LANG": "ADQL", "QUERY": MANY, "MAXREC": "2000000"})
    with (
        served(settings, tmp_path / "server.log"),
        opened(settings, f"GET /tap/sync?{query}", client="192.0.2.4", number=16),
        opened(settings, f"GET /files/1?{query}", client="192.0.2.5", number=16),
    ):
        for _ in range(3):
            see_others_answered(settings)
        assert jobs_of(settings, "198.51.100.7").make(QUICK, run=False)


def test_the_private_database_takes_what_all_processes_may_hold(database, tmp_path, caplog):
    settings = settings_of(database, tmp_path)
    assert connections_wanted(settings) + RESERVED <= 200
    prepare_database(settings)
    assert "max_connections" not in caplog.text
    prepare_database(settings_of(database, tmp_path, threads=200))
    assert "the database takes 200 connections (max_connections)" in caplog.text
