"""The classes and instruments that exist: those in their packages, and the operator's plugins."""

from __future__ import annotations

__all__ = ["Registry"]

import importlib
import logging
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reduction import instruments as instruments_package
from reduction import targets as targets_package
from reduction.instruments.base import Instrument
from reduction.instruments.composite import joined
from reduction.parameters import near_names
from reduction.target import DBObject, ProcessTarget
from schemas.columns import Schema
from schemas.discover import modules_of
from schemas.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registry:
    """Classes and instruments by name.

    Attributes
    ----------
    classes
        Every class of the archive by name.
    instruments
        Every camera by name.
    published
        Schemas of the operator's own tables, which plugins declare as ``PUBLISHED``. The tables
        are the operator's: they are described and can be queried, and are never made or changed.
    fingerprints
        Those of recipes that were computed before: see :mod:`reduction.fingerprints`.
    """

    classes: Mapping[str, type[DBObject]]
    instruments: Mapping[str, Instrument]
    published: tuple[Schema, ...] = ()
    fingerprints: dict[Any, tuple[Instrument | None, str]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def load(cls, plugins: Sequence[str] = ()) -> Registry:
        """Find what is there.

        Parameters
        ----------
        plugins
            Names of further modules; a class in one of them replaces one of the same name.

        Raises
        ------
        SettingsError
            If a module cannot be imported; says why, and in which line.
        """
        extra = [_plugin(name) for name in plugins]
        classes = {
            value.__name__: value
            for module in (*modules_of(targets_package), *extra)
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, DBObject)
            and value.__module__ == module.__name__
        }
        cameras = [
            module.INSTRUMENT
            for module in _with_instrument((*modules_of(instruments_package), *extra))
        ]
        published = tuple(
            schema
            for module in extra
            for schema in getattr(module, "PUBLISHED", ())
            if isinstance(schema, Schema)
        )
        declaring = {value.__module__ for value in classes.values()}
        for module in extra:
            own = {"INSTRUMENT", "PUBLISHED"} & vars(module).keys()
            if not own and module.__name__ not in declaring:
                _LOG.warning(
                    "the plugin %s declares nothing: expected INSTRUMENT, PUBLISHED, or classes",
                    module.__name__,
                )
        return cls(classes, {camera.name: camera for camera in cameras}, published)

    def target(self, name: str) -> type[ProcessTarget]:
        """Give the target class of a name.

        Raises
        ------
        NotFoundError
            If there is none; names those that look like it, or all.
        """
        found = self.classes.get(name)
        if found is None or not issubclass(found, ProcessTarget):
            message = f"there is no target class {name!r}"
            if found is not None:
                raise NotFoundError(f"{message}: its objects come in, and are not made")
            near = near_names(name, [target.__name__ for target in self.targets()])
            raise NotFoundError(f"{message}, expected {near}")
        return found

    def targets(self) -> Iterable[type[ProcessTarget]]:
        """All classes that can be made."""
        return (
            value
            for value in self.classes.values()
            if issubclass(value, ProcessTarget) and hasattr(value, "ANCHOR_CLASSES")
        )

    def by_filter(self, name: str) -> bool:
        """Whether a class is made per filter."""
        found = self.classes[name]
        return issubclass(found, ProcessTarget) and found.ANCHOR.by_filter

    def camera(self, name: str, *, composite: bool = False) -> Instrument:
        """Instrument of a target.

        Parameters
        ----------
        name
            Of one, or of several joined by "+".
        composite
            Whether its filters are those of the photometric system: the target is a field's.
        """
        if not composite:
            return self.instruments[name]
        return joined([self.instruments[part] for part in name.split("+")])

    def missing(self, name: str) -> list[str]:
        """Cameras of a target's instrument that this installation does not know (any longer)."""
        return sorted(set(name.split("+")) - self.instruments.keys())

    def owner(self, name: str) -> str:
        """Name that process parameters of an instrument, or of several together, are kept under.

        Parameters
        ----------
        name
            Of an instrument, or of several joined by "+" in any order: they are sorted.

        Raises
        ------
        NotFoundError
            If there is no such instrument; names those that look like it.
        """
        parts = sorted(set(name.split("+")))
        for part in parts:
            if part not in self.instruments:
                known = near_names(part, self.instruments)
                message = f"there is no instrument {part!r}, expected {known}"
                raise NotFoundError(message)
        return "+".join(parts)

    def users_of(self, name: str) -> Iterable[type[ProcessTarget]]:
        """Target classes with a slot that the named class can fill."""
        return (
            target
            for target in self.targets()
            if any(name in slot.classes for slot in target.SLOTS.values())
        )


def _plugin(name: str) -> ModuleType:
    """Import a module that the settings name."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            expected = "a module where Python finds it: PYTHONPATH names the folder of its file"
            message = f"reduction.plugins: there is no module {name!r}, expected {expected}"
            raise SettingsError(message) from error
        if isinstance(error, SyntaxError):
            file, line, what = error.filename or name, error.lineno, error.msg
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            file, line, what = last.filename, last.lineno, str(error)
        place = f"{Path(file).name}, line {line}"
        message = f"reduction.plugins: {name!r} cannot be imported, {place}: "
        raise SettingsError(f"{message}{type(error).__name__}: {what}") from error


def _with_instrument(modules: Iterable[ModuleType]) -> Iterable[ModuleType]:
    return (m for m in modules if isinstance(getattr(m, "INSTRUMENT", None), Instrument))
