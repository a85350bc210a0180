"""What a script may not do when it is read: change the code that makes everybody's products."""

from __future__ import annotations

__all__ = ["code_unchanged"]

import sys
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN: Final = ("reduction", "schemas", "sia", "tap", "vo_service")
_METHODS: Final = (FunctionType, classmethod, staticmethod, property)
_EXPECTED: Final = (
    "code that stays as it is: name what is to be replaced in STEPS, or subclass it, so that the "
    "script says which products it makes"
)


@contextmanager
def code_unchanged() -> Iterator[None]:
    """Watch that a block replaces nothing in the service's own modules and classes.

    What it replaced is put back. What it adds, and what it does to other libraries, is not seen.

    Raises
    ------
    ParameterError
        If it replaced something; says what.
    """
    before = [(holder, name, value) for holder in _holders() for name, value in _held(holder)]
    try:
        yield
    finally:
        changed = [
            (holder, name, value)
            for holder, name, value in before
            if vars(holder).get(name) is not value
        ]
        for holder, name, value in changed:
            setattr(holder, name, value)
    if changed:
        holder, name, _ = changed[0]
        of = holder.__name__
        if isinstance(holder, type):
            of = f"{holder.__module__}.{of}"
        raise ParameterError("script", f"it replaces {of}.{name}", _EXPECTED)


def _holders() -> list[Any]:
    """Our modules that are loaded, and the classes that they define."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in _OWN and isinstance(module, ModuleType)
    ]
    classes = {
        value
        for module in modules
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    return [*modules, *classes]


def _held(holder: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  # a module or a class
    """Names and values that count: all of a module, the methods of a class."""
    return [
        (name, value)
        for name, value in list(vars(holder).items())
        if (isinstance(holder, ModuleType) and not name.startswith("__"))
        or isinstance(value, _METHODS)
    ]
