"""The archive's own tables: targets, immutable products, lineage, publication, sources.

They live in schema ``vo`` and are written by the service role only. What users query are the
views of ``schemas/views.py``.
"""

from __future__ import annotations

__all__ = [
    "Base",
    "Confirmation",
    "Dependency",
    "Field",
    "File",
    "Lineage",
    "ObsCore",
    "Product",
    "Publication",
    "ReferenceSource",
    "ServiceFact",
    "Source",
    "Target",
    "TargetState",
    "Unlisted",
]

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    REAL,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from schemas.base import Base
from schemas.footprints import size_expression
from schemas.sphere import zone_expression


class TargetState(StrEnum):
    """What is known of a target at this moment (design section 4)."""

    MISSING = "missing"
    SUSPECT = "suspect"
    FRESH = "fresh"
    FAILED = "failed"


class File(Base):
    """A file of the storage, addressed by its content."""

    __tablename__ = "file"

    file_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int]
    location: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    created: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Product(Base):
    """An ingested or made object: immutable but for ``is_valid`` and its time stamps.

    Times are MJD UTC; ``moment`` is mid-exposure, or the first exposure of a night's set.
    """

    __tablename__ = "product"
    __table_args__ = (
        Index("ix_product_night", "class_name", "instrument", "chip", "night"),
        Index("ix_product_input_hash", "input_hash"),
        Index(
            "ix_product_name",
            text("(attributes ->> 'name')"),
            postgresql_where=text("target_id IS NULL"),
        ),
    )

    product_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    class_name: Mapped[str]
    target_id: Mapped[int | None] = mapped_column(
        ForeignKey("vo.target.target_id", use_alter=True), index=True
    )
    key: Mapped[str] = mapped_column(unique=True)
    input_hash: Mapped[str | None]
    content_hash: Mapped[str]
    recipe_version: Mapped[str]
    process_params: Mapped[dict[str, Any]]
    attributes: Mapped[dict[str, Any]]
    cards: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    instrument: Mapped[str]
    chip: Mapped[str]
    filter: Mapped[str]
    night: Mapped[dt.date | None]
    moment: Mapped[float | None]
    creation_date: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    creator: Mapped[str] = mapped_column(server_default=text("current_user"))
    is_valid: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    quality_flags: Mapped[int] = mapped_column(Integer, server_default="0")
    compare_flags: Mapped[int] = mapped_column(Integer, server_default="0")
    timestamp_start: Mapped[float | None]
    timestamp_end: Mapped[float | None]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("vo.file.file_id"), index=True)
    hdu: Mapped[int | None] = mapped_column(Integer)


class Field(Base):
    """A part of the sky whose frames are reduced together; ``start`` and ``end`` are MJD."""

    __tablename__ = "field"

    field_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    ra: Mapped[float]
    dec: Mapped[float]
    radius: Mapped[float]
    pixel_scale: Mapped[float]
    instruments: Mapped[list[str]] = mapped_column(ARRAY(Text))
    start: Mapped[float]
    end: Mapped[float]
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    is_valid: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    created: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class Target(Base):
    """A thing that can be made: of a class for one chip and night, one raw frame, or one field.

    ``validity_start`` and ``validity_end`` (MJD) say for which moments a calibration holds, and
    ``validity_edited`` whether a person said so, whom the camera's module does not overrule;
    ``epoch`` counts the events that made it suspect; ``created`` orders calibrations in the
    selection rule (newest eclipses).
    """

    __tablename__ = "target"
    __table_args__ = (
        Index("ix_target_selection", "class_name", "instrument", "chip", "filter", "moment"),
        Index(
            "ix_target_validity",
            "class_name",
            "instrument",
            "chip",
            "validity_start",
            "validity_end",
        ),
        Index("ix_target_field", "field_id", "class_name"),
        Index("ix_target_zone", "class_name", text(zone_expression("dec")), "ra"),
        Index(
            "ix_target_not_fresh",
            "class_name",
            postgresql_where=text("state <> 'fresh'"),
        ),
    )

    target_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    identity: Mapped[str] = mapped_column(unique=True)
    dataset_id: Mapped[str | None] = mapped_column(unique=True)
    class_name: Mapped[str]
    instrument: Mapped[str]
    chip: Mapped[str]
    filter: Mapped[str]
    night: Mapped[dt.date | None]
    raw_id: Mapped[int | None] = mapped_column(ForeignKey("vo.product.product_id"), index=True)
    field_id: Mapped[int | None] = mapped_column(ForeignKey("vo.field.field_id"))
    moment: Mapped[float]
    validity_start: Mapped[float | None]
    validity_end: Mapped[float | None]
    validity_edited: Mapped[bool] = mapped_column(server_default="false")
    ra: Mapped[float | None]
    dec: Mapped[float | None]
    radius: Mapped[float | None]
    created: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    state: Mapped[str] = mapped_column(server_default=TargetState.MISSING)
    epoch: Mapped[int] = mapped_column(server_default="0")
    reasons: Mapped[list[Any]] = mapped_column(server_default="[]")
    product_id: Mapped[int | None] = mapped_column(ForeignKey("vo.product.product_id"), index=True)
    cost_s: Mapped[float | None]


class Lineage(Base):
    """What a product was made from, in which role; never changes."""

    __tablename__ = "lineage"

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    progenitor_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), index=True)


