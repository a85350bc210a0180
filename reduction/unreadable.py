"""Files that a making could not read, noted with its target until it is made or they are back."""

from __future__ import annotations

__all__ = ["forget_unreadable", "note_unreadable", "noted_unreadable"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import cast, select
from sqlalchemy.dialects.postgresql import JSONB

from reduction.verdicts import Reason, ReasonKind
from schemas.tables import Target, TargetState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from schemas.errors import UnreadableError

_UNMADE: Final = (TargetState.MISSING, TargetState.SUSPECT)


def noted_unreadable(target: Target) -> tuple[Reason, ...]:
    """What could not be read when a target was last to be made; nothing of one that was made."""
    return tuple(
        Reason(ReasonKind.UNREADABLE, "", reason["text"])
        for reason in target.reasons
        if reason["kind"] == ReasonKind.UNREADABLE
    )


def note_unreadable(archive: Archive, target_id: int, error: UnreadableError) -> None:
    """Note with a target what could not be read; its state stays: a disk that is away comes back.

    Raises
    ------
    BusyError
        As :meth:`reduction.archive.Archive.transact`.
    """

    def work(session: Session) -> None:
        """Add it to what is said of the target, in the place of what was noted before."""
        target = session.get(Target, target_id, with_for_update={"key_share": True})
        if target is None or target.state not in _UNMADE:
            return
        text = f"{target.identity}: when it was last to be made, {error}"
        found = Reason(ReasonKind.UNREADABLE, "", text).as_json()
        target.reasons = [*_others(target), found]

    archive.transact(work)


def forget_unreadable(session: Session, object_id: int) -> None:
    """Take away what was noted of an object's file: it is back."""
    noted = cast([{"kind": ReasonKind.UNREADABLE}], JSONB)
    query = (
        select(Target)
        .where(Target.state.in_(_UNMADE), cast(Target.reasons, JSONB).contains(noted))
        .order_by(Target.target_id)
        .with_for_update(key_share=True)
    )
    for target in session.scalars(query):
        if any(f"object {object_id} (" in reason.text for reason in noted_unreadable(target)):
            target.reasons = _others(target)


def _others(target: Target) -> list[dict[str, str]]:
    """What is said of a target beside."""
    return [reason for reason in target.reasons if reason["kind"] != ReasonKind.UNREADABLE]
