"""What becomes of a request about jobs: made, changed, queued, aborted, deleted."""

from __future__ import annotations

__all__ = ["Asked", "JobService"]

import datetime as dt
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.dali import Param, parse_params
from schemas.errors import ParameterError, PhaseError, VOError
from schemas.jobs import Job
from schemas.uws import OVER, Phase
from schemas.values import parse_timestamp
from vo_service.uws.queue import LONG, SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from werkzeug.datastructures import FileStorage

    from schemas.dali import Params
    from schemas.estimates import Estimate
    from schemas.settings import JobSettings
    from vo_service.mount import Protocol
    from vo_service.uws.files import JobFiles
    from vo_service.uws.owners import Caller
    from vo_service.uws.store import JobStore

_log = logging.getLogger(__name__)
_ID_BYTES: Final = 16
_SECONDS_OF_COST: Final = 2e-5
_FITTED_FOR_S: Final = 60.0
_NAMES: Final = 200


def _seconds(text: str) -> int:
    if not text.strip().isdigit():
        message = "a whole number of seconds, 0 for as many as the service allows"
        raise ValueError(message)
    return int(text)


_CONTROLS: Final = (
    Param("PHASE", lambda text: text.strip().upper(), values=("RUN", "ABORT")),
    Param("ACTION", lambda text: text.strip().upper(), values=("DELETE",)),
    Param("EXECUTIONDURATION", _seconds),
    Param("DESTRUCTION", parse_timestamp),
    Param("WAIT", str),
)
_CONTROL_NAMES: Final = frozenset(param.name for param in _CONTROLS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a POST about a job says: about its handling, and as parameters of its protocol.

    Attributes
    ----------
    controls
        PHASE, ACTION, EXECUTIONDURATION and DESTRUCTION.
    parameters
        Everything else, names in capitals.
    files
        Uploads by the name of their part.
    """

    controls: Params
    parameters: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, FileStorage], ...] = ()

    @classmethod
    def of(
        cls, pairs: Sequence[tuple[str, str]], files: Sequence[tuple[str, FileStorage]] = ()
    ) -> Asked:
        """Sort the pairs of a request.

        Raises
        ------
        ParameterError
            If one about the job's handling is wrong, or a text cannot be told in XML.
        """
        named = [(name.strip().upper(), text) for name, text in pairs]
        for name, text in named:
            if not _is_xml(text) or not _is_xml(name):
                raise ParameterError(name, text, "a text without control characters")
        if len(named) > _NAMES:
            raise ParameterError("(all)", len(named), f"at most {_NAMES} parameters")
        others = tuple(pair for pair in named if pair[0] not in _CONTROL_NAMES)
        return cls(parse_params(_CONTROLS, named), others, tuple(files))


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
    ) -> None:
        self._protocol, self._store, self._files = protocol, store, files
        self._settings, self._estimate = settings, estimate
        self._seconds_of_cost = _SECONDS_OF_COST
        self._fitted = float("-inf")

    def get(self, job_id: str) -> Job:
        """A job of this protocol.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return self._store.get(job_id, self._protocol.name)

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
        QuotaError
            If the caller has too many jobs.
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
            uploads=self._kept(job_id, asked.files, []),
        )
        for name, value in self._expected(job.parameters).items():
            setattr(job, name, value)
        try:
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

        A repeatable parameter (UPLOAD) adds to what was said, any other takes its place.
        """
        if Phase(job.phase) is not Phase.PENDING:
            raise PhaseError(job.phase, "a change of its parameters", _instead(job))
        adding = {param.name for param in self._protocol.params if param.multiple}
        replaced = {name for name, _ in asked.parameters} - adding
        parameters = [list(pair) for pair in job.parameters if pair[0] not in replaced]
        parameters += [list(pair) for pair in asked.parameters]
        values = {
            "parameters": parameters,
            "uploads": self._kept(job.job_id, asked.files, job.uploads),
            "run_id": _run_id(asked.parameters, job.run_id),
            **self._expected(parameters),
        }
        if not self._store.change_pending(job.job_id, **values):
            job = self.get(job.job_id)
            raise PhaseError(job.phase, "a change of its parameters", _instead(job))
        return self.get(job.job_id)

    def _kept(
        self, job_id: str, files: Sequence[tuple[str, FileStorage]], known: Sequence[Any]
    ) -> list[dict[str, str]]:
        names = {name for name, _ in files}
        kept = [dict(upload) for upload in known if upload["name"] not in names]
        number = 1 + max((int(u["file"].rpartition("-")[2]) for u in known), default=0)
        for offset, (name, part) in enumerate(files):
            file = self._files.keep_upload(job_id, number + offset, part)
            kept.append({"name": name, "media_type": part.mimetype or "", "file": file})
        return kept

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
        # a query that is wrong is answered at once; one about uploads cannot be planned before
        is_open = self._estimate is None or any(name == "UPLOAD" for name, _ in parameters)
        nothing = {"estimated_s": None, "queue": LONG if is_open else SHORT}
        if self._estimate is None:
            return nothing
        try:
            given = [(name, text) for name, text in parameters]
            found = self._estimate(parse_params(self._protocol.params, given))
        except VOError as error:
            _log.debug("no estimate", extra={"why": str(error)})
            return nothing
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


def _is_xml(text: str) -> bool:
    """Whether XML 1.0 can hold a text (its production 2)."""
    return all(
        char in "\t\n\r"
        or " " <= char <= "\ud7ff"
        or "\ue000" <= char <= "\ufffd"
        or char > "\uffff"
        for char in text
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
