"""Where plans run: in this process, or on a Dask cluster. The only place that knows Dask."""

from __future__ import annotations

__all__ = ["DaskEngine", "Engine", "InlineEngine", "open_engine"]

import logging
import threading
import time
from asyncio import CancelledError as AsyncCancelledError
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.exc import DBAPIError

from reduction.make import give_up
from reduction.outcomes import Outcome, OutcomeKind, flattened
from reduction.restore import make_restoring
from schemas import errors
from schemas.deferred import deferred
from schemas.errors import (
    BusyError,
    FatalError,
    NotMadeYetError,
    StorageError,
    TransientError,
    UnreadableError,
    VOError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import distributed

    from reduction.archive import Archive
    from reduction.verdicts import Plan
else:
    distributed = deferred("distributed")

_LOG = logging.getLogger(__name__)
_RECONNECT_S = 1.0
#: A running plan with more steps to do than so many times a question's is not waited for.
_PART = 2
_LOST = (OSError, CancelledError, AsyncCancelledError)


class Engine(Protocol):
    """Runs plans."""

    def run(
        self, plan: Plan, *, budget_s: float, progress: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Run a plan.

        Parameters
        ----------
        plan
            Steps in an order in which they can be run.
        budget_s
            Seconds to wait. Making goes on when they are over.
        progress
            Called with each step's outcome.

        Returns
        -------
        list of Outcome
            One for each step.

        Raises
        ------
        NotMadeYetError
            If the budget is over before the plan is done.
        """
        ...

    def close(self) -> None:
        """Let go of what is held; making goes on where it runs."""
        ...


def open_engine(archive: Archive, address: str) -> Engine:
    """Engine that the settings name: ``inline``, or the address of a Dask scheduler."""
    return InlineEngine(archive) if address == "inline" else DaskEngine(archive, address)


class _Running:
    """A plan that runs or waits to: what came of its steps so far.

    Parameters
    ----------
    steps
        Targets with their epochs.
    """

    def __init__(self, steps: frozenset[tuple[int, int]]) -> None:
        self.steps = steps
        self.ended = False
        self._found: dict[int, Outcome | Exception] = {}
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def left(self) -> int:
        """Number of steps that are not done."""
        return len(self.steps) - len(self._found)

    def note(self, target_id: int, found: Outcome | Exception) -> None:
        """Say what came of a step."""
        with self._changed:
            self._found[target_id] = found
            self._changed.notify_all()

    def end(self, error: Exception | None) -> None:
        """Say that no more comes, and what ended it before its end."""
        with self._changed:
            self._error, self.ended = error, True
            self._changed.notify_all()

    def wait(self, wanted: list[int], seconds: float) -> bool:
        """Wait for some steps; whether they are done, or nothing more comes."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self.ended or self._found.keys() >= set(wanted), timeout=seconds
            )

    def outcomes_of(self, wanted: list[int]) -> list[Outcome]:
        """What came of some steps that were waited for; the first error of theirs is raised."""
        found = [self._found.get(number, self._error) for number in wanted]
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one for one in found if isinstance(one, Outcome)]


