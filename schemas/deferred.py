"""Modules that are slow to import, imported when something of them is first asked for.

A command that looks at the archive's tables computes nothing: it must not wait for what only
computations need. Declared beside the ordinary imports::

    if TYPE_CHECKING:
        from scipy import ndimage
    else:
        ndimage = deferred("scipy.ndimage")
"""

from __future__ import annotations

__all__ = ["deferred", "import_deferred"]

import importlib
from threading import RLock
from types import ModuleType
from typing import Any, Final

_NAMES: Final[set[str]] = set()
#: Python locks each module by itself; threads that import parts of one library from different ends
#: meet modules that are half there. A deferred module imports none of ours, so that nobody who
#: waits for this holds what it needs.
_ONE_AT_A_TIME: Final = RLock()


class _Deferred(ModuleType):
    """Stands for a module until it is used."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the module has
        if name.startswith("__"):  # asked by who looks at every module there is
            raise AttributeError(name)
        value = getattr(_imported(self.__name__), name)
        setattr(self, name, value)
        return value


def deferred(name: str) -> ModuleType:
    """Give a stand-in for a module.

    Parameters
    ----------
    name
        Its full name; that there is such a module is seen at its first use.
    """
    _NAMES.add(name)
    return _Deferred(name)


def import_deferred() -> None:
    """Import all that was put off: for processes in which nobody shall wait for it later."""
    for name in sorted(_NAMES.copy()):
        _imported(name)


def _imported(name: str) -> ModuleType:
    with _ONE_AT_A_TIME:
        return importlib.import_module(name)
