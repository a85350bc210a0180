"""Letting a raw frame take the place of another one of the same file and HDU."""

from __future__ import annotations

__all__ = ["columns_of", "take_place"]

import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, or_, select, true

from reduction.declare import declare_in_field, declare_target, hold_fields, target_values
from reduction.duplicates import flag_duplicate
from reduction.edits import held
from reduction.events import mark_users_of_calibration, mark_users_of_raw
from reduction.fields import field_spec, joined_fields
from reduction.ingest import raw_attributes
from reduction.keys import canonical_json, hash_of
from reduction.moments import stamp
from reduction.quality import unfit
from reduction.reach import Frame
from reduction.recorded import enter_edit
from reduction.redeclare import see_declared
from reduction.select import VOUCHED
from reduction.superseded import DESCRIBED, NOT_SUPERSEDED, successor
from reduction.validity import say_validity, validity_of
from schemas.recipe_tables import Edit
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription
    from reduction.raw_quality import RawQuality
    from reduction.registry import Registry

#: How the reason of a rejection by measuring begins.
JUDGED: Final = "judged: "

#: Why products hold for another time.
_FOLLOWS: Final = "its night's frames were described again"

#: Columns of a frame's target that follow its raw frame.
_FOLLOW: Final = ("raw_id", "filter", "night", "moment", "ra", "dec", "radius")


def columns_of(frame: Product, found: FrameDescription) -> dict[str, Any]:
    """Columns of a raw frame as it is described today."""
    return {
        "class_name": found.kind.value,
        "chip": found.chip,
        "filter": found.filter,
        "night": dt.date.fromisoformat(found.night),
        "moment": found.mjd_obs + found.exptime / 2 / 86400,
        "attributes": raw_attributes(found, str(frame.attributes["name"])),
    }


def _json(value: Any) -> str:  # noqa: ANN401  # JSON, or a date
    """A value as it is compared and hashed."""
    return canonical_json(str(value) if isinstance(value, dt.date) else value)


def take_place(
    archive: Archive,
    session: Session,
    *,
    old_id: int,
    found: FrameDescription,
    quality: RawQuality,
    sha256: str,
    said: tuple[str, str],
) -> str:
    """Enter a raw frame as it is described now, and let all follow it, in one transaction.

    Parameters
    ----------
    old_id
        The frame as it was described.
    found, quality
        What it is now.
    sha256
        Of its file.
    said
        Who does so, and why.

    Returns
    -------
    str
        Why it is not used though a person spoke for it; empty for others.
    """
    registry = archive.registry
    hold_fields(session, alone=False)
    old = held(session, old_id)
    see_declared(session, registry, registry.instruments[old.instrument])
    if successor(session, old_id) is not None:  # somebody else did so meanwhile
        return ""
    spoken = _spoken(session, old)
    new = _entered(session, old, found, quality, sha256, spoken)
    was, old.is_valid = old.is_valid, 0
    who, why = said
    values = str(old_id), str(new.product_id)
    enter_edit(session, old.class_name, DESCRIBED, values, who=who, why=why, product_id=old_id)
    mark_users_of_raw(session, registry, old)
    frame = Frame.of(registry, new, sha256)
    _follow(archive, session, old_id, frame)
    moved = [
        declare_target(archive, session, cls, frame)
        for cls in registry.targets()
        if new.class_name in cls.ANCHOR_CLASSES and not cls.ANCHOR.per_field
    ]
    for number, spec in joined_fields(session, frame):
        declare_in_field(archive, session, number, spec, [new])
    mark_users_of_raw(session, registry, new)
    moved += _follow_nights(archive, session, old, new)
    # nothing is waited for, or marked, from here on: this takes the stamp
    say_validity(session, [number for number in moved if number is not None], why=_FOLLOWS)
    if spoken is not None:
        _say_again(session, new, spoken)
    twin = was == VOUCHED and "duplicate_of" in new.attributes
    withdrawn = _withdrawn(session, new, who) if twin else _unused(registry, new, spoken)
    if was != 0:
        at, subject, values = stamp(session), old.class_name, (str(was), "0")
        enter_edit(
            session, subject, "is_valid", values, who=who, why=why, product_id=old_id, at=at
        )
    return withdrawn


def _spoken(session: Session, old: Product) -> Edit | None:
    """What a person said last of a frame; None for what measuring it said, which is done again."""
    said = session.scalar(
        select(Edit)
        .where(Edit.product_id == old.product_id, Edit.field == "is_valid")
        .order_by(Edit.edit_id.desc())
        .limit(1)
    )
    return None if said is None or said.why.startswith(JUDGED) else said


def _say_again(session: Session, new: Product, spoken: Edit) -> None:
    """Record of the new frame what a person said of the old one."""
    enter_edit(
        session,
        new.class_name,
        "is_valid",
        (spoken.old, str(spoken.new)),
        who=spoken.who,
        why=spoken.why,
        product_id=new.product_id,
    )


def _unused(registry: Registry, new: Product, spoken: Edit | None) -> str:
    """Say of a frame that a person called valid that its flags of today leave it out."""
    if spoken is None or new.is_valid != 1 or new.quality_flags == 0:
        return ""
    flagged = unfit(registry.classes, new)
    return (
        f"object {new.product_id} is not used: a person said that it is valid, and it {flagged} "
        f"by today's limits: `vo-service set-valid {new.product_id} proposed` vouches for it"
    )


