"""The local Dask cluster that makes targets, and further workers of any cluster."""

from __future__ import annotations

__all__ = ["run_cluster", "run_worker"]

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING, Final

import dask
from distributed import LocalCluster, Nanny, Status

from schemas.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_LOOK_S: Final = 1.0
#: Seconds after which a worker that ended may be started again.
_AGAIN_S: Final = 5

#: What a nanny is that will start no worker any more.
_GONE: Final = frozenset({Status.closed, Status.failed})

#: Modules that workers load before they say that they are there.
_PRELOAD: Final = ["reduction.warm"]

#: Nobody looks at the engine's pages, which anybody on its network could; and their usual port
#: belongs to whoever has it.
_NO_PAGES: Final[dict[str, list[str]]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}

#: Of glibc, for workers: images come from memory that was freed before, instead of being asked
#: from the system, and cleared by it, each time: that took a third of the time that making takes.
_MEMORY: Final = {
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 1_000_000_000,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1_000_000_000,
}


def run_cluster(*, host: str, port: int, workers: int, threads: int) -> None:
    """Run a scheduler and its worker processes until told to stop.

    Ends by SIGTERM or SIGINT, and by itself when the process that started it is gone.

    Parameters
    ----------
    host, port
        Where the scheduler listens.
    workers, threads
        Worker processes, and threads of each. A worker that dies is started again.
    """
    # whoever looks whether it listens speaks no further: nothing to write down
    logging.getLogger("distributed.comm.tcp").setLevel(logging.WARNING)

    async def run() -> None:
        """Be the scheduler with its workers until told to stop."""
        async with LocalCluster(
            host=host,
            scheduler_port=port,
            n_workers=workers,
            threads_per_worker=threads,
            processes=True,
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": f"{host}:0"},
            asynchronous=True,
            silence_logs=False,
            preload=_PRELOAD,
        ) as cluster:
            await _until_told(lambda: _complete(cluster, workers))

    _run(run())


def _complete(cluster: LocalCluster, workers: int) -> bool:
    """Start the workers that a cluster has given up.

    Dask starts a worker that died again, but gives up one that does not come back within 15
    seconds, as on a busy machine, or that dies while it starts: for good, so that a cluster with
    fewer workers, or none, would be left, and what is asked of it waited for ever.
    """
    for name, nanny in list(cluster.workers.items()):
        if nanny.status in _GONE:
            del cluster.workers[name]
    if len(cluster.workers) < workers:
        cluster.scale(workers)
    return True


def run_worker(address: str, *, threads: int) -> None:
    """Run one more worker process of a scheduler until told to stop.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.
    threads
        Threads of the worker.

    Raises
    ------
    BusyError
        If nobody told it to stop, and there is no worker any more: the scheduler has ended, or the
        process died and cannot be started again.
    """

    async def run() -> None:
        """Be a worker, and start it again when it dies, until told to stop."""
        async with Nanny(
            address, nthreads=threads, dashboard_address=None, preload=_PRELOAD
        ) as nanny:
            await _until_told(lambda: nanny.status not in _GONE)
            gone = nanny.status in _GONE
        if gone:
            message = (
                f"the worker of {address} ended: its engine stopped, or it cannot start again"
            )
            raise BusyError(message, retry_after_s=_AGAIN_S)

    _run(run())


def _run(main: Coroutine[None, None, None]) -> None:
    with contextlib.suppress(asyncio.CancelledError), dask.config.set({**_MEMORY, **_NO_PAGES}):
        asyncio.run(main)


async def _until_told(look: Callable[[], bool]) -> None:
    """Wait for a signal, the end of the process that started this one, or a look that says no."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    parent = os.getppid()
    while not told.is_set() and os.getppid() == parent and look():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), _LOOK_S)
