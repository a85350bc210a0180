"""Fluxes by the point spread function beside those in the aperture."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = ("flux_psf", "flux_psf_err", "mag_psf", "mag_psf_err", "spread")


def upgrade() -> None:
    """Add the columns; where the archive is new they are there already."""
    connection = op.get_bind()
    for name in _COLUMNS:
        connection.exec_driver_sql(f"ALTER TABLE vo.source ADD COLUMN IF NOT EXISTS {name} real")


def downgrade() -> None:
    """Leave out what came; the view has to go before."""
    op.execute("DROP VIEW archive.sources CASCADE")
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE vo.source DROP COLUMN {name}")
