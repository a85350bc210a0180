"""The selection rule, and every other way in which progenitors are found: the only place.

A calibration is eligible where instrument, chip (and filter) agree and its validity covers the
moment; of those the newest eclipses the others. *Newest* is the calibration that entered the
archive last: a remake supersedes its own earlier version, not its neighbours, so that an answer
does not depend on the order in which things were remade. Whether the product is good enough
(``is_valid >= 1``, ``quality_flags = 0``) is asked when it is there, and the next one is tried
where it is not.
"""

from __future__ import annotations

__all__ = ["calibration_targets", "frame_target", "raw_products", "reference_catalogues", "usable"]

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select, text

from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.depends import Slot


def usable(product: Product) -> bool:
    """Whether a product may be a progenitor: valid, and without quality flags."""
    return product.is_valid >= 1 and product.quality_flags == 0


def calibration_targets(
    session: Session, target: Target, slot: Slot, *, by_filter: bool
) -> Sequence[Target]:
    """Eligible calibrations for a target, best first.

    Parameters
    ----------
    target
        Whose chip and moment count.
    slot
        A calibration slot.
    by_filter
        Whether the filter has to agree.
    """
    query = select(Target).where(
        Target.class_name.in_(slot.classes),
        Target.instrument == target.instrument,
        Target.chip == target.chip,
        Target.validity_start <= target.moment,
        Target.validity_end >= target.moment,
    )
    if by_filter:
        query = query.where(Target.filter == target.filter)
    order: list[Any] = [Target.created.desc(), Target.target_id.desc()]
    if slot.prefer_own and target.raw_id is not None:
        order.insert(0, case((Target.raw_id == target.raw_id, 0), else_=1))
    return session.scalars(query.order_by(*order)).all()


def frame_target(session: Session, target: Target, slot: Slot) -> Target | None:
    """The target of the slot's class for the same raw frame."""
    return session.scalars(
        select(Target).where(Target.class_name.in_(slot.classes), Target.raw_id == target.raw_id)
    ).first()


def raw_products(
    session: Session, target: Target, slot: Slot, *, by_filter: bool
) -> Sequence[Product]:
    """Valid raw frames of a target's night, in the order in which they were taken."""
    query = select(Product).where(
        Product.class_name.in_(slot.classes),
        Product.instrument == target.instrument,
        Product.chip == target.chip,
        Product.night == target.night,
        Product.is_valid >= 1,
        Product.quality_flags == 0,
    )
    if by_filter:
        query = query.where(Product.filter == target.filter)
    return session.scalars(query.order_by(Product.moment, Product.product_id)).all()


_STARS_IN_FIELD = text(
    """
    SELECT DISTINCT r.product_id FROM vo.reference_source r
    WHERE floor((r.dec + 90) * 20)::int
          BETWEEN floor((:dec - :radius + 90) * 20)::int AND floor((:dec + :radius + 90) * 20)::int
      AND 2 * asind(least(1, sqrt(sind((r.dec - :dec) / 2) ^ 2
          + cosd(r.dec) * cosd(:dec) * sind((r.ra - :ra) / 2) ^ 2))) <= :radius
    """
)


def reference_catalogues(session: Session, target: Target) -> Sequence[Product]:
    """Valid reference catalogues with at least one star in a target's field, newest first."""
    if target.ra is None or target.dec is None:
        return []
    found = session.scalars(
        _STARS_IN_FIELD, {"ra": target.ra, "dec": target.dec, "radius": target.radius}
    ).all()
    return session.scalars(
        select(Product)
        .where(Product.product_id.in_(found), Product.is_valid >= 1)
        .order_by(Product.creation_date.desc(), Product.product_id.desc())
    ).all()
