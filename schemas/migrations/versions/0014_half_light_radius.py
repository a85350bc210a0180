"""Half-light radii of sources under their own name: they were doubled, and called fwhm."""

from __future__ import annotations

from alembic import op

from schemas.views import HALF_LIGHT_RADIUS, VIEWS

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


_ALONE = "LOCK TABLE vo.target, vo.source IN ACCESS EXCLUSIVE MODE"
"""Before its long work: with a reader who holds one and wants the other it would die after it."""


def upgrade() -> None:
    """Name and halve the column where it is an old one; show it."""
    for statement in (_ALONE, HALF_LIGHT_RADIUS, *VIEWS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: lists made since would be read as twice as narrow."""
    message = "there is no way back from half-light radii; restore a backup instead"
    raise RuntimeError(message)
