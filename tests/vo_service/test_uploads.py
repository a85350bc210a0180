"""Tables of the user's own over HTTP: with pyvo, STILTS, astroquery and plain requests."""

from __future__ import annotations

import csv
import http.client
import io
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyvo
import requests
from astropy import units
from astropy.io import fits, votable
from astropy.table import MaskedColumn, Table
from astroquery.utils.tap.core import TapPlus

from schemas.settings import LimitSettings, Settings, StorageSettings, WebSettings
from tests.support.serving import served
from tests.support.stars import make_stars
from vo_service.formats.choice import FORMATS
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

LIMIT = 3_000_000
#: Clients that leave files and connections to the garbage collector.
careless = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("uploads") / "server.log"


@pytest.fixture(scope="module")
def tap(database, log):
    """Address of a TAP service with some stars, that may fetch from 127.0.0.1."""
    make_stars_there = database.owner_url
    make_stars(make_stars_there, 2000)
    settings = Settings(
        database=database,
        storage=StorageSettings(root=log.parent / "files"),
        limits=LimitSettings(
            sync_timeout_s=20,
            upload_bytes=LIMIT,
            upload_rows=50_000,
            upload_hosts=("127.0.0.1",),
        ),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1),
        reduction={"plugins": ["tests.support.stars"]},
    )
    prepare_database(settings)
    with served(settings, log) as url:
        yield url + "/tap"


def post(tap, query, files, uploads, **more):
    data = {"LANG": "ADQL", "QUERY": query, "UPLOAD": uploads, **more}
    return requests.post(tap + "/sync", data=data, files=files, timeout=60)


def rows(tap, query, uploads="t,param:t", **files):
    answer = post(tap, query, files, uploads, RESPONSEFORMAT="csv")
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))[1:]


def fault(tap, query, uploads="t,param:t", *, status=400, **files):
    answer = post(tap, query, files, uploads)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    [info] = list(votable.parse(io.BytesIO(answer.content)).resources[0].infos)
    assert (info.name, info.value) == ("QUERY_STATUS", "ERROR")
    return info.content


# The same table in every format, with what it should be.

IDS = [1, 2, 3, 2**62]
TRUTH = Table(
    {
        "id": np.array(IDS, "i8"),
        "ra": MaskedColumn([10.5, 0.1, 359.9, 1.0], mask=[0, 1, 0, 0], unit="deg"),
        "mag": np.array([1.5, 2.25, -0.5, 20.0], "f4") * units.mag,
        "n": MaskedColumn(np.array([-5, 7, 0, 32767], "i2"), mask=[0, 0, 1, 0]),
        "name": ["Vega", "ε Lyr", "x", 'a,b"c'],
        "p": np.array([[1.0, 2.0], [3.0, -4.0], [5.0, 6.0], [7.0, 8.5]]),
    }
)
TRUTH["ra"].description = "right ascension"
EXPECTED = [
    (1, 10.5, 1.5, -5, "Vega", [1.0, 2.0]),
    (2, None, 2.25, 7, "ε Lyr", [3.0, -4.0]),
    (3, 359.9, -0.5, None, "x", [5.0, 6.0]),
    (2**62, 1.0, 20.0, 32767, 'a,b"c', [7.0, 8.5]),
]


def as_votable(form):
    document = votable.from_table(TRUTH)
    document.set_all_tables_format(form)
    fields = document.get_first_table().fields
    fields[1].ucd = "pos.eq.ra;meta.main"
    fields[5].xtype = "point"
    if form == "binary":
        fields[3].values.null = -999
    out = io.BytesIO()
    document.to_xml(out)
    return out.getvalue()


def as_fits():
    columns = [
        fits.Column("id", "K", array=TRUTH["id"]),
        fits.Column("ra", "D", array=TRUTH["ra"].filled(np.nan), unit="deg"),
        fits.Column("mag", "E", array=TRUTH["mag"].value, unit="mag"),
        fits.Column("n", "I", array=TRUTH["n"].filled(-999), null=-999),
        fits.Column("name", "12A", array=[name.encode() for name in TRUTH["name"]]),
        fits.Column("p", "2D", array=TRUTH["p"]),
    ]
    out = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(out)
    return out.getvalue()


