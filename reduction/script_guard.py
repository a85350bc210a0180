"""Seeing that a script, while it is run for what it declares, leaves the archive's code as it is.

What a script puts in the place of a function for good would reach what the archive publishes,
which names no script then. It says its replacements in ``STEPS``.
"""

from __future__ import annotations

__all__ = ["import_makers", "left_alone"]

import importlib
import pkgutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.deferred import deferred
from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import sep

    from reduction.registry import Registry
else:
    sep = deferred("sep")

_OURS: Final = ("schemas", "reduction", "tap", "sia", "vo_service")
#: Whose functions recipes call.
_LIBRARIES: Final = ("numpy", "scipy", "sep", "astropy", "healpy")
#: What makes products is below these, but for modules that draw, simulate, or hold engines.
_MAKERS: Final = ("schemas", "reduction")
_OTHERS: Final = (
    "reduction.cluster",
    "reduction.inspection",
    "reduction.script_process",
    "reduction.simulate",
    "reduction.simulation",
)
#: What fills while scripts are run.
_FILLING: Final = frozenset({"_RUN", "_RUNNING", "_NAMES", "_ROWS"})
#: Set by Python itself, or made anew for each who asks.
_OF_PYTHON: Final = frozenset(
    {"__abstractmethods__", "__annotations__", "__builtins__", "__cached__"}
    | {"__dict__", "__doc__", "__warningregistry__", "__weakref__"}
)
_METHODS: Final = (FunctionType, property, classmethod, staticmethod)
_ABSENT: Final = object()


def import_makers() -> None:
    """Import all that makes products, so that it is here before a script could meet it first."""
    for top in _MAKERS:
        path = importlib.import_module(top).__path__
        for found in pkgutil.walk_packages(path, f"{top}."):
            if not found.name.startswith(_OTHERS):
                importlib.import_module(found.name)


