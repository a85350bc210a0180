"""Events push dirt forward: what happened marks, in its own transaction, all it might affect."""

from __future__ import annotations

__all__ = [
    "mark_suspect",
    "mark_users_of_calibration",
    "mark_users_of_catalogue",
    "mark_users_of_raw",
]

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from reduction.depends import SlotKind
from reduction.select import angle
from schemas.tables import Field, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.registry import Registry
    from schemas.tables import Product


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
    reached = (
        select(Field.field_id)
        .join(own, own.raw_id == raw.product_id)
        .where(
            Field.instruments.contains([raw.instrument]),
            Field.start <= own.moment,
            Field.end >= own.moment,
            angle(own.ra, own.dec, Field.ra, Field.dec) <= Field.radius + own.radius,
        )
    )
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
    users = [
        target.__name__
        for target in registry.users_of(calibration.class_name)
        if any(
            slot.kind is SlotKind.CALIBRATION and calibration.class_name in slot.classes
            for slot in target.SLOTS.values()
        )
    ]
    seeds = {calibration.target_id}
    for start, end in ranges:
        query = select(Target.target_id).where(
            Target.class_name.in_(users),
            Target.instrument == calibration.instrument,
            Target.moment >= start,
            Target.moment <= end,
        )
        if calibration.chip:
            query = query.where(Target.chip == calibration.chip)
        if calibration.filter:
            query = query.where(Target.filter.in_((calibration.filter, "")))
        seeds.update(session.scalars(query))
    return mark_suspect(session, sorted(seeds))


def mark_users_of_catalogue(
    session: Session,
    registry: Registry,
    ra: np.ndarray[tuple[int], np.dtype[np.float64]],
    dec: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> int:
    """A reference catalogue came or was rejected: mark the frames in its bounding circle.

    Parameters
    ----------
    ra, dec
        Its stars, ICRS degrees, shape (n,).
    """
    users = _with_slot(registry, SlotKind.REFERENCES)
    phi, theta = np.radians(ra), np.radians(dec)
    stars = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)])
    centre = stars.mean(axis=1)
    norm = float(np.linalg.norm(centre))
    rows = session.execute(
        select(Target.target_id, Target.ra, Target.dec, Target.radius).where(
            Target.class_name.in_(users), Target.ra.is_not(None)
        )
    ).all()
    if not rows:
        return 0
    seeds = [row.target_id for row in rows]
    if norm > 0:
        centre = centre / norm
        reach = np.degrees(np.arccos(np.clip(centre @ stars, -1, 1))).max()
        phi, theta = (np.radians([getattr(r, n) for r in rows]) for n in ("ra", "dec"))
        cosine = np.cos(theta) * (centre[0] * np.cos(phi) + centre[1] * np.sin(phi))
        apart = np.degrees(np.arccos(np.clip(cosine + centre[2] * np.sin(theta), -1, 1)))
        near = apart <= reach + np.array([r.radius for r in rows])
        seeds = [seed for seed, flag in zip(seeds, near, strict=True) if flag]
    return mark_suspect(session, seeds)
