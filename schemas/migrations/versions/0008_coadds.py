"""Coadds: images with a file of their own, and the sources on them."""

from __future__ import annotations

from alembic import op

from schemas.views import DATASET, SUBJECT_INDEX, VIEWS

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make views and the index that joins sources with their image."""
    connection = op.get_bind()
    for statement in (SUBJECT_INDEX, DATASET, *VIEWS):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Leave the index out; the views serve what was there before as well."""
    op.execute("DROP INDEX vo.ix_target_subject")
