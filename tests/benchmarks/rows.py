"""Seconds that the rows of a source list take into the database and out, beside bare COPY.

``python -m tests.benchmarks.rows [ROWS [REPEATS]]``

The yardstick is COPY (FORMAT binary) by psycopg2 of the same bytes, made before, in a transaction
that is rolled back; out of the database, COPY of the same columns into memory. The targets are 1.5
times as long in, and 2 times out.
"""

from __future__ import annotations

__all__: list[str] = []

import io
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psycopg2
from sqlalchemy import insert

from reduction.archive import Archive
from reduction.operate import initialise
from reduction.rows import copy_out
from schemas.settings import Settings, StorageSettings
from schemas.tables import Source
from tests.support.catalogued import kept_product, some_sources
from tests.support.clusters import Databases, throw_away_cluster

TARGETS = {"in": 1.5, "out": 2.0}


def seconds(work, repeats):
    """Median seconds of some work."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def undone(archive, work):
    """Do work in a transaction, then take it back."""
    with archive.transaction() as session:
        work(session)
        session.rollback()


def main():
    """Print both ways."""
    count, repeats = (int(float(w)) for w in (*sys.argv[1:], *("1e5", "5")[len(sys.argv) - 1 :]))
    rows = some_sources(count)
    with (
        throw_away_cluster() as cluster,
        Databases(cluster).fresh() as database,
        tempfile.TemporaryDirectory() as folder,
    ):
        archive = Archive(Settings(database=database, storage=StorageSettings(root=Path(folder))))
        initialise(archive.settings, archive.registry)
        with archive.transaction() as session:
            number = kept_product(session, "kept", rows)
        connection = psycopg2.connect(database.service_url)
        cursor = connection.cursor()
        data = io.BytesIO()
        cursor.copy_expert("COPY vo.source TO STDOUT (FORMAT binary)", data)
        raw = data.getvalue().replace(number.to_bytes(8, "big"), (number + 1).to_bytes(8, "big"))
        with archive.transaction() as session:
            kept_product(session, "other", rows[:0])

        def bare_in():
            cursor.copy_expert("COPY vo.source FROM STDIN (FORMAT binary)", io.BytesIO(raw))
            connection.rollback()

        def bare_out():
            query = f"SELECT * FROM vo.source WHERE product_id = {number} ORDER BY 1, 2"
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", io.BytesIO())
            connection.rollback()

        def by_dict():
            names = rows.dtype.names
            values = [dict(zip(names, row, strict=True)) for row in rows.tolist()]
            for place, value in enumerate(values):
                value |= {"product_id": number + 1, "source_number": place}
            undone(archive, lambda session: session.execute(insert(Source), values))

        def ours_in():
            undone(archive, lambda session: kept_product(session, "new", rows))

        def ours_out():
            with archive.transaction() as session:
                assert len(copy_out(session, Source, [number])) == count

        for way, bare, ours in (("in", bare_in, ours_in), ("out", bare_out, ours_out)):
            yardstick, taken = seconds(bare, repeats), seconds(ours, repeats)
            ratio = taken / yardstick
            verdict = "ok" if ratio <= TARGETS[way] else "TOO SLOW"
            print(
                f"{way:>3}: {taken:.3f} s, {ratio:.2f} x bare COPY ({yardstick:.3f} s)  {verdict}"
            )
        print(f"one dict a row, as before: {seconds(by_dict, 1):.2f} s")
        connection.close()
        archive.close()


if __name__ == "__main__":
    main()
