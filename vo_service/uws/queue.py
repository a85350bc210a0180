"""The queue that jobs wait in: procrastinate's tables and functions, used within our transactions.

A job is put in and taken out in the transaction that changes its phase. Two queues: ``short`` for
jobs that are expected to be over soon, ``long`` for the others. The library runs one entry with
the same lock at a time: an owner has as many locks a queue as he may have jobs running.
"""

from __future__ import annotations

__all__ = ["LONG", "SHORT", "TASK", "drop_stale", "put", "take_out"]

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from schemas.jobs import Job

SHORT: Final = "short"
LONG: Final = "long"
TASK: Final = "run_job"
"""Name of the task that the library's workers know."""

_LOADS: Final = text(
    "SELECT lock, count(*) FROM queue.procrastinate_jobs "
    "WHERE lock = ANY(:locks) AND status IN ('todo', 'doing') GROUP BY lock"
)
_DEFER: Final = text(
    "SELECT (queue.procrastinate_defer_jobs_v1(ARRAY[ROW(:queue, :task, 0, :lock, NULL, "
    "CAST(:args AS jsonb), now() + make_interval(secs => :delay))"
    "::queue.procrastinate_job_to_defer_v1]))[1]"
)
_DELETE: Final = text("DELETE FROM queue.procrastinate_jobs WHERE id = :id AND status = 'todo'")
_DELETE_ANY: Final = text("DELETE FROM queue.procrastinate_jobs WHERE id = :id")
_LIVING: Final = (
    "EXISTS (SELECT FROM queue.procrastinate_workers w WHERE w.id = q.worker_id "
    "AND w.last_heartbeat > now() - make_interval(secs => :silence))"
)
_STALE: Final = text(
    "DELETE FROM queue.procrastinate_jobs q WHERE q.status <> 'todo' AND NOT EXISTS "  # noqa: S608  # constants
    "(SELECT FROM uws.job j WHERE j.queue_id = q.id AND j.phase IN ('QUEUED', 'EXECUTING')) "
    f"AND NOT {_LIVING}"
)
LOST: Final = text(
    "SELECT j.job_id FROM uws.job j WHERE j.phase = 'QUEUED' AND NOT EXISTS "  # noqa: S608  # constants
    "(SELECT FROM queue.procrastinate_jobs q WHERE q.id = j.queue_id "
    f"AND (q.status = 'todo' OR q.status = 'doing' AND {_LIVING}))"
)
"""Jobs that are queued and in no queue, or taken out by a worker that is silent."""


def put(session: Session, job: Job, *, running: int, delay_s: float = 0.0) -> int:
    """Put a job into its queue; its place there.

    Parameters
    ----------
    session
        The transaction that makes the job QUEUED.
    job
        With ``queue`` and ``client`` set.
    running
        Jobs of its client that may run at a time.
    delay_s
        Seconds after which it may be taken.
    """
    locks = [f"{job.client}/{job.queue}/{number}" for number in range(running)]
    loads = {name: int(count) for name, count in session.execute(_LOADS, {"locks": locks})}
    lock = min(locks, key=lambda name: loads.get(name, 0))
    args = json.dumps({"job_id": job.job_id})
    values: dict[str, Any] = {"queue": job.queue, "task": TASK, "lock": lock, "args": args}
    return int(session.scalar(_DEFER, {**values, "delay": delay_s}) or 0)


def take_out(session: Session, queue_id: int | None, *, begun: bool = False) -> None:
    """Take an entry out; one that a worker has in hand only if ``begun`` (its worker is dead)."""
    if queue_id is not None:
        session.execute(_DELETE_ANY if begun else _DELETE, {"id": queue_id})


def drop_stale(session: Session, silence_s: float) -> None:
    """Take out what a dead worker had in hand and no job waits for: it would block its lock."""
    session.execute(_STALE, {"silence": silence_s})
