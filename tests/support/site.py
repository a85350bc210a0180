"""A served archive without any frames: enough for jobs about TAP_SCHEMA."""

from __future__ import annotations

__all__ = ["Site", "site"]

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.settings import JobSettings, LimitSettings, Settings, StorageSettings, WebSettings
from tests.support.jobs import Jobs
from tests.support.serving import served, working
from vo_service.opening import claim_jobs, prepare_database
from vo_service.supervise import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings


@dataclass(frozen=True)
class Site:
    """A served archive, and the processes that run its jobs.

    Attributes
    ----------
    jobs
        Somebody who has jobs there.
    settings
        Of the service.
    workers
        The processes.
    log
        What they have written.
    """

    jobs: Jobs
    settings: Settings
    workers: list[subprocess.Popen[bytes]]
    log: Path


@contextmanager
def site(
    database: DatabaseSettings,
    folder: Path,
    *,
    workers: int = 1,
    request: LimitSettings | None = None,
    **limits: float,
) -> Iterator[Site]:
    """Serve an empty archive.

    Parameters
    ----------
    database
        Where it is.
    folder
        Of its files.
    workers
        Processes that run its jobs.
    request
        Limits of a request, where they are not the usual ones.
    limits
        Settings of jobs.
    """
    settings = Settings(
        database=database,
        storage=StorageSettings(root=folder / "files"),
        jobs=JobSettings(folder=folder / "jobs", workers=workers, **limits),
        limits=request or LimitSettings(),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1),
    )
    prepare_database(settings)
    claim_jobs(settings)
    log = folder / "jobs.log"
    with ExitStack() as stack:
        url = stack.enter_context(served(settings, folder / "server.log"))
        running = [stack.enter_context(working(settings, log)) for _ in range(workers)]
        yield Site(Jobs(url + "/tap/async"), settings, running, log)
