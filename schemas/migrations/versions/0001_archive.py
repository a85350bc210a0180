"""The archive: tables, functions and views."""

from __future__ import annotations

from alembic import op

from schemas.sphere import FUNCTIONS as SPHERE_FUNCTIONS
from schemas.sphere_range import FUNCTIONS as RANGE_FUNCTIONS
from schemas.tables import Base
from schemas.tap_schema import METADATA as TAP_METADATA
from schemas.views import (
    CURRENT_LINEAGE,
    DATASET,
    FUNCTIONS,
    OBSCORE,
    PUBLISHED,
    SCRIPTS,
    TIME,
    VIEWS,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    for schema in ("archive", "ivoa", "tap_schema"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    Base.metadata.create_all(op.get_bind())
    TAP_METADATA.create_all(op.get_bind())
    statements = (
        *SPHERE_FUNCTIONS,
        *RANGE_FUNCTIONS,
        *TIME,
        CURRENT_LINEAGE,
        *FUNCTIONS,
        PUBLISHED,
        DATASET,
        *VIEWS,
        *OBSCORE,
        SCRIPTS,
    )
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: raw data is sacred, and there is nothing before."""
    message = "there is no revision before the first; restore a backup instead"
    raise RuntimeError(message)
