"""Keeping the service's processes alive: database, engine and web server under one parent."""

from __future__ import annotations

__all__ = ["Child", "Supervisor", "check_port", "free_port"]

import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from schemas.errors import FatalError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from vo_service.postgres import Cluster
    from vo_service.state import StateFile

_LOG = logging.getLogger(__name__)

_TICK_S: Final = 0.1
_DATABASE_CHECK_S: Final = 1.0
_READY_S: Final = 90.0
_GRACE_S: Final = 20.0
_LONGEST_PAUSE_S: Final = 15.0
_STEADY_S: Final = 8.0  # what has worked for so long is started again at once
_LOG_LINES: Final = 8


@dataclass
class Child:
    """A program that is kept running.

    Attributes
    ----------
    name
        Names it in messages, its log and the state file.
    command, environment
        What to run.
    log
        File that its output is appended to.
    is_ready
        Whether it does its work.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    failures: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it in a process group of its own: a terminal's Ctrl-C reaches the parent only."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """Whether its first process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pause_s(self) -> float:
        """Seconds to wait before the next start: longer after each failure in a row."""
        return min(_LONGEST_PAUSE_S, 0.25 * 2**self.failures) if self.failures else 0.0

    def stop(self) -> None:
        """Ask it to end, wait, then end its whole group."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self) -> str:
        """End of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.is_file() else []
        return " | ".join(line.strip() for line in lines[-_LOG_LINES:])


class Supervisor:
    """The parent process of the service.

    Parameters
    ----------
    children
        Programs to keep running, in the order of their start.
    cluster
        Private database to keep running, or None.
    state
        File that tells ``status`` and ``stop`` who runs.
    """

    def __init__(
        self, children: Sequence[Child], *, cluster: Cluster | None, state: StateFile
    ) -> None:
        self._children = tuple(children)
        self._cluster = cluster
        self._state = state
        self._ending = False
        self._database_checked = 0.0

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start all, call ``when_ready``, keep all running until SIGTERM or SIGINT, stop all.

        Raises
        ------
        FatalError
            If a program does not become ready; tells the end of its log.
        """
        before = {s: signal.signal(s, self._end) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            for child in self._children:
                child.start()
                self._note()
            for child in self._children:
                self._await_ready(child)
            if not self._ending:
                when_ready()
            while not self._ending:
                self._tend()
                time.sleep(_TICK_S)
        finally:
            for child in reversed(self._children):
                child.stop()
            if self._cluster is not None:
                self._cluster.stop()
            self._state.clear()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._ending = True

    def _note(self) -> None:
        running = {c.name: c.process.pid for c in self._children if c.process is not None}
        self._state.note_children(running)

    def _await_ready(self, child: Child) -> None:
        limit = time.monotonic() + _READY_S
        while not self._ending:
            if child.is_ready():
                return
            if not child.is_alive or time.monotonic() > limit:
                why = "ended" if not child.is_alive else f"was not ready after {_READY_S:.0f} s"
                message = (
                    f"the {child.name} {why} before it could work; its log {child.log} ends with: "
                    f"{child.last_words() or '(nothing)'}"
                )
                raise FatalError(message)
            time.sleep(_TICK_S)

    def _tend(self) -> None:
        """Start again whatever died."""
        now = time.monotonic()
        if self._cluster is not None and now - self._database_checked > _DATABASE_CHECK_S:
            self._database_checked = now
            if not self._cluster.is_running():
                _LOG.warning("database died, starting it again")
                self._cluster.start()
        for child in self._children:
            if child.is_alive:
                if now - child.started > _STEADY_S:
                    child.failures = 0
            elif now - child.started > child.pause_s:
                code = None if child.process is None else child.process.returncode
                _LOG.warning("process died", extra={"child": child.name, "code": code})
                child.stop()  # what is left of its group
                child.failures += 1
                child.start()
                self._note()


def check_port(host: str, port: int) -> None:
    """See that a port can be listened to.

    Raises
    ------
    SettingsError
        If it is taken, or not allowed; says what to do.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            message = f"this user may not listen on port {port}: choose one above 1023 with --port"
            raise SettingsError(message) from error
        except OSError as error:
            message = (
                f"cannot listen on {host} port {port} ({error.strerror}): another program has it; "
                "choose another with --port, or stop that program"
            )
            raise SettingsError(message) from error


def free_port(host: str) -> int:
    """A port that nobody listens to now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
