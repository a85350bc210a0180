from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HASHED = re.compile(r"(--hash=sha256:[0-9a-f]{64}|\\)$")


def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


def locked_names(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.MULTILINE))


def wanted(section: str, option: str) -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config[section][option].strip().splitlines()
    return {re.split(r"[ <>=!\[]", line, maxsplit=1)[0] for line in lines}


def committed_files() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_lock_has_two_parts_and_every_dependency():
    runtime, mark, _ = lock().partition("# === test:")
    assert mark
    assert wanted("options", "install_requires") <= locked_names(runtime)
    for extra in ("test", "dev"):
        assert wanted("options.extras_require", extra) <= locked_names(lock())


def test_every_locked_package_has_checksums_and_no_place():
    for line in lock().splitlines():
        if not line.startswith("#"):
            assert HASHED.search(line), line
    assert "://" not in lock()
    assert "--index" not in lock()
    assert "--find-links" not in lock()


def test_no_other_package_named_tap_can_come_in():
    assert not {"typed-argument-parser", "tap-py"} & locked_names(lock())


def test_scripts_are_posix_sh():
    for script in ("deploy/demo", "deploy/test", ".ci/run"):
        path = ROOT / script
        assert path.read_text().startswith("#!/bin/sh\n")
        assert path.stat().st_mode & 0o111
        assert subprocess.run(["/bin/sh", "-n", path], check=False).returncode == 0


def test_no_committed_file_names_a_machine_or_a_package_index():
    forbidden = re.compile(r"/work/|pypi\.org|files\.pythonhosted|/opt/(wheels|pypi)|debian\.org")
    for path in committed_files():
        if path == Path(__file__) or path.suffix in (".png", ".fits", ".gz", ".npz"):
            continue
        found = forbidden.search(path.read_text(errors="replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found}"


def built(folder: Path, **environment: str) -> list[Path]:
    """Build the compiled parts aside; what there is then."""
    command = [sys.executable, "setup.py", "--quiet", "build_ext"]
    places = ["--build-lib", folder / "lib", "--build-temp", folder / "temp"]
    done = subprocess.run(
        [*command, *places],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(folder.glob("lib/*/_*.so"))


def test_the_compiled_parts_are_left_out_where_there_is_no_compiler(tmp_path):
    assert built(tmp_path, CC="/no/compiler") == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_compiled_parts_compile_without_warnings_for_every_python(tmp_path):
    libraries = built(tmp_path, CFLAGS="-Wall -Wextra -Werror")
    names = [library.name.partition(".") for library in libraries]
    assert [name for name, _, _ in names] == ["_combine", "_resample", "_frames"]
    assert all(".abi3." in library.name for library in libraries)
