"""A real Gunicorn in front of a real archive, for tests over HTTP; and a real engine behind it."""

from __future__ import annotations

__all__ = [
    "SIMULATED",
    "Observatory",
    "kill_tree",
    "observed",
    "running_engine",
    "served",
    "served_archive",
    "working",
]

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import psutil

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.simulate import SimulationConfig, simulate
from schemas.settings import (
    EngineSettings,
    JobSettings,
    LimitSettings,
    ReductionSettings,
    Settings,
    StorageSettings,
    WebSettings,
)
from vo_service.home import environment
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.settings import DatabaseSettings

_ROOT: Final = Path(__file__).resolve().parents[2]
_READY_S: Final = 60
_ENDING_S: Final = 5

#: What :func:`observed` observes.
SIMULATED: Final = SimulationConfig(chips=1, shape=(256, 256), nights=("2026-01-10",))


@dataclass(frozen=True)
class Observatory:
    """A served archive with one simulated night of one chip in it.

    Attributes
    ----------
    url
        Base URL of the service.
    settings
        Of the service.
    ra, dec
        Centre of the simulated field, degrees.
    log
        What the server has written.
    folders
        What was simulated and ingested, in that order; each has ``raw/``, the first its
        ``reference.csv``.
    """

    url: str
    settings: Settings
    ra: float
    dec: float
    log: Path
    folders: list[Path]


def _told(settings: Settings) -> dict[str, str]:
    """Environment in which a process of the service finds these settings."""
    limits = {
        f"VO_{section}__{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for section in ("limits", "jobs")
        for name, value in getattr(settings, section).model_dump(mode="json").items()
    }
    return {
        **environment(settings),
        **limits,
        "VO_REDUCTION__PLUGINS": json.dumps(settings.reduction.plugins),
        "VO_WEB__WORKERS": str(settings.web.workers),
        "VO_WEB__THREADS": str(settings.web.threads),
        "VO_WEB__PROXIES": str(settings.web.proxies),
        "PYTHONPATH": str(_ROOT),
    }


@contextmanager
def served(settings: Settings, log: Path) -> Iterator[str]:
    """Run Gunicorn on an archive; its base URL."""
    command = [
        *(sys.executable, "-m", "gunicorn"),
        *("--config", "python:vo_service.gunicorn_settings", "vo_service.wsgi:app"),
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=_told(settings), stdout=stream, stderr=stream)
        try:
            _wait(process, settings.web.url, log)
            yield settings.web.url
        finally:
            process.send_signal(signal.SIGINT)  # at once: clients keep their connections
            try:
                process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                kill_tree(process)


@contextmanager
def served_archive(archive: Archive, folder: Path) -> Iterator[str]:
    """Serve an archive that has its frames, made in the server itself; the base URL."""
    settings = archive.settings.model_copy(
        update={
            "web": WebSettings(port=free_port("127.0.0.1"), workers=1),
            "engine": EngineSettings(address="inline"),
        }
    )
    prepare_database(settings)
    with served(settings, folder / "server.log") as url:
        yield url


@contextmanager
def working(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a job worker beside the server; its process, once it takes jobs."""
    with tempfile.TemporaryDirectory() as folder, log.open("ab") as stream:
        ready = Path(folder) / "ready"
        command = [sys.executable, "-m", "vo_service", "job-worker", "--ready", str(ready)]
        process = subprocess.Popen(command, env=_told(settings), stdout=stream, stderr=stream)
        try:
            deadline = time.monotonic() + _READY_S
            while not ready.exists():
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, "the job worker does not begin"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                kill_tree(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url + "/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    message = f"the server does not answer: {log.read_text()[-2000:]}"
    raise RuntimeError(message)


@contextmanager
def running_engine(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the engine that the settings name, two worker processes; its process once it listens."""
    parts = urlsplit(settings.engine.address)
    program = (
        "from reduction.cluster import run_cluster; "
        f"run_cluster(host={parts.hostname!r}, port={parts.port}, workers=2, threads=1)"
    )
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=_told(settings), stdout=stream, stderr=stream
        )
        try:
            deadline = time.monotonic() + _READY_S
            while not _listens(parts.hostname, parts.port):
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, "the engine does not listen"
                time.sleep(0.1)
            yield process
        finally:
            kill_tree(process)


def _listens(host: str | None, port: int | None) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started, at once (SIGKILL)."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@contextmanager
def observed(
    database: DatabaseSettings,
    folder: Path,
    *,
    engine: str = "inline",
    plugins: Sequence[str] = (),
    workers: int = 1,
    field: bool = True,
) -> Iterator[Observatory]:
    """Simulate a night, ingest it, declare a field on it, and serve it; nothing is made yet.

    Without ``field`` the catalogue is of single frames alone.
    """
    settings = Settings(
        database=database,
        storage=StorageSettings(root=folder / "files"),
        jobs=JobSettings(folder=folder / "jobs", workers=1),
        engine=EngineSettings(address=engine),
        limits=LimitSettings(
            maxrec_default=1000, maxrec_hard=100_000, sync_timeout_s=5, make_budget_s=120
        ),
        web=WebSettings(port=free_port("127.0.0.1"), workers=workers),
        reduction=ReductionSettings(plugins=tuple(plugins)),
    )
    prepare_database(settings)
    simulate(folder / "simulated", config=SIMULATED)
    archive = Archive(settings)
    try:
        archive.ingest([folder / "simulated" / "raw"])
        archive.load_references(folder / "simulated" / "reference.csv", "simulated")
        if field:
            declare_field(archive, FieldSpec("simulated", SIMULATED.ra, SIMULATED.dec, 0.02))
    finally:
        archive.close()
    log = folder / "server.log"
    with served(settings, log) as url, working(settings, folder / "jobs.log"):
        yield Observatory(url, settings, SIMULATED.ra, SIMULATED.dec, log, [folder / "simulated"])
