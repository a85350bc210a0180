"""All views anew: tables and columns of the revisions before are in them."""

from __future__ import annotations

from alembic import op

from schemas.collection_views import COLLECTION_VIEWS
from schemas.list_views import LIST_VIEWS
from schemas.views import DATASET, HALF_LIGHT_RADIUS, SCRIPTS, VIEWS

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views; a later revision that changes them has to make them again.

    They are those of today: a column that revision 0014 names otherwise is so named before.
    """
    views = (DATASET, *VIEWS, SCRIPTS, *LIST_VIEWS, *COLLECTION_VIEWS)
    for statement in (HALF_LIGHT_RADIUS, *views):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: what the views show is not in the tables of before."""
    message = "there is no way back from fields and lists; restore a backup instead"
    raise RuntimeError(message)
