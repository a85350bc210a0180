from __future__ import annotations

import io
import json

import psycopg2
import pytest

from reduction.archive import Archive
from schemas.columns import Column, Table
from schemas.dali import Terms, Upload, parse_params
from schemas.errors import (
    BusyError,
    ParameterError,
    QueryError,
    TooLargeError,
    UploadError,
)
from schemas.settings import LimitSettings, Settings
from tap.adql import Catalogue, check, parse, translate
from tap.protocol import PARAMS
from tap.scope import scope_of
from tap.service import Context, run
from tap.upload import UploadRequest, opened_uploads, parse_upload
from tests.support.uploaded import votable
from vo_service.opening import prepare_database


def test_upload_names_a_table_and_where_it_is():
    assert parse_upload("stars,param:file") == (UploadRequest("stars", "param:file"),)
    assert parse_upload(" TAP_UPLOAD.t , http://a.org/x?a=1,2;b=3 ") == (
        UploadRequest("t", "http://a.org/x?a=1,2;b=3"),
    )
    assert parse_upload("a,param:x;b,https://b.org/y;") == (
        UploadRequest("a", "param:x"),
        UploadRequest("b", "https://b.org/y"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stars", "NAME,param:PART"),
        ("stars,", "NAME,param:PART"),
        (",param:x", "letters, digits and underscores"),
        ("1a,param:x", "begins with a letter"),
        ("my stars,param:x", "letters, digits"),
        ("schema.t,param:x", "letters, digits"),
        ("sélection,param:x", "letters, digits"),
        ('a"; DROP TABLE x --,param:x', "letters, digits"),
        ("Select,param:x", "no reserved word"),
        ("a" * 64 + ",param:x", "at most 63 characters"),
    ],
)
def test_a_name_that_no_query_could_use_is_refused(text, sentence):
    with pytest.raises(ParameterError, match="parameter UPLOAD: found") as caught:
        parse_upload(text)
    assert sentence in str(caught.value)


def part(name, data, media_type=""):
    return Upload(name, media_type, lambda: io.BytesIO(data))


def opened(requests, **parts):
    files = {name: part(name, data) for name, data in parts.items()}
    with opened_uploads(requests, files, LimitSettings(), timeout_s=5) as uploads:
        return uploads


def test_two_tables_of_one_name_and_parts_that_are_not_there_are_refused():
    with pytest.raises(ParameterError, match="a name that no other upload has"):
        opened([UploadRequest("t", "param:x"), UploadRequest("T", "param:x")], x=b"a\n1\n")
    with pytest.raises(ParameterError, match=r"the name of a file part.*found: y\)"):
        opened([UploadRequest("t", "param:x")], y=b"a\n1\n")
    with pytest.raises(ParameterError, match="at most 20 in one request"):
        opened([UploadRequest(f"t{n}", "param:x") for n in range(21)], x=b"a\n1\n")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a,b,a\n1,2,3\n", "upload t: two columns are called 'a': expected one each"),
        (
            b"<VOTABLE><RESOURCE><TABLE/></RESOURCE></VOTABLE>",
            "upload t: the table has no columns",
        ),
        (b"", "upload t: the file is empty"),
    ],
)
def test_a_table_that_cannot_be_one_is_refused_by_name(data, sentence):
    with pytest.raises(UploadError) as caught:
        opened([UploadRequest("t", "param:x")], x=data)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("header", "position"),
    [
        ("ra,dec", ("c1", "c2")),
        ("DEC,x,RA", ("c3", "c1")),
        ("ra,RA,dec", None),
        ("lon,lat", None),
    ],
)
def test_the_position_is_found_by_name_where_no_ucd_tells(header, position):
    count = header.count(",") + 1
    data = f"{header}\n{','.join(['1.5'] * count)}\n".encode()
    [table] = opened([UploadRequest("t", "param:x")], x=data).tables
    assert table.position == position


def test_the_position_is_found_by_ucd_before_names():
    fields = "".join(
        f"<FIELD name='{name}' datatype='double' ucd='{ucd}' unit='{unit}'/>"
        for name, ucd, unit in (
            ("ra", "", "deg"),
            ("alpha", "pos.eq.ra;meta.main", "deg"),
            ("delta", "POS.EQ.DEC;META.MAIN", ""),
        )
    )
    data = f"<VOTABLE><RESOURCE><TABLE>{fields}</TABLE></RESOURCE></VOTABLE>".encode()
    [table] = opened([UploadRequest("t", "param:x")], x=data).tables
    assert table.position == ("c2", "c3")
    hours = data.replace(b"ra;meta.main' unit='deg'", b"ra;meta.main' unit='h'")
    assert opened([UploadRequest("t", "param:x")], x=hours).tables[0].position is None


