"""Zero points that cannot be made are rested on together: pools; raw frames by their names."""

from __future__ import annotations

from alembic import op

from schemas.pool_tables import Pool
from schemas.views import FUNCTIONS

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_NAMES = (
    "CREATE INDEX IF NOT EXISTS ix_product_name ON vo.product ((attributes ->> 'name'))"
    " WHERE target_id IS NULL"
)


def upgrade() -> None:
    """Add the tables, and let dirt flow through them.

    What verdicts of before rest on stays noted one by one, until they are reached anew.
    """
    for name in ("pool", "pool_member", "pool_user"):
        Pool.metadata.tables[f"vo.{name}"].create(op.get_bind(), checkfirst=True)
    op.execute(_NAMES)
    for statement in FUNCTIONS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: what rests on pools would not be marked any more."""
    message = "there is no way back from pools of zero points; restore a backup instead"
    raise RuntimeError(message)
