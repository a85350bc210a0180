from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tap

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "reduction", "tap", "sia", "vo_service")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_down_only():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_package_tap_is_ours():
    assert Path(tap.__file__) == ROOT / "tap" / "__init__.py"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_offers_right_after_its_docstring(path):
    body = ast.parse(path.read_text()).body
    assert ast.get_docstring(ast.Module(body, [])), "no docstring"
    rest = [
        n for n in body[1:] if not (isinstance(n, ast.ImportFrom) and n.module == "__future__")
    ]
    first = rest[0]
    target = first.target if isinstance(first, ast.AnnAssign) else first.targets[0]
    assert target.id == "__all__"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_short_and_named_for_its_concept(path):
    assert path.name != "utils.py"
    assert len(path.read_text().splitlines()) <= 500  # 400 is what we aim for


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed_and_has_no_logic_in_its_init(package):
    assert (ROOT / package / "py.typed").is_file()
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text()).body[1:]
        allowed = (ast.AnnAssign, ast.Assign, ast.Import, ast.ImportFrom)
        assert all(isinstance(node, allowed) for node in body), path
