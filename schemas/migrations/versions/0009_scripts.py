"""Users' scripts, by the hash of their text."""

from __future__ import annotations

from alembic import op

from schemas.tables import Base
from schemas.views import SCRIPTS

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add table and view; where the archive is new they are there already."""
    connection = op.get_bind()
    Base.metadata.tables["vo.script"].create(connection, checkfirst=True)
    connection.exec_driver_sql(SCRIPTS)


def downgrade() -> None:
    """Leave out what came; products of scripts lose their code."""
    op.execute("DROP VIEW archive.scripts")
    op.execute("DROP TABLE vo.script")
