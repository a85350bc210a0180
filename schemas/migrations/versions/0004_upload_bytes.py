"""Bytes of a job's uploads: they count against what its owner may have."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; where the archive is new it is there already."""
    op.execute(
        "ALTER TABLE uws.job ADD COLUMN IF NOT EXISTS upload_bytes bigint NOT NULL DEFAULT 0"
    )


def downgrade() -> None:
    """Count no longer."""
    op.execute("ALTER TABLE uws.job DROP COLUMN upload_bytes")
