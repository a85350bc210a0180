"""What an operator does to an archive: set up, look up, edit, bump, and ask how it stands."""

from __future__ import annotations

__all__ = [
    "EDITABLE",
    "bump",
    "edit",
    "edit_validity",
    "find_target",
    "initialise",
    "set_parameter",
    "status",
    "sync_recipes",
    "targets_matching",
]

import datetime as dt
import getpass
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extensions import parse_dsn
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.chain import ReasonKind
from reduction.events import mark_suspect, mark_users_of_calibration, mark_users_of_raw
from reduction.keys import canonical_json, hash_of
from reduction.moments import MOMENT, stamp
from reduction.parameters import ChipConstant, default_parameters
from reduction.published import class_views
from schemas.database import grant, migrate
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import (
    Edit,
    Product,
    Publication,
    Recipe,
    ReferenceSource,
    ServiceFact,
    Target,
    TargetState,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.instruments.base import Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget
    from schemas.settings import Settings

EDITABLE = ("is_valid", "timestamp_start", "timestamp_end")
_MJD_EPOCH = dt.datetime(1858, 11, 17, tzinfo=dt.UTC)


def initialise(settings: Settings, registry: Registry) -> None:
    """Bring the database to the newest schema, make the views, give the roles their rights.

    Parameters
    ----------
    settings
        With the DSNs of all three roles.
    registry
        Classes whose products become views.
    """
    migrate(settings.database.owner_url)
    with psycopg2.connect(settings.database.owner_url) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7230126)")
            for statement in class_views(registry):
                cursor.execute(statement)
            for name, value in (
                ("authority", settings.publisher.authority),
                ("collection", settings.publisher.title),
                ("base_url", settings.web.url),
            ):
                cursor.execute(
                    "INSERT INTO vo.service_fact (name, value) VALUES (%s, %s) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )
            cursor.execute(
                "INSERT INTO vo.service_fact (name, value) VALUES (%s, clock_timestamp()::text) "
                "ON CONFLICT (name) DO NOTHING",
                (MOMENT,),
            )
        grant(
            connection,
            service=parse_dsn(settings.database.service_url)["user"],
            reader=parse_dsn(settings.database.reader_url)["user"],
        )
    connection.close()


def sync_recipes(archive: Archive) -> list[str]:
    """Tell the archive which recipes the code has; what they made in another way is suspect.

    Returns
    -------
    list of str
        Sentences about what changed.
    """
    said = []
    archive.storage.clear_leftovers()
    with archive.transaction() as session:
        session.execute(select(func.pg_advisory_xact_lock(7230127)))
        for cls in archive.registry.targets():
            for camera in archive.registry.instruments.values():
                said += _sync_one(archive, session, cls, camera)
        broken = session.scalars(
            select(Target.target_id).where(
                Target.state == TargetState.FAILED,
                Target.reasons.contains([{"kind": ReasonKind.RECIPE_FAILED.value}]),
            )
        ).all()
        if broken:
            mark_suspect(session, broken)
            said.append(f"{len(broken)} targets whose recipe had failed will be tried again")
    return said


def _sync_one(
    archive: Archive, session: Session, cls: type[ProcessTarget], camera: Instrument
) -> list[str]:
    name = cls.__name__
    overlay: dict[str, Any] = dict(camera.parameters.get(name, {}))
    for owner in ("*", camera.name):
        overlay |= archive.settings.reduction.parameters.get(owner, {}).get(name, {})
    fingerprint = _fingerprint(cls, camera, overlay)
    row = session.get(Recipe, (name, camera.name))
    if row is not None and (row.version, row.fingerprint) == (cls.VERSION, fingerprint):
        return []
    statement = upsert(Recipe).values(
        class_name=name,
        instrument=camera.name,
        version=cls.VERSION,
        fingerprint=fingerprint,
        parameters=overlay,
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["class_name", "instrument"],
            set_={"version": cls.VERSION, "fingerprint": fingerprint, "parameters": overlay},
        )
    )
    if row is None:
        return []
    count = _mark_class(session, name, camera.name)
    return [f"the recipe of {name} for {camera.name} changed: {count} targets are suspect"]


def _fingerprint(cls: type[ProcessTarget], camera: Instrument, overlay: dict[str, Any]) -> str:
    defaults = {
        name: {"from_chip": value.name} if isinstance(value, ChipConstant) else value
        for name, value in default_parameters(cls.Parameters).items()
    }
    chips = {name: asdict(chip) for name, chip in camera.chips.items()}
    return hash_of([defaults, overlay, chips])


def _mark_class(session: Session, class_name: str, instrument: str | None) -> int:
    query = select(Target.target_id).where(Target.class_name == class_name)
    if instrument is not None:
        query = query.where(Target.instrument == instrument)
    return mark_suspect(session, session.scalars(query).all())


