"""Modules that are imported at their first use, by whichever thread that is."""

from __future__ import annotations

__all__: list[str] = []

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import PathFinder, SourceFileLoader
from threading import Event
from typing import TYPE_CHECKING

from schemas.deferred import deferred

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path

    import pytest


class Slow(SourceFileLoader):
    """Takes its time before a package is known to be there; says when it was asked."""

    asked = Event()

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
        """Look for a module."""
        del path, target
        if name != "slowly" or (spec := PathFinder.find_spec(name)) is None:
            return None
        spec.loader = cls(name, str(spec.origin))
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Make an empty module, as others are."""
        del spec
        self.asked.set()
        time.sleep(0.3)


def test_threads_that_first_use_a_package_and_its_part_both_get_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python: who asks for the part holds it and waits for the package, which needs the part
    monkeypatch.setattr(sys, "meta_path", [Slow, *sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slowly").mkdir()
    (tmp_path / "slowly" / "__init__.py").write_text("from slowly.part import VALUE\n")
    (tmp_path / "slowly" / "part.py").write_text("VALUE = 7\n")
    whole, part = deferred("slowly"), deferred("slowly.part")
    try:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(lambda: whole.VALUE)
            assert Slow.asked.wait(10.0)
            second = pool.submit(lambda: part.VALUE)
            assert (first.result(), second.result()) == (7, 7)
    finally:
        for name in ("slowly", "slowly.part"):
            sys.modules.pop(name, None)
