from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def sh(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f'ROOT="{ROOT}"; . "$ROOT/deploy/environment.sh"; {text}'],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: [Errno 28] No space left on device", "The disk is full"),
        ("error: command 'gcc' failed: No such file or directory", "Install a C compiler"),
        ("NewConnectionError: Failed to establish", "could not be fetched"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "differs from what requirements.lock"),
        ("PermissionError: [Errno 13] Permission denied: '/v'", "cannot be written"),
    ],
)
def test_a_failed_installation_is_explained(tmp_path, said, sentence):
    log = tmp_path / "log"
    log.write_text(f"Collecting x\n{said}\n")
    done = sh(f'VENV="{tmp_path}"; explain "{log}"')
    assert done.returncode == 1
    assert sentence in " ".join(done.stderr.split())


def test_an_old_python_is_passed_over(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = sh("find_python || echo none", PATH=f"{tmp_path}:/nowhere")
    assert done.stdout == "none\n"


def test_help_is_there_without_installing_anything():
    done = subprocess.run(
        [ROOT / "deploy" / "demo", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    for word in ("--port P", "--data DIR", "--raw DIR", "--check"):
        assert word in done.stdout