# With the database.


@pytest.fixture(scope="module")
def archive(settings: Settings):
    prepare_database(settings)
    archive = Archive(settings)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def catalogue(archive):
    return Catalogue([table for schema in archive.schemas for table in schema.tables])


def ask(archive, catalogue, query, limits=None, more=None, **parts):
    uploads = ";".join(f"{name},param:{name}" for name in parts)
    pairs = [("LANG", "ADQL"), ("QUERY", query), ("UPLOAD", uploads)]
    files = {name: part(name, data) for name, data in parts.items()}
    terms = Terms(uploads=files, **(more or {}))
    context = Context(archive, catalogue, limits or LimitSettings(sync_timeout_s=5))
    result = run(parse_params(PARAMS, pairs), context, terms)
    try:
        return result.columns, sum(block.length for block in result.rows)
    finally:
        result.close()


def leftovers(archive):
    """Temporary tables of the pool's sessions, as those see them."""
    found = []
    with archive.database.snapshot(timeout_s=5) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 't'")
        found += cursor.fetchall()
    return found


def test_an_upload_is_gone_with_its_answer_and_after_every_failure(archive, catalogue):
    assert ask(archive, catalogue, "SELECT * FROM tap_upload.t", t=b"a,b\n1,x\n2,y\n")[1] == 2
    assert leftovers(archive) == []
    wrong = b"<VOTABLE><RESOURCE><TABLE><FIELD name='a' datatype='int'/><DATA><TABLEDATA>" + (
        b"<TR><TD>1</TD></TR>" * 20_000 + b"<TR><TD>x</TD></TR></TABLEDATA></DATA></TABLE>"
    )
    with pytest.raises(UploadError, match="upload t: row 20001, column a: found 'x'"):
        ask(archive, catalogue, "SELECT * FROM tap_upload.t", t=wrong)
    assert leftovers(archive) == []
    with pytest.raises(Exception, match="division by zero"):
        ask(archive, catalogue, "SELECT 1/(a-a) AS x FROM tap_upload.t", t=b"a\n1\n")
    assert leftovers(archive) == []
    assert ask(archive, catalogue, "SELECT count(*) FROM tap_upload.t", t=b"a\n1\n")[1] == 1


@pytest.mark.parametrize("stray", ["-99", "99.99", "1e30", "-9999", "nan"])
@pytest.mark.parametrize(
    "match",
    [
        "DISTANCE(u.ra, u.dec, v.ra, v.dec) < 1",
        "1 = CONTAINS(POINT(v.ra, v.dec), CIRCLE(u.ra, u.dec, 1))",
        "DISTANCE(v.ra, v.dec, u.ra, u.dec) < u.ra / 10",
    ],
)
def test_declinations_that_are_none_refuse_no_upload(archive, catalogue, match, stray):
    field = '<FIELD name="{}" datatype="double"/>'
    rows = "".join(f"<TR><TD>{r}</TD><TD>{d}</TD></TR>" for r, d in ((10, 20), (10, stray)))
    stray_table, plain = (
        votable(field.format("ra") + field.format("dec"), f"<TABLEDATA>{text}</TABLEDATA>")
        for text in (rows, "<TR><TD>10</TD><TD>20</TD></TR>")
    )
    for pair in ({"t": stray_table, "s": plain}, {"s": stray_table, "t": plain}):
        query = f"SELECT u.ra FROM tap_upload.t AS u JOIN tap_upload.s AS v ON {match}"
        assert ask(archive, catalogue, query, **pair)[1] == 1
    alone = "SELECT ra FROM tap_upload.t WHERE DISTANCE(ra, dec, 10, 20) < 1"
    assert ask(archive, catalogue, alone, t=stray_table)[1] == 1


@pytest.mark.parametrize(
    ("query", "fails"),
    [
        ("SELECT * FROM tap_upload.t", False),
        ("SELECT 1/(a-a) AS x FROM tap_upload.t", True),
    ],
)
def test_nothing_may_be_cancelled_once_its_connection_is_given_back(
    archive, catalogue, query, fails
):
    said = []

    def begun(cancel):
        assert cancel.__self__.closed == 0
        said.append(("begun", archive.database._snapshots.pool.checkedout()))

    def ended():
        said.append(("ended", archive.database._snapshots.pool.checkedout()))

    more = {"begun": begun, "ended": ended}
    if fails:
        with pytest.raises(QueryError, match="division by zero"):
            ask(archive, catalogue, query, more=more, t=b"a\n1\n")
    else:
        ask(archive, catalogue, query, more=more, t=b"a\n1\n")
    # for the loading of the upload, and for the query
    assert said == [("begun", 1), ("ended", 1), ("begun", 1), ("ended", 1)]
    assert archive.database._snapshots.pool.checkedout() == 0


