from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from vo_service.home import Home
from vo_service.state import StateFile


def command(data: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "vo_service", "--data", str(data), *words]


@pytest.fixture(scope="module")
def data():
    folder = Path(tempfile.mkdtemp(prefix="vo-serve-"))
    folder.chmod(0o711)
    yield folder / "data"
    subprocess.run(command(folder / "data", "stop"), check=False, capture_output=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def service(data):
    """``vo-service serve`` on an empty archive: its process and its base URL."""
    process = subprocess.Popen(
        command(data, "serve", "--port", "0"), stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    assert line.startswith("serving http://127.0.0.1:"), line
    yield process, line.split()[1]
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(condition, seconds=60.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_it_answers_and_tells_who_runs(service, data):
    process, url = service
    assert healthy(url)
    done = subprocess.run(command(data, "status"), capture_output=True, text=True, check=False)
    assert f"serving {url} (process {process.pid})" in done.stdout
    assert "engine" in done.stdout
    assert "web server" in done.stdout


def test_a_second_one_on_the_same_archive_is_refused(service, data):
    done = subprocess.run(
        command(data, "serve", "--port", "0"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "served already" in done.stderr


@pytest.mark.parametrize("name", ["engine", "web server"])
def test_a_killed_process_is_started_again(service, data, name):
    _, url = service
    state = StateFile(Home(data).run)
    before = state.read().children[name][0]
    os.kill(before, signal.SIGKILL)
    until(lambda: state.read().children[name][0] != before)
    until(lambda: healthy(url))


def test_a_killed_database_is_started_again(service, data):
    _, url = service
    cluster = Home(data).cluster
    before = cluster.pid
    os.kill(before, signal.SIGKILL)
    until(lambda: cluster.is_running() and cluster.pid != before)
    until(lambda: healthy(url))


def test_stop_ends_every_process(data):
    process = subprocess.Popen(
        command(data.with_name("other"), "serve", "--port", "0"), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("serving")
    home = Home(data.with_name("other"))
    pids = [pid for pid, _ in StateFile(home.run).read().children.values()]
    pids.append(home.cluster.pid)
    done = subprocess.run(command(home.data, "stop"), capture_output=True, text=True, check=False)
    assert done.stdout == "stopped\n"
    assert process.wait(30) == 0
    process.stdout.close()
    assert not home.cluster.is_running()
    for pid in pids:
        until(lambda pid=pid: not psutil.pid_exists(pid)
              or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)  # fmt: skip
