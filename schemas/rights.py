"""What users' queries may read of a database."""

from __future__ import annotations

__all__ = ["readable"]

from typing import TYPE_CHECKING, Final

from psycopg2.extensions import parse_dsn
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_READABLE: Final = text(
    "SELECT md5(string_agg(n.nspname || '.' || c.relname, ' ' ORDER BY n.nspname, c.relname)) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname !~ '^(pg_|information_schema)' "
    "AND has_schema_privilege(:reader, n.oid, 'USAGE') "
    "AND has_any_column_privilege(:reader, c.oid, 'SELECT')"
)


def readable(connection: Connection, reader_url: str) -> str | None:
    """Hash of the names of the tables and views that a role may read; None where it may none.

    Parameters
    ----------
    connection
        Of any role.
    reader_url
        libpq DSN of the role.
    """
    reader = parse_dsn(reader_url)["user"]
    found: str | None = connection.scalar(_READABLE, {"reader": reader})
    return found
