"""The process that runs jobs: workers of the queue library, and a tender beside them."""

from __future__ import annotations

__all__ = ["run_worker"]

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import procrastinate
from procrastinate.exceptions import ProcrastinateException
from sqlalchemy.exc import SQLAlchemyError

from schemas.dali import Mode
from schemas.errors import VOError
from vo_service.protocols import mounted_protocols
from vo_service.uws.folder import claim_folder
from vo_service.uws.queue import LONG, SHORT, TASK, check_library
from vo_service.uws.runner import Runner
from vo_service.uws.tender import Tender
from vo_service.vosi import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from reduction.archive import Archive
    from vo_service.mount import Mounted

_log = logging.getLogger(__name__)
_AGAIN_S: Final = 0.5
_BEAT_S: Final = 1.0
_SILENT_S: Final = 8.0
_POLL_S: Final = 2.0
_LEAVING_S: Final = 10.0
_BEATING: Final = "update_heartbeats"
"""What the library calls the asyncio tasks that say that its workers are alive."""


def run_worker(archive: Archive, *, ready: Path | None = None) -> None:
    """Run jobs until SIGTERM or SIGINT; what is running then is given back.

    Parameters
    ----------
    archive
        What jobs are asked of; its settings say how many at a time.
    ready
        File that is made once jobs can be taken.

    Raises
    ------
    SettingsError
        If the folder of jobs is not this archive's own, or the queue library not ours.

    Notes
    -----
    Some slots take short jobs alone: a long one never makes them wait.
    """
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    check_library()
    claim_folder(archive)
    settings = archive.settings
    health = Health(archive.database)
    mounted = [
        one
        for one in mounted_protocols(
            archive, archive.schemas, base_url=settings.web.url, health=health
        )
        if Mode.ASYNC in one.protocol.modes
    ]
    kept = Runner(archive, mounted)
    tender = Tender(kept.store, kept.files)
    tender.start()
    try:
        asyncio.run(_Loop(archive, mounted, ready).run())
    finally:
        tender.stop()


class _Loop:
    """The workers of this process, begun again where the database went away."""

    def __init__(self, archive: Archive, mounted: Sequence[Mounted], ready: Path | None) -> None:
        self._archive, self._mounted, self._ready = archive, mounted, ready
        self._ending = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        jobs = self._archive.settings.jobs
        loop.set_default_executor(ThreadPoolExecutor(jobs.slots + jobs.short_slots + 2, "slot"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        while not self._ending.is_set():
            try:
                await self._work()
            except (ProcrastinateException, OSError) as error:
                _log.warning("the queue is not there: %r", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _AGAIN_S)

    async def _work(self) -> None:
        """Take jobs until told to end, or until the database is lost; what runs is given back."""
        jobs = self._archive.settings.jobs
        runner = Runner(self._archive, self._mounted)
        app = _app(self._archive.settings.database.service_url, runner.run)
        kinds = (((SHORT,), jobs.short_slots), ((SHORT, LONG), jobs.slots))
        async with app.open_async():
            workers = [
                asyncio.create_task(
                    app.run_worker_async(
                        queues=list(queues),
                        concurrency=slots,
                        name="-".join(queues),
                        install_signal_handlers=False,
                        delete_jobs="always",
                        fetch_job_polling_interval=_POLL_S,
                        update_heartbeat_interval=_BEAT_S,
                        stalled_worker_timeout=_SILENT_S,
                    )
                )
                for queues, slots in kinds
            ]
            if self._ready is not None:
                self._ready.touch()
            reasons = [
                asyncio.create_task(self._ending.wait()),
                asyncio.create_task(_silence(len(workers))),
            ]
            await asyncio.wait([*workers, *reasons], return_when=asyncio.FIRST_COMPLETED)
            runner.stop()
            for one in (*reasons, *workers):
                one.cancel()
            results = await asyncio.gather(*workers, return_exceptions=True)
        lost = [one for one in results if isinstance(one, Exception)]
        if lost:
            raise lost[0]


async def _silence(workers: int) -> None:
    """Wait until one of so many workers says no more that it is alive.

    The library gives that up for good after one statement that fails. The worker takes no jobs
    from then on, but is there until the last that it has is over; others take it for dead
    meanwhile.
    """
    begun = False
    while True:
        beating = sum(one.get_name() == _BEATING for one in asyncio.all_tasks())
        if begun and beating < workers:
            _log.warning("a worker of the queue fell silent: all are begun anew")
            return
        begun = begun or beating == workers
        await asyncio.sleep(_BEAT_S)


def _app(conninfo: str, run: Callable[[str, int | None], None]) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo,
        kwargs={"options": "-c search_path=queue", "application_name": "vo-service jobs"},
        min_size=1,
        max_size=4,
        timeout=_LEAVING_S,
    )
    app = procrastinate.App(connector=connector)

    @app.task(name=TASK, pass_context=True)
    def run_job(context: procrastinate.JobContext, job_id: str) -> None:
        """Run a job that the queue gives; nothing that happens stops the worker."""
        try:
            run(job_id, context.job.id)
        except (VOError, SQLAlchemyError) as error:
            # what was not said of the job, the tender says: its lock is free now
            _log.warning("a job is left to others: %s", error)
        except Exception:  # noqa: BLE001  # an edge: it is logged, the tender does the rest
            _log.exception("a job is left to others")

    return app