def as_parquet():
    table = pa.table(
        {
            "id": pa.array(IDS),
            "ra": pa.array([row[1] for row in EXPECTED]),
            "mag": pa.array([row[2] for row in EXPECTED], pa.float32()),
            "n": pa.array([row[3] for row in EXPECTED], pa.int16()),
            "name": pa.array([row[4] for row in EXPECTED]),
            "p": pa.array([row[5] for row in EXPECTED], pa.list_(pa.float64(), 2)),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


FORMS = {
    "tabledata": lambda: as_votable("tabledata"),
    "binary": lambda: as_votable("binary"),
    "binary2": lambda: as_votable("binary2"),
    "fits": as_fits,
    "parquet": as_parquet,
}


def _plain(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@pytest.mark.parametrize("form", FORMS)
def test_types_values_and_nulls_come_back_as_they_were_sent(tap, form):
    query = "SELECT * FROM tap_upload.t ORDER BY id"
    answer = post(tap, query, {"t": FORMS[form]()}, "t,param:t")
    assert answer.status_code == 200, answer.text
    document = votable.parse_single_table(io.BytesIO(answer.content))
    found = [
        (field.name, field.datatype, field.arraysize, str(field.unit or ""))
        for field in document.fields
    ]
    assert found[:4] == [
        ("id", "long", None, ""),
        ("ra", "double", None, "deg" if form != "parquet" else ""),
        ("mag", "float", None, "mag" if form != "parquet" else ""),
        ("n", "short", None, ""),
    ]
    assert found[5][1:3] == ("double", "2")
    got = [
        tuple(None if np.all(mask) else _plain(value) for value, mask in zip(*row, strict=True))
        for row in zip(document.array.data, document.array.mask, strict=True)
    ]
    assert got == EXPECTED
    if form.startswith(("tab", "bin")):
        assert document.fields[1].ucd == "pos.eq.ra;meta.main"
        assert document.fields[1].description == "right ascension"
        assert document.fields[5].xtype == "point"


def test_separated_values_come_back_with_the_types_that_they_have(tap):
    text = 'id,v,big,name,ok\n1,1.5,3000000000,"a,b",true\n2,,1,ü,false\n'
    for separator, kind in ((",", "text/csv"), ("\t", "text/tab-separated-values")):
        data = text.replace("a,b", "a;b").replace(",", separator).encode()
        answer = post(tap, "SELECT * FROM tap_upload.t", {"t": ("f", data, kind)}, "t,param:t")
        document = votable.parse_single_table(io.BytesIO(answer.content))
        kinds = [field.datatype for field in document.fields]
        assert kinds == ["int", "double", "long", "unicodeChar", "boolean"]
        assert document.array["name"].tolist() == ["a;b", "ü"]
        assert document.array["v"].mask.tolist() == [False, True]


def test_moments_are_moments(tap):
    fields = '<FIELD name="t" datatype="char" arraysize="*" xtype="timestamp"/>'
    cells = "".join(f"<TR><TD>{t}</TD></TR>" for t in ("2026-01-31T12:00:00.5Z", "2026-01-30", ""))
    data = f"<VOTABLE><RESOURCE><TABLE>{fields}<DATA><TABLEDATA>{cells}</TABLEDATA></DATA>"
    data = (data + "</TABLE></RESOURCE></VOTABLE>").encode()
    later = "CAST('2026-01-31' AS TIMESTAMP)"
    assert rows(tap, f"SELECT t FROM tap_upload.u WHERE t > {later}", "u,param:x", x=data) == [
        ["2026-01-31T12:00:00.500000"]
    ]
    assert len(rows(tap, "SELECT t FROM tap_upload.u WHERE t IS NULL", "u,param:x", x=data)) == 1
    wrong = data.replace(b"2026-01-30", b"yesterday!")
    said = fault(tap, "SELECT t FROM tap_upload.u", "u,param:x", x=wrong)
    assert "upload u: row 2, column t: found 'yesterday!', expected a moment" in said


@pytest.mark.parametrize("form", [each.aliases[0] for each in FORMATS if each.aliases])
def test_moments_in_wide_letters_leave_like_others_in_every_form(tap, form):
    def answer(datatype):
        field = f'<FIELD name="t" datatype="{datatype}" arraysize="*" xtype="timestamp"/>'
        cells = "<TR><TD>2026-01-31T12:00:00.5</TD></TR><TR><TD/></TR>"
        data = f"<VOTABLE><RESOURCE><TABLE>{field}<DATA><TABLEDATA>{cells}</TABLEDATA></DATA>"
        data += "</TABLE></RESOURCE></VOTABLE>"
        query = "SELECT t FROM tap_upload.u ORDER BY t"
        found = post(tap, query, {"x": data.encode()}, "u,param:x", RESPONSEFORMAT=form)
        assert found.status_code == 200, found.text
        return re.sub(rb"created_[^;]*|20\d\d-[^ ]*Z", b"", found.content)

    wide = answer("unicodeChar")
    assert wide == answer("char")
    if form in {"votable/td", "csv", "tsv", "json", "html", "fits", "arrow"}:
        assert b"2026-01-31T12:00:00.5" in wide


def test_names_of_any_kind_can_be_used_with_quotes(tap):
    text = 'xmin,ctid,"a ""b""",größe,select,RA,ra,' + "x" * 100 + "\n1,2,3,4,5,6,7,8\n"
    query = f'SELECT "a ""b""", xmin, ctid, "größe", "select", "RA", "ra", {"x" * 100} '
    assert rows(tap, query + "FROM TAP_Upload.T", t=text.encode()) == [list("31245678")]


def test_several_uploads_join_each_other_themselves_and_published_tables(tap):
    one, other = b"id,ra,dec\n1,10,20\n2,30,40\n", b"<VOTABLE/>"
    other = votable_of(Table({"id": [2, 3], "z": [0.5, 0.25]}))
    query = (
        "SELECT a.id, b.z, c.ra FROM tap_upload.a AS a JOIN tap_upload.b AS b ON a.id = b.id "
        "JOIN tap_upload.a AS c ON c.id = a.id"
    )
    for uploads in ("a,param:x;b,param:y", ["a,param:x", "b,param:y"]):
        assert rows(tap, query, uploads, x=one, y=other) == [["2", "0.5", "30"]]
    near = (
        "SELECT a.id, c.id FROM tap_upload.a AS a JOIN tap_upload.a AS c ON "
        "DISTANCE(a.ra, a.dec, c.ra, c.dec) < 1 ORDER BY 1"
    )
    assert rows(tap, near, "a,param:x", x=one) == [["1", "1"], ["2", "2"]]
    count = rows(tap, "SELECT COUNT(*) FROM tap_upload.a AS a, tap_schema.schemas AS s "
                 "WHERE a.id = s.schema_index", "a,param:x", x=one)  # fmt: skip
    assert int(count[0][0]) >= 1


def votable_of(table, form="binary2"):
    out = io.BytesIO()
    document = votable.from_table(table)
    document.set_all_tables_format(form)
    document.to_xml(out)
    return out.getvalue()


def test_positions_are_matched_with_published_ones(tap):
    stars = rows(tap, "SELECT TOP 50 id, ra, dec FROM bench.stars ORDER BY id", "")
    shifted = "\n".join(f"{i},{float(ra) + 1e-5},{dec}" for i, ra, dec in stars)
    query = (
        "SELECT u.id, s.id FROM tap_upload.t AS u JOIN bench.stars AS s ON "
        "1 = CONTAINS(POINT('ICRS', s.ra, s.dec), CIRCLE('ICRS', u.ra, u.dec, 2. / 3600.))"
    )
    found = rows(tap, query, t=f"id,ra,dec\n{shifted}\n".encode())
    assert {mine for mine, theirs in found if mine == theirs} == {star[0] for star in stars}


# Clients.


@careless
def test_pyvo_uploads_tables_files_and_addresses(tap, tmp_path, shelf):
    service = pyvo.dal.TAPService(tap)
    offered = {method.ivo_id.rpartition("-")[2] for method in service.upload_methods}
    assert offered == {"inline", "http", "https"}
    (tmp_path / "f.csv").write_text("a\n1\n2\n")
    for upload in (Table({"a": [1, 2]}), str(tmp_path / "f.csv"), shelf("a\n1\n2\n")):
        found = service.run_sync("SELECT a FROM TAP_UPLOAD.t", uploads={"t": upload})
        assert found["a"].tolist() == [1, 2]
    with pytest.raises(pyvo.dal.DALQueryError, match="upload t: the host 'localhost' has"):
        service.run_sync("SELECT 1 FROM TAP_UPLOAD.t", uploads={"t": "http://localhost/x"})


@pytest.fixture
def shelf():
    """Puts a text on a web server of this test; its address."""
    held = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = held[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def put(text):
        path = f"/{len(held)}"
        held[path] = text.encode()
        return f"http://127.0.0.1:{server.server_port}{path}"

    yield put
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_table_that_is_elsewhere_is_fetched(tap, shelf):
    uri = shelf("a;b,c\n1,2\n")
    assert rows(tap, 'SELECT "a;b", c FROM tap_upload.t', f"t,{uri}") == [["1", "2"]]
    query = {"LANG": "ADQL", "QUERY": "SELECT c FROM tap_upload.t", "UPLOAD": f"t,{uri}"}
    assert requests.get(tap + "/sync", query, timeout=30).status_code == 200
    large = shelf("a\n" + "1\n" * LIMIT)
    assert "larger than the 3000000 bytes" in fault(
        tap, "SELECT a FROM tap_upload.t", f"t,{large}", status=413
    )


def stilts(*words):
    done = subprocess.run(
        ["stilts", *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_stilts
def test_stilts_uploads_several_tables_in_each_serialization(tap, tmp_path):
    (tmp_path / "a.csv").write_text("id,name\n1,x\n2,\n")
    (tmp_path / "b.fits").write_bytes(as_fits().replace("ε Lyr".encode(), b"e  Lyr"))
    for form in ("TABLEDATA", "BINARY", "BINARY2"):
        said = stilts(
            "tapquery", f"tapurl={tap}", "sync=true", f"upvotformat={form}", "nupload=2",
            f"upload1={tmp_path / 'a.csv'}", "ufmt1=csv", "upname1=a",
            f"upload2={tmp_path / 'b.fits'}", "ufmt2=fits", "upname2=b", "ofmt=csv",
            "adql=SELECT a.id, a.name, b.ra, b.n FROM TAP_UPLOAD.a AS a JOIN TAP_UPLOAD.b AS b "
            "ON a.id = b.id ORDER BY a.id",
        )  # fmt: skip
        assert said.splitlines() == ["id,name,ra,n", "1,x,10.5,-5", "2,,,7"], form


@needs_stilts
def test_tapskymatch_finds_the_stars_of_an_upload(tap, tmp_path):
    stars = rows(tap, "SELECT TOP 30 ra, dec FROM bench.stars ORDER BY id", "")
    (tmp_path / "in.csv").write_text("ra,dec\n" + "\n".join(map(",".join, stars)) + "\n")
    said = stilts(
        "tapskymatch", f"tapurl={tap}", "sync=true", f"in={tmp_path / 'in.csv'}", "ifmt=csv",
        "inlon=ra", "inlat=dec", "taptable=bench.stars", "taplon=ra", "taplat=dec", "sr=0.001",
        "ofmt=csv",
    )  # fmt: skip
    assert len(said.splitlines()) >= 31


@careless
def test_astroquery_uploads_a_table(tap, tmp_path):
    Table({"a": [1, 2]}).write(tmp_path / "t.vot", format="votable")
    job = TapPlus(url=tap).launch_job(
        "SELECT a * 2 AS b FROM tap_upload.mine",
        upload_resource=str(tmp_path / "t.vot"),
        upload_table_name="mine",
    )
    assert job.get_results()["b"].tolist() == [2, 4]


# What goes wrong.


def test_wrong_uploads_are_told_with_upload_and_place(tap):
    query = "SELECT * FROM tap_upload.t"
    as_votable("tabledata").replace(b"<TD>1<", b"<TD>one<", 1)
    told = {
        "row 2 has 1 cells, expected 2": fault(tap, query, t=b"a,b\n1,2\n3\n"),
        "two columns are called 'a'": fault(tap, query, t=b"a,a\n1,2\n"),
        "the file is empty": fault(tap, query, t=b""),
        "not well-formed XML": fault(tap, query, t=as_votable("binary2")[:-200]),
        "row 1, column id": fault(
            tap, query, t=as_votable("tabledata").replace(b"<TD>1<", b"<TD>one<", 1)
        ),
        "the file ends within row": fault(tap, query, t=as_fits()[:5800]),
        "not a Parquet file": fault(tap, query, t=as_parquet()[:-9]),
        "document type or entities": fault(
            tap, query, t=b"<!DOCTYPE a [<!ENTITY b 'c'>]><VOTABLE/>"
        ),
        "more than 50000 rows": fault(tap, query, status=413, t=b"a\n" + b"1\n" * 50_001),
    }
    for sentence, said in told.items():
        assert sentence in said
        assert "upload t: " in said
    assert "unknown table `tap_upload.x`" in fault(tap, "SELECT * FROM tap_upload.x", t=b"a\n1\n")
    assert "unknown column" in fault(tap, "SELECT b FROM tap_upload.t", t=b"a\n1\n")
    assert "unknown table" in fault(tap, query, "")


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "http://localhost/", "http://10.0.0.1/", "x"]
)
def test_nothing_but_the_public_web_is_fetched(tap, uri):
    assert "expected" in fault(tap, "SELECT * FROM tap_upload.t", f"t,{uri}")


def test_noise_of_any_kind_is_the_users_fault(tap):
    random = np.random.default_rng(5)
    good = [form() for form in FORMS.values()]
    for number in range(60):
        data = bytearray(good[number % len(good)])
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(0, 256)
        answer = post(tap, "SELECT * FROM tap_upload.t", {"t": bytes(data)}, "t,param:t")
        assert answer.status_code in {200, 400, 413}, (number, answer.text)


def _memory(log):
    """Resident bytes of the worker process that writes this log."""
    worker = re.findall(r"Booting worker with pid: (\d+)", log.read_text())[-1]
    return psutil.Process(int(worker)).memory_info().rss


@pytest.mark.parametrize("chunked", [False, True])
def test_a_giant_upload_is_refused_at_once_and_in_little_memory(tap, log, chunked):
    before = _memory(log)
    head = (
        b"--B\r\nContent-Disposition: form-data; name='QUERY'\r\n\r\nx\r\n"
        b'--B\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n'
    )
    parts = urlsplit(tap)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("POST", parts.path + "/sync")
    connection.putheader("Content-Type", "multipart/form-data; boundary=B")
    piece, count = b"x" * (1 << 20), 200
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(len(head) + count * len(piece)))
    connection.endheaders()
    for sent in [head, *[piece] * count]:
        connection.send(b"%x\r\n%s\r\n" % (len(sent), sent) if chunked else sent)
    if chunked:
        connection.send(b"0\r\n\r\n")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 413
    assert "takes at most 3000000 bytes (limits.upload_bytes)" in body
    assert _memory(log) - before < 60_000_000


def test_the_server_serves_on(tap, log):
    assert rows(tap, "SELECT a FROM tap_upload.t", t=b"a\n1\n") == [["1"]]
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in {"ERROR", "CRITICAL"}] == []
