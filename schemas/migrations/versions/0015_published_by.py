"""Images under the identifier that they are published by; validities that a person set."""

from __future__ import annotations

from alembic import op

from schemas.views import DATASET

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COLUMN = (
    "ALTER TABLE vo.target ADD COLUMN IF NOT EXISTS validity_edited boolean NOT NULL DEFAULT false"
)
_EDITED = """
UPDATE vo.target SET validity_edited = true WHERE target_id IN (
  SELECT p.target_id FROM vo.edit e JOIN vo.product p USING (product_id)
  WHERE e.field IN ('timestamp_start', 'timestamp_end'))
"""
_ANOTHER_FIELDS = """
SELECT vo.mark_suspect(array_agg(t.target_id ORDER BY t.target_id))
FROM vo.target t JOIN vo.product p USING (product_id)
WHERE t.field_id IS NOT NULL AND p.target_id <> t.target_id
HAVING count(*) > 0
"""
"""Targets of fields that are answered with what was made for another, which it is named after."""


def upgrade() -> None:
    """Add the column, where the archive is an old one, and fill it; make the view again."""
    for statement in (_COLUMN, _EDITED, _ANOTHER_FIELDS, DATASET):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Leave out the column; the view serves archives of before as well."""
    op.execute("ALTER TABLE vo.target DROP COLUMN validity_edited")
