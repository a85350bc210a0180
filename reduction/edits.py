"""Edits by people: what may be changed, recorded for ever, and what each makes suspect."""

from __future__ import annotations

__all__ = [
    "EDITABLE",
    "bump",
    "edit",
    "edit_validity",
    "enter_edit",
    "forget_parameter",
    "held",
    "mark_class",
    "set_parameter",
    "set_standing",
]

import getpass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from reduction.events import mark_suspect, mark_users_of_calibration, mark_users_of_raw
from reduction.keys import canonical_json
from reduction.moments import stamp
from reduction.parameters import check_parameters, stored_values
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Edit, Product, Publication, Recipe, ReferenceSource, Target

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.registry import Registry

EDITABLE: Final = ("is_valid", "timestamp_start", "timestamp_end")
"""What may be changed of a product (Astro-WISE's rule)."""

_REASON: Final = "the reason, in words for those who read it years later"


def enter_edit(
    session: Session,
    subject: str,
    field: str,
    values: tuple[str | None, str],
    *,
    who: str,
    why: str,
    product_id: int | None = None,
    at: dt.datetime | None = None,
) -> None:
    """Record a change for ever.

    Parameters
    ----------
    subject, field
        What was changed, and what of it.
    values
        Before and after.
    who, why
        A name, empty for the account that this process runs under; and a sentence.
    product_id
        The product, where it is one.
    at
        When it counts; the database's moment where not given.

    Raises
    ------
    ParameterError
        If the reason is blank.
    """
    if not why.strip():
        raise ParameterError("why", why, _REASON)
    old, new = values
    entry = Edit(product_id=product_id, subject=subject, field=field, old=old, new=new, why=why)
    entry.who = who or getpass.getuser()
    if at is not None:
        entry.at = at
    session.add(entry)


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
        """Raise the revisions in one transaction, and mark what they made."""
        rows = session.execute(
            update(Recipe)
            .where(Recipe.class_name == class_name)
            .values(revision=Recipe.revision + 1)
            .returning(Recipe.revision)
        ).all()
        new = max((row.revision for row in rows), default=0)
        values = (str(new - 1), str(new))
        enter_edit(session, class_name, "recipe revision", values, who=who, why=why)
        return mark_class(session, class_name, None)

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
    """Set a process parameter of a class for one instrument, or for several together.

    Parameters
    ----------
    instrument
        A camera; for a class that is made of a whole field also several, joined by "+", as the
        fields are filed under that have all of them.

    Returns
    -------
    int
        Number of suspect targets.

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such class, instrument or parameter, the class is made for each camera
        alone, the value cannot be used, or the reason is blank.
    """
    cls = archive.registry.target(class_name)
    value = check_parameters(class_name, cls.Parameters, {name: value})[name]
    return _change(archive, class_name, name, {name: value}, instrument, (who, why))


def forget_parameter(
    archive: Archive, class_name: str, name: str, *, instrument: str, why: str, who: str = ""
) -> int:
    """Take back what operators set of a process parameter: class, instrument and settings hold.

    The class need not know the parameter any longer.

    Returns
    -------
    int
        Number of suspect targets; 0 where nothing was set.

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such class or instrument, the class is made for each camera alone, or
        the reason is blank.
    """
    return _change(archive, class_name, name, {}, instrument, (who, why))


def _change(
    archive: Archive,
    class_name: str,
    name: str,
    values: Mapping[str, Any],
    instrument: str,
    said: tuple[str, str],
) -> int:
    """Put what an operator says of a parameter in the place of what was said before."""
    owner = owner_of(archive.registry, class_name, instrument)
    who, why = said

    def work(session: Session) -> int:
        """Set or forget the parameter in one transaction, and mark what it concerns."""
        if not values and not _says(session.get(Recipe, (class_name, owner)), name):
            return 0
        row = _recipe(session, class_name, owner)
        said = stored_values(row.overrides) or {}
        old = {**row.parameters, **said}.get(name)
        row.overrides = {n: v for n, v in said.items() if n != name} | dict(values)
        new = {**row.parameters, **row.overrides}.get(name)
        subject = f"{class_name}.{name} ({owner})"
        changed = (None if old is None else canonical_json(old), canonical_json(new))
        enter_edit(session, subject, "process parameter", changed, who=who, why=why)
        return mark_class(session, class_name, owner)

    return archive.transact(work)


def _says(row: Recipe | None, name: str) -> bool:
    """Whether an operator's values have one of a name, or are none at all and have to go."""
    said = None if row is None else stored_values(row.overrides)
    return row is not None and (said is None or name in said)


def owner_of(registry: Registry, class_name: str, instrument: str) -> str:
    """Name that parameters of a class are kept under for an instrument, or several joined by "+".

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such instrument, or the class is made for each camera alone.
    """
    owner = registry.owner(instrument)
    if "+" in owner and not registry.target(class_name).ANCHOR.of_whole_field:
        expected = f"one of {', '.join(owner.split('+'))}: {class_name} is made for each camera"
        raise ParameterError("instrument", instrument, expected)
    return owner


def _recipe(session: Session, class_name: str, owner: str) -> Recipe:
    """Recipe of a class; of several cameras as of any, where nothing was said of them before."""
    row = session.get(Recipe, (class_name, owner))
    if row is None:
        common = session.get_one(Recipe, (class_name, ""))
        row = Recipe(
            class_name=class_name,
            instrument=owner,
            version=common.version,
            revision=common.revision,
            fingerprint=common.fingerprint,
            parameters=common.parameters,
            overrides={},
        )
        session.add(row)
    return row


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
        If the field may not be changed, the value is out of range or the reason is blank.
    """
    if not why.strip():
        raise ParameterError("why", why, _REASON)
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
        return set_standing(archive, session, held(session, object_id), int(value), who, why)

    return archive.transact(work)


def set_standing(
    archive: Archive, session: Session, product: Product, value: int, who: str, why: str
) -> int:
    """Change ``is_valid`` of a product that is held; how many targets that made suspect."""
    old = product.is_valid
    if old == value:
        return 0
    product.is_valid = value
    session.flush()
    valid = (product.timestamp_start or 0.0, product.timestamp_end or 0.0)
    marked = _mark_edited(archive, session, product, valid, valid)
    values, at, number = (str(old), str(value)), stamp(session), product.product_id
    subject = product.class_name
    enter_edit(session, subject, "is_valid", values, who=who, why=why, product_id=number, at=at)
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
        If it has no validity, or the range ends before it begins; nothing is changed then.
    """

    def work(session: Session) -> int:
        """Change both ends in one transaction, and mark what hangs on them."""
        product = held(session, object_id)
        before, after = _changed_range(product, start, end)
        if after == before:
            return 0
        product.timestamp_start, product.timestamp_end = after
        session.flush()
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
    if after[0] > after[1]:
        found = f"MJD {after[0]:g} to {after[1]:g}"
        raise ParameterError("validity", found, "a range that begins before it ends")
    return before, after


def held(session: Session, object_id: int) -> Product:
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


def mark_class(session: Session, class_name: str, instrument: str | None) -> int:
    """Mark all targets of a class (of one instrument) as suspect; how many were marked."""
    query = select(Target.target_id).where(Target.class_name == class_name)
    if instrument is not None:
        query = query.where(Target.instrument == instrument)
    return mark_suspect(session, session.scalars(query).all())
