"""The database may go and come back: questions are told so, and then answered again."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text

from reduction.archive import Archive
from reduction.operate import initialise, status, sync_recipes
from reduction.scope import Scope
from schemas.errors import BusyError, ParameterError, TimeLimitError
from schemas.settings import Settings, StorageSettings
from tests.support.clusters import throw_away_cluster

NOTHING = Scope(classes=frozenset())
SOURCES = Scope(classes=frozenset({"SourceList"}))


def test_a_database_that_restarts_is_busy_and_then_answers_again(tmp_path: Path) -> None:
    with throw_away_cluster() as cluster:
        database = cluster.start()
        settings = Settings(database=database, storage=StorageSettings(root=tmp_path))
        archive = Archive(settings)
        initialise(settings, archive.registry)
        sync_recipes(archive)
        with archive.snapshot(SOURCES, timeout_s=5) as answering:
            assert answering.report.remade == 0
        with (  # noqa: PT012  # the database stops in the middle
            pytest.raises(BusyError, match="went away"),
            archive.snapshot(NOTHING, timeout_s=5) as answering,
            answering.connection.cursor() as cursor,
        ):
            cluster.stop()
            cursor.execute("SELECT 1")
        with (
            pytest.raises(BusyError, match="database"),
            archive.snapshot(NOTHING, timeout_s=5),
        ):
            pass
        with pytest.raises(BusyError, match="database is not there"):
            status(archive)
        cluster.start()
        with archive.snapshot(SOURCES, timeout_s=5) as answering:
            assert answering.report.remade == 0
        status(archive)
        archive.close()


def test_the_reader_can_neither_write_nor_see_what_is_not_published(archive: Archive) -> None:
    forbidden = (
        "INSERT INTO vo.service_fact VALUES ('x', 'y')",
        "UPDATE vo.target SET state = 'fresh'",
        "SELECT * FROM vo.file",
        "SELECT * FROM vo.product",
        "SELECT vo.mark_suspect(ARRAY[1]::bigint[])",
        "CREATE TABLE archive.mine (i int)",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY archive.products TO PROGRAM 'cat'",
    )
    for statement in forbidden:
        with (  # noqa: PT012  # as an attacker would
            archive.snapshot(NOTHING, timeout_s=5) as answering,
            answering.connection.cursor() as cursor,
            pytest.raises(psycopg2.Error),
        ):
            cursor.execute("COMMIT")
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
            cursor.execute("BEGIN READ WRITE")
            cursor.execute(statement)


def test_every_published_column_is_there_with_its_type(archive: Archive) -> None:
    kinds = {
        "char": "text",
        "unicodeChar": "text",
        "double": "double precision",
        "float": "real",
        "long": "bigint",
        "int": "integer",
        "short": "smallint",
        "boolean": "boolean",
    }
    for schema in archive.schemas:
        for table in schema.tables:
            with (
                archive.snapshot(NOTHING, timeout_s=5) as answering,
                answering.connection.cursor() as cursor,
            ):
                cursor.execute(
                    "SELECT column_name, data_type FROM information_schema.columns "
                    "WHERE table_schema = %s AND table_name = %s",
                    (schema.name, table.name),
                )
                there = dict(cursor.fetchall())
            declared = {
                c.name.strip('"'): "ARRAY" if c.sql_type.endswith("[]") else kinds[c.datatype]
                for c in table.columns
            }
            assert there == declared, table.qualified_name


def test_the_future_cannot_be_asked_for(archive: Archive) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with (
        pytest.raises(ParameterError, match="a moment of the past"),
        archive.snapshot(NOTHING, asof=later, timeout_s=5),
    ):
        pass


def test_a_statement_over_its_limit_is_told_so_and_the_connection_serves_on(
    archive: Archive,
) -> None:
    with (
        pytest.raises(TimeLimitError, match=r"longer than its limit of 0.1 s"),
        archive.snapshot(NOTHING, timeout_s=0.1) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(3)")
    with archive.snapshot(NOTHING, timeout_s=5) as answering:
        assert answering.report.remade == 0


def test_a_question_is_begun_again_where_the_idle_connection_is_gone(archive: Archive) -> None:
    def backend() -> int:
        with (
            archive.snapshot(NOTHING, timeout_s=5) as answering,
            answering.connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_backend_pid()")
            row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    before = backend()
    assert backend() == before  # it is kept
    other = psycopg2.connect(archive.settings.database.reader_url)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
        assert cursor.fetchone() == (True,)
    other.close()
    assert backend() != before


def test_a_start_waits_for_no_query_of_the_views_that_it_would_make_as_they_are(
    archive: Archive,
) -> None:
    def starts() -> None:
        initialise(archive.settings, archive.registry)

    initialise(archive.settings, archive.registry)
    with ThreadPoolExecutor(1) as pool, archive.transaction() as session:
        session.execute(text("SELECT * FROM archive.bias_frame")).all()  # and goes on
        pool.submit(starts).result(timeout=60)
    with psycopg2.connect(archive.settings.database.owner_url) as owner:
        owner.cursor().execute("DROP VIEW archive.bias_frame")
    owner.close()
    starts()
    with archive.transaction() as session:
        assert session.execute(text("SELECT * FROM archive.bias_frame")).all() == []
