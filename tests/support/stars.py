"""A table of stars of the operator's own, for benchmarks and tests of plans; a plugin as well.

Its columns are those of a photometric catalogue. 70 % of its rows are spread
over the whole sky, 30 % lie within 10 degrees of (180, +30); 3 % of four columns have no value.
"""

from __future__ import annotations

__all__ = ["COLUMNS", "PUBLISHED", "STARS", "make_stars"]

from typing import TYPE_CHECKING, Final

import psycopg2

from schemas.columns import Column, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_BANDS: Final = "ugrizy"


def _magnitudes() -> Sequence[Column]:
    return [
        column
        for band in _BANDS
        for column in (
            Column(f"{band}mag", "float", unit="mag", ucd="phot.mag"),
            Column(f"e_{band}mag", "float", unit="mag", ucd="stat.error;phot.mag"),
        )
    ]


STARS: Final = Table(
    "bench",
    "stars",
    (
        Column("id", "long", ucd="meta.id;meta.main", principal=True, indexed=True),
        Column(
            "ra", "double", unit="deg", ucd="pos.eq.ra;meta.main", principal=True, indexed=True
        ),
        Column(
            "dec", "double", unit="deg", ucd="pos.eq.dec;meta.main", principal=True, indexed=True
        ),
        *_magnitudes(),
        Column("name", "char", "*", ucd="meta.id"),
        Column("flag", "int", ucd="meta.code.qual"),
    ),
    description="Simulated stars",
    index=1,
    position=("ra", "dec"),
)
PUBLISHED: Final = (Schema("bench", (STARS,), "Tables for benchmarks", index=500),)
COLUMNS: Final = ", ".join(column.name for column in STARS.columns[:16])

_MAKE: Final = """
CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.stars;
CREATE UNLOGGED TABLE bench.stars (id int8, ra float8, dec float8, {magnitudes}, name text,
    flag int4);
SELECT setseed(0.25);
INSERT INTO bench.stars
SELECT 10000000000 + 37 * n,
    CASE WHEN dense THEN p[1] ELSE 360 * a END,
    CASE WHEN dense THEN p[2] ELSE degrees(asin(2 * b - 1)) END,
    {values},
    chr(65 + n % 24) || chr(65 + n / 24 % 24) || '-' || lpad(n::text, 7, '0'), n % 64
FROM (
    SELECT n, random() < 0.3 AS dense, random() AS a, random() AS b, random() AS c,
        least(24, greatest(5, 18 + 4 * (random() + random() + random() - 1.5)))::float4 AS mag
    FROM generate_series(1, {rows}) AS n
) AS drawn, LATERAL (
    -- a position of the cap around the pole, turned to (180, +30)
    SELECT ARRAY[
        ((degrees(atan2(-y, -(cosd(60) * x + sind(60) * z)))::numeric + 360) % 360)::float8,
        degrees(asin(least(1, greatest(-1, cosd(60) * z - sind(60) * x))))
    ] AS p FROM (SELECT cosd(360 * a) * sqrt(1 - h * h) AS x, sind(360 * a) * sqrt(1 - h * h) AS y,
        h AS z FROM (SELECT cosd(10) + b * (1 - cosd(10)) AS h) AS height) AS cap
) AS place
ORDER BY vo.healpix_index(6, CASE WHEN dense THEN p[1] ELSE 360 * a END,
    CASE WHEN dense THEN p[2] ELSE degrees(asin(2 * b - 1)) END);
CREATE UNIQUE INDEX ON bench.stars (id);
CREATE INDEX ON bench.stars ((floor((dec + 90) * 20)::int), ra);
"""


def _values() -> str:
    value = "round((mag + {offset} + 0.25 * (random() - 0.5))::numeric, 4)::float4"
    error = "round((0.003 + 10 ^ (0.35 * (mag - 22)) * 0.1)::numeric, 4)::float4"
    said = []
    for band, offset in zip(_BANDS, (1.4, 0.0, -0.5, -0.7, -0.8, -0.85), strict=True):
        pair = value.format(offset=offset), error
        sparse = band in "uz"
        said += [
            f"CASE WHEN random() >= 0.03 THEN {each} END" if sparse else each for each in pair
        ]
    return ",\n    ".join(said)


def make_stars(owner_url: str, rows: int) -> None:
    """Make ``bench.stars`` with so many rows, indexed by position and clustered by HEALPix."""
    names = ", ".join(f"{band}mag float4, e_{band}mag float4" for band in _BANDS)
    connection = psycopg2.connect(owner_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_MAKE.format(magnitudes=names, values=_values(), rows=rows))
        cursor.execute("VACUUM (ANALYZE) bench.stars")
    connection.close()
