"""Kill processes of a service while clients have jobs there; then account for every job.

``python -m tests.faults.jobs [--kills 100] [--clients 8] [--engine]`` serves an archive as
``vo-service serve`` does, and kills (SIGKILL) a web server, one of its workers, or a job worker,
at random, again and again. In the end every job whose making was acknowledged must be COMPLETED,
with a result that is byte for byte the right one, or ERROR with a reason; no file may be left
that no job has, no query may run, the queue must be empty.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg2
import requests
from lxml import etree

from tests.support.jobs import Jobs
from vo_service.home import Home
from vo_service.state import StateFile

_OVER = {"COMPLETED", "ERROR", "ABORTED"}
_AT_A_TIME = 3
_PATIENCE_S = 300
_QUERIES = (
    # at once
    "SELECT table_name, column_name FROM tap_schema.columns ORDER BY 1, 2",
    # about a second, and a result of some megabytes
    (
        "SELECT a.column_name AS x, b.column_name AS y FROM tap_schema.columns AS a, "
        "tap_schema.columns AS b WHERE b.table_name LIKE 'ivoa.%' "
        "ORDER BY a.table_name, x, b.table_name, y"
    ),
    # a second or two without a row
    (
        "SELECT COUNT(*) AS n FROM tap_schema.columns AS a, tap_schema.columns AS b, "
        "tap_schema.columns AS c WHERE a.column_index + b.column_index > c.column_index "
        "AND c.table_name LIKE 'ivoa.%'"
    ),
)


@dataclass
class Ledger:
    """What was acknowledged, and what became of it."""

    made: dict[str, int] = field(default_factory=dict)
    phases: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Event = field(default_factory=threading.Event)
    ended: float = float("inf")
    unanswered: int = 0


def main() -> None:
    """Break things, and say what came of it; status 1 if a job is lost, half or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--engine", action="store_true", help="kill the engine too")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory(prefix="vo-faults-") as name, _serving(Path(name)) as url:
        data = Path(name)
        expected = [_sync(url, query) for query in _QUERIES]
        ledger = Ledger()
        clients = [
            threading.Thread(target=_client, args=(url, expected, ledger))
            for _ in range(asked.clients)
        ]
        for client in clients:
            client.start()
        try:
            killed = _kill(data, asked.kills, engine=asked.engine)
        finally:
            ledger.ended = time.monotonic()
            ledger.ending.set()
            for client in clients:
                client.join()
        faults = _left(data) + ledger.wrong
        over = sum(ledger.phases.values())
        print(f"killed: {dict(killed)}")
        print(
            f"acknowledged {len(ledger.made)}, over {over}: {dict(ledger.phases)}; "
            f"requests without an answer: {ledger.unanswered}"
        )
        for reason, count in ledger.reasons.most_common():
            print(f"  {count} x {reason}")
        for fault in faults:
            print(f"FAULT {fault}")
    sys.exit(bool(faults) or over != len(ledger.made))


@contextmanager
def _serving(data: Path):
    environment = {**os.environ, "VO_LIMITS__MAXREC_DEFAULT": "1000000"}
    environment |= {"VO_JOBS__QUEUED_PER_OWNER": "1000"}
    command = [sys.executable, "-m", "vo_service", "--data", str(data), "serve", "--port", "0"]
    with (data / "serve.err").open("wb") as err:
        service = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=err, text=True
        )
        try:
            line = service.stdout.readline()
            assert line.startswith("serving "), (data / "serve.err").read_text()[-3000:]
            yield line.split()[1]
        finally:
            service.terminate()
            service.wait(120)


