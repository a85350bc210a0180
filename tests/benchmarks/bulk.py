"""How long a million rows take in each form, beside COPY (FORMAT binary) in the same run.

``python -m tests.benchmarks.bulk [--rows N] [--formats ...] [--repeats K] [--fallback]`` makes a
table of stars, serves it, and reads whole answers over loopback HTTP with a Python client. Before
and after each answer the yardstick runs: ``psql`` copying the same rows in binary into a pipe.
Printed are, for each form, the medians of the seconds, of the first byte, of the memory that the
server's processes (not PostgreSQL's) had at most above what they had before the first answer, and
of the ratio.
``--fallback`` leaves the compiled part aside.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import http.client
import os
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import psutil

from tests.support.starry import starry
from tests.support.stars import COLUMNS
from vo_service.postgres_programs import find_programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.starry import Starry

FORMS: Final = ("votable", "votable/b", "votable/td", "csv", "tsv", "fits", "parquet", "arrow")
_READ: Final = 1 << 20


@dataclass(frozen=True)
class Taken:
    """What one answer took: seconds, seconds to its first byte, MB of it and of memory."""

    seconds: float
    first: float
    size: float
    memory: float
    ratio: float


def copied(dsn: str, rows: int) -> float:
    """Seconds that the yardstick takes."""
    psql = find_programs().folder / "psql"
    program = str(psql) if psql.exists() else "psql"
    copy = f"COPY (SELECT {COLUMNS} FROM bench.stars LIMIT {rows}) TO STDOUT (FORMAT binary)"
    begun = time.perf_counter()
    with subprocess.Popen([program, "-q", dsn, "-c", copy], stdout=subprocess.PIPE) as source:
        subprocess.run(["cat"], stdin=source.stdout, stdout=subprocess.DEVNULL, check=True)
    assert source.returncode == 0
    return time.perf_counter() - begun


def resident(process: psutil.Process) -> int:
    """Bytes of memory of a process and all that it started."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


class Watch:
    """Looks at the memory of a server, idle with so many bytes, until told to stop."""

    def __init__(self, process: psutil.Process, idle: int) -> None:
        self._process = process
        self._idle = idle
        self._peak = resident(process)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self._peak = max(self._peak, resident(self._process))

    def stop(self) -> float:
        """MB at most above idle."""
        self._done.set()
        self._thread.join()
        return (self._peak - self._idle) / 1e6


def answered(url: str, form: str, rows: int) -> tuple[float, float, int]:
    """Seconds, seconds to the first byte, and bytes of a whole answer."""
    parts = urlsplit(url)
    query = urlencode(
        {
            "LANG": "ADQL",
            "MAXREC": rows,
            "RESPONSEFORMAT": form,
            "QUERY": f"SELECT TOP {rows} {COLUMNS} FROM bench.stars",
        }
    )
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)
    connection.request("GET", f"{parts.path}/tap/sync?{query}")
    answer = connection.getresponse()
    assert answer.status == 200, answer.read(1000)
    size = len(answer.read(1))
    first = time.perf_counter() - begun
    while piece := answer.read(_READ):
        size += len(piece)
    connection.close()
    return time.perf_counter() - begun, first, size


def measured(held: Starry, server: psutil.Process, idle: int, form: str, rows: int) -> Taken:
    """One answer between two yardsticks."""
    before = copied(held.dsn, rows)
    watch = Watch(server, idle)
    try:
        seconds, first, size = answered(held.url, form, rows)
    finally:
        memory = watch.stop()
    after = copied(held.dsn, rows)
    return Taken(seconds, first, size / 1e6, memory, 2 * seconds / (before + after))


def server_of(url: str) -> psutil.Process:
    """The parent of those that listen there."""
    port = urlsplit(url).port
    for process in psutil.Process().children(recursive=True):
        try:
            listening = [c for c in process.net_connections("tcp") if c.status == "LISTEN"]
        except psutil.Error:
            continue
        if any(c.laddr.port == port for c in listening):
            return process
    message = f"nobody listens at {url}"
    raise RuntimeError(message)


def line(form: str, taken: Sequence[Taken]) -> str:
    """Medians of one form."""
    middle = [
        statistics.median(getattr(one, name) for one in taken) for name in Taken.__annotations__
    ]
    seconds, first, size, memory, ratio = middle
    return f"{form:12} {seconds:7.2f} {first:9.3f} {size:8.1f} {memory:9.0f} {ratio:8.2f}"


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--formats", nargs="+", default=FORMS)
    asked.add_argument("--fallback", action="store_true")
    given = asked.parse_args()
    if given.fallback:
        os.environ["VO_KERNEL"] = "off"
    with starry(given.rows) as held:
        server = server_of(held.url)
        idle = resident(server)  # before any answer: what one leaves behind counts for the next
        print(
            f"{given.rows} rows of 16 columns", "without" if given.fallback else "with", "kernel"
        )
        print("form         seconds  first s       MB  memory MB  ratio to COPY", flush=True)
        for form in given.formats:
            taken = [measured(held, server, idle, form, given.rows) for _ in range(given.repeats)]
            print(line(form, taken), flush=True)


if __name__ == "__main__":
    main()
