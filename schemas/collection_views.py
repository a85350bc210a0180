"""SQL of what users query of stored source collections."""

from __future__ import annotations

__all__ = ["COLLECTION_VIEWS"]

from typing import Final

COLLECTION_VIEWS: Final = (
    """
CREATE OR REPLACE VIEW archive.collections AS
  SELECT c.collection_id, c.name AS collection, c.n_sources, c.attributes::text AS attributes,
    c.tree::text AS tree, c.key AS collection_key, c.creator,
    to_char(c.creation_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS creation_date,
    CASE WHEN EXISTS (
      SELECT 1 FROM vo.collection_input i WHERE i.collection_id = c.collection_id
        AND NOT EXISTS (SELECT 1 FROM vo.published u WHERE u.product_id = i.product_id)
    ) THEN 0 ELSE 1 END AS is_current
  FROM vo.collection c
""",
    """
CREATE OR REPLACE VIEW archive.collection_inputs AS
  SELECT i.collection_id, i.product_id AS object_id,
    CASE WHEN EXISTS (SELECT 1 FROM vo.published u WHERE u.product_id = i.product_id)
         THEN 1 ELSE 0 END AS is_current
  FROM vo.collection_input i
""",
    """
CREATE OR REPLACE VIEW archive.collection_sources AS
  SELECT s.collection_id, s.product_id AS object_id,
    s.product_id * 1000000 + s.source_number AS source_id
  FROM vo.collection_source s
""",
    """
CREATE OR REPLACE VIEW archive.collection_values AS
  SELECT v.collection_id, c.attributes->(v.attribute)->>'name' AS attribute,
    c.attributes->(v.attribute)->>'unit' AS unit, v.product_id AS object_id,
    v.product_id * 1000000 + v.source_number AS source_id, v.value AS val
  FROM vo.collection_value v JOIN vo.collection c USING (collection_id)
""",
)
