"""Fields: parts of the sky whose frames are reduced together."""

from __future__ import annotations

from alembic import op

from schemas.sphere import zone_expression
from schemas.tables import Base

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ZONE = zone_expression("dec")


def upgrade() -> None:
    """Add table, column and indexes; where the archive is new they are there already."""
    connection = op.get_bind()
    Base.metadata.tables["vo.field"].create(connection, checkfirst=True)
    statements = (
        (
            "ALTER TABLE vo.target ADD COLUMN IF NOT EXISTS field_id bigint "
            "CONSTRAINT fk_target_field_id REFERENCES vo.field (field_id)"
        ),
        "CREATE INDEX IF NOT EXISTS ix_target_field ON vo.target (field_id, class_name)",
        f"CREATE INDEX IF NOT EXISTS ix_target_zone ON vo.target (class_name, {_ZONE}, ra)",
    )
    for statement in statements:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Leave out what came; targets of fields have to go before."""
    op.execute("ALTER TABLE vo.target DROP COLUMN field_id CASCADE")
    op.execute("DROP TABLE vo.field")
