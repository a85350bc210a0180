from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from schemas.errors import FatalError, SettingsError
from vo_service.state import StateFile
from vo_service.supervise import Child, Supervisor, check_port, free_port

PROGRAM = """
import sys, time
from pathlib import Path
from vo_service.state import StateFile
from vo_service.supervise import Child, Supervisor
folder = Path(sys.argv[1])
mark = folder / "mark"
child = Child("sleeper", (sys.executable, "-c", "import sys,time;"
    "open(sys.argv[1], 'a').write('x');time.sleep(600)", str(mark)),
    {}, folder / "sleeper.log", mark.is_file)
state = StateFile(folder)
state.claim("http://somewhere")
Supervisor([child], cluster=None, state=state).run(lambda: print("ready", flush=True))
"""


@pytest.fixture
def service(tmp_path):
    """A small service that is ready, in its own process."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.terminate()
    process.wait(30)
    process.stdout.close()
    StateFile(tmp_path).stop()


def child_pid(folder: Path) -> int:
    return StateFile(folder).read().children["sleeper"][0]


def until(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_child_that_dies_is_started_again(service, tmp_path):
    first = child_pid(tmp_path)
    os.kill(first, signal.SIGKILL)
    until(lambda: child_pid(tmp_path) != first)
    until(lambda: (tmp_path / "mark").read_text() == "xx")
    assert service.poll() is None


def test_stop_ends_parent_and_children(service, tmp_path):
    child = child_pid(tmp_path)
    assert StateFile(tmp_path).stop() is True
    assert service.wait(20) == 0
    until(lambda: not psutil.pid_exists(child))
    assert StateFile(tmp_path).read() is None
    assert StateFile(tmp_path).stop() is False


def test_a_second_service_on_the_same_folder_is_refused(service, tmp_path):
    with pytest.raises(SettingsError, match="served already at http://somewhere"):
        StateFile(tmp_path).claim("http://elsewhere")


def test_children_of_a_killed_parent_are_ended_by_the_next(service, tmp_path):
    child = psutil.Process(child_pid(tmp_path))
    service.kill()
    service.wait(20)
    assert child.is_running()
    state = StateFile(tmp_path)
    assert state.read() is None
    state.claim("http://next")
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    state.clear()


def test_a_child_that_fails_at_once_is_told_with_its_last_words(tmp_path):
    command = (sys.executable, "-c", "raise SystemExit('the frobnicator is missing')")
    child = Child("engine", command, {}, tmp_path / "engine.log", lambda: False)
    state = StateFile(tmp_path)
    state.claim("http://x")
    with pytest.raises(FatalError, match=r"the engine ended.*frobnicator is missing"):
        Supervisor([child], cluster=None, state=state).run(lambda: None)


def test_a_taken_port_is_refused_with_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="choose another with --port"):
            check_port("127.0.0.1", taken.getsockname()[1])
    check_port("127.0.0.1", free_port("127.0.0.1"))
