"""WAIT: an answer that comes when the phase of a job changes (UWS-1.1 2.2.1.1)."""

from __future__ import annotations

__all__ = ["Waiting"]

import threading
import time
from typing import TYPE_CHECKING, Final

from schemas.uws import ACTIVE, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.jobs import Job

_FIRST_LOOK_S: Final = 0.05
_LATER_LOOK_S: Final = 0.5
_SHORT_S: Final = 0.5


class Waiting:
    """Those who wait in this process.

    Parameters
    ----------
    threads
        Threads that may wait at a time. Who comes when all are taken waits half a second: he may
        ask again, and the threads that are left answer the others.
    longest_s
        Seconds that anybody waits.
    """

    def __init__(self, threads: int, longest_s: float) -> None:
        self._free = threading.BoundedSemaphore(max(threads, 1))
        self._longest_s = longest_s

    def until_changed(
        self, look: Callable[[], Job], *, seconds: float, phase: Phase | None
    ) -> Job:
        """The job once its phase is another one, or time is over.

        Parameters
        ----------
        look
            Reads the job.
        seconds
            To wait at most; negative for as long as the service allows.
        phase
            That the job is in, as the asker knows it; None for the one that it is in now.
        """
        job = look()
        before = phase or Phase(job.phase)
        if job.phase != before or before not in ACTIVE:
            return job
        longest = self._longest_s if seconds < 0 else min(seconds, self._longest_s)
        has_thread = self._free.acquire(blocking=False)
        try:
            return _looked_until(look, before, longest if has_thread else min(longest, _SHORT_S))
        finally:
            if has_thread:
                self._free.release()


def _looked_until(look: Callable[[], Job], before: Phase, seconds: float) -> Job:
    limit = time.monotonic() + seconds
    pause = _FIRST_LOOK_S
    job = look()
    while job.phase == before and (left := limit - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LATER_LOOK_S)
        job = look()
    return job
