"""Jobs in the database: every change of a phase is decided by :func:`schemas.uws.legal`.

A change locks the job's row, looks at its phase and writes the next one in the same transaction:
of two who want to change it, one comes second and sees what the first has done.
"""

from __future__ import annotations

__all__ = ["JobStore"]

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import defer, load_only

from schemas.errors import NotFoundError
from schemas.jobs import Job
from schemas.uws import Event, Phase, legal
from vo_service.uws import queue, quotas
from vo_service.uws.quotas import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from schemas.settings import JobSettings

_LOCK_SPACE: Final = 0x4A4F << 40
_LISTED: Final = (Job.number, Job.phase, Job.run_id, Job.owner, Job.created)


class JobStore:
    """The table of jobs.

    Parameters
    ----------
    archive
        Whose database it is in.
    settings
        What an owner may have.
    """

    def __init__(self, archive: Archive, settings: JobSettings) -> None:
        self._archive = archive
        self._settings = settings

    @staticmethod
    def lock_key(job: Job) -> int:
        """Number of the advisory lock that whoever runs the job holds."""
        return _LOCK_SPACE | job.number

    # looking

    def get(self, job_id: str, protocol: str, *, whole: bool = True) -> Job:
        """A job by its id.

        Parameters
        ----------
        job_id, protocol
            Which.
        whole
            With its parameters and uploads, which may be large.

        Raises
        ------
        NotFoundError
            If there is none, or it is of another protocol.
        """
        parts = () if whole else (defer(Job.parameters), defer(Job.uploads))
        with self._archive.transaction() as session:
            job = session.get(Job, job_id, options=parts)
        if job is None or job.protocol != protocol:
            raise _unknown(job_id)
        return job

    def listed(
        self,
        protocol: str,
        owner: str,
        *,
        phases: Sequence[Phase] = (),
        after: dt.datetime | None = None,
        last: int | None = None,
    ) -> list[Job]:
        """Jobs of an owner, the oldest first (UWS-1.1 2.2.2.1): what a list tells of each.

        Parameters
        ----------
        protocol, owner
            Whose.
        phases
            In any of these; all but the archived ones where none is named.
        after
            Made after this moment.
        last
            Of these the newest, so many at most.
        """
        query = select(Job).where(Job.protocol == protocol, Job.owner == owner)
        if phases:
            query = query.where(Job.phase.in_(phases))
        else:
            query = query.where(Job.phase != Phase.ARCHIVED)
        if after is not None:
            query = query.where(Job.created > after)
        query = query.order_by(Job.created.desc(), Job.number.desc()).limit(last)
        query = query.options(load_only(*_LISTED))
        with self._archive.transaction() as session:
            return list(session.scalars(query))[::-1]

    def ahead_s(self, job: Job) -> float:
        """Estimated seconds of the jobs in the same queue that come before this one."""
        before = select(func.coalesce(func.sum(Job.estimated_s), 0.0)).where(
            Job.phase.in_(UNFINISHED), Job.queue == job.queue, Job.job_id != job.job_id
        )
        if job.queued is not None:
            before = before.where(Job.queued < job.queued)
        with self._archive.transaction() as session:
            return float(session.scalar(before) or 0.0)

    def seconds_of_cost(self) -> float | None:
        """Seconds of a unit of a plan's cost, the median of the last jobs; None at first."""
        seconds = func.extract("epoch", Job.ended - Job.started)
        recent = (
            select((seconds / Job.estimated_cost).label("ratio"))
            .where(
                Job.phase == Phase.COMPLETED,
                Job.estimated_cost > 1000,
                func.coalesce(Job.targets_to_make, 0) == 0,
            )
            .order_by(Job.ended.desc())
            .limit(100)
            .subquery()
        )
        median = select(func.percentile_cont(0.5).within_group(recent.c.ratio))
        with self._archive.transaction() as session:
            found = session.scalar(median)
        return None if found is None else float(found)

    def check_room(self, client: str, size: int) -> None:
        """See that a client may have more bytes; see :func:`quotas.check_bytes`."""
        with self._archive.transaction() as session:
            quotas.check_bytes(session, client, self._settings, more=size)

    # changing

    def add(self, job: Job, *, run: bool) -> None:
        """Take a new job in, and queue it at once if it shall run.

        Raises
        ------
        QuotaError
            If its client has too many; nothing is taken in then.
        """
        with self._archive.transaction() as session:
            quotas.alone(session, job.client)
            quotas.check_kept(session, job.client, self._settings)
            quotas.check_bytes(session, job.client, self._settings, more=job.upload_bytes or 0)
            session.add(job)
            session.flush()
            if run:
                self._queue(session, job)

    def run(self, job_id: str, **values: Any) -> Job:  # noqa: ANN401  # columns of Job
        """Queue a job; nothing changes where it is queued or runs already.

        Raises
        ------
        PhaseError
            If it is over.
        QuotaError
            If its client has too many going on; the job stays as it is.
        """
        with self._changing(job_id) as (session, job):
            if legal(Phase(job.phase), Event.RUN) is not Phase(job.phase):
                quotas.alone(session, job.client)
                _set(job, values)
                self._queue(session, job)
            return job

    def abort(self, job_id: str, message: str = "", *, attempt: int | None = None) -> Job:
        """Abort a job; whoever runs it sees that and stops.

        Parameters
        ----------
        job_id
            Which.
        message
            The reason, where it is not the user's own wish.
        attempt
            Only this attempt at it; None for any.
        """
        with self._changing(job_id) as (session, job):
            if attempt is not None and not _is_of(job, attempt):
                return job
            after = legal(Phase(job.phase), Event.ABORT)
            if after is not Phase(job.phase):
                queue.take_out(session, job.queue_id)
                job.phase, job.ended, job.error_message = after, _now(), message
            return job

    def change(self, job_id: str, **values: Any) -> Job:  # noqa: ANN401  # columns of Job
        """Write columns other than the phase."""
        with self._changing(job_id) as (_, job):
            _set(job, values)
            return job

    def change_pending(self, job_id: str, change: Callable[[Job], dict[str, Any]]) -> Job | None:
        """Write columns if the job is still PENDING; the job then, else None.

        Parameters
        ----------
        job_id, change
            Which; columns to be written, of the job as it is now (it is locked).

        Raises
        ------
        QuotaError
            If its client's jobs have too many bytes then; nothing is changed.
        """
        with self._changing(job_id) as (session, job):
            if job.phase != Phase.PENDING:
                return None
            before = job.upload_bytes
            _set(job, change(job))
            if job.upload_bytes > before:
                quotas.alone(session, job.client)
                quotas.check_bytes(session, job.client, self._settings)
            return job

    def delete(self, job_id: str) -> None:
        """Forget a job; whoever runs it sees that and stops."""
        with self._changing(job_id) as (session, job):
            queue.take_out(session, job.queue_id)
            session.delete(job)

    # whoever runs it

    def start(self, job_id: str, queue_id: int | None, worker: str) -> Job | None:
        """Begin a job that was taken from the queue; None where its place is another now."""
        with self._archive.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None or job.phase != Phase.QUEUED or job.queue_id != queue_id:
                return None
            job.phase = legal(Phase.QUEUED, Event.START)
            job.started, job.worker, job.attempts = _now(), worker, job.attempts + 1
            return job

    def end(self, job_id: str, attempt: int, event: Event, **values: Any) -> bool:  # noqa: ANN401  # columns
        """End an attempt at a job; False where it is no longer the attempt that counts."""
        with self._archive.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return False
            after = legal(Phase.EXECUTING, event)
            if not _is_of(job, attempt):
                # said before, but the answer was lost on the way
                return job.attempts == attempt and job.phase == after
            job.phase, job.ended = after, _now()
            _set(job, values)
            return True

    def again(
        self,
        job_id: str,
        attempt: int,
        reason: str,
        *,
        delay_s: float = 0.0,
        free: bool = False,
        to: str | None = None,
    ) -> Phase | None:
        """Queue a job once more whose attempt came to nothing, or give it up after too many.

        Parameters
        ----------
        job_id, attempt
            Which attempt.
        reason
            Why it came to nothing.
        delay_s
            Seconds to let pass before the next.
        free
            Do not count it.
        to
            Another queue than before.

        Returns
        -------
        Phase or None
            What the job is now; None where that attempt does not count any more.
        """
        with self._archive.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None or not _is_of(job, attempt):
                return None
            if job.attempts >= self._settings.attempts and not free:
                job.phase, job.ended = legal(Phase.EXECUTING, Event.FAIL), _now()
                job.error_message = f"given up after {job.attempts} attempts: {reason}"
                job.error_transient = True
                queue.take_out(session, job.queue_id, begun=True)
                return Phase.ERROR
            legal(Phase.EXECUTING, Event.AGAIN)
            job.attempts -= int(free)
            job.queue = to or job.queue
            queue.take_out(session, job.queue_id, begun=True)
            self._queue(session, job, delay_s=delay_s, counted=False)
            job.started = None
            return Phase.QUEUED

    # what is left behind

    def dead(self) -> list[Job]:
        """Jobs that nobody runs though they are EXECUTING: their locks are free."""
        with self._archive.transaction() as session:
            told = load_only(Job.number, Job.worker, Job.attempts)
            running = session.scalars(
                select(Job).where(Job.phase == Phase.EXECUTING).options(told)
            ).all()
            return [
                job
                for job in running
                if session.scalar(select(func.pg_try_advisory_xact_lock(self.lock_key(job))))
            ]

    def requeue_lost(self, silence_s: float) -> int:
        """Queue again what is QUEUED and in no queue; how many there were."""
        with self._archive.transaction() as session:
            queue.drop_stale(session, silence_s)
            lost = list(session.scalars(queue.LOST, {"silence": silence_s}))
            for job_id in lost:
                job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
                if job is not None and job.phase == Phase.QUEUED:
                    queue.take_out(session, job.queue_id, begun=True)
                    self._queue(session, job, counted=False)
            return len(lost)

    def destroy_due(self) -> list[str]:
        """Forget the jobs whose time has come; their ids."""
        with self._archive.transaction() as session:
            due = session.execute(
                delete(Job)
                .where(Job.destruction <= func.clock_timestamp())
                .returning(Job.job_id, Job.queue_id)
            ).all()
            for _, queue_id in due:
                queue.take_out(session, queue_id)
            return [job_id for job_id, _ in due]

    def known(self, job_ids: Sequence[str]) -> set[str]:
        """Which of these ids are jobs."""
        with self._archive.transaction() as session:
            return set(session.scalars(select(Job.job_id).where(Job.job_id.in_(job_ids))))

    # parts

    @contextmanager
    def _changing(self, job_id: str) -> Iterator[tuple[Session, Job]]:
        with self._archive.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise _unknown(job_id)
            yield session, job

    def _queue(
        self, session: Session, job: Job, *, delay_s: float = 0.0, counted: bool = True
    ) -> None:
        if counted:
            quotas.check_going_on(session, job.client, self._settings)
            quotas.check_bytes(session, job.client, self._settings)
        share = queue.Share.of(self._settings)
        job.queue_id = queue.put(session, job, share, delay_s=delay_s)
        job.phase, job.queued = Phase.QUEUED, _now()


def _is_of(job: Job, attempt: int) -> bool:
    return job.phase == Phase.EXECUTING and job.attempts == attempt


def _set(job: Job, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(job, name, value)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _unknown(job_id: str) -> NotFoundError:
    message = f"there is no job {job_id!r}: it was never made, or is destroyed"
    return NotFoundError(message)