def test_an_upload_for_which_nobody_waits_is_not_loaded_to_its_end(archive, catalogue):
    more = {"is_wanted": lambda: False}
    with pytest.raises(BusyError, match="nobody waits"):
        ask(
            archive,
            catalogue,
            "SELECT * FROM tap_upload.t",
            more=more,
            t=b"a\n1\n",
        )
    assert leftovers(archive) == []


@pytest.mark.parametrize("stray", ["+Inf", "-Inf"])
def test_infinite_declinations_come_and_go_like_other_numbers(archive, catalogue, stray):
    field = '<FIELD name="{}" datatype="double"/>'
    rows = f"<TABLEDATA><TR><TD>10</TD><TD>{stray}</TD></TR></TABLEDATA>"
    table = votable(field.format("ra") + field.format("dec"), rows)
    assert ask(archive, catalogue, "SELECT * FROM tap_upload.t", t=table)[1] == 1


def test_no_other_session_sees_an_upload(archive):
    inner = []
    with (
        opened_uploads(
            [UploadRequest("t", "param:x")],
            {"x": part("x", b"a\n1\n")},
            LimitSettings(),
            timeout_s=5,
        ) as uploads,
        archive.database.snapshot(timeout_s=5, prepare=uploads.load) as mine,
    ):
        for session in (mine, None):
            connection = session or psycopg2.connect(archive.settings.database.reader_url)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM pg_temp.upload_1")
                    inner.append(cursor.fetchone()[0])
            except psycopg2.Error as error:
                inner.append(error.pgcode)
            finally:
                if session is None:
                    connection.close()
        with mine.cursor() as cursor, pytest.raises(psycopg2.Error, match="read-only"):
            cursor.execute("CREATE TEMPORARY TABLE more (i int)")
    assert inner == [1, "42P01"]


def test_rows_and_bytes_beyond_the_limits_are_refused_with_the_limit(archive, catalogue):
    rows = b"a\n" + b"1\n" * 1001
    limits = LimitSettings(upload_rows=1000)
    with pytest.raises(TooLargeError, match=r"more than 1000 rows.*limits\.upload_rows"):
        ask(archive, catalogue, "SELECT * FROM tap_upload.t", limits, t=rows)
    assert ask(archive, catalogue, "SELECT * FROM tap_upload.t", limits, t=rows[:-2])[1] == 1000
    small = LimitSettings(upload_bytes=100)
    with pytest.raises(TooLargeError, match=r"more than 1000 bytes, 10 times"):
        ask(archive, catalogue, "SELECT * FROM tap_upload.t", small, t=rows)


def test_limits_are_for_all_tables_of_a_request(archive, catalogue):
    rows = b"a\n" + b"1\n" * 600
    limits = LimitSettings(upload_rows=1000)
    query = "SELECT u.a FROM tap_upload.t AS u JOIN tap_upload.s AS v ON u.a = v.a + 1"
    with pytest.raises(TooLargeError, match="upload s: the request has more than 1000 rows"):
        ask(archive, catalogue, query, limits, t=rows, s=rows)


def test_a_query_that_is_none_is_refused_before_its_uploads_are_read(archive, catalogue):
    def never():
        pytest.fail("the upload was opened")

    pairs = [("LANG", "ADQL"), ("QUERY", "SELECT FROM"), ("UPLOAD", "t,param:t")]
    terms = Terms(uploads={"t": Upload("t", "", never)})
    with pytest.raises(QueryError):
        run(parse_params(PARAMS, pairs), Context(archive, catalogue, LimitSettings()), terms)


def test_too_many_columns_of_too_much_are_told_as_the_users_fault(archive, catalogue):
    count = 1500
    data = ",".join(f"c{n}" for n in range(count)) + "\n" + ",".join(["1.5"] * count) + "\n"
    with pytest.raises(UploadError, match="a row is too wide for the database"):
        ask(archive, catalogue, "SELECT c1 FROM tap_upload.t", t=data.encode())


def test_loading_stops_at_the_time_limit(archive, catalogue):
    rows = b"ra,dec\n" + b"1.5,2.5\n" * 200_000
    limits = LimitSettings(sync_timeout_s=0.05)
    with pytest.raises(Exception, match=r"limit of 0\.05 s"):
        ask(archive, catalogue, "SELECT count(*) FROM tap_upload.t", limits, t=rows)
    assert leftovers(archive) == []


