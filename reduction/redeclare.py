"""Targets that frames and fields of before make possible now that the code is another.

A start looks at no more than the classes and cameras that are described in another way than when
this was done last, some hundred frames in a transaction: frames come in and targets are made
meanwhile. What was begun and not ended, as the process was killed, is done again by the next.
"""

from __future__ import annotations

__all__ = ["redeclare", "see_declared"]

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.declare import declare_frames, declare_in_field, hold_fields
from reduction.events import mark_suspect
from reduction.fields import field_spec
from reduction.keys import canonical_json, hash_of
from reduction.reach import raw_frames_of
from reduction.superseded import NOT_SUPERSEDED
from reduction.unlisted import follow_published, name_some
from reduction.validity import follow_camera, validity_of
from schemas.errors import BusyError
from schemas.tables import Field, File, Product, ServiceFact, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.instruments.base import Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget

#: Beginnings of the facts that say what was declared of a class for a camera, and for how long
#: its calibrations hold.
_DECLARED: Final = "declared "
_HOLDS: Final = "validity "
#: Before what a fact will say, while its work has begun and is not at its end.
_BEGUN: Final = "begun "
#: What is known of a class that is gone; once also of work that had begun.
_NOTHING: Final = ""
#: Frames whose targets are declared in one transaction.
_PIECE: Final = 500


@dataclass(frozen=True, slots=True)
class _Changes:
    """What is described in another way than before.

    Attributes
    ----------
    facts
        Facts as they will be, by name.
    per_frame
        Classes made of nights and frames, by camera.
    per_field
        Cameras whose fields have to be looked at.
    holds
        Class and camera whose calibrations hold for another time.
    begun
        Classes whose targets may have been declared in part.
    """

    facts: dict[str, str] = field(default_factory=dict)
    per_frame: dict[str, list[type[ProcessTarget]]] = field(default_factory=dict)
    per_field: set[str] = field(default_factory=set)
    holds: list[tuple[str, str]] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)

    def published(self, registry: Registry) -> list[str]:
        """Names of the published classes that may have targets without identifiers."""
        names = {
            name.removeprefix(_DECLARED).partition(" ")[0]
            for name in self.facts
            if name.startswith(_DECLARED)
        }
        return [name for name in sorted(names) if registry.target(name).PUBLISHED]


def redeclare(archive: Archive) -> list[str]:
    """Bring targets into being that classes, cameras and validities make possible as they are now.

    Frames and fields of cameras that this installation no longer knows are left as they are.

    Returns
    -------
    list of str
        Sentences about what can be made that could not before.
    """
    changes = archive.transact(partial(_begin, archive))
    found: Counter[str] = Counter()
    last = 0 if changes.per_frame else None
    while last is not None:
        piece = partial(_piece, archive, wanted=changes.per_frame, after=last)
        last, more = archive.transact(piece)
        found += more
    if changes.per_field:
        _look_at_fields(archive, changes.per_field)
    for class_name, camera in changes.holds:
        calibrations = partial(
            follow_camera,
            registry=archive.registry,
            class_name=class_name,
            instrument=camera,
        )
        while archive.transact(calibrations):
            pass
    for name in changes.published(archive.registry):
        named: int | None = 0
        while named is not None:
            some = partial(name_some, archive, class_name=name, after=named)
            named = archive.transact(some)
    new = found.keys() | changes.begun
    archive.transact(partial(_end, archive, changes=changes, new=new))
    return [f"{number} targets of {name} can be made now" for name, number in found.items()]


def _begin(archive: Archive, session: Session) -> _Changes:
    """Find what changed, and note that it is being looked at."""
    noted = select(ServiceFact).where(
        or_(*(ServiceFact.name.startswith(word) for word in (_DECLARED, _HOLDS)))
    )
    known = {fact.name: fact.value for fact in session.scalars(noted)}
    changes = _Changes()
    _forget(archive, session, known)
    for cls in archive.registry.targets():
        for camera in archive.registry.instruments.values():
            _compare(archive, cls, camera, known, changes)
    if session.scalar(select(Product.product_id).limit(1)) is None:
        _note(session, changes.facts)  # nothing is there to be looked at
        return _Changes()
    _note(session, {name: _BEGUN + value for name, value in changes.facts.items()})
    return changes


def _forget(archive: Archive, session: Session, known: Mapping[str, str]) -> None:
    """Forget what was declared of classes that are gone: frames that come now are not theirs."""
    classes = {cls.__name__ for cls in archive.registry.targets()}
    gone = [name for name, value in known.items() if value and name.split(" ")[1] not in classes]
    _note(session, dict.fromkeys(gone, _NOTHING))


