"""Classes whose images are datasets, and those that are not: what ObsCore shows of them.

An identifier is for ever, and an image keeps it when its class is no longer published: links and
cutouts of it go on, and its lineage is what it was. Only searches do not find it any more. A class
that is published from now on is shown when all its targets have their identifiers.
"""

from __future__ import annotations

__all__ = ["follow_published", "name_some"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, text, update

from reduction.moments import stamp
from schemas.tables import Target, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.target import ProcessTarget

_OPEN: Final = Unlisted.unlisted_to == text("'infinity'")
_EVER: Final = text("'-infinity'")
#: Targets that are named in one transaction.
_PIECE: Final = 500
_NAME: Final = (
    update(Target.__table__)  # type: ignore[arg-type]  # a table
    .where(Target.target_id == bindparam("number"), Target.dataset_id.is_(None))
    .values(dataset_id=bindparam("name"))
)


def name_some(archive: Archive, session: Session, class_name: str, after: int) -> int | None:
    """Give some targets of a published class that have none their identifiers.

    Parameters
    ----------
    after
        Number of the target before.

    Returns
    -------
    int or None
        Number of the last one that was looked at; None where there are no more.
    """
    found = session.execute(
        select(Target.target_id, Target.identity)
        .where(
            Target.class_name == class_name,
            Target.dataset_id.is_(None),
            Target.target_id > after,
        )
        .order_by(Target.target_id)
        .limit(_PIECE)
    ).all()
    if not found:
        return None
    names = [{"number": row[0], "name": archive.dataset_id(row[1])} for row in found]
    session.connection().execute(_NAME, names)
    return int(found[-1].target_id)


def follow_published(session: Session, classes: Iterable[type[ProcessTarget]]) -> None:
    """Show the images of classes that are published, and not those of others.

    It comes last in its transaction.
    """
    known = {cls.__name__: cls.PUBLISHED for cls in classes}
    hidden = set(session.scalars(select(Unlisted.class_name).where(_OPEN)))
    shown = {name for name, published in known.items() if published} & hidden
    others = {name for name, published in known.items() if not published} - hidden
    gone: set[str] = set()
    if others:
        named = select(Target.class_name).where(Target.dataset_id.is_not(None)).distinct()
        gone = others & set(session.scalars(named))
    moment = stamp(session) if shown or gone else None
    session.execute(
        update(Unlisted)
        .where(Unlisted.class_name.in_(shown), _OPEN)
        .values(unlisted_to=moment)
        .execution_options(synchronize_session=False)
    )
    session.add_all(
        Unlisted(class_name=name, unlisted_from=moment if name in gone else _EVER)
        for name in sorted(others)
    )
    session.flush()
