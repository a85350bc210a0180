"""Alembic's environment: connects with the DSN that ``schemas.database.migrate`` passes."""

from __future__ import annotations

import psycopg2
from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from schemas.tables import Base


def run() -> None:
    """Run the migrations in one transaction, one process at a time."""
    dsn = context.config.attributes["dsn"]
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), poolclass=NullPool
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7230125)"))
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS vo"))
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_schemas=True,
            version_table_schema="vo",
        )
        context.run_migrations()


run()