class Confirmation(Base):
    """A later progenitor with the same content as the recorded one, while it stood for it."""

    __tablename__ = "confirmation"
    __table_args__ = (
        Index(
            "uq_confirmation_current",
            "product_id",
            "role",
            "position",
            unique=True,
            postgresql_where=text("valid_to = 'infinity'"),
        ),
    )

    confirmation_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"))
    role: Mapped[str]
    position: Mapped[int] = mapped_column(Integer)
    progenitor_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), index=True)
    valid_from: Mapped[dt.datetime]
    valid_to: Mapped[dt.datetime] = mapped_column(server_default="infinity")


class Dependency(Base):
    """Which targets a target's last verdict rested on; dirt flows along it.

    Calibrations that would have been chosen first, had they been good enough, are among them.
    """

    __tablename__ = "dependency"

    target_id: Mapped[int] = mapped_column(
        ForeignKey("vo.target.target_id", ondelete="CASCADE"), primary_key=True
    )
    progenitor_target_id: Mapped[int] = mapped_column(
        ForeignKey("vo.target.target_id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Publication(Base):
    """When a product was what the archive answered with; open ended while it still is."""

    __tablename__ = "publication"
    __table_args__ = (
        Index(
            "uq_publication_current",
            "target_id",
            unique=True,
            postgresql_where=text("published_to = 'infinity'"),
        ),
    )

    publication_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("vo.target.target_id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), index=True)
    published_from: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    published_to: Mapped[dt.datetime] = mapped_column(server_default="infinity")
    reasons: Mapped[list[Any]] = mapped_column(server_default="[]")


class Source(Base):
    """A row of a SourceList. Positions ICRS degrees, pixels 0-based, fluxes adu/s."""

    __tablename__ = "source"
    __table_args__ = (Index("ix_source_zone_ra", text("(floor((dec + 90) * 20)::int)"), "ra"),)

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    source_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    ra: Mapped[float]
    dec: Mapped[float]
    pos_err: Mapped[float | None] = mapped_column(REAL)
    mag: Mapped[float | None] = mapped_column(REAL)
    mag_err: Mapped[float | None] = mapped_column(REAL)
    flux: Mapped[float | None] = mapped_column(REAL)
    flux_err: Mapped[float | None] = mapped_column(REAL)
    x: Mapped[float | None] = mapped_column(REAL)
    y: Mapped[float | None] = mapped_column(REAL)
    half_light_radius: Mapped[float | None] = mapped_column(REAL)
    elongation: Mapped[float | None] = mapped_column(REAL)
    flags: Mapped[int] = mapped_column(Integer)
    flux_psf: Mapped[float | None] = mapped_column(REAL)
    flux_psf_err: Mapped[float | None] = mapped_column(REAL)
    mag_psf: Mapped[float | None] = mapped_column(REAL)
    mag_psf_err: Mapped[float | None] = mapped_column(REAL)
    spread: Mapped[float | None] = mapped_column(REAL)


class ReferenceSource(Base):
    """A reference star: ICRS degrees at a year (epoch), mas a year, magnitudes by band."""

    __tablename__ = "reference_source"
    __table_args__ = (
        Index("ix_reference_source_zone_ra", text("(floor((dec + 90) * 20)::int)"), "ra"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    source_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str]
    ra: Mapped[float]
    dec: Mapped[float]
    mags: Mapped[dict[str, Any]]
    mag_errs: Mapped[dict[str, Any]]
    pm_ra: Mapped[float | None]
    pm_dec: Mapped[float | None]
    epoch: Mapped[float | None]


class ObsCore(Base):
    """The ObsCore-1.1 facts of one published image; the view adds DID, URL and publication."""

    __tablename__ = "obscore"
    __table_args__ = (
        Index("ix_obscore_zone_ra", text(zone_expression("s_dec")), "s_ra"),
        Index(
            "ix_obscore_footprint",
            text(size_expression("s_fov")),
            text(zone_expression("s_dec")),
            "s_ra",
        ),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("vo.product.product_id"), primary_key=True)
    obs_id: Mapped[str]
    obs_title: Mapped[str | None]
    calib_level: Mapped[int] = mapped_column(SmallInteger)
    dataproduct_subtype: Mapped[str | None]
    access_estsize: Mapped[int | None]
    target_name: Mapped[str | None]
    s_ra: Mapped[float]
    s_dec: Mapped[float]
    s_fov: Mapped[float]
    s_region: Mapped[list[float]] = mapped_column(ARRAY(Double))
    s_resolution: Mapped[float | None]
    s_pixel_scale: Mapped[float | None]
    s_xel1: Mapped[int]
    s_xel2: Mapped[int]
    t_min: Mapped[float]
    t_max: Mapped[float]
    t_exptime: Mapped[float]
    em_min: Mapped[float | None]
    em_max: Mapped[float | None]
    facility_name: Mapped[str]
    instrument_name: Mapped[str]


class Unlisted(Base):
    """A class whose images are not in ObsCore, from when to when; open ended while they are not.

    Those that have an identifier keep it: who knows one is given the image and its links.
    """

    __tablename__ = "unlisted"

    class_name: Mapped[str] = mapped_column(primary_key=True)
    unlisted_from: Mapped[dt.datetime] = mapped_column(primary_key=True)
    unlisted_to: Mapped[dt.datetime] = mapped_column(server_default="infinity")


class ServiceFact(Base):
    """A fact of the installation that views need: authority, collection, base URL."""

    __tablename__ = "service_fact"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
