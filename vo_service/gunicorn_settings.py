"""Gunicorn's settings, read off the service's own (``gunicorn --config python:...``)."""

from __future__ import annotations

__all__ = [
    "bind",
    "errorlog",
    "graceful_timeout",
    "keepalive",
    "loglevel",
    "preload_app",
    "proc_name",
    "threads",
    "timeout",
    "worker_class",
    "worker_tmp_dir",
    "workers",
]

from pathlib import Path

from schemas.settings import load_settings

_web = load_settings().web

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
errorlog = "-"
loglevel = "info"
# A heartbeat on a slow disk would look like a hanging worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