def test_an_upload_has_no_freshness_and_does_not_narrow_that_of_others(catalogue):
    table = Table(
        "TAP_UPLOAD", "t", (Column("instrument_name", "char", "*"), Column("t_mid", "double"))
    )
    mixed = catalogue.with_tables([table], {"TAP_UPLOAD.t": ("pg_temp", "upload_1")})
    alone = scope_of(check(parse("SELECT * FROM tap_upload.t"), mixed))
    assert not alone.classes
    query = (
        "SELECT * FROM archive.sources AS s JOIN tap_upload.t AS u ON s.source_id > 1 "
        "WHERE u.instrument_name = 'x' AND u.t_mid < 5"
    )
    both = scope_of(check(parse(query), mixed))
    plain = scope_of(check(parse("SELECT * FROM archive.sources"), mixed))
    assert both == plain


STARS = Table(
    "bench", "stars",
    (Column("id", "long"), Column("ra", "double"), Column("dec", "double")),
    position=("ra", "dec"),
)  # fmt: skip
MATCHES = (
    "FROM tap_upload.t AS u JOIN bench.stars AS s ON 1=CONTAINS({p}, {c})",
    "FROM bench.stars AS s JOIN tap_upload.t AS u ON CONTAINS({p}, {c})=1",
    "FROM bench.stars AS s, tap_upload.t AS u WHERE DISTANCE(s.ra, s.dec, u.ra, u.dec) < 0.0005",
    "FROM tap_upload.t AS u, bench.stars AS s WHERE 0.0005 > DISTANCE(u.ra, u.dec, s.ra, s.dec)",
    "FROM tap_upload.t AS u JOIN bench.stars AS s ON 1=CONTAINS({q}, {d})",
    "FROM tap_upload.t AS u LEFT JOIN bench.stars AS s ON 1=CONTAINS({p}, {c})",
    "FROM bench.stars AS s RIGHT JOIN tap_upload.t AS u ON 1=CONTAINS({p}, {c})",
    "FROM bench.stars AS s JOIN tap_upload.t AS u ON 1=CONTAINS({p}, {c}) WHERE s.id > 5",
)


def scans(node, found=None):
    """(kind of scan, table) of each node of a plan."""
    found = [] if found is None else found
    if "Relation Name" in node:
        found.append((node["Node Type"], node["Relation Name"]))
    for inner in node.get("Plans", ()):
        scans(inner, found)
    return found


@pytest.mark.parametrize("place", [True, False])
def test_a_match_looks_the_large_table_up_however_it_is_written(archive, place):
    owner = psycopg2.connect(archive.settings.database.owner_url)
    owner.autocommit = True
    with owner.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA IF NOT EXISTS bench; DROP TABLE IF EXISTS bench.stars;"
            "CREATE TABLE bench.stars AS SELECT n AS id, 360 * random() AS ra, "
            "180 * random() - 90 AS dec FROM generate_series(1::int8, 100000) AS n;"
            "CREATE INDEX ON bench.stars ((floor((dec + 90) * 20)::int), ra);"
            "ANALYZE bench.stars; GRANT USAGE ON SCHEMA bench TO vo_reader;"
            "GRANT SELECT ON bench.stars TO vo_reader"
        )
    owner.close()
    names = "ra,dec" if place else "alpha,delta"
    rows = "\n".join(f"{n * 0.3},{n * 0.1 - 45}" for n in range(1000))
    data = f"{names}\n{rows}\n".encode()
    with opened_uploads(
        [UploadRequest("t", "param:x")], {"x": part("x", data)}, LimitSettings(), timeout_s=5
    ) as uploads:
        catalogue = Catalogue([STARS]).with_tables(uploads.tables, uploads.stored)
        with archive.database.snapshot(timeout_s=20, prepare=uploads.load) as connection:
            for written in MATCHES:
                text = written.format(
                    p="POINT(s.ra, s.dec)",
                    c="CIRCLE(u.ra, u.dec, 0.0005)",
                    q="POINT(u.ra, u.dec)",
                    d="CIRCLE(s.ra, s.dec, 0.0005)",
                )
                if not place:
                    text = text.replace("u.ra", "u.alpha").replace("u.dec", "u.delta")
                query = check(parse(f"SELECT u.*, s.id {text}"), catalogue)
                with connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (FORMAT json) {translate(query, limit=None).text}")
                    plan = cursor.fetchone()[0]
                plan = json.loads(plan) if isinstance(plan, str) else plan
                found = scans(plan[0]["Plan"])
                assert ("Seq Scan", "upload_1") in found, text
                kinds = {kind for kind, table in found if table == "stars"}
                assert kinds <= {"Index Scan", "Bitmap Heap Scan", "Index Only Scan"}, text
