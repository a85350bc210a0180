"""The queue that jobs wait in: procrastinate's tables and functions, used within our transactions.

A job is put in and taken out in the transaction that changes its phase. Two queues: ``short`` for
jobs that are expected to be over soon, ``long`` for the others. The library runs one entry with
the same lock at a time, and the older ones first: an owner has as many locks as he may have jobs
running, of both queues together, and one of them at least is for short jobs alone.
"""

from __future__ import annotations

__all__ = ["LONG", "SHORT", "TASK", "Share", "check_library", "drop_stale", "put", "take_out"]

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from procrastinate.schema import SchemaManager
from sqlalchemy import text

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from schemas.jobs import Job
    from schemas.settings import JobSettings

SHORT: Final = "short"
LONG: Final = "long"
TASK: Final = "run_job"
"""Name of the task that the library's workers know."""

NEWEST_TABLES: Final = "03.04.00_50"
"""Beginning of the name of the library's newest migration that ours hold."""

_LOADS: Final = text(
    "SELECT q.lock, sum(coalesce(j.estimated_s, "
    "CASE q.queue_name WHEN 'long' THEN 3600 ELSE 1 END) + 0.1) "
    "FROM queue.procrastinate_jobs q LEFT JOIN uws.job j ON j.queue_id = q.id "
    "WHERE q.lock = ANY(:locks) AND q.status IN ('todo', 'doing') GROUP BY q.lock"
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


def check_library() -> None:
    """See that the library that is installed works on the tables that our migrations made.

    Raises
    ------
    SettingsError
        If it does not.
    """
    names = (path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    newest = max(names, default="none")
    if not newest.startswith(NEWEST_TABLES):
        message = (
            f"procrastinate {version('procrastinate')} is installed, whose tables are of "
            f"{newest}: expected {NEWEST_TABLES}, which the archive's database has; install a "
            "version that vo-service asks for"
        )
        raise SettingsError(message)


@dataclass(frozen=True, slots=True)
class Share:
    """Jobs of an owner that may run at a time.

    Attributes
    ----------
    running
        Of both queues together.
    long
        Of the long ones.
    """

    running: int
    long: int

    @classmethod
    def of(cls, settings: JobSettings) -> Share:
        """What the settings allow, below the number of slots: nobody holds all of them.

        Of two slots an owner may have both, one with a short job, which is soon over.
        """
        of_any_length = settings.workers * settings.slots
        slots = of_any_length + settings.workers * settings.short_slots
        running = min(settings.running_per_owner, max(slots - 1, 2))
        return cls(running, max(min(running - 1, of_any_length - 1), 1))


def put(session: Session, job: Job, share: Share, *, delay_s: float = 0.0) -> int:
    """Put a job into its queue; its place there.

    Parameters
    ----------
    session
        The transaction that makes the job QUEUED.
    job
        With ``queue`` and ``client`` set.
    share
        Jobs of its client that may run at a time.
    delay_s
        Seconds after which it may be taken.
    """
    # short ones prefer the locks that no long one takes
    numbers = range(share.long) if job.queue == LONG else reversed(range(share.running))
    locks = [f"{job.client}/{number}" for number in numbers]
    loads = {name: float(load) for name, load in session.execute(_LOADS, {"locks": locks})}
    lock = min(locks, key=lambda name: loads.get(name, 0.0))
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
