"""Looking after jobs: the dead are begun anew, the lost are found, the old are destroyed."""

from __future__ import annotations

__all__ = ["Tender"]

import logging
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from schemas.errors import VOError
from schemas.uws import Phase

if TYPE_CHECKING:
    from vo_service.uws.files import JobFiles
    from vo_service.uws.store import JobStore

_log = logging.getLogger(__name__)
_EVERY_S: Final = 1.0
_SWEEP_EVERY_S: Final = 60.0
_SILENCE_S: Final = 8.0
_ORPHANED_S: Final = 120.0
_BATCH: Final = 500


class Tender:
    """Looks every second, in each process that runs jobs; several may look at the same time.

    Parameters
    ----------
    store, files
        Where jobs are kept.
    """

    def __init__(self, store: JobStore, files: JobFiles) -> None:
        self._store, self._files = store, files
        self._ending = threading.Event()
        self._swept = float("-inf")

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._loop, name="tender", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()

    def _loop(self) -> None:
        while not self._ending.wait(_EVERY_S):
            try:
                self.look()
                if time.monotonic() - self._swept > _SWEEP_EVERY_S:
                    self._swept = time.monotonic()
                    self.sweep()
            except VOError as error:
                _log.warning("cannot look after the jobs: %s", error)
            except Exception:  # noqa: BLE001  # an edge: it is logged, and looks again
                _log.exception("cannot look after the jobs")

    def look(self) -> None:
        """Look once."""
        for job in self._store.dead():
            reason = (
                f"the process that ran it ({job.worker}) died, or lost the database; if that "
                "happens with this job alone, it takes more memory than there is: ask for less"
            )
            now = self._store.again(job.job_id, job.attempts, reason)
            _log.warning("a job was left", extra={"job": job.number, "now": now})
            if now is Phase.ERROR:
                self._files.clear(job.job_id)
        if lost := self._store.requeue_lost(_SILENCE_S):
            _log.warning("jobs were in no queue", extra={"jobs": lost})
        self._files.remove_all(self._store.destroy_due())

    def sweep(self, older_than_s: float = _ORPHANED_S) -> int:
        """Remove the folders that no job has; how many there were.

        Only folders of this archive whose names can be a job's id are looked at.

        Parameters
        ----------
        older_than_s
            Age below which a folder may belong to a job that is just being made.
        """
        removed = 0
        folders = self._files.older_than(older_than_s)
        while batch := list(islice(folders, _BATCH)):
            orphans = set(batch) - self._store.known(batch)
            self._files.remove_all(orphans)
            removed += len(orphans)
        return removed
