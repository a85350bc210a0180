"""The snapshot in which a question is answered, with whatever it touches made fresh before."""

from __future__ import annotations

__all__ = ["answering", "said_moment"]

import datetime as dt
import time
from bisect import bisect_left
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reduction.batches import batched
from reduction.freshness import Answering, Fresh, last_moment, targets_in_scope
from reduction.outcomes import flattened
from schemas.errors import NotMadeYetError, ParameterError, StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg2.extensions

    from reduction.archive import Archive
    from reduction.freshness import FreshnessReport
    from reduction.scope import Scope
    from reduction.verdicts import Step


#: Targets, at most, that are examined and made before the question is looked at again: what a
#: question costs before its budget is looked at, however many stale ones it touches.
_AT_ONCE: Final = 2000


def said_moment(asof: dt.datetime) -> str:
    """A past moment as snapshots are asked for it.

    Raises
    ------
    ParameterError
        If it is in the future.
    """
    if asof > dt.datetime.now(dt.UTC):
        raise ParameterError("ASOF", asof.isoformat(), "a moment of the past (UTC)")
    return asof.isoformat()


@contextmanager
def answering(
    archive: Archive,
    scope: Scope,
    report: FreshnessReport,
    *,
    timeout_s: float,
    budget_s: float,
    prepare: Callable[[psycopg2.extensions.connection], None] | None,
) -> Iterator[Answering]:
    """Open a snapshot in which all that a question touches is fresh, under its policy.

    Parameters
    ----------
    report
        With the policy and, for a past moment, that; what was done is noted in it.
    budget_s
        Seconds that making may take.
    scope, timeout_s, prepare
        See :meth:`reduction.archive.Archive.snapshot`, also for the errors.
    """
    deadline = time.monotonic() + budget_s
    past = report.asof
    while True:
        with archive.database.snapshot(
            asof=past, timeout_s=timeout_s, prepare=prepare
        ) as connection:
            found = [] if past else targets_in_scope(connection, scope)
            unverified = [number for number, state in found if state != "failed"]
            report.failed = len(found) - len(unverified)
            if not unverified or report.policy is Fresh.ANY:
                report.stale = len(unverified)
                report.asof = past or last_moment(connection)
                yield Answering(connection, report)
                return
        if time.monotonic() > deadline:
            raise NotMadeYetError("the archive changes faster than it can be remade")
        _freshen(archive, unverified, report, deadline)


def _freshen(
    archive: Archive, target_ids: Sequence[int], report: FreshnessReport, deadline: float
) -> None:
    if report.policy is Fresh.REQUIRE:
        _refuse_stale(archive, target_ids, deadline)
        return
    plan = archive.plan(_first_block(target_ids))
    if not plan.steps:
        return
    left = deadline - time.monotonic()
    report.outcomes += flattened(archive.engine.run(plan, budget_s=max(left, 0.01)))


def _first_block(target_ids: Sequence[int]) -> list[int]:
    """Those of the lowest block of numbers: all, where these are no more than are made at once.

    The block is as wide as it may be, and its ends do not depend on what is stale: as targets of
    it are made, a question that is asked again finds a part of the same, which runs already, and
    no others in the place of those that are made. It gets wider only where few are left.
    """
    numbers = sorted(target_ids)
    width, found = 1, numbers[:1]
    while len(found) < len(numbers):
        width *= 2
        end = (numbers[0] // width + 1) * width
        wider = numbers[: bisect_left(numbers, end)]
        if len(wider) > _AT_ONCE:
            break
        found = wider
    return found


def _refuse_stale(archive: Archive, target_ids: Sequence[int], deadline: float) -> None:
    """Refuse to answer where anything is stale, with how many; as many as the budget can count."""
    numbers = sorted(target_ids)
    steps: list[Step] = []
    counted = 0
    for part in batched(numbers, _AT_ONCE):
        steps += archive.plan(part).steps
        counted += len(part)
        if time.monotonic() > deadline:
            break
    if not steps:
        return
    first, number = steps[0], len({step.target_id for step in steps})
    why = "; ".join(reason.text for reason in first.reasons)
    least = "" if counted == len(numbers) else "at least "
    message = (
        f"stale targets: {least}{number} ({first.name}: {why}); FRESH=require "
        "allows no making: ask with FRESH=make or FRESH=any"
    )
    raise StaleError(message)
