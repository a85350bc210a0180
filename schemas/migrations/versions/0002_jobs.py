"""Jobs, accounts, and the queue that jobs wait in."""

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

from schemas.jobs import JOBS, QUEUE_SCHEMA

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The library's functions name its tables without their schema.
_AT_HOME = f"""
DO $$
DECLARE one regprocedure;
BEGIN
    FOR one IN SELECT oid FROM pg_proc WHERE pronamespace = '{QUEUE_SCHEMA}'::regnamespace LOOP
        EXECUTE 'ALTER FUNCTION ' || one::text || ' SET search_path = {QUEUE_SCHEMA}, pg_temp';
    END LOOP;
END
$$
"""  # noqa: S608  # a constant


def upgrade() -> None:
    """Create the tables, and those of the queue library in a schema of their own."""
    connection = op.get_bind()
    for schema in ("uws", QUEUE_SCHEMA):
        op.execute(f"CREATE SCHEMA {schema}")
    JOBS.create_all(connection)
    connection.exec_driver_sql(f"SET LOCAL search_path = {QUEUE_SCHEMA}")
    # its text has percent signs, which only a cursor without parameters leaves alone
    connection.connection.cursor().execute(SchemaManager.get_schema())
    connection.exec_driver_sql("RESET search_path")
    connection.exec_driver_sql(_AT_HOME)


def downgrade() -> None:
    """Forget all jobs."""
    for schema in (QUEUE_SCHEMA, "uws"):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
