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


def test_what_was_compiled_stays_and_the_callers_files_do_not(tmp_path):
    """Parts of before are there, and made again: the last of them is not taken for scratch."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    for folder, name in (("schemas", "_frames.abi3.so"), ("reduction", "_resample.abi3.so")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\ntouch "{tmp_path}/schemas/_frames.abi3.so" '
        f'"{tmp_path}/reduction/_resample.abi3.so"\n'
    )
    python.chmod(0o755)
    done = sh(
        f'ROOT="{tmp_path}"; VENV="$ROOT/venv"; ROOT_LOG="$ROOT/log"; part="$ROOT/list"; '
        'touch "$part"; cd "$ROOT"; touch setup.py schemas/_frames.c reduction/_resample.[ch]; '
        'compile_part; rm -f "$ROOT_LOG" "$part"; compiled_parts; [ ! -e "$ROOT/list" ] && echo ok'
    )
    assert "compiled the parts" in done.stdout
    assert "_frames.abi3.so" in done.stdout.splitlines()[-1] + done.stdout.splitlines()[-2]
    assert "_resample.abi3.so" in done.stdout
    assert done.stdout.endswith("ok\n")
