"""Whoever runs a job: holds its lock, watches over the attempt, and says what came of it.

The lock is a session's of the database: where this process dies, the database frees it at once,
and whoever looks knows that nobody runs the job any more.
"""

from __future__ import annotations

__all__ = ["Runner"]

import logging
import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from schemas.errors import BusyError, NotMadeYetError, TimeLimitError, VOError
from schemas.jobs import Job
from schemas.uws import Event, Phase
from vo_service.errors import failure_of
from vo_service.logs import run_id
from vo_service.uws.attempt import Attempt
from vo_service.uws.files import JobFiles
from vo_service.uws.queue import LONG, SHORT
from vo_service.uws.store import JobStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from reduction.archive import Archive
    from vo_service.mount import Mounted

_log = logging.getLogger(__name__)
_LOOK_S: Final = 0.2
_STOPPING_S: Final = 15.0
_NOT_SHORT: Final = 3.0
_ENDING_S: Final = 120.0
_BUSY_PAUSE_S: Final = 2.0


class Runner:
    """Runs jobs in this process, each in the thread that calls :meth:`run`.

    Parameters
    ----------
    archive
        What they are asked of.
    mounted
        The protocols whose jobs they may be.
    """

    def __init__(self, archive: Archive, mounted: Sequence[Mounted]) -> None:
        self._archive = archive
        self._settings = archive.settings
        self._mounted = {one.protocol.name: one for one in mounted}
        self.store = JobStore(archive, archive.settings.jobs)
        jobs = archive.settings.jobs
        self.files = JobFiles(jobs.folder, free_bytes=jobs.free_bytes)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._ending = threading.Event()

    def stop(self) -> None:
        """Give back what is running: somebody else will begin it anew."""
        self._ending.set()

    def run(self, job_id: str, queue_id: int | None) -> None:
        """Run a job that was taken from the queue; returns when that is over."""
        if self._ending.is_set():
            return
        with self._held(job_id) as held:
            job = self.store.start(job_id, queue_id, self._name) if held is not None else None
            if held is None or job is None:
                return
            run_id.set(job.run_id)
            _log.info("job begins", extra={"job": job.number, "attempt": job.attempts})
            attempt = Attempt(
                job,
                self._mounted[job.protocol],
                self.files,
                base_url=self._settings.web.url,
                result_bytes=self._settings.jobs.result_bytes,
            )
            attempt.start()
            why = self._attend(attempt, held)
            self._settle(attempt, why)

    @contextmanager
    def _held(self, job_id: str) -> Iterator[Connection | None]:
        """A connection that holds the job's lock; None where another does, or the job is gone."""
        engine = self._archive.database.service.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            number = connection.scalar(select(Job.number).where(Job.job_id == job_id))
            if number is None:
                yield None
                return
            key = {"key": JobStore.lock_key(Job(number=number))}
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
                yield None
                return
            try:
                yield connection
            finally:
                try:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
                except DBAPIError:
                    connection.invalidate()

    # watching

    def _attend(self, attempt: Attempt, held: Connection) -> str:
        """Wait for the end of an attempt, or stop it; the reason, empty where it ended itself."""
        while not attempt.done.wait(_LOOK_S):
            why = self._why_stop(attempt, held)
            if why:
                self._stop(attempt)
                return why
        return ""

    def _why_stop(self, attempt: Attempt, held: Connection) -> str:
        job = attempt.job
        if self._ending.is_set():
            return "ending"
        if attempt.seconds > job.execution_duration:
            return "time"
        if job.queue == SHORT and attempt.seconds > _NOT_SHORT * self._settings.jobs.short_s:
            return "not short"
        try:
            known = held.execute(
                select(Job.phase, Job.attempts).where(Job.job_id == job.job_id)
            ).first()
        except (DBAPIError, PoolTimeoutError):
            return "lost"
        if known is None:
            return "deleted"
        is_ours = known.phase == Phase.EXECUTING and known.attempts == job.attempts
        return "" if is_ours else "aborted"

    def _stop(self, attempt: Attempt) -> None:
        """Cancel what it does until it has ended: its slot is not free before.

        What is made for it by others goes on; that is waited for no longer than a service that
        ends has time.
        """
        limit = time.monotonic() + _STOPPING_S
        attempt.stop()
        while not attempt.done.wait(_LOOK_S / 4) and time.monotonic() < limit:
            attempt.stop()

    # what came of it

    def _settle(self, attempt: Attempt, why: str) -> None:
        job = attempt.job
        facts = {"job": job.number, "attempt": job.attempts, "seconds": round(attempt.seconds, 3)}
        _log.info("job ends", extra={**facts, "why": why or _kind(attempt)})
        if why == "deleted":
            self.files.remove(job.job_id)
        elif why == "aborted":
            self.files.clear(job.job_id, before=job.attempts + 1)
        elif why == "lost":
            _log.warning("the job's lock is lost: somebody else will run it", extra=facts)
        elif why == "ending":
            self.store.again(job.job_id, job.attempts, "the service was stopped", free=True)
        elif why == "not short":
            reason = "it took longer than a short one"
            self.store.again(job.job_id, job.attempts, reason, free=True, to=LONG)
        elif why == "time" or (not why and _is_over_time(attempt)):
            self.store.abort(job.job_id, self._too_long(job), attempt=job.attempts)
        elif not why:
            self._end(attempt)

    def _end(self, attempt: Attempt) -> None:
        job, written, error = attempt.job, attempt.written, attempt.error
        if written is None:
            self._fail(attempt, error)
            return
        counts = self._patiently(
            attempt,
            Event.COMPLETE,
            result_file=written.file,
            result_media_type=written.media_type,
            result_bytes=written.size,
            result_rows=written.rows,
            overflowed=written.overflowed,
        )
        if not counts:
            self.files.path(job.job_id, written.file).unlink(missing_ok=True)

    def _fail(self, attempt: Attempt, error: BaseException | None) -> None:
        job = attempt.job
        if isinstance(error, BusyError):
            delay_s = _BUSY_PAUSE_S * job.attempts
            self.store.again(job.job_id, job.attempts, str(error), delay_s=delay_s)
            return
        known = error if isinstance(error, Exception) else RuntimeError(repr(error))
        failure = failure_of(known, f"job-{job.number}")
        self._patiently(
            attempt,
            Event.FAIL,
            error_message=failure.sentence,
            error_transient=isinstance(error, VOError) and error.transient,
        )

    def _patiently(self, attempt: Attempt, event: Event, **values: Any) -> bool:  # noqa: ANN401  # columns
        """End the attempt; a database that is not there is waited for, its work is done."""
        limit = time.monotonic() + _ENDING_S
        while True:
            try:
                job = attempt.job
                return self.store.end(job.job_id, job.attempts, event, **values)
            except BusyError:
                if self._ending.is_set() or time.monotonic() > limit:
                    raise
                time.sleep(_LOOK_S)

    def _too_long(self, job: Job) -> str:
        hard = self._settings.jobs.duration_hard_s
        more = (
            f"ask for more with EXECUTIONDURATION (at most {hard} s), or for less"
            if job.execution_duration < hard
            else "this is the most that this service allows: ask for less"
        )
        return (
            f"TransientFault: the job was stopped after its execution duration of "
            f"{job.execution_duration} s: {more}"
        )


def _is_over_time(attempt: Attempt) -> bool:
    """Whether its end is that of its time: a statement's limit, or that of making."""
    is_late = attempt.seconds > attempt.job.execution_duration - 1
    return is_late and isinstance(attempt.error, TimeLimitError | NotMadeYetError)


def _kind(attempt: Attempt) -> str:
    return "written" if attempt.error is None else type(attempt.error).__name__
