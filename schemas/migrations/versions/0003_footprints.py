"""Footprints and positions of images are found by indexes; the functions of ADQL's newer calls."""

from __future__ import annotations

from alembic import op

from schemas.footprints import size_expression
from schemas.sphere import FUNCTIONS, zone_expression

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ZONE = zone_expression("s_dec")
_SIZE = size_expression("s_fov")


def upgrade() -> None:
    """Make functions and indexes; where the archive is new they are there already."""
    statements = (
        *FUNCTIONS,
        f"CREATE INDEX IF NOT EXISTS ix_obscore_zone_ra ON vo.obscore ({_ZONE}, s_ra)",
        f"CREATE INDEX IF NOT EXISTS ix_obscore_footprint ON vo.obscore ({_SIZE}, {_ZONE}, s_ra)",
    )
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Leave out the indexes; functions do no harm."""
    op.execute("DROP INDEX vo.ix_obscore_footprint")
    op.execute("DROP INDEX vo.ix_obscore_zone_ra")
