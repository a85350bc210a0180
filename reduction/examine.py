"""Reaching verdicts on targets, and writing them down; again where others changed the archive."""

from __future__ import annotations

__all__ = ["examine"]

import itertools
import time
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from reduction.batches import batched
from reduction.chain import Examiner
from reduction.make import is_conflict
from reduction.publish import Superseded
from reduction.settle import note_reasons, settle, settle_fresh
from reduction.verdicts import VerdictKind
from schemas.errors import BusyError
from schemas.tables import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.orm import Session

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
    """Write down what was looked at: what is right, what cannot be made, why the rest is stale.

    Nothing is written before what it rests on, class by class as verdicts were reached: events
    reach a target by way of what others are known to rest on. Who is killed in between, or an
    event then, would else leave targets that are taken to be right and that no event reaches.
    """
    looked = [verdict for verdict in verdicts if verdict.looked]
    for _, of_class in itertools.groupby(looked, lambda verdict: verdict.target.class_name):
        part = list(of_class)
        _write_part(archive, part, VerdictKind.FRESH, settle_fresh)
        _write_part(archive, part, VerdictKind.UNMAKEABLE, settle)
    _write_part(archive, looked, VerdictKind.STALE, note_reasons)


def _write_part(
    archive: Archive,
    verdicts: Sequence[Verdict],
    kind: VerdictKind,
    write: Callable[[Session, Sequence[Verdict]], None],
) -> None:
    """Write down verdicts of one kind."""
    for part in batched([verdict for verdict in verdicts if verdict.kind is kind], _BATCH):
        with archive.transaction() as session:
            write(session, part)
