"""Fetching what a target is made from: products, raw frames and stars that a verdict chose."""

from __future__ import annotations

__all__ = ["fetch"]

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import literal_column, or_, select

from reduction.batches import batched
from reduction.depends import SlotKind
from reduction.fields import field_of
from reduction.frames import StoredImages, StoredTables
from reduction.instruments.base import Section
from reduction.objects import held
from reduction.progenitor import Progenitor, ReferenceStars
from reduction.rows import read_rows
from reduction.target import Inputs, ProcessTarget
from schemas.sphere import Cap, zones
from schemas.tables import File, Product, ReferenceSource, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.verdicts import Verdict
    from schemas.tables import Base

#: Columns of a star, and what has to be known of its light.
_STAR: Final = ("name", "ra", "dec", "mags", "mag_errs")
#: Declination beyond which right ascension is not looked at, degrees.
_POLAR: Final = 89.9
#: Columns of what moves, NULL where it is not known.
_MOTION: Final = ("pm_ra", "pm_dec", "epoch")


@dataclass(frozen=True, slots=True)
class _Beside:
    """What the archive keeps beside the products that a target is made from.

    Attributes
    ----------
    locations
        Where each file is in the storage, by its number.
    raws
        Raw frame that a product's target was made of, by the target's number.
    """

    locations: Mapping[int, str]
    raws: Mapping[int, Product]


def fetch(
    archive: Archive, session: Session, verdict: Verdict, cls: type[ProcessTarget]
) -> Inputs:
    """What a verdict chose for a target, by the slots of its class; pixels are read when used.

    The number of statements does not grow with that of the progenitors.
    """
    target = verdict.target
    beside = _look_up(session, [p for chosen in verdict.inputs.values() for p in chosen])
    filled: dict[str, Any] = {}
    for name, slot in cls.SLOTS.items():
        products = verdict.inputs[name]
        if slot.kind is SlotKind.REFERENCES:
            filled[name] = [_stars(session, verdict, product) for product in products]
        else:
            found = [_progenitor(archive, beside, product) for product in products]
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


def _look_up(session: Session, products: Sequence[Product]) -> _Beside:
    """Files and raw frames of some products, in two statements for each thousand."""
    locations: dict[int, str] = {}
    for part in batched(sorted({p.file_id for p in products if p.file_id is not None})):
        files = select(File.file_id, File.location).where(File.file_id.in_(part))
        locations |= {row.file_id: row.location for row in session.execute(files)}
    raws: dict[int, Product] = {}
    for part in batched(sorted({p.target_id for p in products if p.target_id is not None})):
        made_of = (
            select(Target.target_id, Product)
            .join(Product, Product.product_id == Target.raw_id)
            .where(Target.target_id.in_(part))
        )
        raws |= {row.target_id: row.Product for row in session.execute(made_of)}
    return _Beside(locations, raws)


def _progenitor(archive: Archive, beside: _Beside, product: Product) -> Progenitor:
    images: Mapping[str, np.ndarray[Any, Any]] = {}
    tables: Mapping[str, np.ndarray[Any, Any]] = {}
    if product.file_id is not None:
        path = archive.storage.path(beside.locations[product.file_id])
        owner = held(product, path)
        planes = archive.storage.planes
        images = StoredImages(path, product.hdu, planes, owner=owner, sure=True)
        tables = StoredTables(path, owner, sure=True) if product.hdu is None else {}
    raw = None if product.target_id is None else beside.raws.get(product.target_id)
    return Progenitor(
        product.product_id,
        product.class_name,
        product.filter,
        _values(product),
        images,
        product.quality_flags,
        tables,
        {} if raw is None else _values(raw),
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


def _stars(session: Session, verdict: Verdict, product: Product) -> ReferenceStars:
    target = verdict.target
    ra, dec, radius = target.ra or 0.0, target.dec or 0.0, target.radius or 0.0
    near = session.execute(
        select(*(getattr(ReferenceSource, name) for name in (*_STAR, *_MOTION)))
        .where(ReferenceSource.product_id == product.product_id, *_box(ra, dec, radius))
        .order_by(ReferenceSource.source_number)
    ).all()
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


def _box(ra: float, dec: float, radius: float) -> list[ColumnElement[bool]]:
    """Conditions for stars in the box around a circle, as the index of positions can use them."""
    first, last = zones(Cap(ra, dec, radius))
    conditions: list[ColumnElement[bool]] = [
        literal_column("floor((dec + 90) * 20)::int").in_(range(first, last + 1)),
        ReferenceSource.dec.between(dec - radius, dec + radius),
    ]
    highest = abs(dec) + radius
    if highest < _POLAR:
        width = radius / math.cos(math.radians(highest))
        low, high = ra - width, ra + width
        ranges = [(low + turn, high + turn) for turn in (-360.0, 0.0, 360.0)]
        inside = [(low, high) for low, high in ranges if high >= 0.0 and low < 360.0]
        conditions.append(or_(*(ReferenceSource.ra.between(*span) for span in inside)))
    return conditions