class InlineEngine:
    """Runs plans in threads of this process, one plan at a time in each.

    Parameters
    ----------
    archive
        The archive whose targets are made.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="make")
        self._lock = threading.Lock()
        self._running: list[_Running] = []

    def run(
        self, plan: Plan, *, budget_s: float, progress: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Run a plan step by step; see :class:`Engine`.

        A step that ends in an error, as where a file is damaged or the disk is full, does not end
        the others: the first error is raised when all have been tried. Who asks again for what
        runs already, or waits to, waits for it and for nothing else. Who asks for a small part of
        it does not wait for the rest: that is run by itself, and whichever comes first to a target
        makes it for both.
        """
        steps = frozenset((step.target_id, step.epoch) for step in plan.steps)
        with self._lock:
            self._running = [one for one in self._running if not one.ended]
            holding = (one for one in self._running if steps <= one.steps)
            running = min(holding, key=lambda one: one.left, default=None)
            if running is None or running.left > _PART * len(steps):
                running = _Running(steps)
                self._running.append(running)
                self._pool.submit(self._make, plan, running, progress)
        wanted = [step.target_id for step in plan.steps]
        if not running.wait(wanted, budget_s):
            raise _not_yet(plan)
        return running.outcomes_of(wanted)

    def _make(
        self, plan: Plan, running: _Running, progress: Callable[[Outcome], None] | None
    ) -> None:
        """Make step after step."""
        ended_by: Exception | None = None
        lost: dict[int, Exception] = {}  # by target: files that will not mend by themselves
        try:
            for step in plan.steps:
                if (before := next((lost[n] for n in step.needs if n in lost), None)) is not None:
                    lost[step.target_id] = before
                    running.note(step.target_id, before)
                    continue
                try:
                    outcome = make_restoring(self._archive, step.target_id)
                except (BusyError, DBAPIError):  # without its database nothing goes on
                    raise
                except Exception as error:  # noqa: BLE001  # the rest of the night goes on
                    _LOG.warning("step ended: %r", error, extra={"target": step.target_id})
                    if isinstance(error, UnreadableError):
                        lost[step.target_id] = error
                    running.note(step.target_id, error)
                    continue
                running.note(step.target_id, outcome)
                if progress is not None:
                    progress(outcome)
        except Exception as error:  # noqa: BLE001  # told to who waits
            ended_by = error
        finally:
            running.end(ended_by)

    def close(self) -> None:
        """Begin no further plan."""
        self._pool.shutdown(wait=False)


