"""Gunicorn's settings, read off the service's own (``gunicorn --config python:...``)."""

from __future__ import annotations

__all__ = [
    "bind",
    "control_socket_disable",
    "errorlog",
    "graceful_timeout",
    "keepalive",
    "loglevel",
    "post_request",
    "preload_app",
    "proc_name",
    "threads",
    "timeout",
    "when_ready",
    "worker_class",
    "worker_tmp_dir",
    "workers",
]

import math
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.settings import load_settings
from vo_service.connection import part

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.http.wsgi import Response
    from gunicorn.workers.base import Worker

_settings = load_settings()
_web = _settings.web

bind = f"{_web.host}:{_web.port}"
workers = _web.workers
threads = _web.threads
worker_class = "gthread"
# Threads answer for as long as they need; this is about workers that hang as a whole.
timeout = 60
graceful_timeout = 30
keepalive = 5
# Connections to the database must not be shared with forked workers.
preload_app = False
proc_name = "vo-service"
# It would be in the home folder, the same for every archive; nothing here speaks to it.
control_socket_disable = True
errorlog = "-"
loglevel = "info"
# A heartbeat on a slow disk would look like a hanging worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # shared memory, no names made


def when_ready(server: Arbiter) -> None:
    """Give clients up that stall for as long as a query may run.

    Without a limit, each client that asks and then reads no more holds a thread, a connection and
    its snapshot for ever; a few of them stop the service. Accepted connections inherit the limits
    of the socket that listens; any progress starts them anew.
    """
    limit = struct.pack("ll", math.ceil(_settings.limits.sync_timeout_s), 0)
    for listener in server.LISTENERS:
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, limit)


def post_request(
    worker: Worker, asked: object, environ: dict[str, Any], response: Response | None
) -> None:
    """Part from a client whose connection is not kept, so that closing it holds nobody up."""
    del worker, asked
    failed = sys.exc_info()[0] is not None
    if failed or response is None or response.should_close():
        part(environ)
