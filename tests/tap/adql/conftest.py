"""A small database of stars, and the catalogue that describes it."""

from __future__ import annotations

import psycopg2
import pytest

from schemas.columns import Column, Table
from schemas.sphere import FUNCTIONS
from tap.adql import Catalogue, check, parse, translate

STARS = Table(
    "lab",
    "stars",
    (
        Column("id", "long", ucd="meta.id;meta.main"),
        Column("ra", "double", unit="deg", ucd="pos.eq.ra;meta.main", description="where"),
        Column("dec", "double", unit="deg", ucd="pos.eq.dec;meta.main"),
        Column("mag", "float", unit="mag", ucd="phot.mag;em.opt.V"),
        Column("kind", "char", "*", ucd="src.class"),
        Column("flag", "int"),
        Column("small", "short", unit="pixel"),
        Column("good", "boolean"),
        Column("seen", "char", "*", "timestamp", sql_type="timestamptz"),
        Column("noted", "char", "*", "timestamp"),
        Column("pm", "double", unit="mas/yr"),
    ),
    freshness=("SourceList",),
    position=("ra", "dec"),
)
FIELDS = Table(
    "lab",
    "Fields",
    (
        Column("id", "int"),
        Column("Name", "char", "*"),
        Column("s_region", "double", "*", "polygon"),
        Column("centre", "double", "2", "point"),
        Column("kind", "char", "8"),
    ),
    freshness=("CalibratedScienceFrame",),
)
PLATES = Table(
    "lab",
    "plates",
    (
        Column("id", "int"),
        Column("s_ra", "double", unit="deg"),
        Column("s_dec", "double", unit="deg"),
        Column("s_fov", "double", unit="deg"),
        Column("s_region", "char", "*", "adql:REGION", sql_type="float8[]", ucd="pos.outline"),
    ),
    footprint=("s_region", "s_ra", "s_dec", "s_fov"),
)
OTHER = Table("other", "stars2", (Column("id", "long"), Column("extent", "double", unit="arcsec")))

MAKE = """
CREATE SCHEMA lab; CREATE SCHEMA other;
CREATE TABLE lab.stars (id int8, ra float8, dec float8, mag float4, kind text, flag int4,
    small int2, good boolean, seen timestamptz, noted text, pm float8);
INSERT INTO lab.stars
SELECT n, (n * 137.50776405) % 360, degrees(asin(2 * (n - 0.5) / 2000 - 1)),
    CASE WHEN n % 10 = 0 THEN NULL ELSE 10 + (n % 97) / 10.0 END,
    (ARRAY['star', 'galaxy', 'QSO', NULL])[1 + n % 4], n % 16 - 8, n % 7, n % 3 = 0,
    timestamptz '2026-01-01 00:00:00Z' + n * interval '1 hour 0.25 second',
    to_char(timestamp '2026-01-01' + n * interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS.US'), n / 8.0
FROM generate_series(1, 2000) AS n;
CREATE INDEX ON lab.stars ((floor((dec + 90) * 20)::int), ra);
CREATE TABLE lab."Fields" (id int4, "Name" text, s_region float8[], centre float8[], kind text);
INSERT INTO lab."Fields" VALUES
    (1, 'north', '{0,80,90,80,180,80,270,80}', '{0,90}', 'star'),
    (2, 'zero', '{355,-5,5,-5,5,5,355,5}', '{0,0}', 'galaxy'),
    (3, 'O''Neill\\', '{100,10,130,10,130,40,115,20,100,40}', '{115,15}', NULL),
    (4, NULL, NULL, NULL, 'QSO');
CREATE TABLE lab.plates (id int4, s_ra float8, s_dec float8, s_fov float8, s_region float8[]);
INSERT INTO lab.plates VALUES (1, 0, 0, 15, '{355,-5,5,-5,5,5.5,355,5}'),
    (2, 10.25, -1e-5, 2, '{10.25,-1e-5,1}'), (3, 200, 80, 1, NULL);
CREATE TABLE other.stars2 (id int8, extent float8);
INSERT INTO other.stars2 SELECT n, n * 0.5 FROM generate_series(1990, 2010) AS n;
ANALYZE;
"""


@pytest.fixture(scope="session")
def catalogue():
    return Catalogue([STARS, FIELDS, PLATES, OTHER])


@pytest.fixture(scope="module")
def stars(databases):
    with databases.fresh() as settings:
        connection = psycopg2.connect(settings.owner_url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in FUNCTIONS:
                cursor.execute(statement)
            cursor.execute(MAKE)
        yield connection
        connection.close()


@pytest.fixture
def columns(catalogue):
    return lambda text: check(parse(text), catalogue).columns


@pytest.fixture
def sql(catalogue):
    return lambda text, limit=None: translate(check(parse(text), catalogue), limit=limit).text


@pytest.fixture
def ask(stars, sql):
    def ask(text, limit=None):
        with stars.cursor() as cursor:
            cursor.execute(sql(text, limit))
            return cursor.fetchall()

    return ask
