"""The service over HTTP: Gunicorn, PostgreSQL and pyvo, as a remote institute would use it."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import psycopg2
import pytest
import pyvo
from astropy.io import fits
from lxml import etree

from reduction.archive import Archive
from reduction.recipe_edits import bump
from tests.support.asking import until_answered

COUNT = "SELECT COUNT(*) AS n FROM archive.sources"


def fetch(url, data=None, **query):
    """Status, headers and bytes of an answer, whatever its status."""
    if query:
        url += "?" + urllib.parse.urlencode(query)
    body = None if data is None else urllib.parse.urlencode(data).encode()
    try:
        with urllib.request.urlopen(url, body, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ask(observatory, query, **more):
    return fetch(observatory.url + "/tap/sync", LANG="ADQL", QUERY=query, **more)


def table(observatory, query, **more):
    status, _, body = ask(observatory, query, RESPONSEFORMAT="csv", **more)
    assert status == 200, body
    return list(csv.DictReader(io.StringIO(body.decode())))


def infos(body):
    found = etree.fromstring(body).xpath("//*[local-name()='INFO']")
    return {one.get("name"): one.get("value") for one in found}


def status_of(body):
    return [
        (one.get("value"), one.text)
        for one in etree.fromstring(body).xpath(
            "//*[local-name()='RESOURCE'][@type='results']"
            "/*[local-name()='INFO'][@name='QUERY_STATUS']"
        )
    ]


@pytest.fixture(scope="module")
def made(observatory):
    """Everything is made by the first question."""
    assert int(table(observatory, COUNT)[0]["n"]) > 0
    assert table(observatory, "SELECT s_ra FROM ivoa.obscore")


def test_the_first_question_makes_and_the_second_does_not(observatory):
    query = "SELECT COUNT(*) AS n FROM archive.read_noise"
    archive = Archive(observatory.settings)  # whatever others have asked before
    bump(archive, "ReadNoise", why="a first question")
    archive.close()
    _, _, first = ask(observatory, query)
    _, _, second = ask(observatory, query)
    assert int(infos(first)["TARGETS_REMADE"]) > 0
    assert int(infos(second)["TARGETS_REMADE"]) == 0


def test_pyvo_gets_the_same_rows_in_every_form(observatory, made):
    tap = pyvo.dal.TAPService(observatory.url + "/tap")
    query = "SELECT source_id, ra, mag, filter FROM archive.sources ORDER BY source_id"
    binary = tap.search(query).to_table()
    text = tap.search(query, responseformat="votable/td").to_table()
    lines = table(observatory, query)
    assert len(binary) == len(text) == len(lines) > 10
    assert np.array_equal(binary["ra"], text["ra"])
    assert [float(line["ra"]) for line in lines] == binary["ra"].tolist()
    assert [line["filter"] for line in lines] == binary["filter"].tolist()


def test_get_and_both_kinds_of_post_say_the_same(observatory, made):
    params = {"lang": "adql", "Query": COUNT, "ResponseFormat": "csv", "request": "doQuery"}
    url = observatory.url + "/tap/sync"
    mixed = fetch(url + "?lang=ADQL", data={"QUERY": COUNT, "RESPONSEFORMAT": "csv"})
    assert fetch(url, **params)[2] == fetch(url, data=params)[2] == mixed[2]
    boundary = "frontier"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
        for k, v in params.items()
    )
    request = urllib.request.Request(
        url,
        (parts + f"--{boundary}--\r\n").encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.read() == mixed[2]


def test_maxrec_overflows_only_where_more_rows_exist(observatory, made):
    query = "SELECT source_id FROM archive.sources"
    total = len(table(observatory, query))
    statuses = {
        limit: [status for status, _ in status_of(ask(observatory, query, MAXREC=limit)[2])]
        for limit in (0, 1, total - 1, total, total + 1)
    }
    assert statuses == {
        0: ["OK", "OVERFLOW"],
        1: ["OK", "OVERFLOW"],
        total - 1: ["OK", "OVERFLOW"],
        total: ["OK"],
        total + 1: ["OK"],
    }
    assert len(table(observatory, query, MAXREC=3)) == 3


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"MAXREC": 1}, "than the 1 of MAXREC: ask with a higher MAXREC, 100000 at most"),
        ({"MAXREC": 0}, "MAXREC=0 asks for columns alone"),
        ({}, "than the 1000 of an answer without MAXREC"),
        ({"MAXREC": 9_000_000}, "than 100000, the most that one answer may have: ask in parts"),
    ],
)
def test_an_overflow_says_the_limit_and_how_to_lift_it(observatory, given, sentence):
    query = "SELECT a.std FROM tap_schema.columns AS a, tap_schema.columns AS b"
    _, _, body = ask(observatory, query, **given)
    status, text = status_of(body)[-1]
    assert status == "OVERFLOW"
    assert sentence in text


def test_top_is_no_overflow(observatory, made):
    _, _, body = ask(observatory, "SELECT TOP 2 source_id FROM archive.sources")
    assert [status for status, _ in status_of(body)] == ["OK"]


@pytest.mark.parametrize(
    ("given", "status", "sentence"),
    [
        ({"QUERY": "SELEC 1"}, 400, "line 1, column 1"),
        ({"QUERY": "SELECT s_raa FROM ivoa.obscore"}, 400, "did you mean `s_ra`"),
        ({"QUERY": "SELECT * FROM archive.source"}, 400, "did you mean `archive.sources`"),
        ({"QUERY": "SELECT 1/0 AS x FROM tap_schema.schemas"}, 400, "division by zero"),
        ({"QUERY": "SELECT a FROM b; DROP TABLE c"}, 400, "UsageFault"),
        ({"QUERY": "(" * 5000}, 400, "UsageFault"),
        ({"QUERY": "SELECT 'a\0b' AS x FROM tap_schema.schemas"}, 400, "UsageFault"),
        ({"QUERY": ""}, 400, "QUERY is missing"),
        ({"LANG": "PQL"}, 400, "one of ADQL"),
        ({"MAXREC": "many"}, 400, "MAXREC"),
        ({"MAXREC": "-1"}, 400, "MAXREC"),
        ({"FRESH": "perhaps"}, 400, "one of make, any, require"),
        ({"ASOF": "yesterday"}, 400, "timestamp"),
        ({"RESPONSEFORMAT": "gif"}, 400, "votable"),
        ({"REQUEST": "getCapabilities"}, 400, "doQuery"),
        ({"UPLOAD": "t,http://127.0.0.1/"}, 400, "is not public"),
    ],
)
def test_wrong_input_is_told_with_place_and_hint(observatory, given, status, sentence):
    params = {"LANG": "ADQL", "QUERY": "SELECT table_name FROM tap_schema.tables", **given}
    got, headers, body = fetch(observatory.url + "/tap/sync", data=params)
    assert got == status
    assert headers["Content-Type"] == "application/x-votable+xml"
    assert status_of(body)[0][0] == "ERROR"
    assert sentence in status_of(body)[0][1]
    assert b"Traceback" not in body


def test_pyvo_raises_its_query_error_with_our_sentence(observatory):
    tap = pyvo.dal.TAPService(observatory.url + "/tap")
    with pytest.raises(pyvo.dal.DALQueryError, match="did you mean"):
        tap.search("SELECT s_raa FROM ivoa.obscore")


def test_a_query_that_takes_too_long_says_its_limit(observatory, made):
    query = "SELECT COUNT(*) AS n FROM " + ", ".join(
        f"tap_schema.columns AS c{i}" for i in range(6)
    )
    status, headers, body = ask(observatory, query)
    assert status == 400
    assert "limit of 5 s" in status_of(body)[0][1]
    assert "async" in status_of(body)[0][1]
    assert "Retry-After" not in headers  # the same would take as long again


def test_asof_before_anything_was_published_gives_no_rows(observatory, made):
    rows = table(observatory, COUNT, ASOF="2000-01-01T00:00:00")
    assert rows[0]["n"] == "0"


def test_sia_finds_the_image_and_pyvo_its_cutout(observatory, made):
    sia = pyvo.dal.SIA2Service(observatory.url + "/sia2")
    found = sia.search(pos=(observatory.ra, observatory.dec, 0.01))
    assert len(found) > 0
    record = found[0]
    whole = fits.getdata(io.BytesIO(fetch(record["access_url"])[2]))
    status, headers, body = fetch(
        observatory.url + "/soda/sync",
        ID=record["obs_publisher_did"],
        CIRCLE=f"{record['s_ra']} {record['s_dec']} 0.002",
    )
    assert status == 200, body
    assert headers["Content-Type"] == "image/fits"
    piece = fits.open(io.BytesIO(body))[0]
    assert 0 < piece.data.size < whole.size


def test_links_lead_to_the_image_and_the_cutout_service(observatory, made):
    did = table(observatory, "SELECT TOP 1 obs_publisher_did FROM ivoa.obscore")[0]
    url = (
        observatory.url
        + "/datalink/links?"
        + urllib.parse.urlencode({"ID": did["obs_publisher_did"]})
    )
    links = pyvo.dal.adhoc.DatalinkResults.from_result_url(url)
    this = next(links.bysemantics("#this", include_narrower=False))
    assert fits.open(io.BytesIO(fetch(this.access_url)[2]))
    cutout = next(links.bysemantics("#cutout", include_narrower=False))
    assert cutout.service_def


def test_soda_says_errors_as_text(observatory):
    status, headers, body = fetch(observatory.url + "/soda/sync", ID="ivo://no/thing")
    assert (status, headers.get_content_type()) == (404, "text/plain")
    assert body.startswith(b"UsageError: ")
    status, _, body = fetch(observatory.url + "/soda/sync", ID="x", CIRCLE="1 2")
    assert (status, body[:12]) == (400, b"UsageError: ")


def test_files_are_what_the_checksums_say(observatory, made):
    row = table(
        observatory,
        "SELECT TOP 1 object_id, file_sha256 FROM archive.raw_frames",
    )[0]
    status, headers, body = fetch(f"{observatory.url}/files/{row['object_id']}")
    assert status == 200
    assert hashlib.sha256(body).hexdigest() == row["file_sha256"]
    assert int(headers["Content-Length"]) == len(body)
    assert fetch(observatory.url + "/files/999999999")[0] == 404


def test_availability_and_health_ask_the_database(observatory):
    _, _, body = fetch(observatory.url + "/tap/availability")
    assert etree.fromstring(body).findtext("{*}available") == "true"
    assert json.loads(fetch(observatory.url + "/health")[2]) == {"faults": [], "healthy": True}


def test_the_first_page_says_what_this_is_and_how_to_ask(observatory, made):
    _, headers, body = fetch(observatory.url + "/")
    assert headers.get_content_type() == "text/html"
    assert f"{observatory.url}/tap" in body.decode()
    assert "archive.sources" in body.decode()


def test_an_address_that_is_not_there_is_404(observatory):
    assert fetch(observatory.url + "/tap/nothing")[0] == 404
    assert fetch(observatory.url + "/nothing")[0] == 404


def test_one_request_is_one_line_of_the_log_with_its_runid(observatory):
    ask(observatory, "SELECT schema_name FROM tap_schema.schemas", RUNID="my-run-7")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = [
            json.loads(line)
            for line in observatory.log.read_text().splitlines()
            if "{" in line[:1]
        ]
        mine = [line for line in lines if line.get("run_id") == "my-run-7"]
        if mine:
            break
        time.sleep(0.05)
    assert [line["event"] for line in mine] == ["request"]
    assert (mine[0]["path"], mine[0]["status"]) == ("/tap/sync", 200)


def test_a_client_that_leaves_frees_the_server(observatory, made):
    query = "SELECT a.column_name FROM tap_schema.columns AS a, tap_schema.columns AS b"
    text = urllib.parse.urlencode({"LANG": "ADQL", "QUERY": query, "MAXREC": 100_000})
    host, port = observatory.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(f"GET /tap/sync?{text} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            client.recv(1000)
    assert int(table(observatory, COUNT)[0]["n"]) > 0


@pytest.mark.parametrize("form", ["votable", "votable/b", "votable/td"])
def test_pyvo_reads_texts_in_any_letters(observatory, made, form):
    tap = pyvo.dal.TAPService(observatory.url + "/tap")
    query = "SELECT TOP 1 'Ångström' AS a, 'É' || LOWER(chip) AS b, chip AS c FROM archive.sources"
    found = tap.run_sync(query, responseformat=form)
    fields = {field.name: field.datatype for field in found.votable.get_first_table().fields}
    assert fields == {"a": "unicodeChar", "b": "unicodeChar", "c": "char"}
    row = found.to_table()[0]
    assert (row["a"], row["b"]) == ("Ångström", "É" + row["c"])


RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    " AND position(%s IN query) > 0"
)


def test_a_query_without_a_row_yet_ends_when_its_client_leaves(observatory, made):
    mark = "leaving-4711"
    query = (
        "SELECT COUNT(*) FROM tap_schema.columns AS a, tap_schema.columns AS b,"
        f" tap_schema.columns AS c WHERE a.description <> '{mark}'"
    )
    text = urllib.parse.urlencode({"LANG": "ADQL", "QUERY": query})
    host, port = observatory.url.removeprefix("http://").split(":")

    def running():
        own = psycopg2.connect(observatory.settings.database.reader_url)
        with contextlib.closing(own), own.cursor() as cursor:
            cursor.execute(RUNNING, (mark,))
            return cursor.fetchone()[0]

    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"GET /tap/sync?{text} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        begun = time.monotonic()
        while running() < 1:
            assert time.monotonic() < begun + 3
    left = time.monotonic()
    while running():
        assert time.monotonic() < left + 2, "the query goes on"


def test_clients_that_stop_reading_are_given_up(observatory, made):
    query = (
        "SELECT a.description, b.description AS more, c.description AS most"
        " FROM tap_schema.columns AS a, tap_schema.columns AS b, tap_schema.columns AS c"
    )
    text = urllib.parse.urlencode({"LANG": "ADQL", "QUERY": query, "MAXREC": 100_000})
    host, port = observatory.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(40):  # more than threads
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            client.sendall(f"GET /tap/sync?{text} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        time.sleep(1)
        status, _, body = until_answered(lambda: ask(observatory, COUNT, RESPONSEFORMAT="csv"))
        assert status == 200, body


@pytest.mark.parametrize("path", ["/sia2/query?TARGET", "/soda/sync?ID", "/datalink/links?ID"])
def test_a_nul_in_any_parameter_is_the_users_fault(observatory, path):
    status, _, body = fetch(f"{observatory.url}{path}=a%00b")
    assert status == 400
    assert b"NUL" in body


def test_format_of_sia_is_about_the_images(observatory, made):
    for kind, some in (("image/fits", True), ("image/png", False)):
        status, headers, body = fetch(observatory.url + "/sia2/query", FORMAT=kind)
        assert (status, headers["Content-Type"]) == (200, "application/x-votable+xml")
        assert (b"<TR>" in body) is some


@pytest.mark.parametrize("asked", ["application/x-votable+xml; Content=datalink", "votable"])
def test_links_say_what_they_are_however_they_are_asked_for(observatory, asked):
    _, headers, _ = fetch(observatory.url + "/datalink/links", ID="x", RESPONSEFORMAT=asked)
    assert headers["Content-Type"] == "application/x-votable+xml;content=datalink"


def test_an_upload_joins_the_archives_own_sources(observatory, made):
    tap = pyvo.dal.TAPService(observatory.url + "/tap")
    sources = tap.run_sync("SELECT TOP 20 source_id, ra, dec FROM archive.sources").to_table()
    found = tap.run_sync(
        "SELECT u.source_id AS mine, s.source_id AS theirs, s.mag FROM TAP_UPLOAD.mine AS u "
        "JOIN archive.sources AS s ON DISTANCE(u.ra, u.dec, s.ra, s.dec) < 1e-6",
        uploads={"mine": sources},
    ).to_table()
    same = found[found["mine"] == found["theirs"]]
    assert set(same["mine"]) == set(sources["source_id"])
    assert found["mag"].unit == "mag"
