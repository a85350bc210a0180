"""Bringing targets into being: those that a raw frame makes possible.

Nothing is made here; a target that is declared is made when it is asked for.
"""

from __future__ import annotations

__all__ = [
    "Frame",
    "apart",
    "brings_into_being",
    "declare_again",
    "declare_in_field",
    "declare_target",
    "hold_fields",
    "raw_frames_of",
]

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Double, cast, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.events import mark_suspect, mark_users_of_calibration
from reduction.frame_keys import file_stem
from reduction.keys import hash_of
from reduction.select import angle
from reduction.target import Anchor
from schemas.tables import Edit, File, Product, Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.fields import FieldSpec
    from reduction.instruments.base import Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget

_DEFAULT_VALIDITY = (0.5, 0.5)
_FIELDS_LOCK = 7230128
_OF_VALIDITY: Final = ("timestamp_start", "timestamp_end")


@dataclass(frozen=True, slots=True)
class Frame:
    """A raw frame as the targets that it makes possible need it.

    Attributes
    ----------
    raw
        Its product.
    stem
        Name that is its own: of its file, without suffix, and the beginning of its checksum.
    ra, dec, radius
        Its circle on the sky, degrees, widened by the pointing's error; None where there is none.
    """

    raw: Product
    stem: str
    ra: float | None
    dec: float | None
    radius: float | None

    @classmethod
    def of(cls, registry: Registry, raw: Product, sha256: str) -> Frame:
        """Of a raw product and the checksum of its file."""
        values = raw.attributes
        camera = registry.instruments[raw.instrument]
        pointed = values["ra"] is not None and values["dec"] is not None
        return cls(
            raw,
            f"{file_stem(values['name'])}-{sha256[:8]}",
            values["ra"] if pointed else None,
            values["dec"] if pointed else None,
            _reach(camera, raw) if pointed else None,
        )


def _reach(camera: Instrument, raw: Product) -> float:
    """Degrees from a frame's pointing to its corners, widened by the pointing's error."""
    y0, y1, x0, x1 = raw.attributes["science"]
    half = math.hypot(y1 - y0, x1 - x0) / 2
    return half * camera.pixel_scale / 3600 + camera.pointing_error