class DaskEngine:
    """Runs plans on a Dask cluster; survives the loss of workers and of the scheduler.

    Parameters
    ----------
    archive
        The archive whose targets are made; the workers open it by their own settings.
    address
        Of the scheduler, such as ``tcp://127.0.0.1:8786``.
    """

    def __init__(self, archive: Archive, address: str) -> None:
        self._archive, self._address = archive, address
        self._lock = threading.Lock()
        self._client: distributed.Client | None = None

    def run(
        self, plan: Plan, *, budget_s: float, progress: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Run a plan with as many workers as there are; see :class:`Engine`."""
        deadline = time.monotonic() + budget_s
        while True:
            try:
                return self._run_once(plan, deadline, progress)
            except _LOST as error:
                # the scheduler went away, or forgot the plan: every step can be sent again
                _LOG.warning("the engine is lost, trying again: %r", error)
            if time.monotonic() + _RECONNECT_S >= deadline:
                raise BusyError("the engine that makes targets is not there", retry_after_s=5)
            time.sleep(_RECONNECT_S)

    def _run_once(
        self, plan: Plan, deadline: float, progress: Callable[[Outcome], None] | None
    ) -> list[Outcome]:
        client = self._connect(deadline)
        futures: dict[int, Any] = {}
        for step in plan.steps:
            needs = [futures[need] for need in step.needs if need in futures]
            futures[step.target_id] = client.submit(
                make_step,
                step.target_id,
                needs,
                key=f"make-{step.target_id}-{step.epoch}",
                pure=False,
            )
            if progress is not None:
                futures[step.target_id].add_done_callback(partial(_tell, progress))
        for future in futures.values():
            distributed.fire_and_forget(future)
        outcomes: list[Outcome] = []
        try:
            for number, future in futures.items():
                outcomes.append(self._outcome(plan, number, future, deadline))
        except _LOST:
            self._forget(client)
            raise
        except NotMadeYetError:
            if (lost := next(filter(_is_lost, outcomes), None)) is not None:
                raise _error_of(lost) from None  # asked again it would not be made either
            raise
        for outcome in flattened(outcomes):
            if outcome.kind is OutcomeKind.ERROR:
                raise _error_of(outcome)
        return outcomes

    def _outcome(
        self, plan: Plan, target_id: int, future: distributed.Future[Outcome], deadline: float
    ) -> Outcome:
        left = deadline - time.monotonic()
        try:
            outcome: Outcome = future.result(timeout=max(left, 0.01))
        except distributed.TimeoutError as error:
            raise _not_yet(plan) from error
        except distributed.KilledWorker:
            return self._alone(plan, target_id, future, deadline)
        return outcome

    def _alone(
        self, plan: Plan, target_id: int, killed: distributed.Future[Outcome], deadline: float
    ) -> Outcome:
        """Try a step by itself that ended with its workers: it may only have been beside another.

        Where it ends them again, as often as the engine tries, it is given up: most likely it
        takes more memory than there is.
        """
        future = killed.client.submit(
            make_step, target_id, [], key=f"{killed.key}-alone", pure=False
        )
        try:
            outcome: Outcome = future.result(timeout=max(deadline - time.monotonic(), 0.01))
        except distributed.TimeoutError as error:
            raise _not_yet(plan) from error
        except distributed.KilledWorker:
            message = "its making ended the engine's workers, several times"
            return give_up(self._archive, target_id, message)
        return outcome

    def _connect(self, deadline: float) -> distributed.Client:
        with self._lock:
            if self._client is None:
                left = max(min(deadline - time.monotonic(), 10.0), 1.0)
                self._client = distributed.Client(
                    self._address, timeout=left, set_as_default=False, name="vo-service"
                )
            return self._client

    def _forget(self, lost: distributed.Client) -> None:
        """Close a client that lost its scheduler, unless another thread has done so."""
        with self._lock:
            if self._client is not lost:
                return
            self._client = None
        lost.close(timeout=1)

    def close(self) -> None:
        """Leave the scheduler; what was sent to it goes on."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close(timeout=1)


def _tell(progress: Callable[[Outcome], None], future: distributed.Future[Outcome]) -> None:
    """Say that a step is done; one whose worker died has no outcome, and is tried again."""
    if future.status == "finished":
        progress(future.result())


def make_step(target_id: int, needs: list[Outcome]) -> Outcome:
    """Make one target on a worker; ``needs`` orders the steps.

    What needs a file that one of them could not read is not tried: each would read it once more.
    Never raises: a step that ended in an exception would stay with the scheduler, and be the
    answer to everybody who asks for the same step again.
    """
    from reduction.archive import Archive  # noqa: PLC0415  # opened on the worker, once a process

    if (lost := next(filter(_is_lost, needs), None)) is not None:
        return Outcome(target_id, lost.name, OutcomeKind.ERROR, 0.0, lost.message)
    try:
        return make_restoring(Archive.current(), target_id)
    except VOError as error:
        said, kind = str(error), type(error)
    except Exception as error:  # noqa: BLE001  # the edge of a worker
        _LOG.exception("step failed", extra={"target": target_id})
        said, kind = f"making target {target_id} failed on the engine: {error!r}", FatalError
    return Outcome(target_id, kind.__name__, OutcomeKind.ERROR, 0.0, said)


def _is_lost(outcome: Outcome) -> bool:
    """Whether a step ended at a file that will not mend by itself."""
    return outcome.kind is OutcomeKind.ERROR and outcome.name == UnreadableError.__name__


def _error_of(outcome: Outcome) -> VOError:
    """The error that a step on a worker ended in."""
    kind = getattr(errors, outcome.name, FatalError)
    if issubclass(kind, TransientError):
        transient: VOError = kind(outcome.message)
        return transient
    of_files = issubclass(kind, StorageError)
    return kind(outcome.message) if of_files else FatalError(outcome.message)


def _not_yet(plan: Plan) -> NotMadeYetError:
    message = (
        f"{len(plan.steps)} targets are being made (about {plan.cost_s:.0f} s of work): "
        "ask again, or ask with FRESH=any for what is published now"
    )
    return NotMadeYetError(message, retry_after_s=min(max(plan.cost_s / 2, 2.0), 60.0))
