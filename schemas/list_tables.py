"""Tables of what is found by bringing source lists together: rows of the products of fields.

Sources are named as their list knows them: the number of the list among the product's inputs, and
the number in the list. Which product that input is says the lineage, so that a list that was
remade with the same content takes the place of the one before.
"""

from __future__ import annotations

__all__ = ["BAND_COLUMNS", "Associate", "CombinedSource", "LightCurvePoint", "Variable"]

from typing import Final

from sqlalchemy import REAL, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.sphere import zone_expression
from schemas.tables import Base

#: Standard band, and Tycho's VT for unfiltered light -> column of its magnitude in
#: :class:`CombinedSource`; its error is ``_err``.
BAND_COLUMNS: Final = {
    **{band: f"mag_{band.lower()}" for band in ("U", "B", "V", "R", "I")},
    **{band: f"mag_sdss_{band}" for band in ("u", "g", "r", "i", "z")},
    "VT": "mag_vt",
}


class Associate(Base):
    """A member of an association. Distance from the mean position in arcsec."""

    __tablename__ = "associate"
    __table_args__ = (Index("ix_associate_association", "product_id", "association"),)

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    member_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    association: Mapped[int] = mapped_column(Integer)
    list: Mapped[int] = mapped_column(Integer)
    source_number: Mapped[int] = mapped_column(Integer)
    distance: Mapped[float] = mapped_column(REAL)
    flag: Mapped[int] = mapped_column(Integer)


class CombinedSource(Base):
    """An association as one source. Positions ICRS degrees, magnitudes by standard band."""

    __tablename__ = "combined_source"
    __table_args__ = (
        Index("ix_combined_source_association", "product_id", "association"),
        Index("ix_combined_source_zone_ra", text(zone_expression("dec")), "ra"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    source_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    association: Mapped[int] = mapped_column(Integer)
    ra: Mapped[float]
    dec: Mapped[float]
    pos_err: Mapped[float | None] = mapped_column(REAL)
    n_sources: Mapped[int] = mapped_column(Integer)
    mag_u: Mapped[float | None] = mapped_column(REAL)
    mag_u_err: Mapped[float | None] = mapped_column(REAL)
    mag_b: Mapped[float | None] = mapped_column(REAL)
    mag_b_err: Mapped[float | None] = mapped_column(REAL)
    mag_v: Mapped[float | None] = mapped_column(REAL)
    mag_v_err: Mapped[float | None] = mapped_column(REAL)
    mag_r: Mapped[float | None] = mapped_column(REAL)
    mag_r_err: Mapped[float | None] = mapped_column(REAL)
    mag_i: Mapped[float | None] = mapped_column(REAL)
    mag_i_err: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_u: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_u_err: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_g: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_g_err: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_r: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_r_err: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_i: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_i_err: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_z: Mapped[float | None] = mapped_column(REAL)
    mag_sdss_z_err: Mapped[float | None] = mapped_column(REAL)
    flags: Mapped[int] = mapped_column(Integer)
    mag_vt: Mapped[float | None] = mapped_column(REAL)
    mag_vt_err: Mapped[float | None] = mapped_column(REAL)


class LightCurvePoint(Base):
    """A magnitude of a light curve; ``mjd`` is mid-exposure, UTC."""

    __tablename__ = "light_curve_point"
    __table_args__ = (Index("ix_light_curve_point_association", "association", "product_id"),)

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    point_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    association: Mapped[int] = mapped_column(Integer)
    list: Mapped[int] = mapped_column(Integer)
    source_number: Mapped[int] = mapped_column(Integer)
    mjd: Mapped[float]
    mag: Mapped[float | None] = mapped_column(REAL)
    mag_err: Mapped[float | None] = mapped_column(REAL)
    flag: Mapped[int] = mapped_column(Integer)


class Variable(Base):
    """Statistics of a star's light curve; see :mod:`reduction.steps.variability`."""

    __tablename__ = "variable"
    __table_args__ = (
        Index("ix_variable_association", "product_id", "association"),
        Index("ix_variable_zone_ra", text(zone_expression("dec")), "ra"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    star_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    association: Mapped[int] = mapped_column(Integer)
    ra: Mapped[float]
    dec: Mapped[float]
    n_epochs: Mapped[int] = mapped_column(Integer)
    mag: Mapped[float | None] = mapped_column(REAL)
    mag_err: Mapped[float | None] = mapped_column(REAL)
    median: Mapped[float | None] = mapped_column(REAL)
    rms: Mapped[float | None] = mapped_column(REAL)
    mad: Mapped[float | None] = mapped_column(REAL)
    chi2: Mapped[float | None] = mapped_column(REAL)
    amplitude: Mapped[float | None] = mapped_column(REAL)
    stetson: Mapped[float | None] = mapped_column(REAL)
    flag: Mapped[int] = mapped_column(Integer)
