"""The phases of a job, and which change is legal: a pure function (UWS-1.1 2.1.3).

::

    PENDING --RUN--> QUEUED --START--> EXECUTING --COMPLETE--> COMPLETED
       |               |  ^                |  |
       |             HOLD |  <---AGAIN-----+  +--FAIL--> ERROR
       |               v RUN               |
       +---ABORT---> ABORTED <---ABORT-----+       (any that is over --ARCHIVE--> ARCHIVED)
"""

from __future__ import annotations

__all__ = ["ACTIVE", "OVER", "Event", "Phase", "legal"]

from enum import StrEnum
from typing import Final

from schemas.errors import PhaseError


class Phase(StrEnum):
    """Where a job is; the words are the standard's (UWS-1.1 2.1.3)."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"


class Event(StrEnum):
    """What happens to a job.

    RUN and ABORT are the user's (PHASE=RUN, PHASE=ABORT; a time limit aborts too), the others are
    the service's own. AGAIN: whoever ran it died, it is queued once more.
    """

    RUN = "RUN"
    ABORT = "ABORT"
    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    AGAIN = "AGAIN"
    HOLD = "HOLD"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    ARCHIVE = "ARCHIVE"


OVER: Final = frozenset({Phase.COMPLETED, Phase.ERROR, Phase.ABORTED, Phase.ARCHIVED})
"""Phases that a job does not leave by itself."""
ACTIVE: Final = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases in which WAIT waits (UWS-1.1 2.2.1.1)."""

_USERS: Final = (Event.RUN, Event.ABORT)
_NEXT: Final = {
    (Phase.PENDING, Event.RUN): Phase.QUEUED,
    (Phase.PENDING, Event.ABORT): Phase.ABORTED,
    (Phase.QUEUED, Event.RUN): Phase.QUEUED,
    (Phase.QUEUED, Event.START): Phase.EXECUTING,
    (Phase.QUEUED, Event.HOLD): Phase.HELD,
    (Phase.QUEUED, Event.FAIL): Phase.ERROR,
    (Phase.QUEUED, Event.ABORT): Phase.ABORTED,
    (Phase.HELD, Event.RUN): Phase.QUEUED,
    (Phase.HELD, Event.ABORT): Phase.ABORTED,
    (Phase.EXECUTING, Event.RUN): Phase.EXECUTING,
    (Phase.EXECUTING, Event.COMPLETE): Phase.COMPLETED,
    (Phase.EXECUTING, Event.FAIL): Phase.ERROR,
    (Phase.EXECUTING, Event.AGAIN): Phase.QUEUED,
    (Phase.EXECUTING, Event.SUSPEND): Phase.SUSPENDED,
    (Phase.EXECUTING, Event.ABORT): Phase.ABORTED,
    (Phase.SUSPENDED, Event.RESUME): Phase.EXECUTING,
    (Phase.SUSPENDED, Event.ABORT): Phase.ABORTED,
    (Phase.UNKNOWN, Event.ABORT): Phase.ABORTED,
    (Phase.ABORTED, Event.ABORT): Phase.ABORTED,
    (Phase.COMPLETED, Event.ARCHIVE): Phase.ARCHIVED,
    (Phase.ERROR, Event.ARCHIVE): Phase.ARCHIVED,
    (Phase.ABORTED, Event.ARCHIVE): Phase.ARCHIVED,
}


def legal(phase: Phase, event: Event) -> Phase:
    """The phase that an event leads to.

    A RUN that is said twice, and an ABORT, change nothing the second time: a client may repeat
    what it had no answer to.

    Raises
    ------
    PhaseError
        If the event cannot happen in this phase; names what the user may ask for instead.
    """
    after = _NEXT.get((phase, event))
    if after is None:
        allowed = [str(one) for one in _USERS if (phase, one) in _NEXT]
        raise PhaseError(str(phase), str(event), allowed)
    return after
