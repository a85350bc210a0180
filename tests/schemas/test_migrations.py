"""An archive of before is brought to the form that a new one has."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest

from schemas.database import migrate

if TYPE_CHECKING:
    from vo_service.postgres import Cluster

OLD = Path(__file__).parents[1] / "data" / "archive-0004.sql.gz"
SCHEMAS = "('vo', 'archive', 'ivoa', 'tap_schema', 'uws')"
FORMS = {
    "columns": "SELECT table_schema, table_name, column_name, data_type, is_nullable "
    f"FROM information_schema.columns WHERE table_schema IN {SCHEMAS}",
    "indexes": "SELECT schemaname, tablename, indexdef FROM pg_indexes "
    f"WHERE schemaname IN {SCHEMAS}",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
    "FROM pg_constraint WHERE connamespace = 'vo'::regnamespace",
    "views": f"SELECT schemaname, viewname FROM pg_views WHERE schemaname IN {SCHEMAS}",
    "functions": "SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc "
    "WHERE pronamespace = 'vo'::regnamespace",
}


def form(url: str) -> dict[str, set[tuple]]:
    found = {}
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for name, query in FORMS.items():
            cursor.execute(query)
            found[name] = set(cursor.fetchall())
    connection.close()
    return found


@pytest.mark.slow
def test_an_archive_of_revision_0004_becomes_what_a_new_one_is(cluster: Cluster) -> None:
    old = cluster.create_database("vo_was_0004")
    new = cluster.create_database("vo_is_new")
    try:
        with psycopg2.connect(old.owner_url) as connection, connection.cursor() as cursor:
            cursor.execute(gzip.decompress(OLD.read_bytes()).decode())
        connection.close()
        migrate(old.owner_url)
        migrate(old.owner_url)
        migrate(new.owner_url)
        was, now = form(old.owner_url), form(new.owner_url)
        for name in FORMS:
            assert was[name] == now[name], name
    finally:
        cluster.drop_database("vo_was_0004")
        cluster.drop_database("vo_is_new")
