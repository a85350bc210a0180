"""The moments that count for what is published: stamped in order, known to every snapshot."""

from __future__ import annotations

__all__ = ["MOMENT", "stamp"]

import datetime as dt
from typing import TYPE_CHECKING, Final

from sqlalchemy import DateTime, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from schemas.tables import ServiceFact

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOMENT: Final = "moment"
"""Fact that holds the last stamp; what a snapshot sees of it is the moment it can be asked for
again with ASOF."""

#: The clock, or a microsecond after the last stamp where the clock was set back.
_NEXT: Final = func.greatest(
    func.clock_timestamp(),
    select(cast(ServiceFact.value, DateTime(timezone=True)) + text("interval '1 microsecond'"))
    .where(ServiceFact.name == MOMENT)
    .scalar_subquery(),
)

_LOCK: Final = 0x564F_0001
_TAKEN: Final = "stamp"


def stamp(session: Session) -> dt.datetime:
    """Take the moment at which a change counts; the last thing that a transaction does but write.

    Stamps are taken one after the other, each committed before the next: whoever sees a stamp sees
    all changes that were stamped before it, and none that were stamped after. All that a
    transaction changes counts from one moment: asked again, it gives the stamp that it has. What
    has to be waited for (a row that another may hold) is taken before: who holds the stamp keeps
    all others from theirs.

    Returns
    -------
    datetime
        UTC, later than any before.
    """
    transaction, taken = session.get_transaction(), session.info.get(_TAKEN)
    if taken is not None and taken[0] is transaction:
        return taken[1]  # type: ignore[no-any-return]  # put there below
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    moment: dt.datetime = session.scalars(select(_NEXT)).one()
    said = f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    statement = upsert(ServiceFact).values(name=MOMENT, value=said)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": statement.excluded.value}
        )
    )
    session.info[_TAKEN] = (session.get_transaction(), moment)
    return moment
