"""Classes that are no longer published; products that say another range than their targets."""

from __future__ import annotations

from alembic import op

from schemas.tables import Base
from schemas.views import OBSCORE, VIEWS

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_NAMED_IN_PART = """
DELETE FROM vo.service_fact f
USING (SELECT class_name FROM vo.target GROUP BY class_name
       HAVING count(dataset_id) BETWEEN 1 AND count(*) - 1) AS t
WHERE starts_with(f.name, 'declared ' || t.class_name || ' ')
"""
"""Classes some of whose targets have no identifier: the next start goes through their frames."""
_ALONE = "SELECT pg_advisory_xact_lock(1448017921)"
"""Before the moment at which what is mended counts, as all who take one."""
_PARTED = """
WITH stamp AS MATERIALIZED (SELECT clock_timestamp() AS at), parted AS (
  SELECT p.product_id, p.class_name, p.timestamp_start AS old_start, p.timestamp_end AS old_end,
    t.validity_start AS new_start, t.validity_end AS new_end
  FROM vo.target t JOIN vo.product p
    ON p.product_id = t.product_id AND p.target_id = t.target_id
  WHERE t.validity_start IS NOT NULL AND (p.timestamp_start IS DISTINCT FROM t.validity_start
    OR p.timestamp_end IS DISTINCT FROM t.validity_end)
), moment AS (
  UPDATE vo.service_fact
  SET value = to_char(stamp.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM stamp WHERE name = 'moment' AND EXISTS (SELECT FROM parted)
), said AS (
  UPDATE vo.product p SET timestamp_start = d.new_start, timestamp_end = d.new_end
  FROM parted d WHERE p.product_id = d.product_id
)
INSERT INTO vo.edit (product_id, subject, field, old, new, who, why, at)
SELECT d.product_id, d.class_name, e.field, e.old::text, e.new::text, current_user,
  'says the range of its target', stamp.at
FROM stamp CROSS JOIN parted d CROSS JOIN LATERAL (VALUES
  ('timestamp_start', d.old_start, d.new_start), ('timestamp_end', d.old_end, d.new_end)
) AS e (field, old, new)
WHERE e.old IS DISTINCT FROM e.new
"""
"""Frames of before that began their night earlier moved the ranges of targets alone."""


def upgrade() -> None:
    """Add the table and make the views again; mend what archives of before have."""
    Base.metadata.tables["vo.unlisted"].create(op.get_bind(), checkfirst=True)
    for statement in (*VIEWS, *OBSCORE, _NAMED_IN_PART, _ALONE, _PARTED):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: images of classes that are no longer published would be found again."""
    message = "there is no way back from classes that are not published; restore a backup instead"
    raise RuntimeError(message)
