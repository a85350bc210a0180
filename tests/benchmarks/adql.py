"""What it costs to understand a query: parse, check and translate 35 typical ones, nothing cached.

``python -m tests.benchmarks.adql [--repeats 15]`` prints the median and the 95th percentile, and
the ratio to PostgreSQL planning the same statements, measured in the same run.
"""

from __future__ import annotations

__all__ = ["CATALOGUE", "TYPICAL", "measure"]

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Final

import psycopg2

from schemas.published import FIXED_SCHEMAS
from tap.adql import Catalogue, check, parse, translate
from tests.support.stars import STARS, make_stars

if TYPE_CHECKING:
    from collections.abc import Callable

CATALOGUE: Final = Catalogue([*(table for each in FIXED_SCHEMAS for table in each.tables), STARS])
_TEXTS: Final = """
SELECT TOP 1 * FROM archive.sources

SELECT * FROM archive.sources WHERE 1=CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 1, 2, 0.1))

SELECT ra, dec, mag, mag_err FROM archive.sources WHERE mag BETWEEN 15 AND 20 AND flags = 0

SELECT filter, COUNT(*) AS n, AVG(mag) AS m FROM archive.sources GROUP BY filter ORDER BY n

SELECT a.ra, a.dec, a.mag - b.mag AS c FROM archive.sources a JOIN archive.sources b
ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 1./3600
WHERE a.filter = 'B' AND b.filter = 'V'

SELECT obs_publisher_did, access_url FROM ivoa.obscore WHERE dataproduct_type = 'image'
AND 1=INTERSECTS(s_region, CIRCLE(116, 39, 0.2)) AND t_min > 50000 ORDER BY t_min

WITH bright AS (SELECT * FROM archive.sources WHERE mag < 15) SELECT b.ra, o.access_url
FROM bright AS b JOIN ivoa.obscore AS o USING (obs_publisher_did)

SELECT table_name, column_name, datatype, unit, ucd FROM tap_schema.columns
WHERE table_name LIKE 'archive.%' ORDER BY table_name

SELECT TOP 100 * FROM bench.stars

SELECT COUNT(*) FROM bench.stars

SELECT id, ra, dec, gmag, rmag FROM bench.stars WHERE gmag - rmag > 1.2 AND gmag < 18

SELECT TOP 1000 id, ra, dec FROM bench.stars ORDER BY gmag DESC

SELECT id, DISTANCE(ra, dec, 180, 30) * 3600 AS arcsec FROM bench.stars
WHERE DISTANCE(ra, dec, 180, 30) < 10./3600 ORDER BY arcsec

SELECT * FROM bench.stars
WHERE 1=CONTAINS(POINT(ra, dec), POLYGON(180, 30, 181, 30, 181, 31, 180, 31))

SELECT * FROM bench.stars WHERE 1=CONTAINS(POINT('ICRS', ra, dec), BOX('ICRS', 180, 30, 1, 1))
AND e_gmag < 0.05

SELECT s.id, o.obs_id FROM bench.stars AS s, ivoa.obscore AS o
WHERE 1=CONTAINS(POINT(s.ra, s.dec), o.s_region) AND s.gmag < 12

SELECT ivo_healpix_index(6, ra, dec) AS hpx, COUNT(*) AS n, AVG(gmag) AS g FROM bench.stars
GROUP BY hpx

SELECT FLOOR(gmag * 2) / 2 AS bin, COUNT(*) AS n FROM bench.stars GROUP BY bin ORDER BY bin

SELECT ROUND(gmag - rmag, 1) AS colour, COUNT(*) AS n FROM bench.stars
WHERE gmag IS NOT NULL AND rmag IS NOT NULL GROUP BY colour HAVING COUNT(*) > 10 ORDER BY 1

SELECT * FROM bench.stars WHERE id IN (10000000037, 10000000074, 10000000111, 10000000148)

SELECT DISTINCT instrument_name, facility_name FROM ivoa.obscore

SELECT target_name, COUNT(*) AS n, MIN(t_min), MAX(t_max), SUM(t_exptime) FROM ivoa.obscore
GROUP BY target_name ORDER BY n DESC

SELECT * FROM ivoa.obscore WHERE 1=CONTAINS(POINT('ICRS', 116.5, 39.2), s_region)
AND em_min < 5.5E-7 AND em_max > 5.5E-7 AND calib_level >= 2

SELECT TOP 50 access_url, access_format, s_ra, s_dec, t_exptime FROM ivoa.obscore
WHERE target_name ILIKE 'm%31%' AND t_exptime > 60 ORDER BY t_exptime DESC

SELECT l.object_id, l.role, p.class_name, p.creation_date FROM archive.lineage AS l
JOIN archive.products AS p ON p.object_id = l.progenitor_id WHERE l.object_id = 42

SELECT class_name, COUNT(*) FROM archive.products WHERE is_current = 1 GROUP BY class_name

SELECT object_id, quality_flags & 4 AS bad, COALESCE(filter, '') FROM archive.products
WHERE quality_flags <> 0 AND creation_date > '2026-01-01T00:00:00'

SELECT object_id FROM archive.raw_frames WHERE is_valid >= 1 UNION
SELECT object_id FROM archive.products WHERE class_name LIKE 'Raw%'

SELECT table_name FROM tap_schema.tables WHERE table_name NOT IN
(SELECT table_name FROM tap_schema.columns WHERE ucd LIKE 'pos.eq%')

SELECT schema_name, table_name, (SELECT COUNT(*) FROM tap_schema.columns AS c
WHERE c.table_name = t.table_name) AS n FROM tap_schema.tables AS t ORDER BY n DESC

SELECT r.name, r.mag_v, s.mag, s.mag - r.mag_v AS offset_ FROM archive.reference_stars AS r
JOIN archive.sources AS s ON 1=CONTAINS(POINT(s.ra, s.dec), CIRCLE(r.ra, r.dec, 2./3600))
WHERE s.filter = 'V' AND r.mag_v BETWEEN 10 AND 16

SELECT s.source_id, s.mag FROM archive.sources AS s WHERE EXISTS (SELECT * FROM archive.sources o
WHERE o.object_id <> s.object_id AND DISTANCE(o.ra, o.dec, s.ra, s.dec) < 0.5/3600)

SELECT t.id, COUNT(s.id) AS neighbours FROM (SELECT TOP 100 id, ra, dec FROM bench.stars
WHERE gmag < 14) AS t LEFT JOIN bench.stars AS s ON DISTANCE(s.ra, s.dec, t.ra, t.dec) < 0.01
GROUP BY t.id

SELECT IN_UNIT(s_resolution, 'deg') AS deg, CAST(t_min AS INTEGER) AS mjd, UPPER(target_name)
FROM ivoa.obscore WHERE MOD(CAST(t_min AS INTEGER), 7) = 3 OFFSET 10

SELECT instrument, chip, filter, AVG(timestamp_end - timestamp_start) AS days FROM archive.products
WHERE class_name = 'MasterFlatFrame' AND (is_valid = 1 OR is_valid = 2) AND NOT filter = ''
GROUP BY instrument, chip, filter ORDER BY instrument, chip DESC
"""
TYPICAL: Final = tuple(_TEXTS.strip().split("\n\n"))


