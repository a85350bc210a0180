"""WAIT: an answer that comes when the phase of a job changes (UWS-1.1 2.2.1.1)."""

from __future__ import annotations

__all__ = ["Wait", "Waiting"]

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.errors import BusyError, QuotaError
from schemas.uws import ACTIVE, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.jobs import Job
    from vo_service.admission import Admission

_FIRST_LOOK_S: Final = 0.05
_LATER_LOOK_S: Final = 0.5
_SHORT_S: Final = 0.5


class Waiting:
    """Those who wait in this process.

    Parameters
    ----------
    admission
        Gives places to wait in. Who comes when all are taken waits half a second: he may ask
        again. Who finds no place at all is answered at once.
    longest_s
        Seconds that anybody waits.
    """

    def __init__(self, admission: Admission, longest_s: float) -> None:
        self._admission = admission
        self._longest_s = longest_s

    def until_changed(self, look: Callable[[], Job], asked: Wait) -> Job:
        """The job once its phase is another one, time is over, or its asker has left.

        Parameters
        ----------
        look
            Reads the job.
        asked
            By whom, and for how long.
        """
        job = look()
        before = asked.phase or Phase(job.phase)
        if job.phase != before or before not in ACTIVE:
            return job
        try:
            ticket = self._admission.enter(asked.client)
        except (BusyError, QuotaError):
            return job
        try:
            seconds = self._longest_s if asked.seconds < 0 else min(asked.seconds, self._longest_s)
            if not self._admission.take_waiting_place(ticket):
                seconds = min(seconds, _SHORT_S)
            return _looked_until(look, before, seconds, asked.has_left)
        finally:
            ticket.close()


@dataclass(frozen=True, slots=True)
class Wait:
    """A request to wait.

    Attributes
    ----------
    client
        Whose limits it counts against.
    seconds
        To wait at most; negative for as long as the service allows.
    phase
        That the job is in, as the asker knows it; None for the one that it is in now.
    has_left
        Whether nobody waits any more.
    """

    client: str
    seconds: float
    phase: Phase | None
    has_left: Callable[[], bool]


def _looked_until(
    look: Callable[[], Job], before: Phase, seconds: float, has_left: Callable[[], bool]
) -> Job:
    limit = time.monotonic() + seconds
    pause = _FIRST_LOOK_S
    job = look()
    while job.phase == before and (left := limit - time.monotonic()) > 0 and not has_left():
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LATER_LOOK_S)
        job = look()
    return job
