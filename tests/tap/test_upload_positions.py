"""Positions of uploads are found on whatever turn of the circle their right ascensions are."""

from __future__ import annotations

import io
import json
import random

import psycopg2
import pytest

from reduction.archive import Archive
from schemas.columns import Column, Table
from schemas.dali import Upload
from schemas.settings import LimitSettings, Settings
from tap.adql import Catalogue, check, parse, translate
from tap.upload import UploadRequest, opened_uploads
from vo_service.opening import prepare_database

BEACONS = Table(
    "turns",
    "beacons",
    (Column("id", "int"), Column("ra", "double"), Column("dec", "double")),
    position=("ra", "dec"),
)
MAKE = """
DROP SCHEMA IF EXISTS turns CASCADE; CREATE SCHEMA turns;
CREATE TABLE turns.beacons AS SELECT n AS id, (n * 137.50776405) % 360 AS ra,
    degrees(asin(2 * (n - 0.5) / 200 - 1)) AS "dec" FROM generate_series(1, 200) AS n;
INSERT INTO turns.beacons VALUES (301, 0, 0), (302, 360, 0.01), (303, 350, 0), (304, 7, 90);
CREATE INDEX ON turns.beacons ((floor(("dec" + 90) * 20)::int), ra);
GRANT USAGE ON SCHEMA turns TO vo_reader; GRANT SELECT ON turns.beacons TO vo_reader;
"""
#: Around right ascensions 0 and 350 on each turn, around the poles, and anywhere.
CHANCE = random.Random(5)
PLACES = [
    *((ra + 360 * turn, dec) for turn in (-2, -1, 0, 1, 2) for ra, dec in ((350, 0), (0.2, 0.1))),
    *((turn * 360.0, 0.0) for turn in (-2, -1, 0, 1, 2, 3)),
    *((CHANCE.uniform(-720, 1080), dec) for dec in (90, -90, 89.9, 89.2, -89.5) * 2),
    *((CHANCE.uniform(-720, 1080), CHANCE.gauss(0, 3)) for _ in range(50)),
    *((CHANCE.uniform(-720, 1080), CHANCE.uniform(-90, 90)) for _ in range(40)),
    (-1e-20, 0.0),
]
WHERE = [
    "1=CONTAINS(POINT(u.ra,u.dec), CIRCLE(350, 0, 1))",
    "CONTAINS(POINT(u.ra,u.dec), CIRCLE(-10, 0, 1)) = 1",
    "DISTANCE(u.ra, u.dec, 0, 0) < 1",
    "DISTANCE(POINT(720, 0.1), POINT(u.ra,u.dec)) <= 5",
    "1=INTERSECTS(POINT(u.ra,u.dec), CIRCLE(77, 89.5, 1))",
    "1=CONTAINS(POINT(u.ra,u.dec), CIRCLE(200, -20, 60))",
    "1=CONTAINS(POINT(u.ra,u.dec), POLYGON(349,-1, 351,-1, 351,1, 349,1))",
    "1=CONTAINS(POINT(u.ra,u.dec), POLYGON(-2,-2, 2,-2, 2,2, -2,2))",
    "1=CONTAINS(POINT(u.ra,u.dec), BOX(0, 0, 40, 10))",
    "1=CONTAINS(POINT(u.ra,u.dec), BOX(0, 89.9, 4, 4))",
    "1=CONTAINS(POINT(u.ra,u.dec), REGION('CIRCLE ICRS 350 0 1'))",
]
ON = [
    "DISTANCE({one}.ra,{one}.dec, {other}.ra,{other}.dec) < 1.5",
    "1=CONTAINS(POINT({one}.ra,{one}.dec), CIRCLE({other}.ra,{other}.dec, 0.5))",
    "1=CONTAINS(POINT({one}.ra,{one}.dec), CIRCLE({other}.ra,{other}.dec, {other}.id*0+12))",
    "1=CONTAINS(POINT({one}.ra,{one}.dec), BOX({other}.ra,{other}.dec, 2, 2))",
]
FROM = [
    ("a", "b", "tap_upload.u AS a JOIN tap_upload.v AS b ON {on}"),
    ("a", "b", "tap_upload.u AS a LEFT JOIN tap_upload.v AS b ON {on}"),
    ("a", "b", "tap_upload.u AS a, tap_upload.u AS b WHERE a.id < b.id AND {on}"),
    ("a", "b", "tap_upload.u AS a, beacons AS b WHERE {on}"),
    ("a", "b", "beacons AS a, tap_upload.v AS b WHERE {on}"),
    ("a", "b", "(SELECT id, ra, dec + 0 AS dec FROM tap_upload.u) AS a JOIN beacons AS b ON {on}"),
]


