"""Associations, combined sources, light curves, and collections."""

from __future__ import annotations

from alembic import op

from schemas.collection_tables import (
    Collection,
    CollectionInput,
    CollectionSource,
    CollectionValue,
)
from schemas.collection_views import COLLECTION_VIEWS
from schemas.list_tables import Associate, CombinedSource, LightCurvePoint, Variable
from schemas.list_views import LIST_VIEWS

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = (
    *(Associate, CombinedSource, LightCurvePoint, Variable),
    *(Collection, CollectionInput, CollectionSource, CollectionValue),
)
_VIEWS = (
    *("associates", "combined_sources", "light_curves", "variables"),
    *("collection_values", "collection_sources", "collection_inputs", "collections"),
)


def upgrade() -> None:
    """Make tables, indexes and views."""
    for table in _TABLES:
        table.metadata.tables[f"vo.{table.__tablename__}"].create(op.get_bind(), checkfirst=True)
    for statement in (*LIST_VIEWS, *COLLECTION_VIEWS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Leave them out."""
    for view in _VIEWS:
        op.execute(f"DROP VIEW archive.{view}")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE vo.{table.__tablename__}")
