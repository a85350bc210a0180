"""Bringing targets into being: those that a raw frame makes possible.

Nothing is made here; a target that is declared is made when it is asked for.
"""

from __future__ import annotations

__all__ = [
    "EARLIER",
    "declare_frames",
    "declare_in_field",
    "declare_target",
    "hold_fields",
    "target_values",
]

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.batches import batched
from reduction.events import (
    mark_suspect,
    mark_users_of_calibration,
    mark_users_of_new,
    users_in_fields,
)
from reduction.reach import Frame
from reduction.target import Anchor
from reduction.validity import say_validity, validity_of
from schemas.tables import File, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.fields import FieldSpec
    from reduction.registry import Registry
    from reduction.target import ProcessTarget
    from schemas.tables import Product

_FIELDS_LOCK = 7230128
_REACH: Final = (
    update(Target.__table__)  # type: ignore[arg-type]  # a table
    .where(Target.target_id == bindparam("number"))
    .values(radius=bindparam("reach"))
)
#: Why products say another range after an ingest.
EARLIER: Final = "a frame that begins the night earlier came"


def hold_fields(session: Session, *, alone: bool) -> None:
    """Keep fields and frames from entering at the same time, unseen by each other.

    Parameters
    ----------
    alone
        True for who enters fields; frames may come in side by side.
    """
    lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
    session.execute(select(lock(_FIELDS_LOCK)))


