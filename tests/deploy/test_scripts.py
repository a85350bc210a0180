from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


BUILT = "compiled the parts"
NOT_BUILT = "no C compiler"
SETUP = """
from setuptools import Extension, setup
setup(name="x", packages=[], ext_modules=[Extension("schemas._frames", ["schemas/_frames.c"],
      optional=True, py_limited_api=True)])
"""
SOURCE = """
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_frames", "%s", 0, NULL, slots,
                                    NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__frames(void) { return PyModuleDef_Init(&module); }
"""


class Tree:
    """A folder with one part to be compiled, and environments to do it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.part = root / "schemas" / "_frames.abi3.so"
        for folder in ("schemas", "reduction"):
            (root / folder).mkdir()
        (root / "setup.py").write_text(SETUP)
        (root / "reduction" / "_none.c").touch()
        (root / "reduction" / "_none.h").touch()
        (root / "schemas" / "_frames.h").touch()
        self.write("first")

    def write(self, word: str, *, time: int | None = None) -> None:
        source = self.root / "schemas" / "_frames.c"
        source.write_text(SOURCE % word)
        if time is not None:
            os.utime(source, (time, time))

    def compile(self, venv: str = "venv", **environment: str) -> str:
        (self.root / venv / "bin").mkdir(parents=True, exist_ok=True)
        python = self.root / venv / "bin" / "python"
        if not python.exists():
            python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            python.chmod(0o755)
        places = f'ROOT="{self.root}"; VENV="$ROOT/{venv}"; ROOT_LOG="$ROOT/log"; '
        done = sh(f'{places} compile_part; echo "${{VO_KERNEL:-on}}"', **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def compile_by_hand(self) -> None:
        """Leave a build in place, and one in build/."""
        for command in (["build"], ["build_ext", "--inplace"]):
            setup = [sys.executable, "setup.py", "--quiet", *command]
            subprocess.run(setup, cwd=self.root, check=True)

    def holds(self, word: str) -> bool:
        return self.part.exists() and word.encode() in self.part.read_bytes()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if shutil.which("cc", path="/usr/bin:/bin") is None:
        pytest.skip("needs a C compiler")
    root = tmp_path / "a tree"
    root.mkdir()
    return Tree(root)


def test_what_is_compiled_is_of_these_sources_however_old_they_are(tree):
    tree.compile_by_hand()
    assert tree.holds("first")
    tree.write("second", time=1_000_000_000)
    assert BUILT in tree.compile()
    assert tree.holds("second")
    assert tree.compile() == "on\n"  # once


def test_a_compiler_that_fails_leaves_nothing_of_before(tree):
    tree.compile_by_hand()
    tree.write("second")
    assert NOT_BUILT in tree.compile(CC="/no/compiler")
    assert not tree.part.exists()
    assert BUILT in tree.compile()
    assert tree.holds("second")


def test_what_another_environment_compiled_is_not_trusted(tree):
    assert BUILT in tree.compile("one")
    tree.write("second")
    assert BUILT in tree.compile("two")
    tree.write("first")
    assert BUILT in tree.compile("one")
    assert tree.holds("first")


def test_what_cannot_be_removed_is_left_aside(tree):
    (tree.part / "full").mkdir(parents=True)
    said = tree.compile()
    assert "cannot be removed" in said
    assert said.endswith("off\n")


def test_compiling_leaves_no_scratch_files(tree, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    assert BUILT in tree.compile(TMPDIR=str(room))
    assert not any(room.iterdir())
    assert not (tree.root / "build").exists()
