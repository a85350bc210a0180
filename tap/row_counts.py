"""About how many rows the published tables have: counted where that is cheap, else estimated."""

from __future__ import annotations

__all__ = ["RowCounts", "count_rows", "note_row_counts"]

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from schemas.tap_schema import METADATA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.columns import Schema, Table
    from schemas.database import Database

_COUNT_MS: Final = 500
_LIMIT: Final = sa.select(
    sa.func.set_config("statement_timeout", str(_COUNT_MS), sa.true())  # of this transaction
)
_KNOWN_FOR_S: Final = 600.0


def count_rows(engine: sa.Engine, schemas: Sequence[Schema]) -> dict[str, int]:
    """Look how many rows each table has at this moment.

    Parameters
    ----------
    engine
        Connections of a role that may read the tables.
    schemas
        What is published.

    Returns
    -------
    dict
        By qualified name. Of stored tables what their statistics say (``pg_class.reltuples``); of
        views a count, or the planner's estimate where counting takes longer than half a second.
        A table that cannot be read is left out.
    """
    found = {}
    with engine.connect() as connection:
        stored = _stored(connection)
        for schema in schemas:
            for table in schema.tables:
                known = stored.get((table.schema, table.name), -1)
                rows = known if known > 0 else _looked(connection, table)
                if rows is not None:
                    found[table.qualified_name] = rows
    return found


def _stored(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """Rows of all stored tables by their statistics; -1 where there are none yet."""
    relation = sa.table(
        "pg_class",
        sa.column("relname"),
        sa.column("relnamespace"),
        sa.column("relkind"),
        sa.column("reltuples"),
    )
    space = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"))
    query = (
        sa.select(space.c.nspname, relation.c.relname, relation.c.reltuples)
        .join_from(relation, space, space.c.oid == relation.c.relnamespace)
        .where(relation.c.relkind.in_(("r", "p", "m")))
    )
    with connection.begin():
        return {(schema, name): int(rows) for schema, name, rows in connection.execute(query)}


def _looked(connection: sa.Connection, table: Table) -> int | None:
    relation = sa.table(table.name, schema=table.schema)
    counted = sa.select(sa.func.count()).select_from(relation)
    everything = sa.select(sa.literal(1)).select_from(relation)
    try:
        with connection.begin():
            connection.execute(_LIMIT)
            return int(connection.scalar(counted) or 0)
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
    try:
        with connection.begin():
            plan: Any = connection.scalar(sa.text(f"EXPLAIN (FORMAT JSON) {_sql(everything)}"))
            return int(plan[0]["Plan"]["Plan Rows"])
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None


def _sql(query: sa.Select[Any]) -> str:
    return str(query.compile(compile_kwargs={"literal_binds": True}))


def note_row_counts(engine: sa.Engine, counts: Mapping[str, int]) -> None:
    """Write the numbers into TAP_SCHEMA.tables, those that changed.

    Parameters
    ----------
    engine
        Connections of a role that may write ``tap_schema``.
    counts
        Rows by qualified name.
    """
    tables = METADATA.tables["tap_schema.tables"]
    with engine.begin() as connection:
        said = connection.execute(sa.select(tables.c.table_name, tables.c.nrows))
        held = {row.table_name: row.nrows for row in said}
        for name, rows in counts.items():
            if name in held and held[name] != rows:
                connection.execute(
                    sa.update(tables).where(tables.c.table_name == name).values(nrows=rows)
                )


@dataclass(slots=True)
class RowCounts:
    """The numbers, looked up again at most every ten minutes.

    Attributes
    ----------
    database
        The connections.
    schemas
        What is published.
    """

    database: Database
    schemas: Sequence[Schema]
    _counts: dict[str, int] = field(default_factory=dict)
    _asked: float = float("-inf")

    def known(self) -> Mapping[str, int]:
        """Rows by qualified name, as they were at the last look; also where that fails."""
        if time.monotonic() - self._asked > _KNOWN_FOR_S:
            self._asked = time.monotonic()
            try:
                self._counts = count_rows(self.database.reader, self.schemas)
                note_row_counts(self.database.service, self._counts)
            except sa.exc.SQLAlchemyError:
                return self._counts
        return self._counts
