"""Names in a query that no camera here has: what is asked for by them has no rows."""

from __future__ import annotations

__all__ = ["unknown_names"]

from typing import TYPE_CHECKING

from reduction.parameters import near_names
from schemas.dali import Info

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reduction.registry import Registry
    from reduction.scope import Scope


def unknown_names(scope: Scope, registry: Registry) -> tuple[Info, ...]:
    """Say which instruments, chips and filters a query is restricted to that no camera has.

    Returns
    -------
    tuple of Info
        Named NOTE; each names what was asked for and what looks like it. None where all are known.
    """
    asked = {"instrument": scope.instruments, "chip": scope.chips, "filter": scope.filters}
    if not any(asked.values()):
        return ()
    cameras = registry.instruments.values()
    bands = [band for camera in cameras for band in camera.bands.values()]
    known = {
        "instrument": set(registry.instruments),
        "chip": {chip for camera in cameras for chip in camera.chips},
        # products of a field have the standard band
        "filter": {name for band in bands for name in (band.name, band.standard)},
    }
    return tuple(
        _note(word, name, known[word])
        for word, names in asked.items()
        for name in sorted(names or ())
        if name and not known[word].issuperset(_parts(word, name))
    )


def _note(word: str, name: str, known: Iterable[str]) -> Info:
    return Info("NOTE", f"no {word} is called {name!r} here, expected {near_names(name, known)}")


def _parts(word: str, name: str) -> list[str]:
    """Names that a name is joined of: those of cameras of a field."""
    return name.split("+") if word == "instrument" else [name]