@contextmanager
def left_alone(registry: Registry) -> Iterator[None]:
    """Put back what is otherwise afterwards in the archive's code.

    Looked at are all names of our modules and classes, what is in their tables (dictionaries,
    lists, sets), code and defaults of their functions, and functions, classes and methods of the
    libraries that recipes call. Settings of numpy and sep are put back without a word.

    Parameters
    ----------
    registry
        Whose classes' modules, an operator's plugins among them, are looked at, too.

    Raises
    ------
    ParameterError
        If something was otherwise; names it.

    Notes
    -----
    It keeps accidents away, and what a reader of the script would not see at once. A script that
    wants to can hide from it: an operator reads it before it may run (decision 25).
    """
    before = list(_held({cls.__module__ for cls in registry.classes.values()}))
    changed: set[str] = set()
    buffers = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    try:
        with np.errstate():
            yield
    finally:
        sep.set_extract_pixstack(buffers[0])
        sep.set_sub_object_limit(buffers[1])
        for held in before:
            changed.update(held.put_back())
    if changed:
        expected = "what it replaces in STEPS, for the classes that it is for"
        raise ParameterError("script", f"it replaces {', '.join(sorted(changed))}", expected)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a module or a class held.

    Attributes
    ----------
    owner
        The module or class.
    names
        Its names and what they stood for.
    inside
        By name, what else was there: parts of functions, contents of tables, each with a
        function that puts it back.
    complete
        Whether names that came count, too.
    """

    owner: ModuleType | type
    names: dict[str, Any]
    complete: bool
    inside: dict[str, list[_Inside]] = field(default_factory=dict)

    def put_back(self) -> Iterator[str]:
        """Make all as it was; gives the paths of what was not."""
        now = vars(self.owner)
        for name, value in self.names.items():
            otherwise = now.get(name, _ABSENT) is not value
            if otherwise:
                setattr(self.owner, name, value)
            for part in self.inside.get(name, ()):
                otherwise |= part.put_back()
            if otherwise:
                yield self._path(name)
        if not self.complete:
            return
        for name in [n for n in now if n not in self.names and not n.startswith("__")]:
            if not isinstance(now[name], ModuleType):  # an import within a package
                with suppress(AttributeError):
                    delattr(self.owner, name)
                yield self._path(name)

    def _path(self, name: str) -> str:
        if isinstance(self.owner, ModuleType):
            return f"{self.owner.__name__}.{name}"
        return f"{self.owner.__module__}.{self.owner.__qualname__}.{name}"


@dataclass(frozen=True, slots=True)
class _Inside:
    """A part of a function or the contents of a table: how it is had, what it was."""

    get: Callable[[], Any]
    set: Callable[[Any], None]
    was: Any

    def put_back(self) -> bool:
        """Make it as it was; whether it was otherwise."""
        if _same(self.get(), self.was):
            return False
        self.set(self.was)
        return True


def _same(one: Any, two: Any) -> bool:  # noqa: ANN401  # whatever is in a table
    """Whether two are the same objects, or tables of the same objects in the same order."""
    if one is two:
        return True
    if not isinstance(one, (dict, list, set)) or len(one) != len(two):
        return False
    if isinstance(one, dict):
        return _same([*one], [*two]) and _same([*one.values()], [*two.values()])
    if isinstance(one, set):
        return not one ^ two
    return all(a is b for a, b in zip(one, two, strict=True))


def _held(plugins: Collection[str]) -> Iterator[_Held]:
    """All that is looked at."""
    seen: set[int] = set()
    modules: list[tuple[str, Any]] = list(sys.modules.items())
    for module_name, module in modules:
        if not isinstance(module, ModuleType):
            continue
        top = module_name.partition(".")[0]
        if top in _OURS or module_name in plugins:
            yield _whole(module, seen)
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == module_name:
                    yield _whole(value, seen)
        elif top in _LIBRARIES:
            code = {n: v for n, v in list(vars(module).items()) if _is_code(v)}
            yield _Held(module, code, complete=False)
            for value in code.values():
                if isinstance(value, type) and value.__module__ == module_name:
                    yield _Held(value, _methods(value), complete=False)


def _methods(cls: type) -> dict[str, Any]:
    """What a library's class has in Python's code."""
    return {n: v for n, v in list(vars(cls).items()) if isinstance(v, _METHODS)}


def _is_code(value: object) -> bool:
    """Whether it is a function or a class, and no stand-in that is filled at its first use."""
    return callable(value) and not isinstance(value, ModuleType)


def _whole(owner: ModuleType | type, seen: set[int]) -> _Held:
    held = _Held(owner, dict(vars(owner)), complete=True)
    for name in _OF_PYTHON:
        held.names.pop(name, None)
    for name, value in held.names.items():
        own = isinstance(owner, ModuleType) or not name.startswith("_") or callable(value)
        if id(value) not in seen and name not in _FILLING and own and not name.startswith("__"):
            seen.add(id(value))
            if parts := list(_parts(value)):
                held.inside[name] = parts
    return held


def _parts(value: Any) -> Iterator[_Inside]:  # noqa: ANN401  # whatever has a name
    """What can be otherwise though the name stands for the same object."""
    if isinstance(value, (dict, list, set)):
        yield _Inside(value.copy, partial(_fill, value), value.copy())
    for function in _functions(value):
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            was = getattr(function, part)
            was = was.copy() if isinstance(was, dict) else was
            yield _Inside(partial(getattr, function, part), partial(setattr, function, part), was)


def _fill(table: Any, was: Any) -> None:  # noqa: ANN401  # a dictionary, list or set
    """Give a table its contents of before."""
    table.clear()
    (table.extend if isinstance(table, list) else table.update)(was)


def _functions(value: Any) -> Iterator[FunctionType]:  # noqa: ANN401  # whatever has a name
    """Functions of Python that it is made of: of a property, a method of the class, a cache."""
    if isinstance(value, FunctionType):
        yield value
        return
    if isinstance(value, (type, ModuleType, MappingProxyType)):
        return
    for name in ("__func__", "fget", "func", "__wrapped__"):
        with suppress(Exception):
            inner = getattr(value, name, None)
            if isinstance(inner, FunctionType):
                yield inner