def see_declared(session: Session, registry: Registry, camera: Instrument) -> None:
    """See that this process knows all targets that a camera's frames make possible.

    What the archive has not noted yet is for the next start, which goes through all frames.

    Raises
    ------
    BusyError
        If the archive was made ready meanwhile by code with other classes.
    """
    own = {f"{cls.__name__} {camera.name}": _described(cls, camera) for cls in registry.targets()}
    of_camera = ServiceFact.name.startswith(_DECLARED) & ServiceFact.name.endswith(camera.name)
    for fact in session.scalars(select(ServiceFact).where(of_camera)):
        name, said = fact.name.removeprefix(_DECLARED), fact.value.removeprefix(_BEGUN)
        if name.partition(" ")[2] == camera.name and said and own.get(name) != said:
            message = (
                f"the archive was made ready by other code than this process has, which makes "
                f"{name.partition(' ')[0]} for {camera.name} in another way: do again what "
                "was not done"
            )
            raise BusyError(message)


def _compare(
    archive: Archive,
    cls: type[ProcessTarget],
    camera: Instrument,
    known: Mapping[str, str],
    changes: _Changes,
) -> None:
    """Note what of a class and a camera is described in another way than it was."""
    name = f"{cls.__name__} {camera.name}"
    described = _described(cls, camera)
    if (was := known.get(_DECLARED + name)) != described:
        changes.facts[_DECLARED + name] = described
        if was == _NOTHING or (was or _NOTHING).startswith(_BEGUN):
            changes.begun.add(cls.__name__)
        if cls.ANCHOR.per_field:
            changes.per_field.add(camera.name)
        else:
            changes.per_frame.setdefault(camera.name, []).append(cls)
    holds = canonical_json(list(validity_of(archive.registry, cls.__name__, camera.name)))
    if known.get(_HOLDS + name) != holds and not cls.ANCHOR.per_field:
        changes.facts[_HOLDS + name] = holds
        changes.holds.append((cls.__name__, camera.name))


def _described(cls: type[ProcessTarget], camera: Instrument) -> str:
    """Hash of what decides which targets of a class the frames of a camera make possible."""
    return hash_of(
        [
            cls.ANCHOR.value,
            list(cls.ANCHOR_CLASSES),
            cls.PUBLISHED,
            [camera.pixel_scale, camera.pointing_error] if cls.ANCHOR.per_frame else [],
            {name: band.standard for name, band in camera.bands.items()}
            if cls.ANCHOR.per_field
            else {},
        ]
    )


def _piece(
    archive: Archive,
    session: Session,
    wanted: Mapping[str, Sequence[type[ProcessTarget]]],
    after: int,
) -> tuple[int | None, Counter[str]]:
    """Declare the targets of some frames: number of the last one, and of new targets by class.

    No frame comes in meanwhile, so that those that come later have higher numbers.
    """
    hold_fields(session, alone=True)
    classes = {cls for of_camera in wanted.values() for cls in of_camera}
    anchors = {name for cls in classes for name in cls.ANCHOR_CLASSES}
    raws = session.execute(
        select(Product, File.sha256)
        .join(File, File.file_id == Product.file_id)
        .where(
            Product.class_name.in_(sorted(anchors)),
            Product.target_id.is_(None),
            NOT_SUPERSEDED,
            Product.instrument.in_(sorted(wanted)),
            Product.product_id > after,
        )
        .order_by(Product.product_id)
        .limit(_PIECE)
    ).all()
    if not raws:
        return None, Counter()
    found = declare_frames(archive, session, raws, wanted)
    return raws[-1][0].product_id, found


def _look_at_fields(archive: Archive, cameras: set[str]) -> None:
    """Declare the targets of open fields that have some cameras, a field in a transaction."""
    with archive.transaction() as session:
        fields = session.scalars(
            select(Field.field_id).where(Field.is_valid >= 1).order_by(Field.field_id)
        ).all()

    def work(session: Session, number: int) -> None:
        """Declare the targets of one field."""
        hold_fields(session, alone=True)
        spec = field_spec(session, number)
        if archive.registry.missing(spec.instrument) or not cameras & set(spec.instruments):
            return
        frames = raw_frames_of(session, archive.registry, spec)
        declare_in_field(archive, session, number, spec, frames)

    for number in fields:
        archive.transact(partial(work, number=number))


def _end(archive: Archive, session: Session, changes: _Changes, new: set[str]) -> None:
    """Mark what may use new targets as suspect, note what was done, and show what is published."""
    users = {user.__name__ for name in sorted(new) for user in archive.registry.users_of(name)}
    if users:
        numbers = select(Target.target_id).where(Target.class_name.in_(users))
        mark_suspect(session, session.scalars(numbers).all())
    _note(session, changes.facts)
    follow_published(session, archive.registry.targets())


def _note(session: Session, facts: Mapping[str, str]) -> None:
    """Write down facts."""
    if not facts:
        return
    statement = upsert(ServiceFact).on_conflict_do_update(
        index_elements=["name"], set_={"value": upsert(ServiceFact).excluded.value}
    )
    rows = [{"name": name, "value": value} for name, value in sorted(facts.items())]
    session.execute(statement, rows)