def bump(archive: Archive, class_name: str, *, why: str, who: str = "") -> int:
    """Raise the revision of a recipe: all that it made is outdated, and will be remade when asked.

    Returns
    -------
    int
        Number of suspect targets.

    Raises
    ------
    NotFoundError
        If there is no such class.
    """
    archive.registry.target(class_name)

    def work(session: Session) -> int:
        rows = session.execute(
            update(Recipe)
            .where(Recipe.class_name == class_name)
            .values(revision=Recipe.revision + 1)
            .returning(Recipe.revision)
        ).all()
        new = max((row.revision for row in rows), default=0)
        session.add(
            Edit(
                subject=class_name,
                field="recipe revision",
                old=str(new - 1),
                new=str(new),
                who=who or getpass.getuser(),
                why=why,
            )
        )
        return _mark_class(session, class_name, None)

    return archive.transact(work)


def set_parameter(
    archive: Archive,
    class_name: str,
    name: str,
    value: Any,  # noqa: ANN401  # of the parameter's own type
    *,
    instrument: str,
    why: str,
    who: str = "",
) -> int:
    """Set a process parameter of a class for one instrument.

    Returns
    -------
    int
        Number of suspect targets.

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such class, instrument or parameter.
    """
    cls = archive.registry.target(class_name)
    if instrument not in archive.registry.instruments:
        known = ", ".join(sorted(archive.registry.instruments))
        raise NotFoundError(f"there is no instrument {instrument!r}; there are {known}")
    defaults = default_parameters(cls.Parameters)
    if name not in defaults:
        raise ParameterError(f"{class_name}.{name}", value, f"one of {', '.join(defaults)}")

    def work(session: Session) -> int:
        row = session.get_one(Recipe, (class_name, instrument))
        old = {**row.parameters, **row.overrides}.get(name)
        row.overrides = {**row.overrides, name: value}
        session.add(
            Edit(
                subject=f"{class_name}.{name} ({instrument})",
                field="process parameter",
                old=None if old is None else canonical_json(old),
                new=canonical_json(value),
                who=who or getpass.getuser(),
                why=why,
            )
        )
        return _mark_class(session, class_name, instrument)

    return archive.transact(work)


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
        If the field may not be changed or the value is out of range.
    """
    if field not in EDITABLE:
        raise ParameterError("field", field, "one of " + ", ".join(EDITABLE))
    if field == "timestamp_start":
        return edit_validity(archive, object_id, value, None, why=why, who=who)
    if field == "timestamp_end":
        return edit_validity(archive, object_id, None, value, why=why, who=who)
    if value not in (0, 1, 2):
        raise ParameterError("is_valid", value, "0 (rejected), 1 (valid) or 2 (proposed)")

    def work(session: Session) -> int:
        product = _held(session, object_id)
        old, new = product.is_valid, int(value)
        if old == new:
            return 0
        product.is_valid = new
        session.flush()
        valid = (product.timestamp_start or 0.0, product.timestamp_end or 0.0)
        marked = _mark_edited(archive, session, product, valid, valid)
        session.add(
            Edit(
                product_id=object_id,
                subject=product.class_name,
                field=field,
                old=str(old),
                new=str(new),
                who=who or getpass.getuser(),
                why=why,
                at=stamp(session),
            )
        )
        return marked

    return archive.transact(work)


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
        If it has no validity, or the range ends before it begins; nothing is changed then.
    """

    def work(session: Session) -> int:
        product = _held(session, object_id)
        if product.timestamp_start is None or product.timestamp_end is None:
            found = f"object {object_id}, a {product.class_name}"
            raise ParameterError("object", found, "a calibration: only these have a validity")
        before = (product.timestamp_start, product.timestamp_end)
        after = (
            before[0] if start is None else float(start),
            before[1] if end is None else float(end),
        )
        if after[0] > after[1]:
            found = f"MJD {after[0]:g} to {after[1]:g}"
            raise ParameterError("validity", found, "a range that begins before it ends")
        if after == before:
            return 0
        product.timestamp_start, product.timestamp_end = after
        session.flush()
        marked = _mark_edited(archive, session, product, before, after)
        at = stamp(session)
        session.add_all(
            Edit(
                product_id=object_id,
                subject=product.class_name,
                field=field,
                old=str(old),
                new=str(new),
                who=who or getpass.getuser(),
                why=why,
                at=at,
            )
            for field, old, new in zip(EDITABLE[1:], before, after, strict=True)
            if old != new
        )
        return marked

    return archive.transact(work)


def _held(session: Session, object_id: int) -> Product:
    """A product, locked against other edits."""
    product = session.get(Product, object_id, with_for_update={"key_share": True})
    if product is None:
        raise NotFoundError(f"there is no object {object_id}; see archive.products")
    return product


