"""Coadds: images with a file of their own, and the sources on them."""

from __future__ import annotations

from alembic import op

from schemas.views import SUBJECT_INDEX

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index that joins sources with their image."""
    op.get_bind().exec_driver_sql(SUBJECT_INDEX)


def downgrade() -> None:
    """Leave the index out."""
    op.execute("DROP INDEX vo.ix_target_subject")
