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
UPDATE vo.target t SET validity_edited = true
FROM vo.edit e JOIN vo.product p USING (product_id)
WHERE p.target_id = t.target_id AND CASE e.field
  WHEN 'timestamp_start' THEN e.new::double precision = t.validity_start
  WHEN 'timestamp_end' THEN e.new::double precision = t.validity_end
END
"""
"""Edits of a product that was not what the archive answered with left its target as it was."""
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
