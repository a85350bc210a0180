"""Who runs: the file by which ``status`` and ``stop`` find a service and its processes."""

from __future__ import annotations

__all__ = ["ServiceState", "StateFile"]

import contextlib
import fcntl
import json
import os
import signal
import time
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Final

import psutil

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_STOP_S: Final = 90.0
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A running service.

    Attributes
    ----------
    pid, created
        The parent process, and when it was made (process ids come round again).
    url
        Base URL that users see.
    children
        Process id and time of making of each child, by name.
    """

    pid: int
    created: float
    url: str
    children: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def process(self) -> psutil.Process | None:
        """The parent process, or None where it is gone."""
        return _process(self.pid, self.created)


class StateFile:
    """The state of the one service that may run on a data folder.

    Parameters
    ----------
    folder
        Folder of the file and of its lock.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "service.json"
        self._lock_path = folder / "service.lock"
        self._lock: IO[str] | None = None

    def read(self) -> ServiceState | None:
        """What the file says, or None where no service runs."""
        known = self._stored()
        return known if known is not None and known.process is not None else None

    def refuse_second(self) -> None:
        """See that no service runs here.

        Raises
        ------
        SettingsError
            If one does; says where and how to end it.
        """
        known = self.read()
        if known is not None:
            message = (
                f"this archive is served already at {known.url} (process {known.pid}): "
                "`vo-service stop` ends it"
            )
            raise SettingsError(message)

    def claim(self, url: str) -> None:
        """Become the service of this folder; end what a killed one left running.

        Raises
        ------
        SettingsError
            If another one runs.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock_path.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            known = self.read()
            where = "" if known is None else f" at {known.url} (process {known.pid})"
            message = f"this archive is served already{where}: `vo-service stop` ends it"
            raise SettingsError(message) from error
        self._end_orphans()
        created = psutil.Process().create_time()
        self._write(ServiceState(os.getpid(), created, url))

    def note_children(self, pids: Mapping[str, int]) -> None:
        """Remember the children that run now."""
        known = self._stored()
        if known is None:
            return
        children = {}
        for name, pid in pids.items():
            with contextlib.suppress(psutil.Error):
                children[name] = (pid, psutil.Process(pid).create_time())
        self._write(ServiceState(known.pid, known.created, known.url, children))

    def clear(self) -> None:
        """The service has ended."""
        self._path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stop(self) -> bool:
        """Ask the service to end and wait until it has.

        Returns
        -------
        bool
            Whether one ran.
        """
        known = self._stored()
        process = None if known is None else known.process
        if known is None or process is None:
            self._end_orphans()
            return False
        process.send_signal(signal.SIGTERM)
        limit = time.monotonic() + _STOP_S
        while known.process is not None and time.monotonic() < limit:
            time.sleep(_LOOK_S)
        with contextlib.suppress(psutil.Error):
            process.kill()
        self._end_orphans()
        return True

    def _end_orphans(self) -> None:
        """End the process groups of children whose parent was killed."""
        known = self._stored()
        if known is None or known.process is not None:
            return
        for pid, created in known.children.values():
            if _process(pid, created) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        self._path.unlink(missing_ok=True)

    def _stored(self) -> ServiceState | None:
        try:
            known = json.loads(self._path.read_text())
            children = {name: (pid, made) for name, (pid, made) in known["children"].items()}
            return ServiceState(known["pid"], known["created"], known["url"], children)
        except (OSError, ValueError, KeyError):
            return None

    def _write(self, state: ServiceState) -> None:
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(asdict(state)))
        aside.replace(self._path)


def _process(pid: int, created: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None
