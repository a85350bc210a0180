"""What becomes of a request about jobs: made, changed, queued, aborted, deleted."""

from __future__ import annotations

__all__ = ["JobService"]

import datetime as dt
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from schemas.dali import parse_params
from schemas.errors import (
    NotFoundError,
    ParameterError,
    PhaseError,
    TimeLimitError,
    UsageError,
    VOError,
)
from schemas.jobs import Job
from schemas.uws import OVER, Phase
from vo_service.uws.asked import check_texts
from vo_service.uws.folder import is_job_id
from vo_service.uws.queue import LONG, SHORT
from vo_service.uws.uploads import JobUploads, merged, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.dali import Params
    from schemas.estimates import Estimate
    from schemas.settings import JobSettings
    from vo_service.mount import Protocol
    from vo_service.uws.asked import Asked
    from vo_service.uws.files import JobFiles
    from vo_service.uws.owners import Caller
    from vo_service.uws.store import JobStore

_log = logging.getLogger(__name__)
_ID_BYTES: Final = 16
_SECONDS_OF_COST: Final = 2e-5
_FITTED_FOR_S: Final = 60.0
_NO_ESTIMATE: Final[dict[str, Any]] = {
    "estimated_s": None,
    "estimated_cost": None,
    "estimated_rows": None,
    "targets_to_make": None,
    "queue": LONG,
}


