"""The connection that a request came by: is somebody there, and how it is given up."""

from __future__ import annotations

__all__ = ["client_left", "held_by_kernel", "linger", "part"]

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flask import Request

_PIECE: Final = 1 << 16
_SO_BUF_LOCK: Final = 72


def _socket(environ: dict[str, Any]) -> socket.socket | None:
    """The socket, which Gunicorn hands over; other servers do not."""
    found: socket.socket | None = environ.get("gunicorn.socket")
    return found


def client_left(request: Request) -> bool:
    """Whether the other side has closed the connection.

    A client that closes its sending side alone and still reads (``nc -N``) looks the same: TCP
    does not tell one from the other until something is sent. It is taken for gone; HTTP clients
    keep both sides open until they have their answer.
    """
    connection = _socket(request.environ)
    if connection is None:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def held_by_kernel(environ: dict[str, Any], size: int) -> None:
    """Let the kernel take an answer of some bytes whole: no thread waits for its reader."""
    connection = _socket(environ)
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            # what comes later on this connection may have more again (Linux 5.14)
            connection.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)


def linger(environ: dict[str, Any], seconds: float) -> None:
    """Throw away what a client still sends, then part.

    Closing at once would take the answer from a client that sends all before it reads.

    Parameters
    ----------
    environ
        Of the request.
    seconds
        After which it is closed all the same.
    """
    connection = _socket(environ)
    if connection is None:
        return
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(_PIECE):
                break
    part(environ)


def part(environ: dict[str, Any]) -> None:
    """End a connection in both directions; what was sent still arrives.

    Gunicorn waits up to two seconds for the other side of a connection that it closes, and does
    that where it accepts new ones: nobody is heard meanwhile. On one that has ended it does not.
    """
    connection = _socket(environ)
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