def _sync(url, query):
    answer = requests.get(
        url + "/tap/sync",
        params={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def _kill(data, kills, *, engine):
    """Kill processes at random; how often each kind."""
    killed = Counter()
    state = StateFile(Home(data).run)
    while sum(killed.values()) < kills:
        time.sleep(random.uniform(0.5, 7.0))
        known = state.read()
        if known is None:
            continue
        kinds = [n for n in known.children if n != "engine" or engine] + ["web worker"] * 2
        kind = random.choice(kinds)
        try:
            pid = known.children["web server" if kind == "web worker" else kind][0]
            process = psutil.Process(pid)
            if kind == "web worker":
                process = random.choice(process.children())
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            process.send_signal(signal.SIGKILL)
        except (psutil.Error, IndexError, KeyError):  # it dies or is born just now
            continue
        killed[re.sub(r" \d+", "", kind)] += 1
        if sum(killed.values()) % 10 == 0:
            print(f"{sum(killed.values())} kills", flush=True)
    return killed


def _client(url, expected, ledger):
    jobs = Jobs(url + "/tap/async")
    while not ledger.ending.is_set():
        made = [_made(jobs, ledger) for _ in range(_AT_A_TIME)]
        for where in filter(None, made):
            _account(jobs, where, expected, ledger)


def _made(jobs, ledger):
    """Address of a job whose making was acknowledged; None where there was no answer."""
    number = random.randrange(len(_QUERIES))
    files = {"stars": ("a.csv", b"ra,dec\n1,2\n", "text/csv")} if random.random() < 0.3 else None
    try:
        where = jobs.make(_QUERIES[number], RESPONSEFORMAT="csv", files=files)
    except (requests.RequestException, AssertionError):
        with ledger.lock:
            ledger.unanswered += 1
        time.sleep(0.5)
        return None
    with ledger.lock:
        ledger.made[where] = number
    return where


def _patiently(ask, ledger):
    """An answer of a service whose processes die; None if they live again and there is none."""
    while True:
        try:
            answer = ask()
            if answer.status_code < 500:
                return answer
        except requests.RequestException:
            pass
        if time.monotonic() > ledger.ended + _PATIENCE_S:
            return None
        time.sleep(0.3)


def _account(jobs, where, expected, ledger):
    phase = ""
    while phase not in _OVER and time.monotonic() < ledger.ended + _PATIENCE_S:
        answer = _patiently(lambda: jobs.get(where + "/phase"), ledger)
        phase = answer.text if answer is not None and answer.status_code == 200 else str(answer)
        time.sleep(0.3)
    document = _patiently(lambda: jobs.get(where), ledger)
    body = b"<job/>" if document is None else document.content
    found = etree.fromstring(body).findtext(".//{*}message") or ""
    wrong = ""
    if phase == "COMPLETED":
        body = _patiently(lambda: jobs.get(where + "/results/result"), ledger)
        if body is None or body.content != expected[ledger.made[where]]:
            wrong = f"{where}: its result is not the right one: {body}"
    elif phase == "ERROR" and not found:
        wrong = f"{where}: no reason"
    elif phase != "ERROR":
        wrong = f"{where}: {phase}"
    with ledger.lock:
        ledger.phases[phase] += 1
        if found:
            ledger.reasons[re.sub(r"\(\S+:\d+\)", "(...)", found)[:160]] += 1
        if wrong:
            ledger.wrong.append(wrong)


def _left(data):
    """What is left that should not be."""
    database = Home(data).cluster.settings()
    limit = time.monotonic() + 240
    while (faults := _look(data, database)) and time.monotonic() < limit:
        time.sleep(2)
    return faults


def _look(data, database):
    connection = psycopg2.connect(database.service_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT job_id, phase, result_file, uploads FROM uws.job")
        jobs = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute("SELECT status, count(*) FROM queue.procrastinate_jobs GROUP BY 1")
        queued = cursor.fetchall()
    connection.close()
    reader = psycopg2.connect(database.reader_url)
    with reader.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user "
            "AND pid <> pg_backend_pid() AND state = 'active'"
        )
        running = cursor.fetchone()[0]
    reader.close()
    faults = [f"the queue still has {queued}"] if queued else []
    faults += [f"{running} queries still run"] if running else []
    for folder in (data / "jobs" / "jobs").iterdir():
        if folder.name == ".archive":  # whose folder it is
            continue
        if folder.name not in jobs:
            faults.append(f"{folder.name} is no job's: {[p.name for p in folder.iterdir()]}")
            continue
        phase, result, uploads = jobs[folder.name]
        allowed = {upload["file"] for upload in uploads} | {result}
        more = {path.name for path in folder.iterdir()} - allowed
        faults += [f"{folder.name} ({phase}) has {sorted(more)}"] if more else []
        if phase == "COMPLETED" and not (folder / result).is_file():
            faults.append(f"{folder.name} has lost {result}")
    unfinished = [job_id for job_id, facts in jobs.items() if facts[0] not in _OVER]
    return faults + [f"{job_id} is not over" for job_id in unfinished]


if __name__ == "__main__":
    main()
