"""A time after which nothing of a fetch goes on, whatever it is waiting for."""

from __future__ import annotations

__all__ = ["Deadline", "resolved"]

import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from schemas.errors import UploadError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Deadline:
    """Shuts the sockets that it has been shown, when the time has come.

    The timeouts of a socket are those of a single wait: who sends a byte from time to time keeps
    a TLS handshake, a header, or the length of a chunk open for ever.

    Parameters
    ----------
    seconds
        From now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""
        self._timer.cancel()
        with self._lock:
            for one in self._watched:
                one.close()
            self._watched.clear()

    def left(self) -> float:
        """Seconds until then.

        Raises
        ------
        UploadError
            If it has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> UploadError:
        """What is said when it has passed."""
        message = f"what is uploaded by URI did not come within {self.seconds:g} s"
        return UploadError(f"{message} (limits.upload_timeout_s)")

    def watch(self, connected: socket.socket) -> None:
        """Shut this connection then; TLS may be put around it."""
        with self._lock:
            self._watched.append(connected.dup())
        if time.monotonic() >= self._end:
            self._pass()

    def _pass(self) -> None:
        with self._lock:
            for one in self._watched:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def resolved(host: str, port: int, deadline: Deadline) -> list[str]:
    """Ask for the addresses of a host.

    Raises
    ------
    UploadError
        If there are none, or they are not known in time.
    """
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        """Put addresses, or why there are none, into the queue."""
        try:
            found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(each[4][0]) for each in found])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise deadline.error() from None
    if isinstance(answer, Exception):
        raise UploadError(f"the host {host[:120]!r} of a URI is not known") from answer
    return answer