@pytest.fixture(scope="module")
def archive(settings: Settings):
    prepare_database(settings)
    owner = psycopg2.connect(settings.database.owner_url)
    owner.autocommit = True
    with owner.cursor() as cursor:
        cursor.execute(MAKE)
    owner.close()
    archive = Archive(settings)
    yield archive
    archive.close()


def _file(places):
    rows = [f"{n},{ra!r},{dec!r}" for n, (ra, dec) in enumerate(places)]
    data = "\n".join(["id,ra,dec", *rows, f"{len(rows)},,3", ""]).encode()
    return lambda: io.BytesIO(data)


@pytest.fixture(scope="module")
def session(archive):
    """Ask in a session with the uploads u and v, which has the positions of u on other turns."""
    chance = random.Random(6)
    shifted = [(ra % 360 + 360 * chance.randint(-2, 2), dec + 0.1 * chance.random() - 0.05)
               for ra, dec in PLACES if abs(dec) < 89]  # fmt: skip
    files = {"u": Upload("u", "", _file(PLACES)), "v": Upload("v", "", _file(shifted))}
    requests = [UploadRequest(name, f"param:{name}") for name in files]
    with opened_uploads(requests, files, LimitSettings(), timeout_s=20) as uploads:
        catalogue = Catalogue([BEACONS]).with_tables(uploads.tables, uploads.stored)
        with archive.database.snapshot(timeout_s=20, prepare=uploads.load) as connection:

            def ask(text, before=""):
                with connection.cursor() as cursor:
                    cursor.execute(
                        before + translate(check(parse(text), catalogue), limit=None).text
                    )
                    return sorted(cursor.fetchall(), key=repr)

            yield ask


@pytest.mark.parametrize("where", WHERE)
def test_a_region_finds_uploaded_positions_on_every_turn(session, where):
    wanted = session(f"SELECT id FROM tap_upload.u WHERE {where.replace('u.dec', 'u.dec + 0')}")
    assert session(f"SELECT id FROM tap_upload.u WHERE {where}") == wanted
    assert len(wanted) > 2


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize(("one", "other", "tables"), FROM)
def test_a_match_finds_uploaded_positions_on_every_turn(session, one, other, tables, on):
    for pair in ((one, other), (other, one)):
        written = on.format(one=pair[0], other=pair[1])
        everywhere = written.replace(f"{pair[0]}.dec", f"{pair[0]}.dec + 0")
        everywhere = everywhere.replace(f"{pair[1]}.dec", f"{pair[1]}.dec + 0")
        wanted = session(f"SELECT a.id, b.id FROM {tables.format(on=everywhere)}")
        assert session(f"SELECT a.id, b.id FROM {tables.format(on=written)}") == wanted
        assert wanted


def test_the_index_of_an_upload_answers_for_every_turn(session):
    text = f"SELECT id FROM tap_upload.u WHERE {WHERE[0]}"
    [(plan,)] = session(text, before="SET LOCAL enable_seqscan = off; EXPLAIN (FORMAT json) ")
    said = json.dumps(plan)
    assert "Seq Scan" not in said
    assert "floor((c2 / " in said.partition("Index Cond")[2]
