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
    looked = [v for v in verdicts if v.looked]
    stale = [v for v in looked if v.kind is VerdictKind.STALE]
    fresh = [v for v in looked if v.kind is VerdictKind.FRESH]
    for start in range(0, len(fresh), _BATCH):
        with archive.transaction() as session:
            settle_fresh(session, fresh[start : start + _BATCH])
    for verdict in looked:
        if verdict.kind is VerdictKind.UNMAKEABLE:
            with archive.transaction() as session:
                settle(session, verdict)
    if stale:
        with archive.transaction() as session:
            for verdict in sorted(stale, key=lambda v: v.target.target_id):
                note_reasons(session, verdict)