def _mark_edited(
    archive: Archive,
    session: Session,
    product: Product,
    before: tuple[float, float],
    after: tuple[float, float],
) -> int:
    if product.class_name == "ReferenceCatalogue":
        stars = session.execute(
            select(ReferenceSource.ra, ReferenceSource.dec).where(
                ReferenceSource.product_id == product.product_id
            )
        ).all()
        return archive.mark_catalogue(session, stars)
    if product.target_id is None:
        return mark_users_of_raw(session, archive.registry, product)
    had_it = select(Publication.target_id).where(Publication.product_id == product.product_id)
    targets = session.scalars(
        select(Target)
        .where(Target.target_id.in_(had_it) | (Target.target_id == product.target_id))
        .order_by(Target.target_id)
    ).all()
    for target in targets:
        if before != after and target.product_id == product.product_id:
            target.validity_start, target.validity_end = after
    session.flush()
    return sum(
        mark_users_of_calibration(session, archive.registry, target, before, after)
        for target in targets
    )


def find_target(
    archive: Archive,
    class_name: str,
    *,
    date: str | None = None,
    chip: str | None = None,
    instrument: str | None = None,
    filter: str | None = None,
    raw: str | None = None,
) -> Target:
    """Find the one target that the words describe; see :meth:`ProcessTarget.get`.

    Raises
    ------
    NotFoundError
        If there is none, or more than one; lists what there is.
    """
    found = targets_matching(
        archive, class_name, chip=chip, instrument=instrument, filter=filter, raw=raw
    )
    everything = found
    if date is not None:
        start, end = _day(date)
        observed = [t for t in found if start <= t.moment < end]
        middle = (start + end) / 2
        covering = [
            t
            for t in found
            if t.validity_start is not None
            and t.validity_end is not None
            and t.validity_start <= middle <= t.validity_end
        ]
        found = observed or sorted(covering, key=lambda t: (t.created, t.target_id))[-1:]
    if len(found) == 1:
        return found[0]
    names = ", ".join(t.identity for t in (found or everything)[:8]) or "none at all"
    what = "no" if not found else f"{len(found)}"
    asked = ", ".join(
        f"{k}={v!r}"
        for k, v in (
            ("date", date),
            ("chip", chip),
            ("instrument", instrument),
            ("filter", filter),
            ("raw", raw),
        )
        if v is not None
    )
    message = f"{what} {class_name} for {asked or 'no restriction'}: there are {names}"
    raise NotFoundError(message)


def targets_matching(
    archive: Archive,
    class_name: str,
    *,
    chip: str | None = None,
    instrument: str | None = None,
    filter: str | None = None,
    raw: str | None = None,
) -> Sequence[Target]:
    """All targets of a class that the names describe, oldest observation first.

    Raises
    ------
    NotFoundError
        If there is no such class.
    """
    archive.registry.target(class_name)
    query = select(Target).where(Target.class_name == class_name)
    for column, value in (
        (Target.chip, chip),
        (Target.instrument, instrument),
        (Target.filter, filter),
    ):
        if value is not None:
            query = query.where(column == value)
    if raw is not None:
        stem = re.split(r"\.fi?ts?", raw, maxsplit=1)[0]
        query = query.join(Product, Product.product_id == Target.raw_id).where(
            (Product.attributes["name"].astext == raw)
            | Product.attributes["name"].astext.like(stem.replace("%", r"\%") + ".%")
        )
    with archive.transaction() as session:
        return session.scalars(query.order_by(Target.moment, Target.target_id)).all()


def _day(date: str) -> tuple[float, float]:
    """Beginning and end, MJD, of a UT day or of a moment."""
    try:
        moment = dt.datetime.fromisoformat(date.strip())
    except ValueError as error:
        expected = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ss (UTC)"
        raise ParameterError("date", date, expected) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    start = (moment - _MJD_EPOCH) / dt.timedelta(days=1)
    whole_day = re.fullmatch(r"\s*\d{4}-?\d{2}-?\d{2}\s*", date) is not None
    return start, start + (1.0 if whole_day else 1e-9)


def status(archive: Archive) -> dict[str, dict[str, int]]:
    """Number of targets by class and state, and of raw frames by class.

    Returns
    -------
    dict
        ``{"BiasFrame": {"fresh": 3, "suspect": 1}, "RawBiasFrame": {"raw": 20}}``
    """
    counted: dict[str, dict[str, int]] = {}
    with archive.transaction() as session:
        rows = session.execute(
            select(Target.class_name, Target.state, func.count()).group_by(
                Target.class_name, Target.state
            )
        ).all()
        raws = session.execute(
            select(Product.class_name, func.count())
            .where(Product.target_id.is_(None))
            .group_by(Product.class_name)
        ).all()
    for name, state, number in rows:
        counted.setdefault(name, {})[state] = number
    for name, number in raws:
        counted[name] = {"raw": number}
    return counted


def set_base_url(archive: Archive, url: str) -> None:
    """Tell the views under which URL the service is reached."""
    with archive.transaction() as session:
        statement = upsert(ServiceFact).values(name="base_url", value=url)
        session.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"value": url})
        )