def declare_target(
    archive: Archive, session: Session, cls: type[ProcessTarget], frame: Frame
) -> int | None:
    """Bring the target of a class, not of a field's, that a raw frame belongs to into being.

    Returns
    -------
    int or None
        Number of a target that was there and holds for another time now: its product has to say
        so at the end of the transaction (:func:`reduction.validity.say_validity`).
    """
    values = target_values(archive, cls, frame, None)
    statement = (
        upsert(Target)
        .values(**values)
        .on_conflict_do_nothing(index_elements=[Target.identity])
        .returning(Target)
    )
    target = session.scalars(statement).one_or_none()
    if target is not None:
        valid = values["validity_start"], values["validity_end"]
        mark_users_of_new(session, archive.registry, target, valid)
        return None
    target = session.scalars(
        select(Target)
        .where(Target.identity == values["identity"])
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    moved = _bring_up_to_date(archive.registry, session, cls, target, values)
    return target.target_id if moved else None


def _bring_up_to_date(
    registry: Registry,
    session: Session,
    cls: type[ProcessTarget],
    target: Target,
    values: Mapping[str, Any],
) -> bool:
    """Let a target follow the earliest of its frames, and its camera as it is described now.

    The order in which files come must not matter. A validity that a person changed stays.

    Returns
    -------
    bool
        Whether it holds for another time now.
    """
    moment = min(values["moment"], target.moment)
    before, after = validity_of(registry, cls.__name__, target.instrument)
    valid = (moment - before, moment + after)
    was = (target.validity_start, target.validity_end)
    if was != valid or moment < target.moment:
        target.moment = moment
        if not target.validity_edited:
            target.validity_start, target.validity_end = valid
        session.flush()
        now = (target.validity_start or valid[0], target.validity_end or valid[1])
        then = (was[0] or now[0], was[1] or now[1])
        mark_users_of_calibration(session, registry, target, then, now)
    if cls.ANCHOR.per_frame and target.radius != values["radius"]:
        session.flush()  # the camera's scale or pointing error is another one
        _reach_anew(session, registry, {target.target_id: values["radius"]})
    return was != (target.validity_start, target.validity_end)


def _reach_anew(session: Session, registry: Registry, radii: Mapping[int, float | None]) -> None:
    """Let targets of frames reach as far as their camera says now.

    Marked are those, whose reference stars are others, and what takes the frames of a field that
    they reach into, before or now.
    """
    for part in batched(sorted(radii)):
        users = [*users_in_fields(session, registry, part)]
        reaching = [{"number": number, "reach": radii[number]} for number in part]
        session.connection().execute(_REACH, reaching)
        users += users_in_fields(session, registry, part)
        mark_suspect(session, [*part, *users])


def declare_frames(
    archive: Archive,
    session: Session,
    raws: Iterable[Any],
    wanted: Mapping[str, Sequence[type[ProcessTarget]]],
) -> Counter[str]:
    """Bring the targets into being that some frames of before make possible, all at once.

    Those that are there follow the earliest of their frames and the camera's reach, as with a
    frame that comes; what another reach changes is marked. It
    comes last in its transaction, for what products have to say then.

    Parameters
    ----------
    raws
        Raw frames and the checksums of their files.
    wanted
        Classes made of nights and frames, by camera.

    Returns
    -------
    Counter
        Number of new targets by class. What uses them is for the caller to mark.
    """
    frames = [Frame.of(archive.registry, raw, sha256) for raw, sha256 in raws]
    pairs = [
        (cls, frame)
        for frame in frames
        for cls in wanted[frame.raw.instrument]
        if frame.raw.class_name in cls.ANCHOR_CLASSES
    ]
    values = [target_values(archive, cls, frame, None) for cls, frame in pairs]
    there = _there(session, values)
    radii: dict[int, float | None] = {}
    moved: list[int | None] = []
    for (cls, frame), own in zip(pairs, values, strict=True):
        known = there.get(own["identity"])
        if known is None:
            continue
        if own["moment"] < known.moment:
            moved.append(declare_target(archive, session, cls, frame))
        elif own["radius"] != known.radius:
            radii[known.target_id] = own["radius"]
    _reach_anew(session, archive.registry, radii)
    new = _enter(session, [own for own in values if own["identity"] not in there])
    say_validity(session, [number for number in moved if number is not None], why=EARLIER)
    return new


def _there(session: Session, values: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Number, moment and radius of those targets that are there, by identity."""
    found: dict[str, Any] = {}
    for part in batched(sorted({own["identity"] for own in values})):
        query = select(Target.identity, Target.target_id, Target.moment, Target.radius)
        for row in session.execute(query.where(Target.identity.in_(part))):
            found[row.identity] = row
    return found


def _enter(session: Session, values: Sequence[dict[str, Any]]) -> Counter[str]:
    """Enter targets, each with the earliest of its frames; number of those that are new."""
    earliest: dict[str, dict[str, Any]] = {}
    for own in sorted(values, key=lambda own: own["moment"]):
        earliest.setdefault(own["identity"], own)
    statement = (
        upsert(Target)
        .on_conflict_do_nothing(index_elements=[Target.identity])
        .returning(Target.class_name)
    )
    found: Counter[str] = Counter()
    for part in batched(earliest.values()):
        found.update(session.scalars(statement, list(part)).all())
    return found


def declare_in_field(
    archive: Archive,
    session: Session,
    number: int,
    spec: FieldSpec,
    frames: Iterable[Product],
) -> None:
    """Bring the targets of a field that some raw science frames make possible into being."""
    classes = [cls for cls in archive.registry.targets() if cls.ANCHOR.per_field]
    raws = list(frames)
    files: dict[int | None, str] = {}
    for part in batched(sorted({raw.file_id for raw in raws if raw.file_id is not None})):
        query = select(File.file_id, File.sha256).where(File.file_id.in_(part))
        files |= {row.file_id: row.sha256 for row in session.execute(query)}
    values = [
        target_values(
            archive, cls, Frame.of(archive.registry, raw, files[raw.file_id]), (number, spec)
        )
        for raw in raws
        for cls in classes
    ]
    there = _there(session, values)
    reaching = {
        there[own["identity"]].target_id: own["radius"]
        for own in values
        if own["identity"] in there and there[own["identity"]].radius != own["radius"]
    }
    _reach_anew(session, archive.registry, reaching)
    new = _enter(session, [own for own in values if own["identity"] not in there])
    users = {user.__name__ for name in new for user in archive.registry.users_of(name)}
    numbers = select(Target.target_id).where(
        Target.field_id == number, Target.class_name.in_(users)
    )
    mark_suspect(session, session.scalars(numbers).all())


def target_values(
    archive: Archive,
    cls: type[ProcessTarget],
    frame: Frame,
    field: tuple[int, FieldSpec] | None,
) -> dict[str, Any]:
    """Columns of the target."""
    raw, anchor = frame.raw, cls.ANCHOR
    moment = raw.moment or 0.0
    before, after = validity_of(archive.registry, cls.__name__, raw.instrument)
    values: dict[str, Any] = {
        "class_name": cls.__name__,
        "instrument": raw.instrument,
        "chip": "" if anchor is Anchor.MOSAIC_NIGHT_AND_FILTER else raw.chip,
        "filter": raw.filter if anchor.by_filter else "",
        "night": raw.night,
        "raw_id": raw.product_id if anchor.per_frame else None,
        "moment": moment,
        "validity_start": moment - before,
        "validity_end": moment + after,
        "ra": frame.ra if anchor.per_frame else None,
        "dec": frame.dec if anchor.per_frame else None,
        "radius": frame.radius if anchor.per_frame else None,
    }
    own = frame.stem if anchor.per_frame else str(raw.night)
    if field is not None:
        number, spec = field
        values["field_id"] = number
        values["validity_start"] = values["validity_end"] = None
        if anchor is Anchor.FRAME_AND_FIELD:
            own = f"{frame.stem}/{spec.name}"
        else:
            own = spec.name
            values |= _of_field(archive.registry, spec, raw, by_filter=anchor.by_filter)
    parts = [cls.__name__, values["instrument"], values["chip"]]
    if not anchor.per_frame:
        parts.append(values["filter"])
    identity = "/".join([*(part for part in parts if part), own])
    values["identity"] = identity
    values["dataset_id"] = archive.dataset_id(identity) if cls.PUBLISHED else None
    return values


def _of_field(
    registry: Registry, spec: FieldSpec, raw: Product, *, by_filter: bool
) -> dict[str, Any]:
    """Columns that a target of a whole field has in another way than one of a frame."""
    band = registry.instruments[raw.instrument].bands.get(raw.filter)
    standard = raw.filter if band is None else band.standard
    return {
        "instrument": spec.instrument,
        "chip": "",
        "filter": standard if by_filter else "",
        "night": None,
        "ra": spec.ra,
        "dec": spec.dec,
        # of the circle around the grid's square, so that its corners are found as well
        "radius": spec.radius * math.sqrt(2.0),
    }
