"""Edits of recipes by operators: process parameters of a class, and its revision."""

from __future__ import annotations

__all__ = [
    "bump",
    "forget_parameter",
    "made_by",
    "mark_class",
    "operators_say",
    "owner_of",
    "set_parameter",
]

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.events import mark_suspect
from reduction.keys import canonical_json
from reduction.parameters import (
    BandConstant,
    ChipConstant,
    check_parameters,
    default_parameters,
    stored_values,
)
from reduction.recorded import enter_edit
from schemas.errors import ParameterError
from schemas.recipe_tables import Recipe
from schemas.tables import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.registry import Registry


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
        # a recipe that is written from it meanwhile is there then
        session.get(Recipe, (class_name, ""), with_for_update=True)
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
        Number of suspect targets; 0 where that value holds. Where it is an operator's already
        nothing is recorded; where it is the class's own or the camera's, that it stays so is.

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
        Number of suspect targets; 0 where nothing was set, of which nothing is recorded.

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
        stored = stored_values(row.overrides)
        said = stored or {}
        if values and name in said and canonical_json(said[name]) == canonical_json(values[name]):
            return 0
        own = default_parameters(archive.registry.target(class_name).Parameters)
        before = {**row.parameters, **said}
        row.overrides = {n: v for n, v in said.items() if n != name} | dict(values)
        after = {**row.parameters, **row.overrides}
        old = before.get(name)
        subject = f"{class_name}.{name} ({owner})"
        changed = (None if old is None else canonical_json(old), canonical_json(after.get(name)))
        enter_edit(session, subject, "process parameter", changed, who=who, why=why)
        if stored is not None and _same(own | before, own | after, name):
            return 0
        return mark_class(session, class_name, owner)

    return archive.transact(work)


def operators_say(archive: Archive, class_name: str, instrument: str) -> Mapping[str, Any]:
    """Process parameters of a class that operators set for an instrument, or several, by name.

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such class or instrument, or the class is made for each camera alone.
    """
    owner = owner_of(archive.registry, class_name, instrument)
    with archive.transaction() as session:
        row = session.get(Recipe, (class_name, owner))
        return {} if row is None else dict(stored_values(row.overrides) or {})


def _same(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter that both have has one value in them."""
    if name not in before or name not in after or not _is_plain(before[name]):
        return False
    return _is_plain(after[name]) and canonical_json(before[name]) == canonical_json(after[name])


def _is_plain(value: object) -> bool:
    """Whether a value is one, and not a chip's or a band's that differs from frame to frame."""
    return not isinstance(value, (ChipConstant, BandConstant))


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
    """Recipe of a class, held; of several cameras as of any, where nothing was said of them."""
    key = class_name, owner
    row = session.get(Recipe, key, with_for_update=True, populate_existing=True)
    if row is None:
        common = session.get_one(
            Recipe, (class_name, ""), with_for_update={"read": True}, populate_existing=True
        )
        values = {
            "class_name": class_name,
            "instrument": owner,
            "version": common.version,
            "revision": common.revision,
            "fingerprint": common.fingerprint,
            "parameters": common.parameters,
            "overrides": {},
        }
        session.execute(upsert(Recipe).values(values).on_conflict_do_nothing())
        # it is there now, entered here or by who was faster
        row = session.get_one(Recipe, key, with_for_update=True, populate_existing=True)
    return row


def mark_class(session: Session, class_name: str, instrument: str | None) -> int:
    """Mark all targets of a class (of one instrument) as suspect; how many were marked."""
    return mark_suspect(session, made_by(session, class_name, instrument))


def made_by(session: Session, class_name: str, instrument: str | None) -> Sequence[int]:
    """Numbers of the targets of a class (of one instrument)."""
    query = select(Target.target_id).where(Target.class_name == class_name)
    if instrument is not None:
        query = query.where(Target.instrument == instrument)
    return session.scalars(query).all()
