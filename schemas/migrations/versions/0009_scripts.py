"""Users' scripts, by the hash of their text."""

from __future__ import annotations

from alembic import op

from schemas.recipe_tables import Script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; where the archive is new they are there already."""
    Script.metadata.tables["vo.script"].create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Leave out what came; products of scripts lose their code."""
    op.execute("DROP TABLE vo.script")
