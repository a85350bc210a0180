"""A served archive with millions of stars of the operator's own: what benchmarks ask.

``python -m tests.support.starry [ROWS]`` makes one, serves it until Ctrl-C and says where.
"""

from __future__ import annotations

__all__ = ["Starry", "starry"]

import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.settings import JobSettings, LimitSettings, Settings, StorageSettings, WebSettings
from tests.support.clusters import Databases, throw_away_cluster
from tests.support.serving import served
from tests.support.stars import make_stars
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Starry:
    """A served archive.

    Attributes
    ----------
    url
        Base URL of the service.
    dsn
        Of the database's owner: for yardsticks.
    settings
        Of the service.
    log
        What the server has written.
    """

    url: str
    dsn: str
    settings: Settings
    log: Path


@contextmanager
def starry(rows: int, *, workers: int = 2, threads: int = 32) -> Iterator[Starry]:
    """Make ``bench.stars`` in a throw-away cluster and serve it."""
    with (
        throw_away_cluster() as cluster,
        Databases(cluster).fresh() as database,
        tempfile.TemporaryDirectory(prefix="vo-starry-") as name,
    ):
        make_stars(database.owner_url, rows)
        settings = Settings(
            database=database,
            storage=StorageSettings(root=Path(name) / "files"),
            jobs=JobSettings(folder=Path(name) / "jobs"),
            limits=LimitSettings(sync_timeout_s=600, upload_bytes=200_000_000),
            web=WebSettings(port=free_port("127.0.0.1"), workers=workers, threads=threads),
            reduction={"plugins": ["tests.support.stars"]},
        )
        prepare_database(settings)
        log = Path(name) / "server.log"
        with served(settings, log) as url:
            yield Starry(url, database.owner_url, settings, log)


def main() -> None:
    """Serve until told to stop."""
    with starry(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000) as held:
        print(f"{held.url}/tap  {held.dsn}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
