"""Seeing that a script, while it is run for what it declares, leaves the archive's code as it is.

What a script puts in the place of a function for good would reach what the archive publishes,
which names no script then. It says its replacements in ``STEPS``.
"""

from __future__ import annotations

__all__ = ["left_alone"]

import sys
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from reduction.registry import Registry

_OURS: Final = ("schemas", "reduction", "tap", "sia", "vo_service")
_CODE: Final = (FunctionType, classmethod, staticmethod, property, type)


@contextmanager
def left_alone(registry: Registry) -> Iterator[None]:
    """Put functions, classes and methods of the archive back that are others afterwards.

    Parameters
    ----------
    registry
        Whose classes' modules, an operator's plugins among them, are looked at, too.

    Raises
    ------
    ParameterError
        If there were such; names them.
    """
    before = list(_code({cls.__module__ for cls in registry.classes.values()}))
    try:
        yield
    finally:
        changed = [known for known in before if _now(known) is not known[2]]
        for owner, name, value in changed:
            setattr(owner, name, value)
    if changed:
        found = ", ".join(sorted(_path(owner, name) for owner, name, _ in changed))
        expected = "what it replaces in STEPS, for the classes that it is for"
        raise ParameterError("script", f"it replaces {found}", expected)


def _code(plugins: Collection[str]) -> Iterator[tuple[Any, str, Any]]:
    """Functions, classes and methods of our modules and of plugins: whose, name, and itself."""
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] not in _OURS and module_name not in plugins:
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, _CODE):
                yield module, name, value
            if isinstance(value, type) and value.__module__ == module_name:
                for below, method in list(vars(value).items()):
                    if isinstance(method, _CODE):
                        yield value, below, method


def _now(known: tuple[Any, str, Any]) -> object:
    owner, name, _ = known
    return vars(owner).get(name)


def _path(owner: ModuleType | type, name: str) -> str:
    if isinstance(owner, ModuleType):
        return f"{owner.__name__}.{name}"
    return f"{owner.__module__}.{owner.__qualname__}.{name}"
