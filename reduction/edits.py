"""Edits of products and raw frames by people, and what each makes suspect."""

from __future__ import annotations

__all__ = ["EDITABLE", "edit", "edit_validity", "held", "set_standing", "set_standings"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from reduction.duplicates import see_alone
from reduction.events import (
    mark_users_of_calibration,
    mark_users_of_catalogue,
    mark_users_of_raw,
)
from reduction.moments import stamp
from reduction.recorded import enter_edit, reason
from reduction.superseded import successor
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Publication, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from reduction.archive import Archive

EDITABLE: Final = ("is_valid", "timestamp_start", "timestamp_end")
"""What may be changed of a product (Astro-WISE's rule)."""


def edit(
    archive: Archive,
    object_id: int,
    field: str,
    value: float,
    *,
    why: str,
    who: str = "",
) -> int:
    """Change one of the three things that may be changed of a product; recorded for ever.

    Parameters
    ----------
    object_id
        The raw frame or product.
    field
        ``is_valid`` (0, 1 or 2), ``timestamp_start`` or ``timestamp_end`` (MJD).

    Returns
    -------
    int
        Number of targets that this made suspect.

    Raises
    ------
    NotFoundError
        If there is no such object.
    ParameterError
        If the field may not be changed, the value is out of range or the reason is blank; if two
        raw frames of one exposure would be used, or one that was described again since.
    """
    why = reason(why)
    if field not in EDITABLE:
        raise ParameterError("field", field, "one of " + ", ".join(EDITABLE))
    if field == "timestamp_start":
        return edit_validity(archive, object_id, value, None, why=why, who=who)
    if field == "timestamp_end":
        return edit_validity(archive, object_id, None, value, why=why, who=who)
    if value not in (0, 1, 2):
        raise ParameterError("is_valid", value, "0 (rejected), 1 (valid) or 2 (proposed)")

    def work(session: Session) -> int:
        """Change the judgement in one transaction, and mark what hangs on it."""
        product = held(session, object_id)
        if value > 0 and (later := successor(session, object_id)) is not None:
            expected = f"0: the frame was described again as object {later}, which is used"
            raise ParameterError("is_valid", value, expected)
        if "exptime" in product.attributes and product.target_id is None:
            see_alone(session, product, int(value))
        return set_standing(archive, session, product, int(value), who, why)

    return archive.transact(work)


def set_standing(
    archive: Archive, session: Session, product: Product, value: int, who: str, why: str
) -> int:
    """Change ``is_valid`` of a product that is held; how many targets that made suspect."""
    return set_standings(archive, session, [(product, why)], value, who)


def set_standings(
    archive: Archive,
    session: Session,
    products: Sequence[tuple[Product, str]],
    value: int,
    who: str,
) -> int:
    """The same of many that are held, each with its reason: one moment, taken after all locks."""
    changed = [(p, str(p.is_valid), why) for p, why in products if p.is_valid != value]
    for product, _, _ in changed:
        product.is_valid = value
    session.flush()
    marked = sum(_mark_edited(archive, session, product) for product, _, _ in changed)
    at = stamp(session) if changed else None
    for product, old, why in changed:
        values, number, subject = (old, str(value)), product.product_id, product.class_name
        enter_edit(
            session, subject, "is_valid", values, who=who, why=why, product_id=number, at=at
        )
    return marked


def edit_validity(
    archive: Archive,
    object_id: int,
    start: float | None,
    end: float | None,
    *,
    why: str,
    who: str = "",
) -> int:
    """Change the range of time for which a calibration holds: both ends at once, or neither.

    Parameters
    ----------
    object_id
        A calibration.
    start, end
        MJD; None leaves an end as it is.

    Returns
    -------
    int
        Number of targets that this made suspect.

    Raises
    ------
    NotFoundError
        If there is no such object.
    ParameterError
        If it has no validity, the archive answers with another one, the range ends before it
        begins, or the reason is blank; nothing is changed then.
    """
    why = reason(why)

    def work(session: Session) -> int:
        """Change both ends in one transaction, and mark what hangs on them."""
        product = held(session, object_id)
        # nothing is published of these meanwhile
        targets = session.scalars(_targets_of(product).with_for_update(key_share=True)).all()
        before, after = _changed_range(product, start, end)
        _see_current(session, product)
        if after == before:
            return 0
        product.timestamp_start, product.timestamp_end = after
        session.flush()
        _move(session, product, targets, after)
        marked = _mark_edited(archive, session, product, before, after)
        at = stamp(session)
        for field, old, new in zip(EDITABLE[1:], before, after, strict=True):
            if old != new:
                enter_edit(
                    session,
                    product.class_name,
                    field,
                    (str(old), str(new)),
                    who=who,
                    why=why,
                    product_id=object_id,
                    at=at,
                )
        return marked

    return archive.transact(work)


def _changed_range(
    product: Product, start: float | None, end: float | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Validity as it is, and as it is wanted."""
    if product.timestamp_start is None or product.timestamp_end is None:
        found = f"object {product.product_id}, a {product.class_name}"
        raise ParameterError("object", found, "a calibration: only these have a validity")
    before = (product.timestamp_start, product.timestamp_end)
    after = (
        before[0] if start is None else float(start),
        before[1] if end is None else float(end),
    )
    if not after[0] <= after[1]:  # NaN is no moment
        found = f"MJD {after[0]:g} to {after[1]:g}"
        raise ParameterError("validity", found, "a range that begins before it ends")
    return before, after


def _see_current(session: Session, product: Product) -> None:
    """See that a calibration is one that the archive answers with, whose range is its target's.

    Raises
    ------
    ParameterError
        If it is not; names the one that is.
    """
    number = product.product_id
    if session.scalars(select(Target).where(Target.product_id == number).limit(1)).first():
        return
    target = session.get_one(Target, product.target_id)
    found = f"object {number}, which is not what the archive answers with"
    there = target.product_id
    raise ParameterError(
        "object",
        found,
        f"object {there}, which is"
        if there is not None
        else f"that of {target.identity}, once it is made",
    )


def held(session: Session, object_id: int) -> Product:
    """A product, locked against other edits and against being published again.

    Raises
    ------
    NotFoundError
        If there is no such object.
    """
    product = session.get(
        Product, object_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if product is None:
        raise NotFoundError(f"there is no object {object_id}; see archive.products")
    return product


def _targets_of(product: Product) -> Select[Target]:
    """Targets that a product was made for or published of, lowest number first."""
    had_it = select(Publication.target_id).where(Publication.product_id == product.product_id)
    return (
        select(Target)
        .where(Target.target_id.in_(had_it) | (Target.target_id == product.target_id))
        .order_by(Target.target_id)
        .execution_options(populate_existing=True)
    )


def _move(
    session: Session, product: Product, targets: Sequence[Target], valid: tuple[float, float]
) -> None:
    """Let the targets that a calibration is the answer for hold for a time that a person said."""
    for target in targets:
        if target.product_id == product.product_id:
            target.validity_start, target.validity_end = valid
            target.validity_edited = True
    session.flush()


def _mark_edited(
    archive: Archive, session: Session, product: Product, *ranges: tuple[float, float]
) -> int:
    """Mark what hangs on an object; of a calibration also what could take it by some ranges."""
    if product.class_name == "ReferenceCatalogue":
        return mark_users_of_catalogue(session, archive.registry, product.product_id)
    if product.target_id is None:
        return mark_users_of_raw(session, archive.registry, product)
    marked = 0
    for target in session.scalars(_targets_of(product)).all():
        own = (target.validity_start, target.validity_end)
        known = [(start, end) for start, end in (own,) if start is not None and end is not None]
        marked += mark_users_of_calibration(session, archive.registry, target, *ranges, *known)
    return marked
