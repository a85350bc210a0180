"""Seconds that an upload and its match with 2e6 stars take, beside the match alone.

``python -m tests.benchmarks.upload [STARS [ROWS [REPEATS]]]``

The yardstick is the same statement, run by psycopg2 in a session where the rows are in a temporary
table already. The target is 0.8 s for 1e4 rows, client and HTTP over loopback included.
"""

from __future__ import annotations

__all__: list[str] = []

import io
import sys
import time
import warnings
from statistics import median

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from astropy.io import votable
from astropy.table import Table

from schemas.dali import Upload
from schemas.settings import LimitSettings
from tap.adql import Catalogue, check, parse, translate
from tap.upload import UploadRequest, opened_uploads
from tests.support.starry import starry
from tests.support.stars import STARS

TARGET_S = 0.8
QUERY = (
    "SELECT u.id, s.id AS star, s.gmag FROM tap_upload.mine AS u JOIN bench.stars AS s ON "
    "1 = CONTAINS(POINT('ICRS', s.ra, s.dec), CIRCLE('ICRS', u.ra, u.dec, 2. / 3600.))"
)


def positions(dsn, rows):
    """As many positions: half of them of stars, half of them drawn."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT ra, dec FROM bench.stars TABLESAMPLE SYSTEM (5) LIMIT %s", (rows // 2,)
        )
        near = np.array(cursor.fetchall())
    connection.close()
    random = np.random.default_rng(1)
    count = rows - len(near)
    drawn = [random.uniform(0, 360, count), np.degrees(np.arcsin(random.uniform(-1, 1, count)))]
    ra, dec = np.concatenate([near, np.transpose(drawn)]).T
    return Table({"id": np.arange(rows), "ra": ra, "dec": dec})


def written(table):
    """The table as a file of each form."""
    files = {}
    for form in ("binary2", "binary", "tabledata"):
        document = votable.from_table(table)
        document.set_all_tables_format(form)
        out = io.BytesIO()
        document.to_xml(out)
        files[form] = out.getvalue()
    text, binary, parquet = io.StringIO(), io.BytesIO(), io.BytesIO()
    table.write(text, format="ascii.csv")
    files["csv"] = text.getvalue().encode()
    table.write(binary, format="fits")
    files["fits"] = binary.getvalue()
    pq.write_table(pa.table({name: table[name].data for name in table.colnames}), parquet)
    files["parquet"] = parquet.getvalue()
    return files


def seconds_of_match(dsn, file, repeats):
    """Median seconds of the match alone, and its number of rows."""
    part = Upload("f", "", lambda: io.BytesIO(file))
    requests_ = [UploadRequest("mine", "param:f")]
    connection = psycopg2.connect(dsn)
    taken = []
    with opened_uploads(requests_, {"f": part}, LimitSettings(), timeout_s=60) as uploads:
        uploads.load(connection)
        catalogue = Catalogue([STARS]).with_tables(uploads.tables, uploads.stored)
        sql = translate(check(parse(QUERY), catalogue), limit=1_000_000).text
        for _ in range(repeats):
            begun = time.perf_counter()
            with connection.cursor() as cursor:
                cursor.execute(sql)
                found = len(cursor.fetchall())
            taken.append(time.perf_counter() - begun)
    connection.close()
    return median(taken), found


def seconds_of_request(url, session, file, repeats):
    """Median seconds of a whole request, and its number of rows."""
    data = {"LANG": "ADQL", "QUERY": QUERY, "UPLOAD": "mine,param:f", "RESPONSEFORMAT": "csv"}
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        answer = session.post(url + "/tap/sync", data=data, files={"f": file}, timeout=600)
        taken.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
    return median(taken), answer.content.count(b"\n") - 1


def main():
    """Print a line for each form."""
    warnings.simplefilter("ignore")
    stars, rows, repeats = (
        int(float(word)) for word in (*sys.argv[1:], *("2e6", "1e4", "7")[len(sys.argv) - 1 :])
    )
    with starry(stars) as served, requests.Session() as session:
        files = written(positions(served.dsn, rows))
        bare, found = seconds_of_match(served.dsn, files["binary2"], repeats)
        print(f"match alone: {bare:.3f} s for {rows} positions, {found} pairs")
        for form, file in files.items():
            seconds_of_request(served.url, session, file, 2)
            taken, got = seconds_of_request(served.url, session, file, repeats)
            assert got == found, (form, got, found)
            verdict = "" if rows != 10_000 else f"  {'ok' if taken <= TARGET_S else 'TOO SLOW'}"
            print(f"{form:>10}: {taken:.3f} s, {taken / bare:.2f} x the match alone{verdict}")


if __name__ == "__main__":
    main()
