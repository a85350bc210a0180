"""Compiled parts are used where they are of the sources beside them."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from schemas.compiled import compiled

ROOT = Path(__file__).resolve().parents[2]
PARTS = [
    ("schemas._frames", "schemas/kernel.py"),
    ("reduction._resample", "reduction/steps/kernels.py"),
    ("reduction._combine", "reduction/steps/stack.py"),
]


def part(monkeypatch: pytest.MonkeyPatch, name: str, **constants: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(constants)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("VO_KERNEL", raising=False)
    return module


def test_a_part_of_these_sources_is_used(monkeypatch, caplog):
    module = part(monkeypatch, "schemas._some", abi=3)
    assert compiled("schemas._some", 3) is module
    monkeypatch.setenv("VO_KERNEL", "off")
    assert compiled("schemas._some", 3) is None
    assert not caplog.records


@pytest.mark.parametrize("constants", [{}, {"abi": 2}, {"abi": 4}])
def test_a_part_of_other_sources_is_left_aside_with_a_warning(monkeypatch, caplog, constants):
    part(monkeypatch, "schemas._some", **constants)
    with caplog.at_level(logging.WARNING):
        assert compiled("schemas._some", 3) is None
    (record,) = caplog.records
    assert "schemas._some was compiled from other sources" in record.message
    assert "build_ext --inplace" in record.message


def test_a_part_that_is_not_there_is_nothing_to_speak_of(caplog):
    assert compiled("schemas._none", 1) is None
    assert not caplog.records


@pytest.mark.parametrize(("name", "user"), PARTS)
def test_each_part_and_who_uses_it_expect_the_same(name, user):
    source = (ROOT / f"{name.replace('.', '/')}.c").read_text()
    (abi,) = re.findall(r"^#define ABI (\d+) ", source, re.MULTILINE)
    asked = f'compiled("{name}", abi={abi})'
    assert asked in (ROOT / user).read_text()