def apart(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Angle between two places on the sky, all in degrees; see also :func:`select.angle`."""
    d1, d2 = math.radians(dec1), math.radians(dec2)
    half = math.sin((d1 - d2) / 2) ** 2
    half += math.cos(d1) * math.cos(d2) * math.sin(math.radians(ra1 - ra2) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


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
    archive: Archive,
    session: Session,
    cls: type[ProcessTarget],
    frame: Frame,
    field: tuple[int, FieldSpec] | None = None,
) -> bool:
    """Bring the target of a class that a raw frame belongs to into being.

    Parameters
    ----------
    field
        Number and declaration of the field, for classes made per field.

    Returns
    -------
    bool
        Whether there was none.
    """
    values = _values(archive, cls, frame, field)
    statement = (
        upsert(Target)
        .values(**values)
        .on_conflict_do_nothing(index_elements=[Target.identity])
        .returning(Target)
    )
    target = session.scalars(statement).one_or_none()
    if cls.ANCHOR.per_field:
        return target is not None
    if target is not None:
        valid = values["validity_start"], values["validity_end"]
        mark_users_of_calibration(session, archive.registry, target, valid)
        return True
    target = session.scalars(
        select(Target).where(Target.identity == values["identity"]).with_for_update(key_share=True)
    ).one()
    _bring_up_to_date(archive.registry, session, cls, target, values)
    return False


def _bring_up_to_date(
    registry: Registry,
    session: Session,
    cls: type[ProcessTarget],
    target: Target,
    values: Mapping[str, Any],
) -> None:
    """Let a target follow the earliest of its frames, and its camera as it is described now.

    The order in which files come must not matter. A validity that a person changed stays.
    """
    moment = min(values["moment"], target.moment)
    before, after = _validity(registry, cls, target.instrument)
    valid = (moment - before, moment + after)
    was = (target.validity_start, target.validity_end)
    if was != valid or moment < target.moment:
        target.moment = moment
        if not _is_edited(session, target):
            target.validity_start, target.validity_end = valid
        session.flush()
        now = (target.validity_start or valid[0], target.validity_end or valid[1])
        then = (was[0] or now[0], was[1] or now[1])
        mark_users_of_calibration(session, registry, target, then, now)
    if cls.ANCHOR.per_frame and target.radius != values["radius"]:
        target.radius = values["radius"]  # the camera's scale or pointing error is another one


def _is_edited(session: Session, target: Target) -> bool:
    """Whether a person changed the validity of a product of a target."""
    query = (
        select(Edit.edit_id)
        .join(Product, Product.product_id == Edit.product_id)
        .where(Product.target_id == target.target_id, Edit.field.in_(_OF_VALIDITY))
    )
    return session.scalars(query.limit(1)).first() is not None


def declare_again(
    archive: Archive, session: Session, classes: Collection[type[ProcessTarget]]
) -> dict[str, int]:
    """Bring the targets of classes into being that frames taken before them make possible.

    Frames of cameras that this installation no longer knows are left as they are.

    Returns
    -------
    dict
        Number of new targets by class name. What uses them is suspect.
    """
    hold_fields(session, alone=True)
    single = [cls for cls in classes if not cls.ANCHOR.per_field]
    wanted = sorted({name for cls in single for name in cls.ANCHOR_CLASSES})
    found: Counter[str] = Counter()
    raws = session.execute(
        select(Product, File.sha256)
        .join(File, File.file_id == Product.file_id)
        .where(
            Product.class_name.in_(wanted),
            Product.target_id.is_(None),
            Product.instrument.in_(sorted(archive.registry.instruments)),
        )
        .order_by(Product.moment, Product.product_id)
        .execution_options(yield_per=1000)
    )
    for raw, sha256 in raws:
        frame = Frame.of(archive.registry, raw, sha256)
        for cls in single:
            if raw.class_name in cls.ANCHOR_CLASSES:
                found[cls.__name__] += declare_target(archive, session, cls, frame)
    for cls in single:
        if found[cls.__name__]:
            for user in archive.registry.users_of(cls.__name__):
                numbers = select(Target.target_id).where(Target.class_name == user.__name__)
                mark_suspect(session, session.scalars(numbers).all())
    return {name: number for name, number in found.items() if number}


def declare_in_field(
    archive: Archive,
    session: Session,
    number: int,
    spec: FieldSpec,
    frames: Iterable[Product],
) -> None:
    """Bring the targets of a field that some raw science frames make possible into being."""
    classes = [cls for cls in archive.registry.targets() if cls.ANCHOR.per_field]
    files: dict[int | None, str] = {}
    new: set[str] = set()
    for raw in frames:
        if raw.file_id not in files:
            files[raw.file_id] = session.get_one(File, raw.file_id).sha256
        frame = Frame.of(archive.registry, raw, files[raw.file_id])
        for cls in classes:
            if declare_target(archive, session, cls, frame, (number, spec)):
                new.add(cls.__name__)
    users = {user.__name__ for name in new for user in archive.registry.users_of(name)}
    numbers = select(Target.target_id).where(
        Target.field_id == number, Target.class_name.in_(users)
    )
    mark_suspect(session, session.scalars(numbers).all())


def raw_frames_of(session: Session, registry: Registry, spec: FieldSpec) -> Sequence[Product]:
    """Raw science frames that reach into a field, in the order in which they were taken."""
    reach = max(
        math.hypot(*chip.shape) / 2 * camera.pixel_scale / 3600 + camera.pointing_error
        for name in spec.instruments
        for camera in [registry.instruments[name]]
        for chip in camera.chips.values()
    )
    ra = cast(Product.attributes["ra"].astext, Double)
    dec = cast(Product.attributes["dec"].astext, Double)
    near = session.scalars(
        select(Product)
        .where(
            Product.class_name == "RawScienceFrame",
            Product.instrument.in_(spec.instruments),
            Product.moment.between(spec.start, spec.end),
            dec.between(spec.dec - spec.radius - reach, spec.dec + spec.radius + reach),
            angle(ra, dec, spec.ra, spec.dec) <= spec.radius + reach,
        )
        .order_by(Product.moment, Product.product_id)
    ).all()
    return [
        raw
        for raw in near
        if apart(raw.attributes["ra"], raw.attributes["dec"], spec.ra, spec.dec)
        <= spec.radius + _reach(registry.instruments[raw.instrument], raw)
    ]


def brings_into_being(registry: Registry, cls: type[ProcessTarget]) -> str:
    """Hash of what decides which targets of a class there are, and for which moments they hold."""
    cameras = {
        camera.name: [
            camera.pixel_scale,
            camera.pointing_error,
            _validity(registry, cls, camera.name),
            {band.name: band.standard for band in camera.bands.values()},
        ]
        for camera in registry.instruments.values()
    }
    return hash_of([cls.ANCHOR.value, list(cls.ANCHOR_CLASSES), cls.PUBLISHED, cameras])


def _validity(
    registry: Registry, cls: type[ProcessTarget], instrument: str
) -> tuple[float, float]:
    return registry.instruments[instrument].validity.get(cls.__name__, _DEFAULT_VALIDITY)


def _values(
    archive: Archive,
    cls: type[ProcessTarget],
    frame: Frame,
    field: tuple[int, FieldSpec] | None,
) -> dict[str, Any]:
    """Columns of the target."""
    raw, anchor = frame.raw, cls.ANCHOR
    moment = raw.moment or 0.0
    before, after = _validity(archive.registry, cls, raw.instrument)
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
