"""Events push dirt forward: what happened marks, in its own transaction, all it might affect."""

from __future__ import annotations

__all__ = [
    "mark_suspect",
    "mark_users_between",
    "mark_users_of_calibration",
    "mark_users_of_catalogue",
    "mark_users_of_new",
    "mark_users_of_raw",
    "users_in_fields",
]

import math
from typing import TYPE_CHECKING, Final

from sqlalchemy import any_, func, select
from sqlalchemy.orm import aliased

from reduction.depends import SlotKind
from reduction.pools import stir
from reduction.select import angle
from schemas.tables import Field, ReferenceSource, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from reduction.registry import Registry
    from schemas.tables import Product

#: Degrees by which an angle may be too small for rounding.
_ROUNDING: Final = 1e-6
#: Days of validity beyond which it is not for the pools of so many days.
_LONG: Final = 100.0
#: States of targets of which no verdict is written down.
_UNKNOWN: Final = (TargetState.MISSING, TargetState.SUSPECT)


def mark_suspect(session: Session, seeds: Sequence[int]) -> int:
    """Mark targets, and everything whose last verdict rested on them, as suspect.

    Returns
    -------
    int
        How many were marked.
    """
    if not seeds:
        return 0
    return int(session.scalar(select(func.vo.mark_suspect(sorted(set(seeds))))) or 0)


def mark_users_of_raw(session: Session, registry: Registry, raw: Product) -> int:
    """A raw frame came, was rejected or accepted: mark what is made of its night or of it."""
    per_night = [
        target.__name__
        for target in registry.users_of(raw.class_name)
        if any(
            slot.kind is SlotKind.RAW_FRAMES and raw.class_name in slot.classes
            for slot in target.SLOTS.values()
        )
    ]
    seeds = session.scalars(
        select(Target.target_id).where(
            (
                Target.class_name.in_(per_night)
                & (Target.instrument == raw.instrument)
                & (Target.chip == raw.chip)
                & (Target.night == raw.night)
                & (Target.filter.in_(("", raw.filter)) | (raw.filter == ""))
            )
            | (Target.raw_id == raw.product_id)
        )
    ).all()
    return mark_suspect(session, [*seeds, *_users_of_frame(session, registry, raw)])


def _users_of_frame(session: Session, registry: Registry, raw: Product) -> Sequence[int]:
    """Targets that take all frames of a raw frame's night, or of a field it reaches into."""
    if raw.class_name != "RawScienceFrame":
        return []
    nightly = _with_slot(registry, SlotKind.FRAMES_OF_NIGHT)
    fieldwise = _with_slot(registry, SlotKind.FRAMES_OF_FIELD)
    own = aliased(Target)
    reached = _reached(own).where(own.raw_id == raw.product_id)
    return session.scalars(
        select(Target.target_id).where(
            (
                Target.class_name.in_(nightly)
                & (Target.instrument == raw.instrument)
                & (Target.night == raw.night)
                & Target.chip.in_(("", raw.chip))
                & Target.filter.in_(("", raw.filter))
            )
            | (Target.class_name.in_(fieldwise) & Target.field_id.in_(reached))
        )
    ).all()


def users_in_fields(session: Session, registry: Registry, targets: Sequence[int]) -> Sequence[int]:
    """Targets that take all frames of a field that some targets of frames reach into."""
    own = aliased(Target)
    fieldwise = _with_slot(registry, SlotKind.FRAMES_OF_FIELD)
    reached = _reached(own).where(own.target_id.in_(targets))
    query = select(Target.target_id).where(
        Target.class_name.in_(fieldwise), Target.field_id.in_(reached)
    )
    return session.scalars(query).all()


def _reached(own: type[Target]) -> Select[int]:
    """Fields that targets of frames reach into."""
    return select(Field.field_id).join(
        own,
        (own.instrument == any_(Field.instruments))
        & (Field.start <= own.moment)
        & (Field.end >= own.moment)
        & (angle(own.ra, own.dec, Field.ra, Field.dec) <= Field.radius + own.radius),
    )


def _with_slot(registry: Registry, kind: SlotKind) -> list[str]:
    """Names of the classes with a slot of a kind."""
    return [
        cls.__name__
        for cls in registry.targets()
        if any(slot.kind is kind for slot in cls.SLOTS.values())
    ]


