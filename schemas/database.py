"""Connections to the archive's PostgreSQL by role, and the state its schema should be in.

``owner`` creates tables, ``service`` writes products, ``reader`` runs users' queries and can
neither write nor see what is not published.
"""

from __future__ import annotations

__all__ = [
    "Connection",
    "Database",
    "database_there",
    "grant",
    "is_gone",
    "migrate",
    "sqlalchemy_url",
]

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from schemas.errors import BusyError, SettingsError, TimeLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.settings import DatabaseSettings

#: The driver's own connection, for those above this layer who speak of it and do not import it.
Connection = psycopg2.extensions.connection

_MIGRATIONS = Path(__file__).parent / "migrations"
_GONE = "the database went away; ask again"
_POOL_TIMEOUT_S = 2
_READER_SCHEMAS = ("archive", "ivoa", "tap_schema", "vo")


def is_gone(error: DBAPIError) -> bool:
    """Whether a database error says that the server is not there (any more)."""
    return error.connection_invalidated or (
        isinstance(error.orig, psycopg2.OperationalError) and error.orig.pgcode is None
    )


@contextmanager
def database_there() -> Iterator[None]:
    """Say of a database that is not there that it is worth asking again.

    Raises
    ------
    BusyError
        If it is not there, or has no free connection.
    """
    message = "the database is not there, or has no free connection; ask again"
    try:
        yield
    except (PoolTimeoutError, psycopg2.OperationalError) as error:
        raise BusyError(message, retry_after_s=5) from error
    except DBAPIError as error:
        if is_gone(error):
            raise BusyError(message, retry_after_s=5) from error
        raise


def sqlalchemy_url() -> str:
    """URL that makes SQLAlchemy take its connections from psycopg2 DSNs given to creators."""
    return "postgresql+psycopg2://"


class Database:
    """Pools of connections, one for each role of the settings.

    Parameters
    ----------
    settings
        DSNs of the three roles.
    snapshots
        Snapshots that may be open at a time: as many as there are threads that answer, so that
        none waits for another's.

    Notes
    -----
    A process that forks must not use a Database made before the fork.
    """

    def __init__(self, settings: DatabaseSettings, *, snapshots: int = 16) -> None:
        if not settings.service_url:
            message = (
                "database.service_url is empty: expected the DSN of a PostgreSQL "
                "(VO_DATABASE__SERVICE_URL, or start one with `vo-service demo`)"
            )
            raise SettingsError(message)
        if not settings.reader_url:
            message = (
                "database.reader_url is empty: expected the DSN of a role that can only read "
                "(VO_DATABASE__READER_URL); users' queries never run as another"
            )
            raise SettingsError(message)
        self.settings = settings
        self.service = _engine(settings.service_url, settings.pool_size)
        self.reader = _engine(settings.reader_url, settings.pool_size)
        self._snapshots = _engine(
            settings.reader_url, settings.pool_size, most=snapshots, looked_at=False
        )

    @contextmanager
    def snapshot(
        self,
        *,
        asof: str = "",
        timeout_s: float,
        prepare: Callable[[psycopg2.extensions.connection], None] | None = None,
    ) -> Iterator[psycopg2.extensions.connection]:
        """Open a read-only repeatable-read transaction as the reader role.

        Parameters
        ----------
        asof
            Moment (ISO 8601) as of which the views answer; empty for the present.
        timeout_s
            Seconds any statement may run.
        prepare
            Called before, in a transaction of its own that may make temporary tables: the snapshot
            sees them, nobody else does, and they are gone afterwards.

        Raises
        ------
        BusyError
            If no connection is free, or the database goes away.
        TimeLimitError
            If a statement takes too long.
        """
        pooled = self._opened(asof, timeout_s)
        raw = _driver(pooled)
        try:
            if prepare is not None:
                raw.rollback()
                _prepared(raw, prepare, timeout_s)
                _begin(raw, asof, timeout_s)
            yield raw
        except psycopg2.errors.QueryCanceled as error:
            message = f"a statement took longer than its limit of {timeout_s:g} s"
            raise TimeLimitError(message) from error
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if raw.closed:
                raise BusyError(_GONE, retry_after_s=5) from error
            raise
        finally:
            _give_back(pooled, raw, temporary=prepare is not None)

    def _opened(self, asof: str, timeout_s: float) -> PoolProxiedConnection:
        """A connection within a new transaction.

        Idle connections are not looked at before they are used, which would be a round trip of
        every question. Where the server has gone meanwhile, all of them have, and the question is
        begun again on a new one: nothing was asked yet.
        """
        pooled = self._connected()
        try:
            _begin(_driver(pooled), asof, timeout_s)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            pooled.invalidate()
            self._snapshots.dispose()
            pooled = self._connected()
            try:
                _begin(_driver(pooled), asof, timeout_s)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                pooled.invalidate()
                raise BusyError(_GONE, retry_after_s=5) from error
        return pooled

    def _connected(self) -> PoolProxiedConnection:
        try:
            return self._snapshots.raw_connection()
        except Exception as error:
            message = "the database takes no further connection; ask again"
            raise BusyError(message, retry_after_s=5) from error

    def close(self) -> None:
        """Close all idle connections."""
        self.service.dispose()
        self.reader.dispose()
        self._snapshots.dispose()


