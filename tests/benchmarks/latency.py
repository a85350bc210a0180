"""What a small question costs: over HTTP beside the same SQL by the driver, in the same run.

``python -m tests.benchmarks.latency [ROWS]`` makes ``bench.stars``, serves it with two worker
processes and prints milliseconds of one client on a connection that is kept (median and 95 %), and
questions a second of 1 and of 8 client processes, each beside what as many clients of the driver
reach with the SQL that the questions are translated to.
"""

from __future__ import annotations

__all__ = ["main"]

import http.client
import random
import statistics
import sys
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import psycopg2

from tap.adql import Catalogue, check, parse, translate
from tests.support.starry import starry
from tests.support.stars import STARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    Ask = Callable[[str], int]

_ROWS: Final = 2_000_000
_WARM: Final = 30
_ASKED: Final = 300
_SECONDS: Final = 4.0
_CATALOGUE: Final = Catalogue([STARS])


def _first_row(_: random.Random) -> str:
    return "SELECT TOP 1 * FROM bench.stars"


def _cone(drawn: random.Random) -> str:
    ra, dec = drawn.uniform(172, 188), drawn.uniform(22, 38)
    circle = f"CIRCLE({ra:.5f}, {dec:.5f}, 0.1)"
    return f"SELECT * FROM bench.stars WHERE 1=CONTAINS(POINT(ra, dec), {circle})"


_QUESTIONS: Final = {"TOP 1": _first_row, "cone 0.1 deg": _cone}


def _over_http(url: str) -> Ask:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def ask(query: str) -> int:
        connection.request("GET", "/tap/sync?" + urlencode({"LANG": "ADQL", "QUERY": query}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(body.decode())
        return len(body)

    return ask


def _by_driver(dsn: str) -> Ask:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()

    def ask(sql: str) -> int:
        cursor.execute(sql)
        return len(cursor.fetchall())

    return ask


def _sql(query: str) -> str:
    return translate(check(parse(query), _CATALOGUE), limit=20_001).text


def _seconds(ask: Ask, questions: list[str]) -> list[float]:
    taken = []
    for question in questions:
        begun = time.perf_counter()
        ask(question)
        taken.append(time.perf_counter() - begun)
    return sorted(taken[_WARM:])


def _client(
    opened: Callable[[str], Ask],
    where: str,
    questions: list[str],
    start: Barrier,
    said: Queue[int],
) -> None:
    """Ask for some seconds once all clients are ready; say the number of answers."""
    ask = opened(where)
    for question in questions[:_WARM]:
        ask(question)
    start.wait()
    end = time.monotonic() + _SECONDS
    count = 0
    while time.monotonic() < end:
        ask(questions[count % len(questions)])
        count += 1
    said.put(count)


def _rate(opened: Callable[[str], Ask], where: str, questions: list[str], clients: int) -> float:
    """Answers a second of so many client processes."""
    processes = get_context("fork")  # clients shall not cost imports, as spawned ones do
    start, said = processes.Barrier(clients), processes.Queue()
    running = [
        processes.Process(target=_client, args=(opened, where, questions[n:], start, said))
        for n in range(clients)
    ]
    for process in running:
        process.start()
    counts = [said.get(timeout=120) for _ in running]
    for process in running:
        process.join()
    return sum(counts) / _SECONDS


def _compare(name: str, url: str, dsn: str) -> None:
    drawn = random.Random(1)  # places, no secrets
    queries = [_QUESTIONS[name](drawn) for _ in range(_WARM + _ASKED)]
    statements = [_sql(query) for query in queries]
    ours, bare = _seconds(_over_http(url), queries), _seconds(_by_driver(dsn), statements)
    for said, taken in (("request", ours), ("bare SQL", bare)):
        median, late = statistics.median(taken), taken[int(len(taken) * 0.95)]
        print(f"{name}: {said}: median {median * 1e3:.2f} ms, 95 % {late * 1e3:.2f} ms")
    beyond = (statistics.median(ours) - statistics.median(bare)) * 1e3
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"{name}: beyond bare SQL: {beyond:.2f} ms (ratio {ratio:.1f})")
    for clients in (1, 8):
        here = _rate(_over_http, url, queries, clients)
        there = _rate(_by_driver, dsn, statements, clients)
        print(
            f"{name}: {clients} clients: {here:.0f}/s, bare SQL {there:.0f}/s "
            f"(ratio {here / there:.2f})",
            flush=True,
        )


def main() -> None:
    """Make the stars, serve them, compare."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else _ROWS
    with starry(rows) as held:
        for name in _QUESTIONS:
            _compare(name, held.url, held.dsn)


if __name__ == "__main__":
    main()