def _withdrawn(session: Session, new: Product, who: str) -> str:
    """Record that a frame which a person vouched for is used no more beside its twin, and why."""
    other = new.attributes["duplicate_of"]
    why = f"described again, it is the same exposure as object {other}, which is used"
    values = str(VOUCHED), str(new.is_valid)
    subject, number, at = new.class_name, new.product_id, stamp(session)
    enter_edit(session, subject, "is_valid", values, who=who, why=why, product_id=number, at=at)
    return f"object {number} is not used: {why}"


def _entered(
    session: Session,
    old: Product,
    found: FrameDescription,
    quality: RawQuality,
    sha256: str,
    spoken: Edit | None,
) -> Product:
    """A raw frame with the file of another and a description of its own."""
    now = columns_of(old, found)
    said = [now["class_name"], sha256, old.hdu, _json(now["attributes"])]
    said += [now["chip"], now["filter"], str(now["night"])]
    new = Product(
        key=hash_of([*said, old.product_id]),
        content_hash=hash_of(said),
        recipe_version="raw",
        process_params=dict(quality.limits),
        quality_flags=quality.flags,
        instrument=old.instrument,
        is_valid=1 if spoken is None else old.is_valid,
        file_id=old.file_id,
        hdu=old.hdu,
        **{**now, "attributes": {**now["attributes"], **quality.attributes}},
    )
    if flag_duplicate(session, new) and new.is_valid == VOUCHED:
        new.is_valid = 1  # of two that are the same only one is used, whoever vouched for it
    session.add(new)
    session.flush()
    return new


def _follow(archive: Archive, session: Session, old_id: int, frame: Frame) -> None:
    """Let targets of a frame be those of its new description, where they stay the same target."""
    classes = {cls.__name__: cls for cls in archive.registry.targets()}
    targets = session.scalars(
        select(Target).where(Target.raw_id == old_id).order_by(Target.target_id).with_for_update()
    ).all()
    for target in targets:
        cls = classes.get(target.class_name)
        if cls is None or frame.raw.class_name not in cls.ANCHOR_CLASSES:
            continue
        number = target.field_id
        field_of = None if number is None else (number, field_spec(session, number))
        values = target_values(archive, cls, frame, field_of)
        if values["identity"] != target.identity:
            continue
        was = _range(target)
        for name in _FOLLOW:
            setattr(target, name, values[name])
        if not target.validity_edited:
            target.validity_start = values["validity_start"]
            target.validity_end = values["validity_end"]
        session.flush()
        mark_users_of_calibration(session, archive.registry, target, was, _range(target))


def _range(target: Target) -> tuple[float, float]:
    """For which moments a target holds, MJD."""
    return target.validity_start or 0.0, target.validity_end or 0.0


def _follow_nights(archive: Archive, session: Session, *frames: Product) -> list[int]:
    """Let targets of nights begin with the earliest of the frames that they have now.

    Parameters
    ----------
    frames
        Of one camera: what was taken out of a night, and what came into one.

    Returns
    -------
    list of int
        Targets that hold for another time now; their products have to say so.
    """
    targets = _of_nights(archive, session, frames)
    first = _earliest(archive, session, targets)
    moved: list[int] = []
    for target in targets:
        moment = first.get(target.target_id)
        if moment is None or moment == target.moment:
            continue
        before, after = validity_of(archive.registry, target.class_name, target.instrument)
        was = _range(target)
        target.moment = moment
        if not target.validity_edited:
            target.validity_start, target.validity_end = moment - before, moment + after
        session.flush()
        mark_users_of_calibration(session, archive.registry, target, was, _range(target))
        moved.append(target.target_id)
    return moved


def _of_nights(archive: Archive, session: Session, frames: Sequence[Product]) -> Sequence[Target]:
    """Targets of nights that some frames of a camera belong to, held, lowest number first."""
    theirs = [
        and_(
            Target.class_name.in_(_made_of(archive, frame.class_name)),
            Target.instrument == frame.instrument,
            Target.night == frame.night,
            Target.chip.in_(("", frame.chip)),
            Target.filter.in_(("", frame.filter)),
        )
        for frame in frames
    ]
    return session.scalars(
        select(Target)
        .where(or_(*theirs), Target.raw_id.is_(None), Target.field_id.is_(None))
        .order_by(Target.target_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()


def _made_of(archive: Archive, kind: str) -> list[str]:
    """Names of the classes with targets where there are frames of a kind."""
    return [cls.__name__ for cls in archive.registry.targets() if kind in cls.ANCHOR_CLASSES]


def _earliest(archive: Archive, session: Session, targets: Sequence[Target]) -> dict[int, float]:
    """Moment of the first frame that each of a camera's targets of nights has, by its number."""
    if not targets:
        return {}
    anchors = {cls.__name__: cls.ANCHOR_CLASSES for cls in archive.registry.targets()}
    kinds = {name for target in targets for name in anchors[target.class_name]}
    chips = {target.chip for target in targets}
    parts = Product.class_name, Product.chip, Product.filter, Product.night
    rows = session.execute(
        select(*parts, func.min(Product.moment))
        .where(
            Product.class_name.in_(sorted(kinds)),
            Product.instrument == targets[0].instrument,
            true() if "" in chips else Product.chip.in_(sorted(chips)),
            Product.night.in_({target.night: None for target in targets}),
            Product.target_id.is_(None),
            NOT_SUPERSEDED,
        )
        .group_by(*parts)
    ).all()
    found: dict[int, float] = {}
    for target in targets:
        for kind, chip, filter_, night, moment in rows:
            if (
                moment is not None
                and kind in anchors[target.class_name]
                and target.chip in ("", chip)
                and target.filter in ("", filter_)
                and target.night == night
            ):
                number = target.target_id
                found[number] = min(moment, found.get(number, math.inf))
    return found
