"""Who may come in, so that short questions are answered while long ones run.

A web process has so many threads, and a request holds one of them until its last byte is out. This
keeps count of who is inside a process:

- an eighth of the threads is left to what is never refused (VOSI, pages, ``/health``) and to
  refusing;
- one client has half of the places at most, however many there are;
- queries of unknown length come in as long as the places for them last, without being looked at;
- past that the planner is asked what a query would cost. Short ones come in, but may not run for
  long; others are told to come back.

Each process counts for itself: threads are what runs out, and they are a process's own. A count
that processes shared would have to be mended whenever one of them is killed.
"""

from __future__ import annotations

__all__ = ["Admission", "Ticket"]

import threading
from typing import TYPE_CHECKING, Final

from schemas.errors import BusyError, QuotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.settings import LimitSettings

_RETRY_S: Final = 5.0
_RETRY_LONG_S: Final = 15.0
_ELSE: Final = "or run it as an asynchronous job (TAP's async)"


class Admission:
    """The places of one web process.

    Parameters
    ----------
    limits
        How many of what may be inside.
    threads
        Threads of the process.
    """

    def __init__(self, limits: LimitSettings, *, threads: int) -> None:
        self.limits = limits
        self.places = max(1, threads - max(1, threads // 8))
        self.share = min(limits.client_requests, max(1, self.places // 2))
        self.long_places = min(limits.long_queries, max(1, self.places - 1))
        self.waiting_places = max(1, self.places // 2)
        self._lock = threading.Lock()
        self._inside: set[Ticket] = set()

    def enter(self, client: str) -> Ticket:
        """Let a request in.

        Parameters
        ----------
        client
            Whose it is, as :func:`vo_service.clients.client_of` says.

        Returns
        -------
        Ticket
            To be closed when the answer is out.

        Raises
        ------
        QuotaError
            If the client has its share inside.
        BusyError
            If all places are taken.
        """
        ticket = Ticket(self, client)
        with self._lock:
            mine = sum(other.client == client for other in self._inside)
            if mine >= self.share:
                message = (
                    f"{mine} requests of yours are being answered, which is the limit: wait for "
                    "one of them to end"
                )
                raise QuotaError(message, retry_after_s=_RETRY_S)
            if len(self._inside) >= self.places:
                message = (
                    f"{self.places} requests are being answered, which is the limit: ask again in "
                    f"{_RETRY_S:g} s"
                )
                raise BusyError(message, retry_after_s=_RETRY_S)
            self._inside.add(ticket)
        return ticket

    def take_long_place(self, ticket: Ticket) -> bool:
        """Give a request one of the places for queries of any length, if there is one."""
        with self._lock:
            inside = [other for other in self._inside if other.long]
            mine = sum(other.client == ticket.client for other in inside)
            if len(inside) >= self.long_places or mine >= self.limits.long_queries_of_client:
                return False
            ticket.long = True
            return True

    def take_waiting_place(self, ticket: Ticket) -> bool:
        """Give a request one of the places to wait in, if there is one; half are anybody's own."""
        with self._lock:
            inside = [other for other in self._inside if other.waits]
            mine = sum(other.client == ticket.client for other in inside)
            ticket.waits = len(inside) < self.waiting_places and mine < max(
                1, self.waiting_places // 2
            )
            return ticket.waits

    def refusal(self, ticket: Ticket) -> BusyError | QuotaError:
        """Why a long query cannot come in."""
        with self._lock:
            mine = sum(other.long and other.client == ticket.client for other in self._inside)
        if mine >= self.limits.long_queries_of_client:
            message = (
                f"{mine} long queries of yours are running, which is the limit: wait for one of "
                f"them to end, {_ELSE}"
            )
            return QuotaError(message, retry_after_s=_RETRY_LONG_S)
        message = (
            f"this query is expected to take long, and {self.long_places} such queries are "
            f"running, which is the limit: ask again in {_RETRY_LONG_S:g} s, {_ELSE}"
        )
        return BusyError(message, retry_after_s=_RETRY_LONG_S)

    def leave(self, ticket: Ticket) -> None:
        """Take a request out; again does nothing."""
        with self._lock:
            self._inside.discard(ticket)


class Ticket:
    """A request that is inside.

    Parameters
    ----------
    admission
        What it is inside of.
    client
        Whose it is.

    Attributes
    ----------
    long
        Whether it has one of the places for queries of any length.
    waits
        Whether it has one of the places to wait in.
    """

    def __init__(self, admission: Admission, client: str) -> None:
        self._admission = admission
        self.client = client
        self.long = False
        self.waits = False

    def admit(self, cost: Callable[[], float]) -> float | None:
        """Let its query run.

        Parameters
        ----------
        cost
            Asks the planner; called only where the places for queries of any length are taken.

        Returns
        -------
        float or None
            Seconds that it may run; None where nothing is to be said of that.

        Raises
        ------
        BusyError, QuotaError
            If it is expected to take long and there is no place for such.
        """
        if self.long or self._admission.take_long_place(self):
            return None
        limits = self._admission.limits
        if cost() > limits.short_cost:
            raise self._admission.refusal(self)
        return limits.short_timeout_s

    def close(self) -> None:
        """Go out; again does nothing."""
        self._admission.leave(self)
