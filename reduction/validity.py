"""For which moments a calibration holds: the range of its target, which its product says, too.

What is selected goes by the target's range; what people read is the product's. A product that the
archive answers with says the range of the target that it was made for, whoever changed that: a
person, or the camera's module.
"""

from __future__ import annotations

__all__ = ["DEFAULT_VALIDITY", "follow_camera", "say_validity", "validity_of"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select

from reduction.batches import batched
from reduction.events import mark_suspect, mark_users_between
from reduction.moments import stamp
from reduction.recorded import enter_edit
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row
    from sqlalchemy.orm import Session

    from reduction.registry import Registry

#: Days before and after its moment for which a calibration holds that its camera says nothing of.
DEFAULT_VALIDITY: Final = (0.5, 0.5)
#: Who is recorded for what follows from something else, which the reason names.
_NOBODY: Final = "archive"
#: Calibrations that follow their camera in one transaction.
_PIECE: Final = 500


def validity_of(registry: Registry, class_name: str, instrument: str) -> tuple[float, float]:
    """Days before and after its moment for which a calibration of a camera holds."""
    return registry.instruments[instrument].validity.get(class_name, DEFAULT_VALIDITY)


def say_validity(
    session: Session, target_ids: Collection[int], *, why: str, who: str = _NOBODY
) -> None:
    """Let the products that are current say the range of their targets; recorded as edits.

    A product that was made for another target keeps that one's range. As all that takes a stamp
    it comes last in its transaction, which holds the targets: nothing is published of them
    meanwhile. All products are held before the stamp is taken.

    Parameters
    ----------
    target_ids
        Targets whose range may be another one; in any order, also more than once.
    why, who
        Are recorded as the reason, and as the one who did it: no person.
    """
    session.flush()
    differing = [
        row for part in batched(sorted(set(target_ids))) for row in _differing(session, part)
    ]
    if not differing:
        return
    at = stamp(session)
    for product, start, end in differing:
        for field, new in (("timestamp_start", start), ("timestamp_end", end)):
            old = getattr(product, field)
            if old == new:
                continue
            setattr(product, field, new)
            enter_edit(
                session,
                product.class_name,
                field,
                (None if old is None else str(old), str(new)),
                who=who,
                why=why,
                product_id=product.product_id,
                at=at,
            )
    session.flush()


def _differing(
    session: Session, target_ids: Sequence[int]
) -> Sequence[Row[Product, float | None, float | None]]:
    """Products, held, that say another range than the targets that they were made for."""
    return session.execute(
        select(Product, Target.validity_start, Target.validity_end)
        .join(
            Target,
            (Target.product_id == Product.product_id) & (Target.target_id == Product.target_id),
        )
        .where(
            Target.target_id.in_(target_ids),
            Target.validity_start.is_not(None),
            or_(
                Product.timestamp_start.is_distinct_from(Target.validity_start),
                Product.timestamp_end.is_distinct_from(Target.validity_end),
            ),
        )
        .order_by(Product.product_id)
        .with_for_update(of=Product, key_share=True)
        .execution_options(populate_existing=True)
    ).all()


def follow_camera(session: Session, registry: Registry, class_name: str, instrument: str) -> int:
    """Let some of a camera's calibrations of a class hold as long as its module says now.

    Those whose range a person set stay as they are. What is marked is what may take these
    calibrations or one of them.

    Returns
    -------
    int
        How many there were; 0 where none is left.
    """
    before, after = validity_of(registry, class_name, instrument)
    others = (
        Target.class_name == class_name,
        Target.instrument == instrument,
        Target.field_id.is_(None),
        Target.validity_edited.is_(False),
        or_(
            Target.validity_start != Target.moment - before,
            Target.validity_end != Target.moment + after,
        ),
    )
    # the next ones in time: what may take them is of that time, too
    query = select(Target.target_id).where(*others).order_by(Target.moment).limit(_PIECE)
    numbers = session.scalars(query).all()
    found = session.scalars(
        select(Target)
        .where(Target.target_id.in_(numbers), *others)
        .order_by(Target.target_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    if found:
        _follow(session, registry, found, (before, after))
    return len(numbers)


def _follow(
    session: Session, registry: Registry, found: Sequence[Target], days: tuple[float, float]
) -> None:
    """Let calibrations of one class and camera, held, hold so many days before and after."""
    before, after = days
    class_name, instrument = found[0].class_name, found[0].instrument
    ends = [t.validity_start for t in found] + [t.validity_end for t in found]
    for target in found:
        target.validity_start, target.validity_end = target.moment - before, target.moment + after
    session.flush()
    ends += [t.validity_start for t in found] + [t.validity_end for t in found]
    known = [end for end in ends if end is not None]
    numbers = [target.target_id for target in found]
    mark_suspect(session, numbers)
    mark_users_between(session, registry, class_name, instrument, (min(known), max(known)))
    why = f"the module of {instrument} says {before:g} days before and {after:g} after"
    say_validity(session, numbers, why=why, who=f"module of {instrument}")
