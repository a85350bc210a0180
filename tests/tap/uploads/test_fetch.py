from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.errors import TooLargeError, UploadError
from tap.uploads import deadline as module
from tap.uploads.deadline import Deadline
from tap.uploads.fetch import FetchRules
from tap.uploads.fetch import fetch as fetch_until

TABLE = b"a,b\n1,2\n"


def fetch(uri, sink, rules, **more):
    with Deadline(rules.timeout_s) as deadline:
        return fetch_until(uri, sink, rules, deadline, **more)


class _Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.headers["Host"] + self.path)
        name, _, rest = self.path.removeprefix("/").partition("?")
        getattr(self, f"_{name}")(rest)

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _table(self, rest):
        self._answer(200, TABLE, Content_Type="text/csv")

    def _to(self, rest):
        self._answer(302, Location=rest)

    def _missing(self, rest):
        self._answer(404)

    def _zipped(self, rest):
        self._answer(200, TABLE, Content_Encoding="gzip")

    def _short(self, rest):
        self._answer(200, TABLE, Content_Length=1000)
        self.close_connection = True

    def _says_large(self, rest):
        self._answer(200, b"", Content_Length=10**12)

    def _endless(self, rest):
        self._answer(200, b"", Content_Length=None, Connection="close")
        while True:
            self.wfile.write(b"x" * 65536)

    def _slow(self, rest):
        self._answer(200, b"", Content_Length=1000)
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    server.daemon_threads = True
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def rules(host, **given):
    named = (f"127.0.0.1:{host.server_port}",)
    return FetchRules(**{"most_bytes": 100_000, "timeout_s": 5.0, "hosts": named, **given})


def asked_of(host, path, **given):
    sink = io.BytesIO()
    kind = fetch(f"http://127.0.0.1:{host.server_port}/{path}", sink, rules(host, **given))
    return kind, sink.getvalue()


def test_a_table_comes_from_a_host_that_the_operator_allows(host):
    assert asked_of(host, "table") == ("text/csv", TABLE)


def test_redirects_are_followed_within_what_is_allowed(host):
    assert asked_of(host, "to?/table") == ("text/csv", TABLE)
    with pytest.raises(UploadError, match="more than 5 redirects"):
        asked_of(host, "to?/to?/to?/to?/to?/to?/to?/to?/table")
    count = len(host.asked)
    for elsewhere, sentence in (
        ("http://127.0.0.2/", "not public"),
        ("http://localhost:1/", "not public"),
        ("http://169.254.169.254/latest/meta-data", "not public"),
        ("file:///etc/passwd", "expected http"),
        ("gopher://127.0.0.1/", "expected http"),
    ):
        with pytest.raises(UploadError, match=sentence):
            asked_of(host, f"to?{elsewhere}")
    assert len(host.asked) == count + 5


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/",
        "http://169.254.169.254/latest", "http://10.1.2.3/", "http://192.168.0.1/",
        "http://172.16.0.1/", "http://100.64.0.1/", "http://2130706433/", "http://0x7f000001/",
        "http://0177.0.0.1/", "http://127.1/", "http://[::ffff:127.0.0.1]/", "http://[fe80::1]/",
        "http://[fc00::1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://224.0.0.1/", "http://255.255.255.255/", "http://[::]/", "https://127.0.0.1/",
        "http://[ff02::1]/", "http://198.18.0.1/", "http://192.0.2.1/", "http://240.0.0.1/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_never_asked(uri):
    with pytest.raises(UploadError, match=r"not public|not known"):
        fetch(uri, io.BytesIO(), FetchRules(1000, 1.0))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd", "ftp://example.org/x", "data:text/csv,a", "http:///x", "//x", "x",
        "http://user:secret@example.org/", "http://example.org:0/", "http://example.org:99999/",
        "http://exa mple.org/", "http://example.org/a\r\nX-Y: z", "http://[::1/", "vos://x!y",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_told_so(uri):
    with pytest.raises(UploadError, match="expected http"):
        fetch(uri, io.BytesIO(), FetchRules(1000, 1.0))