def understand(text: str) -> str:
    """Parse, check and translate, as a request does."""
    return translate(check(parse(text), CATALOGUE), limit=100).text


def measure(call: Callable[[str], object], text: str, repeats: int) -> float:
    """Median of the seconds that a call takes."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call(text)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    from tests.support.clusters import Databases, throw_away_cluster  # noqa: PLC0415  # a cluster, if asked for

    with throw_away_cluster() as cluster, Databases(cluster).fresh() as settings:
        make_stars(settings.owner_url, 20_000)
        connection = psycopg2.connect(settings.owner_url)
        cursor = connection.cursor()
        ours, theirs = [], []
        for text in TYPICAL:
            statement = understand(text)
            ours.append(measure(understand, text, repeats) * 1e3)
            theirs.append(
                measure(lambda sql: cursor.execute(f"EXPLAIN {sql}"), statement, repeats)
            )
        connection.close()
    ratios = [mine / (planning * 1e3) for mine, planning in zip(ours, theirs, strict=True)]
    tail = statistics.quantiles(ours, n=20)[-1]
    print(f"{len(TYPICAL)} queries: parse + check + translate")
    print(f"    median {statistics.median(ours):.2f} ms, 95 % {tail:.2f}, most {max(ours):.2f}")
    print(f"    {statistics.median(ratios):.2f} of what PostgreSQL plans them in (median)")


if __name__ == "__main__":
    main()