def _driver(pooled: PoolProxiedConnection) -> Connection:
    """The driver's own connection, which one that is taken from the pool has."""
    raw: Any = pooled.driver_connection
    connection: Connection = raw
    return connection


def _begin(raw: Connection, asof: str, timeout_s: float) -> None:
    raw.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    with raw.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('vo.asof', %s, true), "
            # a query whose asker is dead ends within a second
            "set_config('client_connection_check_interval', '1000', true)",
            (str(int(timeout_s * 1000)), asof),
        )


def _prepared(
    raw: Connection,
    prepare: Callable[[Connection], None],
    timeout_s: float,
) -> None:
    """Let a session be made ready, in one transaction."""
    raw.set_session(isolation_level="READ COMMITTED", readonly=False, autocommit=False)
    with raw.cursor() as cursor:
        limit = str(int(timeout_s * 1000))
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (limit,))
    prepare(raw)
    raw.commit()


def _give_back(pooled: PoolProxiedConnection, raw: Connection, *, temporary: bool) -> None:
    """End a snapshot; a connection that cannot do that is thrown away."""
    try:
        raw.rollback()
        if temporary:
            raw.set_session(readonly=False, autocommit=True)
            with raw.cursor() as cursor:
                cursor.execute("DISCARD TEMP")
    except psycopg2.Error:
        pooled.invalidate()
    pooled.close()


def _engine(dsn: str, size: int, *, most: int = 0, looked_at: bool = True) -> Engine:
    """Connections that are made when needed; those beyond the size are closed after use."""
    most = max(most, 2 * size)

    def connect() -> psycopg2.extensions.connection:
        """One connection, whose texts are UTF-8."""
        connection = psycopg2.connect(dsn, application_name="vo-service")
        connection.set_client_encoding("UTF8")
        return connection

    return create_engine(
        sqlalchemy_url(),
        creator=connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=most - size,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_pre_ping=looked_at,
    )


def migrate(owner_url: str) -> None:
    """Bring the database's schema to the newest revision; does nothing where it is there.

    Parameters
    ----------
    owner_url
        DSN of the owner role.
    """
    from alembic import command  # noqa: PLC0415  # slow to import, and needed once
    from alembic.config import Config  # noqa: PLC0415  # likewise

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["dsn"] = owner_url
    command.upgrade(config, "head")


#: What the roles may do besides, in this order.
_GRANTS: Final = (
    # products, lineage and what hangs on them are never changed nor deleted
    "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA vo TO {service}",
    "GRANT UPDATE (is_valid, timestamp_start, timestamp_end) ON vo.product TO {service}",
    "GRANT UPDATE ON vo.target, vo.recipe, vo.service_fact, vo.file TO {service}",
    "GRANT UPDATE (is_valid) ON vo.field TO {service}",
    # the text of a script stays what it was: only its leave to run changes
    "GRANT UPDATE (allowed) ON vo.script TO {service}",
    "GRANT UPDATE (published_to) ON vo.publication TO {service}",
    "GRANT UPDATE (valid_to) ON vo.confirmation TO {service}",
    "GRANT UPDATE (unlisted_to) ON vo.unlisted TO {service}",
    "GRANT DELETE ON vo.dependency, vo.pool_user TO {service}",
    "GRANT UPDATE (epoch) ON vo.pool TO {service}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tap_schema TO {service}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA vo TO {service}",
    "GRANT USAGE ON SCHEMA uws, queue TO {service}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA uws, queue TO {service}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA uws, queue TO {service}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION vo.mark_suspect(bigint[]) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION vo.mark_suspect(bigint[]) TO {service}",
    "GRANT SELECT ON vo.published, vo.current_lineage, vo.dataset, vo.described TO {reader}",
    (
        "GRANT SELECT (target_id, class_name, instrument, chip, filter, moment, ra, dec, "
        "radius, dataset_id, state, raw_id, field_id) ON vo.target TO {reader}"
    ),
    "GRANT SELECT (field_id, is_valid) ON vo.field TO {reader}",
)


def grant(connection: psycopg2.extensions.connection, *, service: str, reader: str) -> None:
    """Give the service and reader roles what they need, and no more.

    Parameters
    ----------
    connection
        A connection of the owner.
    service, reader
        Names of the roles.
    """
    roles = {"service": sql.Identifier(service), "reader": sql.Identifier(reader)}
    with connection.cursor() as cursor:
        # uploads become temporary tables of the session that runs the query
        database = sql.Identifier(connection.info.dbname)
        cursor.execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(database, roles["reader"])
        )
        for schema in _READER_SCHEMAS:
            named = {**roles, "schema": sql.Identifier(schema)}
            cursor.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {service}, {reader}").format(**named)
            )
            if schema != "vo":
                cursor.execute(
                    sql.SQL(
                        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {service}, {reader}"
                    ).format(**named)
                )
        for statement in _GRANTS:
            cursor.execute(sql.SQL(statement).format(**roles))
