"""Fetching what a target is made from: products, raw frames and stars that a verdict chose."""

from __future__ import annotations

__all__ = ["fetch"]

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import select

from reduction.depends import SlotKind
from reduction.fields import field_of
from reduction.frames import StoredImages, StoredTables
from reduction.instruments.base import Section
from reduction.progenitor import Progenitor, ReferenceStars
from reduction.rows import read_rows
from reduction.target import Inputs, ProcessTarget
from schemas.tables import File, Product, ReferenceSource, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.verdicts import Verdict
    from schemas.tables import Base

#: Columns of what moves, NULL where it is not known.
_MOTION: Final = ("pm_ra", "pm_dec", "epoch")


def fetch(
    archive: Archive, session: Session, verdict: Verdict, cls: type[ProcessTarget]
) -> Inputs:
    """What a verdict chose for a target, by the slots of its class; pixels are read when used."""
    target = verdict.target
    filled: dict[str, Any] = {}
    for name, slot in cls.SLOTS.items():
        products = verdict.inputs[name]
        if slot.kind is SlotKind.REFERENCES:
            filled[name] = [_stars(session, verdict, product) for product in products]
        else:
            found = [_progenitor(archive, session, product) for product in products]
            filled[name] = found if slot.many else next(iter(found), None)
    field = field_of(session, target)
    whole_field = field is not None and target.raw_id is None
    return Inputs(
        target.class_name,
        filled,
        instrument=archive.registry.camera(target.instrument, composite=whole_field),
        chip=target.chip,
        filter=target.filter,
        field=field,
        scratch=archive.storage.planes,
    )


def _progenitor(archive: Archive, session: Session, product: Product) -> Progenitor:
    images: Mapping[str, np.ndarray[Any, Any]] = {}
    tables: Mapping[str, np.ndarray[Any, Any]] = {}
    if product.file_id is not None:
        path = archive.storage.path(session.get_one(File, product.file_id).location)
        images = StoredImages(path, product.hdu, archive.storage.planes)
        tables = StoredTables(path) if product.hdu is None else {}
    return Progenitor(
        product.product_id,
        product.class_name,
        product.filter,
        _values(product),
        images,
        product.quality_flags,
        tables,
        _raw_values(session, product),
        product.instrument,
        product.chip,
        "" if product.night is None else product.night.isoformat(),
        product.moment,
        _rows_reader(archive, product),
        _band(archive, product),
    )


def _band(archive: Archive, product: Product) -> str:
    """Standard name of a product's filter; products of fields have it already."""
    camera = archive.registry.instruments.get(product.instrument)
    found = None if camera is None else camera.bands.get(product.filter)
    return product.filter if found is None else found.standard


def _rows_reader(archive: Archive, product: Product) -> Callable[[], Any] | None:
    cls = archive.registry.classes.get(product.class_name)
    if cls is None or not issubclass(cls, ProcessTarget):
        return None
    table: type[Base] = cls.ROWS
    return partial(read_rows, archive, table, product.product_id)


def _values(product: Product) -> dict[str, Any]:
    """Attributes as a computation sees them."""
    attributes = dict(product.attributes)
    for name in ("science", "overscan"):
        if isinstance(attributes.get(name), list):
            attributes[name] = Section(*attributes[name])
    return attributes


def _raw_values(session: Session, product: Product) -> dict[str, Any]:
    """Attributes of the raw frame that a product belongs to; empty where it does to none."""
    if product.target_id is None:
        return {}
    target = session.get_one(Target, product.target_id)
    return {} if target.raw_id is None else _values(session.get_one(Product, target.raw_id))


def _stars(session: Session, verdict: Verdict, product: Product) -> ReferenceStars:
    target = verdict.target
    ra, dec, radius = target.ra or 0.0, target.dec or 0.0, target.radius or 0.0
    rows = session.execute(
        select(ReferenceSource)
        .where(
            ReferenceSource.product_id == product.product_id,
            ReferenceSource.dec.between(dec - radius, dec + radius),
        )
        .order_by(ReferenceSource.source_number)
    ).scalars()
    width = radius / max(math.cos(math.radians(min(abs(dec) + radius, 89.9))), 1e-3)
    near = [row for row in rows if abs((row.ra - ra + 180) % 360 - 180) <= width]
    bands = sorted({band for row in near for band in row.mags})
    return ReferenceStars(
        product.product_id,
        product.attributes["name"],
        [row.name for row in near],
        np.array([row.ra for row in near]),
        np.array([row.dec for row in near]),
        {b: np.array([row.mags.get(b, np.nan) for row in near], dtype=float) for b in bands},
        {b: np.array([row.mag_errs.get(b, np.nan) for row in near], dtype=float) for b in bands},
        *(np.array([getattr(row, n) for row in near], dtype=float) for n in _MOTION),
    )
