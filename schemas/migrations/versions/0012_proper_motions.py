"""Proper motions of reference stars, and the epoch of their positions."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

_COLUMNS = ("pm_ra", "pm_dec", "epoch")


def upgrade() -> None:
    """Add the columns; where the archive is new they are there already."""
    for name in _COLUMNS:
        op.execute(
            f"ALTER TABLE vo.reference_source ADD COLUMN IF NOT EXISTS {name} double precision"
        )


def downgrade() -> None:
    """Leave out what came."""
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE vo.reference_source DROP COLUMN {name}")
