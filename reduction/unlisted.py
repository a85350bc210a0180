"""Classes whose images are datasets, and those that no longer are: what ObsCore shows of them.

An identifier is for ever, and an image keeps it when its class is no longer published: links and
cutouts of it go on, and its lineage is what it was. Only searches do not find it any more. A class
that is published for the first time is shown when all its targets have their identifiers.
"""

from __future__ import annotations

__all__ = ["follow_published", "hide_until_named"]

from typing import TYPE_CHECKING

from sqlalchemy import exists, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.moments import stamp
from schemas.tables import Target, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from reduction.target import ProcessTarget

_OPEN = Unlisted.unlisted_to == text("'infinity'")


def hide_until_named(session: Session, classes: Iterable[type[ProcessTarget]]) -> None:
    """Hide the images of classes that are published for the first time, until all have names.

    They were not shown before, either: their targets had no identifiers.
    """
    names = _names(classes, published=True)
    named = _with_targets(session, names, named=True)
    for name in sorted(_with_targets(session, names, named=False) - named):
        statement = upsert(Unlisted).values(class_name=name, unlisted_from=text("'-infinity'"))
        session.execute(statement.on_conflict_do_nothing())


def follow_published(session: Session, classes: Iterable[type[ProcessTarget]]) -> None:
    """Show the images of classes that are published, and no longer those of others.

    It comes last in its transaction.
    """
    known = list(classes)
    hidden = set(session.scalars(select(Unlisted.class_name).where(_OPEN)))
    shown = hidden & set(_names(known, published=True))
    others = [name for name in _names(known, published=False) if name not in hidden]
    gone = _with_targets(session, others, named=True)
    if not shown and not gone:
        return
    moment = stamp(session)
    session.execute(
        update(Unlisted)
        .where(Unlisted.class_name.in_(shown), _OPEN)
        .values(unlisted_to=moment)
        .execution_options(synchronize_session=False)
    )
    session.add_all(Unlisted(class_name=name, unlisted_from=moment) for name in sorted(gone))
    session.flush()


def _names(classes: Iterable[type[ProcessTarget]], *, published: bool) -> list[str]:
    """Names of those classes that are published, or of the others."""
    return [cls.__name__ for cls in classes if cls.PUBLISHED is published]


def _with_targets(session: Session, names: Iterable[str], *, named: bool) -> set[str]:
    """Those classes that have a target with an identifier, or one without."""
    has = Target.dataset_id.is_not(None) if named else Target.dataset_id.is_(None)
    return {
        name
        for name in names
        if session.scalar(select(exists().where(Target.class_name == name, has)))
    }
