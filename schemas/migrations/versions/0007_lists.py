"""Associations, combined sources, light curves, and collections."""

from __future__ import annotations

from alembic import op

from schemas.collection_tables import (
    Collection,
    CollectionInput,
    CollectionSource,
    CollectionValue,
)
from schemas.list_tables import Associate, CombinedSource, LightCurvePoint, Variable

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = (
    *(Associate, CombinedSource, LightCurvePoint, Variable),
    *(Collection, CollectionInput, CollectionSource, CollectionValue),
)


def upgrade() -> None:
    """Make tables and indexes."""
    for table in _TABLES:
        table.metadata.tables[f"vo.{table.__tablename__}"].create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Leave them out."""
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE vo.{table.__tablename__}")