def mark_users_of_calibration(
    session: Session, registry: Registry, calibration: Target, *ranges: tuple[float, float]
) -> int:
    """A calibration came, or its validity changed: mark what the selection could now decide anew.

    Parameters
    ----------
    ranges
        Validity before and after, MJD.
    """
    users = _takers(registry, calibration.class_name)
    seeds = {calibration.target_id}
    for valid in ranges:
        seeds.update(session.scalars(_users_of(calibration, users, valid)))
    return mark_suspect(session, sorted(seeds))


def mark_users_of_new(
    session: Session, registry: Registry, calibration: Target, valid: tuple[float, float]
) -> int:
    """A calibration came: mark it, and what the selection could now decide anew.

    Who prefers the calibration of its own frame rests on the pool of its day, unless it has one:
    of those, the ones that nothing is known to be right or wrong of are not touched, so that what
    a frame costs does not grow with the frames of its night.

    Parameters
    ----------
    valid
        Its validity, MJD.
    """
    classes = _takers(registry, calibration.class_name)
    borrowing = [name for name in classes if _borrows(registry, name, calibration.class_name)]
    if not borrowing or not calibration.chip or valid[1] - valid[0] > _LONG:
        return mark_users_of_calibration(session, registry, calibration, valid)
    stir(session, calibration, valid)  # before it is looked who rests on it
    users = _users_of(calibration, classes, valid).where(
        Target.class_name.not_in(borrowing) | Target.state.not_in(_UNKNOWN)
    )
    return mark_suspect(session, [calibration.target_id, *session.scalars(users)])


def _borrows(registry: Registry, user: str, class_name: str) -> bool:
    """Whether a class takes one of another's in no other way than its own first."""
    slots = registry.target(user).SLOTS.values()
    return all(slot.prefer_own for slot in slots if class_name in slot.classes)


def _users_of(
    calibration: Target, classes: Sequence[str], valid: tuple[float, float]
) -> Select[int]:
    """Targets of some classes that may take a calibration that holds for a time."""
    query = select(Target.target_id).where(
        Target.class_name.in_(classes),
        Target.instrument == calibration.instrument,
        Target.moment.between(*valid),
    )
    if calibration.chip:
        query = query.where(Target.chip == calibration.chip)
    if calibration.filter:
        query = query.where(Target.filter.in_((calibration.filter, "")))
    return query


def mark_users_between(
    session: Session,
    registry: Registry,
    class_name: str,
    instrument: str,
    within: tuple[float, float],
) -> int:
    """The validity of many calibrations changed: mark what takes one of the class in a time.

    Parameters
    ----------
    class_name, instrument
        Of the calibrations.
    within
        First and last moment for which any of them holds or held, MJD.
    """
    seeds = session.scalars(
        select(Target.target_id).where(
            Target.class_name.in_(_takers(registry, class_name)),
            Target.instrument == instrument,
            Target.moment.between(*within),
        )
    )
    return mark_suspect(session, seeds.all())


def _takers(registry: Registry, class_name: str) -> list[str]:
    """Names of the classes that take one of a class by the selection rule."""
    return [
        target.__name__
        for target in registry.users_of(class_name)
        if any(
            slot.kind is SlotKind.CALIBRATION and class_name in slot.classes
            for slot in target.SLOTS.values()
        )
    ]


def mark_users_of_catalogue(session: Session, registry: Registry, catalogue: int) -> int:
    """A reference catalogue came or was rejected: mark the frames in its bounding circle.

    Parameters
    ----------
    catalogue
        Number of the catalogue, whose stars are in the archive: they may be too many for memory.
    """
    query = select(Target.target_id).where(
        Target.class_name.in_(_with_slot(registry, SlotKind.REFERENCES)), Target.ra.is_not(None)
    )
    circle = _bounding_circle(session, catalogue)
    if circle is not None:
        ra, dec, radius = circle
        query = query.where(angle(Target.ra, Target.dec, ra, dec) <= radius + Target.radius)
    return mark_suspect(session, session.scalars(query).all())


def _bounding_circle(session: Session, catalogue: int) -> tuple[float, float, float] | None:
    """Circle about a catalogue's stars, degrees; None where they are all around the sky."""
    of_it = ReferenceSource.product_id == catalogue
    ra, dec = ReferenceSource.ra, ReferenceSource.dec
    x, y, z = session.execute(
        select(
            func.avg(func.cosd(dec) * func.cosd(ra)),
            func.avg(func.cosd(dec) * func.sind(ra)),
            func.avg(func.sind(dec)),
        ).where(of_it)
    ).one()
    if x is None or math.hypot(x, y, z) == 0:
        return None
    centre = math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))
    reach = session.scalar(select(func.max(angle(ra, dec, *centre))).where(of_it)) or 0.0
    return *centre, reach + _ROUNDING