@contextmanager
def named(monkeypatch, answers):
    """A name server that gives other addresses each time it is asked."""
    asked = []
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if not str(host).endswith(".example"):
            return real(host, port, *args, **kwargs)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(module.socket, "getaddrinfo", lookup)
    yield asked


def test_the_address_that_was_checked_is_the_one_that_is_asked(host, monkeypatch):
    port = host.server_port
    with named(monkeypatch, [["127.0.0.1"], ["203.0.113.9"]]) as asked:
        sink = io.BytesIO()
        allowed = rules(host, hosts=(f"stars.example:{port}",))
        fetch(f"http://stars.example:{port}/table", sink, allowed)
        assert asked == ["stars.example"]
        assert host.asked == [f"stars.example:{port}/table"]


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch):
    with (
        named(monkeypatch, [["93.184.216.34", "10.0.0.1"]]),
        pytest.raises(UploadError, match=r"not public \(10\.0\.0\.1\)"),
    ):
        fetch("http://stars.example/", io.BytesIO(), FetchRules(1000, 1.0))


@pytest.mark.parametrize("path", ["says_large", "endless"])
def test_what_is_too_large_is_not_read_on(host, path):
    with pytest.raises(TooLargeError, match="100000 bytes that an upload may have"):
        asked_of(host, path)


def test_what_drips_is_given_up_in_time(host):
    begun = time.monotonic()
    with pytest.raises(UploadError, match=r"did not come within 0\.5 s"):
        asked_of(host, "slow", timeout_s=0.5)
    assert time.monotonic() - begun < 3


def test_other_failures_are_told(host):
    with pytest.raises(UploadError, match="answers with status 404"):
        asked_of(host, "missing")
    with pytest.raises(UploadError, match="the encoding 'gzip'"):
        asked_of(host, "zipped")
    with pytest.raises(UploadError, match="broke off"):
        asked_of(host, "short")
    with pytest.raises(UploadError, match="is not known"):
        fetch("http://no-such-host.invalid/", io.BytesIO(), FetchRules(1000, 1.0))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(UploadError, match="cannot be reached"):
            fetch(f"http://127.0.0.1:{port}/", io.BytesIO(), FetchRules(9, 1.0, ("127.0.0.1",)))


@contextmanager
def dripping(head, drop=b"a"):
    """A host that sends the head, and then a few bytes now and then until nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(head)
                for _ in range(200):
                    time.sleep(0.05)
                    connection.sendall(drop)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED + b"1;", b"a"),
        (CHUNKED + b"1\r\na\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9\r\nX: ", b"a"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whatever_drips_is_shut_at_the_deadline(scheme, head, drop):
    begun = time.monotonic()
    with dripping(b"\x16\x03\x03\x40\x00" if scheme == "https" else head, drop) as port:
        allowed = FetchRules(1000, 0.4, (f"127.0.0.1:{port}",))
        with pytest.raises(UploadError, match=r"did not come within 0\.4 s"):
            fetch(f"{scheme}://127.0.0.1:{port}/", io.BytesIO(), allowed)
    assert time.monotonic() - begun < 3


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *_, **__: asked.wait(10) and [])
    begun = time.monotonic()
    with pytest.raises(UploadError, match=r"did not come within 0\.2 s"):
        fetch("http://stars.example/", io.BytesIO(), FetchRules(1000, 0.2))
    asked.set()
    assert time.monotonic() - begun < 3


def test_what_was_fetched_before_counts(host):
    allowed = rules(host, most_bytes=2 * len(TABLE))
    uri = f"http://127.0.0.1:{host.server_port}/table"
    assert fetch(uri, io.BytesIO(), allowed, before=len(TABLE)) == "text/csv"
    with pytest.raises(TooLargeError, match="larger than the 16 bytes"):
        fetch(uri, io.BytesIO(), allowed, before=len(TABLE) + 1)
