"""Throw-away PostgreSQL clusters and databases."""

from __future__ import annotations

__all__ = ["Databases", "throw_away_cluster"]

import os
import shutil
import signal
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from schemas.database import migrate
from vo_service.postgres import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings

_PREFIX = "vo-test-"


def _programs() -> Path | None:
    """Folder of the server to test on: CI runs the suite on the oldest and the newest."""
    named = os.environ.get("VO_TEST_POSTGRES_BIN")
    return Path(named) if named else None


@contextmanager
def throw_away_cluster() -> Iterator[Cluster]:
    """A running cluster that is gone afterwards."""
    _clear_leftovers()
    # Not under pytest's folders: they are closed to the user that root's server runs as.
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)
    cluster = Cluster(folder / "postgres", programs=_programs(), durable=False)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _clear_leftovers() -> None:
    """Stop the servers of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = int(folder.name.removeprefix(_PREFIX).partition("-")[0])
        if not psutil.pid_exists(pid) and os.access(folder, os.W_OK):
            _end_server(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _end_server(folder: Path) -> None:
    """End the server whose files are in a folder, whatever version made them."""
    for note in folder.rglob("postmaster.pid"):
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            server = psutil.Process(int(note.read_text().splitlines()[0]))
            if any(str(folder) in word for word in server.cmdline()):
                server.send_signal(signal.SIGQUIT)  # at once: nothing of it is wanted
                server.wait(20)


class Databases:
    """Fresh databases with the newest schema, each a copy of one that was migrated once."""

    _TEMPLATE = "vo_template"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._numbers = count(1)
        migrate(cluster.create_database(self._TEMPLATE).owner_url)

    @contextmanager
    def fresh(self) -> Iterator[DatabaseSettings]:
        """A migrated, empty database; dropped afterwards, whoever is still connected."""
        name = f"vo_test_{next(self._numbers)}"
        settings = self._cluster.create_database(name, template=self._TEMPLATE)
        try:
            yield settings
        finally:
            self._cluster.drop_database(name)
