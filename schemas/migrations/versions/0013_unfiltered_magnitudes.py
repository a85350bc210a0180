"""Magnitudes of unfiltered cameras among the combined sources of fields."""

from __future__ import annotations

from alembic import op

from schemas.list_views import LIST_VIEWS

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = ("mag_vt", "mag_vt_err")


def upgrade() -> None:
    """Add the columns; where the archive is new they are there already. Show them."""
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE vo.combined_source ADD COLUMN IF NOT EXISTS {name} real")
    for statement in LIST_VIEWS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: the view shows the columns."""
    message = "there is no way back from magnitudes of unfiltered light; restore a backup instead"
    raise RuntimeError(message)