class JobService:
    """Decisions about the jobs of one protocol.

    Parameters
    ----------
    protocol
        Whose jobs they are.
    store, files
        Where they are kept.
    settings
        What a job may use.
    upload_bytes
        Of all uploads of a job at most.
    estimate
        What a request is expected to take; None where the protocol cannot say.
    """

    def __init__(
        self,
        protocol: Protocol,
        store: JobStore,
        files: JobFiles,
        settings: JobSettings,
        estimate: Callable[[Params], Estimate] | None,
        *,
        upload_bytes: int,
    ) -> None:
        self._protocol, self._store, self._files = protocol, store, files
        self._settings, self._estimate = settings, estimate
        self._uploads = JobUploads(store, files, upload_bytes)
        self._seconds_of_cost = _SECONDS_OF_COST
        self._fitted = float("-inf")

    def get(self, job_id: str, *, whole: bool = False) -> Job:
        """A job of this protocol; its parameters and uploads are there only if ``whole``.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        if not is_job_id(job_id):
            message = f"there is no job {job_id[:100]!r}: an id has 22 letters, digits, _ and -"
            raise NotFoundError(message)
        return self._store.get(job_id, self._protocol.name, whole=whole)

    def listed(
        self, caller: Caller, phases: Sequence[Phase], after: dt.datetime | None, last: int | None
    ) -> list[Job]:
        """The caller's jobs; see :meth:`JobStore.listed`."""
        return self._store.listed(
            self._protocol.name, caller.owner, phases=phases, after=after, last=last
        )

    def create(self, asked: Asked, caller: Caller) -> Job:
        """Make a job, and queue it if PHASE=RUN is said (UWS-1.1 2.2.3.1).

        Raises
        ------
        ParameterError
            If PHASE is something else.
        TooLargeError
            If its uploads are larger than those of a job may be.
        QuotaError
            If the caller has too many jobs, or too much in them.
        BusyError, StorageError
            If the disk does not take its uploads; nothing is left of them.
        """
        run = self._wants_run(asked)
        job_id = secrets.token_urlsafe(_ID_BYTES)
        wanted_s = asked.controls["EXECUTIONDURATION"]
        default_s = self._settings.duration_default_s
        job = Job(
            job_id=job_id,
            protocol=self._protocol.name,
            owner=caller.owner,
            client=caller.client,
            run_id=_run_id(asked.parameters, ""),
            phase=Phase.PENDING,
            created=_now(),
            destruction=self._destruction(asked.controls["DESTRUCTION"]),
            execution_duration=self._duration(default_s if wanted_s is None else wanted_s),
            parameters=[list(pair) for pair in asked.parameters],
            uploads=[],
            upload_bytes=0,
        )
        for name, value in self._expected(job.parameters).items():
            setattr(job, name, value)
        try:
            job.uploads = self._uploads.keep(job, asked.files)
            job.upload_bytes = total(job.uploads)
            self._store.add(job, run=run)
        except BaseException:
            self._files.remove(job_id)
            raise
        _log.info("job made", extra={"job": job.number, "run": run, "queue": job.queue})
        return job

    def post(self, job: Job, asked: Asked) -> Job | None:
        """Do what a POST to a job, or to one of its parts, says; None where the job is gone.

        Raises
        ------
        PhaseError
            If the job cannot do that now; says what it can.
        """
        if asked.controls["ACTION"] == "DELETE":
            self.delete(job)
            return None
        if asked.parameters or asked.files:
            job = self._with_parameters(job, asked)
        values: dict[str, Any] = {}
        if (seconds := asked.controls["EXECUTIONDURATION"]) is not None:
            if Phase(job.phase) is not Phase.PENDING:
                raise PhaseError(job.phase, "EXECUTIONDURATION", _instead(job))
            values["execution_duration"] = self._duration(seconds)
        if (moment := asked.controls["DESTRUCTION"]) is not None:
            values["destruction"] = self._destruction(moment)
        if values:
            job = self._store.change(job.job_id, **values)
        if asked.controls["PHASE"] == "RUN":
            return self._store.run(job.job_id)
        if asked.controls["PHASE"] == "ABORT":
            return self._store.abort(job.job_id)
        return job

    def delete(self, job: Job) -> None:
        """Forget a job; its query is cancelled, its files are removed (UWS-1.1 2.2.3.2)."""
        self._store.delete(job.job_id)
        self._files.remove(job.job_id)

    def quote(self, job: Job) -> dt.datetime | None:
        """When a job is likely to be over; None where nobody can say (UWS-1.1 2.1.6)."""
        phase = Phase(job.phase)
        if phase in OVER:
            return job.ended if phase is Phase.COMPLETED else None
        if job.estimated_s is None:
            return None
        own = dt.timedelta(seconds=min(job.estimated_s, job.execution_duration))
        if phase is Phase.EXECUTING and job.started is not None:
            return max(job.started + own, _now())
        slots = self._settings.short_slots if job.queue == SHORT else self._settings.slots
        ahead_s = self._store.ahead_s(job) / (slots * max(self._settings.workers, 1))
        return _now() + own + dt.timedelta(seconds=min(ahead_s, 86_400.0))

    # parts

    def _wants_run(self, asked: Asked) -> bool:
        phase = asked.controls["PHASE"]
        if phase not in {None, "RUN"}:
            raise ParameterError("PHASE", phase, "RUN, or nothing, where a job is made")
        return phase is not None

    def _with_parameters(self, job: Job, asked: Asked) -> Job:
        """Take parameters and files of a job that is still PENDING.

        A repeatable parameter (UPLOAD) adds to what was said, any other takes its place; so does a
        file that of the same name. Who says something at the same time is heard as well.
        """
        if Phase(job.phase) is not Phase.PENDING:
            raise PhaseError(job.phase, "a change of its parameters", _instead(job))
        fresh = self._uploads.keep(job, asked.files)
        replaced: list[str] = []

        def change(now: Job) -> dict[str, Any]:
            """What changes of the job as it is now, locked."""
            uploads, old = merged(now.uploads, fresh)
            replaced.extend(old)
            self._uploads.check(total(uploads))
            parameters = self._together(now.parameters, asked.parameters)
            return {
                "parameters": parameters,
                "uploads": uploads,
                "upload_bytes": total(uploads),
                "run_id": _run_id(asked.parameters, now.run_id),
                **_NO_ESTIMATE,
            }

        after = None
        try:
            after = self._store.change_pending(job.job_id, change)
        finally:
            if after is None:
                self._files.drop_uploads(job.job_id, [upload["file"] for upload in fresh])
        if after is None:
            job = self.get(job.job_id)
            raise PhaseError(job.phase, "a change of its parameters", _instead(job))
        self._files.drop_uploads(job.job_id, replaced)
        return self._estimated(after)

    def _estimated(self, job: Job) -> Job:
        """Estimate a job anew; that may take seconds, in which nothing is locked."""
        values = self._expected(job.parameters)

        def change(now: Job) -> dict[str, Any]:
            """The estimate, if it is still that of what is asked."""
            return values if now.parameters == job.parameters else {}

        return self._store.change_pending(job.job_id, change) or self.get(job.job_id, whole=True)

    def _together(self, known: Sequence[Any], said: Sequence[tuple[str, str]]) -> list[list[str]]:
        adding = {param.name for param in self._protocol.params if param.multiple}
        replaced = {name for name, _ in said} - adding
        parameters = [list(pair) for pair in known if pair[0] not in replaced]
        parameters += [list(pair) for pair in said]
        check_texts(parameters)
        return parameters

    def _duration(self, seconds: int) -> int:
        """Seconds a job may run of those asked for; 0 asks for all there are (UWS-1.1 2.1.4)."""
        hard = self._settings.duration_hard_s
        return min(seconds, hard) if seconds else hard

    def _destruction(self, wanted: dt.datetime | None) -> dt.datetime:
        now = _now()
        if wanted is None:
            return now + dt.timedelta(seconds=self._settings.retention_default_s)
        return min(wanted, now + dt.timedelta(seconds=self._settings.retention_hard_s))

    def _expected(self, parameters: Sequence[Sequence[str]]) -> dict[str, Any]:
        """What a job is expected to take, as columns; what is wrong with it, its run will say."""
        if self._estimate is None:
            return _NO_ESTIMATE
        try:
            given = [(name, text) for name, text in parameters]
            found = self._estimate(parse_params(self._protocol.params, given))
        except VOError as error:
            _log.debug("no estimate", extra={"why": str(error)})
            # one about uploads cannot be planned before; what is wrong is answered at once
            has_uploads = any(name == "UPLOAD" for name, _ in parameters)
            is_wrong = isinstance(error, UsageError) and not isinstance(error, TimeLimitError)
            return {**_NO_ESTIMATE, "queue": SHORT if is_wrong and not has_uploads else LONG}
        seconds = found.cost * self._fit() + found.making_s
        return {
            "estimated_s": round(seconds, 3),
            "estimated_cost": found.cost,
            "estimated_rows": found.rows,
            "targets_to_make": found.targets,
            "queue": SHORT if seconds <= self._settings.short_s else LONG,
        }

    def _fit(self) -> float:
        """Seconds of a unit of cost, as the last jobs took them."""
        if time.monotonic() - self._fitted > _FITTED_FOR_S:
            self._seconds_of_cost = self._store.seconds_of_cost() or _SECONDS_OF_COST
            self._fitted = time.monotonic()
        return self._seconds_of_cost


def _run_id(parameters: Sequence[tuple[str, str]], before: str) -> str:
    return next((text for name, text in parameters if name == "RUNID"), before)[:64]


def _instead(job: Job) -> list[str]:
    return [] if Phase(job.phase) in OVER else ["ABORT"]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
