from __future__ import annotations

import socket
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_story_is_true():
    done = subprocess.run(
        [sys.executable, "-m", "vo_service", "demo", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none wrong" in done.stdout
    assert "WRONG" not in done.stdout


def test_a_port_that_is_taken_is_said_before_anything_is_made(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "vo_service", "demo", "--data", str(tmp_path), "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "choose another with --port" in done.stderr
    assert not (tmp_path / "postgres").exists()
