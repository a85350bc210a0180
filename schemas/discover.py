"""Declarations found by where they are: the modules of a package."""

from __future__ import annotations

__all__ = ["modules_of"]

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield the modules directly in a package, in the order of their names."""
    names = sorted(item.name for item in pkgutil.iter_modules(package.__path__))
    for name in names:
        yield importlib.import_module(f"{package.__name__}.{name}")
