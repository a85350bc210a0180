"""Reaching verdicts on targets, and writing them down; again where others changed the archive."""

from __future__ import annotations

__all__ = ["examine"]

import time
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from reduction.chain import Examiner
from reduction.make import is_conflict
from reduction.publish import Superseded
from reduction.settle import note_reasons, settle, settle_fresh
from reduction.verdicts import VerdictKind
from schemas.errors import BusyError
from schemas.tables import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reduction.archive import Archive
    from reduction.verdicts import Plan, Verdict

_ATTEMPTS = 20
_BATCH = 200


def examine(archive: Archive, target_ids: Iterable[int]) -> tuple[Plan, dict[int, Verdict]]:
    """Reach verdicts on targets and on what they are made from, and write them down.

    Returns
    -------
    plan, verdicts
        What has to be made so that the given targets are right; verdicts by number of the target.

    Raises
    ------
    BusyError
        If the archive changes faster than verdicts can be reached.
    """
    wanted = sorted(set(target_ids))
    for attempt in range(_ATTEMPTS):
        try:
            with archive.examining() as session:
                examiner = Examiner(session, archive.registry)
                targets = session.scalars(select(Target).where(Target.target_id.in_(wanted))).all()
                plan = examiner.plan(targets)
                session.expunge_all()
            _write(archive, examiner.verdicts.values())
        except Superseded:
            time.sleep(0.01 * attempt)
        except DBAPIError as error:
            if not is_conflict(error):
                raise
            time.sleep(0.01 * attempt)
        else:
            return plan, examiner.verdicts
    raise BusyError("the archive changes too fast to plan; ask again", retry_after_s=2)


def _write(archive: Archive, verdicts: Iterable[Verdict]) -> None:
    """Write down what was looked at: what is right, what cannot be made, why the rest is stale."""
    by_kind: dict[VerdictKind, list[Verdict]] = {kind: [] for kind in VerdictKind}
    for verdict in verdicts:  # what others rest on before them, also from part to part
        if verdict.looked:
            by_kind[verdict.kind].append(verdict)
    for kind, write in (
        (VerdictKind.FRESH, settle_fresh),
        (VerdictKind.UNMAKEABLE, settle),
        (VerdictKind.STALE, note_reasons),
    ):
        for start in range(0, len(by_kind[kind]), _BATCH):
            with archive.transaction() as session:
                write(session, by_kind[kind][start : start + _BATCH])
