"""The benchmarks: commands that nobody runs every day, which have to work on the day they are."""

from __future__ import annotations

__all__: list[str] = []

import importlib
from pathlib import Path

import pytest

NAMES = sorted(path.stem for path in (Path(__file__).parent / "benchmarks").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_all_that_it_measures_and_tells_how_it_is_run(name: str) -> None:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    assert module.__doc__ is not None
    assert f"python -m tests.benchmarks.{name}" in module.__doc__
