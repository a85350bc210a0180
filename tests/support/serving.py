"""A real Gunicorn in front of a real archive, for tests over HTTP."""

from __future__ import annotations

__all__ = ["Observatory", "observed", "served"]

import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.archive import Archive
from reduction.simulate import SimulationConfig, simulate
from schemas.settings import EngineSettings, LimitSettings, Settings, StorageSettings, WebSettings
from vo_service.home import environment
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.settings import DatabaseSettings

_READY_S = 60


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
    """

    url: str
    settings: Settings
    ra: float
    dec: float
    log: Path


@contextmanager
def served(settings: Settings, log: Path) -> Iterator[str]:
    """Run Gunicorn on an archive; its base URL."""
    command = [
        *(sys.executable, "-m", "gunicorn"),
        *("--config", "python:vo_service.gunicorn_settings", "vo_service.wsgi:app"),
    ]
    limits = {
        f"VO_LIMITS__{name.upper()}": str(value)
        for name, value in settings.limits.model_dump().items()
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env={**environment(settings), **limits}, stdout=stream, stderr=stream
        )
        try:
            _wait(process, settings.web.url, log)
            yield settings.web.url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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
def observed(database: DatabaseSettings, folder: Path) -> Iterator[Observatory]:
    """Simulate a night, ingest it, and serve it; nothing is made yet."""
    config = SimulationConfig(chips=1, shape=(256, 256), nights=("2026-01-10",))
    settings = Settings(
        database=database,
        storage=StorageSettings(root=folder / "files"),
        engine=EngineSettings(address="inline"),
        limits=LimitSettings(maxrec_default=1000, maxrec_hard=100_000, sync_timeout_s=5),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1),
    )
    prepare_database(settings)
    simulate(folder / "simulated", config=config)
    archive = Archive(settings)
    try:
        archive.ingest([folder / "simulated" / "raw"])
        archive.load_references(folder / "simulated" / "reference.csv", "simulated")
    finally:
        archive.close()
    log = folder / "server.log"
    with served(settings, log) as url:
        yield Observatory(url, settings, config.ra, config.dec, log)
