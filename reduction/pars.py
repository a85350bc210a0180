"""Process parameters of a class and of all it is made from: what each is, and who said so."""

from __future__ import annotations

__all__ = ["Branch", "Layer", "Pars", "Setting", "chain_of", "check_overrides"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.fields import find_field
from reduction.parameters import (
    BandConstant,
    ChipConstant,
    check_parameters,
    default_parameters,
    near_names,
    parameter_types,
)
from reduction.target import ProcessTarget
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Recipe

if TYPE_CHECKING:
    from reduction.archive import Archive
    from reduction.depends import Slot
    from reduction.registry import Registry
    from reduction.target import DBObject

_MIDDLE = "process_params"


@dataclass(frozen=True, slots=True)
class Layer:
    """A value of a parameter, and who said it: the class, its instrument, the settings ..."""

    origin: str
    value: Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One process parameter of one class.

    Attributes
    ----------
    class_name, name, type
        ``BiasFrame``, ``SIGMA_CLIP``, ``float``.
    layers
        All that was said of it, the class's default first; the last one counts.
    """

    class_name: str
    name: str
    type: str
    layers: tuple[Layer, ...]

    @property
    def value(self) -> Any:  # noqa: ANN401  # of the parameter's type
        """What counts."""
        return self.layers[-1].value

    @property
    def origin(self) -> str:
        """Who said what counts."""
        return self.layers[-1].origin

    @property
    def key(self) -> str:
        """``BiasFrame.process_params.SIGMA_CLIP``, as Astro-WISE writes it."""
        return f"{self.class_name}.{_MIDDLE}.{self.name}"


@dataclass(frozen=True, slots=True)
class Branch:
    """A class in the tree, and below it the classes that it is made from.

    Attributes
    ----------
    class_name
        Of targets.
    inputs
        Names of the slots through which the class above takes it; empty at the root.
    settings
        Its parameters; empty where the class was shown before (``again``).
    branches
        What it is made from, in the order of its slots.
    """

    class_name: str
    inputs: tuple[str, ...]
    settings: tuple[Setting, ...]
    branches: tuple[Branch, ...]
    again: bool = False


class Pars(Mapping[str, Any]):
    """Process parameters of a class and of all that it is made from, as a tree and by key.

    ``Pars("BiasFrame", instrument="nickel")["BiasFrame.process_params.SIGMA_CLIP"]`` is 3.0;
    ``print`` shows the tree. Its keys are those that ``get`` takes parameters by.

    Parameters
    ----------
    class_name
        A class of targets, or its name.
    instrument, chip
        Whose values are wanted: without an instrument those of the classes and of the settings
        for all instruments; without a chip, constants of the chip have no value.
    filter
        Leaves out what the filter does not need; without it constants of the filter have no value.
    field
        A field whose own parameters count too.
    parameters
        Parameters of a call, by key: ``{"BiasFrame.process_params.SIGMA_CLIP": 5.0}``.
    archive
        Where settings, operators' changes and fields are; the current one by default.

    Raises
    ------
    NotFoundError
        If there is no such class, instrument, chip, filter or field.
    ParameterError
        If a parameter of the call has an unknown name, with those that look like it; or a value
        of another type.
    """

    def __init__(
        self,
        class_name: str | type[DBObject],
        *,
        instrument: str | None = None,
        chip: str | None = None,
        filter: str | None = None,
        field: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        archive: Archive | None = None,
    ) -> None:
        from reduction.archive import Archive  # noqa: PLC0415  # the archive knows the classes

        self._archive = Archive.current() if archive is None else archive
        name = class_name if isinstance(class_name, str) else class_name.__name__
        registry = self._archive.registry
        if not self._has_parameters(name):
            registry.target(name)
        self._camera = _known(instrument, registry.instruments, "instrument")
        chips = {} if self._camera is None else self._camera.chips
        self._chip = _known(chip, chips, "chip")
        bands = {} if self._camera is None else self._camera.bands
        self._band = _known(filter, bands, "filter")
        self._operator = self._operator_parameters()
        self._field = field or ""
        self._of_field = self._field_parameters()
        self._call = check_overrides(registry, name, parameters or {})
        self._seen: set[str] = set()
        self.tree = self._branch(name, ())
        self.settings = {s.key: s for s in _settings(self.tree)}

    def _operator_parameters(self) -> Mapping[str, Mapping[str, Any]]:
        if self._camera is None:
            return {}
        query = select(Recipe).where(Recipe.instrument == self._camera.name)
        with self._archive.transaction() as session:
            return {row.class_name: row.overrides for row in session.scalars(query)}

    def _field_parameters(self) -> Mapping[str, Mapping[str, Any]]:
        if not self._field:
            return {}
        with self._archive.transaction() as session:
            return find_field(session, self._field).parameters

    def _branch(self, name: str, inputs: tuple[str, ...]) -> Branch:
        cls = self._archive.registry.classes[name]
        if name in self._seen:
            return Branch(name, inputs, (), (), again=True)
        self._seen.add(name)
        below: dict[str, list[str]] = {}
        for slot in cls.SLOTS.values():
            for progenitor in slot.classes:
                if self._has_parameters(progenitor) and self._is_wanted(slot):
                    below.setdefault(progenitor, []).append(slot.name)
        settings = tuple(self._settings_of(cls))
        branches = tuple(self._branch(n, tuple(slots)) for n, slots in below.items())
        return Branch(name, inputs, settings, branches)

    def _has_parameters(self, name: str) -> bool:
        """Whether a class is made, or is one of raw frames that are verified by limits."""
        return hasattr(self._archive.registry.classes.get(name), "Parameters")

    def _is_wanted(self, slot: Slot) -> bool:
        """Whether a slot is looked at; without an instrument, or a filter, all may be."""
        if not slot.when or self._camera is None:
            return True
        if self._band is None:
            bands = self._camera.bands
            return any(self._camera.wants(slot.when, name) for name in ("", *bands))
        return bool(self._camera.wants(slot.when, self._band.name))

    def _settings_of(self, cls: Any) -> Iterator[Setting]:  # noqa: ANN401  # a class with Parameters
        name, types = cls.__name__, parameter_types(cls.Parameters)
        said = [(origin, values) for origin, values in self._said(name) if values]
        checked = [(o, check_parameters(name, cls.Parameters, v)) for o, v in said]
        for parameter, default in default_parameters(cls.Parameters).items():
            first = Layer("default", default)
            if isinstance(default, ChipConstant):
                value = None if self._chip is None else getattr(self._chip, default.name)
                first = Layer(f"the chip's {default.name}", value)
            if isinstance(default, BandConstant):
                value = None if self._band is None else getattr(self._band, default.name)
                first = Layer(f"the filter's {default.name}", value)
            layers = [Layer(o, values[parameter]) for o, values in checked if parameter in values]
            yield Setting(name, parameter, types[parameter], (first, *layers))

    def _said(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Who says what of a class's parameters; later ones count."""
        by_owner = self._archive.settings.reduction.parameters
        if self._camera is not None:
            camera = self._camera.name
            yield f"instrument {camera}", self._camera.parameters.get(name, {})
        yield "settings for all instruments", by_owner.get("*", {}).get(name, {})
        if self._camera is not None:
            yield f"settings for {camera}", by_owner.get(camera, {}).get(name, {})
            yield "operator", self._operator.get(name, {})
        cls = self._archive.registry.classes[name]
        if issubclass(cls, ProcessTarget) and cls.ANCHOR.per_field:
            yield f"field {self._field}", self._of_field.get(name, {})
        yield "call", self._call.get(name, {})

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # of the parameter's type
        """Value that counts; ``BiasFrame.SIGMA_CLIP`` will do as key."""
        class_name, name = _split(key)
        found = self.settings.get(f"{class_name}.{_MIDDLE}.{name}")
        if found is None:
            raise KeyError(f"there is no {key}, expected {near_names(key, self.settings)}")
        return found.value

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings)

    def __len__(self) -> int:
        return len(self.settings)

    def __str__(self) -> str:
        return "\n".join(_lines(self.tree, ""))

    def __repr__(self) -> str:
        return f"<Pars {self.tree.class_name}: {len(self)} parameters>"


def chain_of(registry: Registry, class_name: str) -> dict[str, type[ProcessTarget]]:
    """A class of targets and all classes of targets that it may be made from, by name."""
    found: dict[str, type[ProcessTarget]] = {}
    waiting = [class_name]
    while waiting:
        name = waiting.pop()
        cls = registry.classes.get(name)
        if name in found or cls is None or not issubclass(cls, ProcessTarget):
            continue
        found[name] = cls
        waiting += [n for slot in cls.SLOTS.values() for n in slot.classes]
    return found


def check_overrides(
    registry: Registry, class_name: str, parameters: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """See that the parameters of a call are parameters of a class or of what it is made from.

    Parameters
    ----------
    registry
        The classes.
    class_name
        What is asked for.
    parameters
        By key, ``BiasFrame.process_params.SIGMA_CLIP`` or ``BiasFrame.SIGMA_CLIP``.

    Returns
    -------
    dict
        ``{"BiasFrame": {"SIGMA_CLIP": 5.0}}``, values of JSON types.

    Raises
    ------
    ParameterError
        If a key is none, or a class is not in the chain or a name unknown, with the names that
        look like it; or a value is of another type.
    """
    chain = chain_of(registry, class_name)
    asked: dict[str, dict[str, Any]] = {}
    for key, value in parameters.items():
        owner, name = _split(key)
        if owner not in chain:
            expected = f"{near_names(owner, chain)}: {class_name} is made from these"
            raise ParameterError(key, owner, expected)
        asked.setdefault(owner, {})[name] = value
    return {
        owner: check_parameters(owner, chain[owner].Parameters, values)
        for owner, values in asked.items()
    }


def _split(key: str) -> tuple[str, str]:
    words = key.split(".")
    if len(words) == 3 and words[1] == _MIDDLE:
        return words[0], words[2]
    if len(words) != 2:
        expected = "a key such as BiasFrame.process_params.SIGMA_CLIP or BiasFrame.SIGMA_CLIP"
        raise ParameterError("parameters", key, expected)
    return words[0], words[1]


def _known(name: str | None, known: Mapping[str, Any], what: str) -> Any:  # noqa: ANN401  # one of the values
    if name is None:
        return None
    if name not in known:
        raise NotFoundError(f"there is no {what} {name!r}, expected {near_names(name, known)}")
    return known[name]


def _settings(branch: Branch) -> Iterator[Setting]:
    yield from branch.settings
    for below in branch.branches:
        yield from _settings(below)


def _lines(branch: Branch, indent: str) -> Iterator[str]:
    through = f" ({', '.join(branch.inputs)})" if branch.inputs else ""
    yield f"{indent}{branch.class_name}{through}{': see above' if branch.again else ''}"
    for setting in branch.settings:
        said = f"{setting.name} = {setting.value!r}"
        if len(setting.layers) > 1:
            before = ", ".join(f"{x.origin} {x.value!r}" for x in reversed(setting.layers[:-1]))
            said += f"  [{setting.origin}; {before}]"
        elif setting.origin != "default":
            said += f"  [{setting.origin}]"
        yield f"{indent}    {said}"
    for below in branch.branches:
        yield from _lines(below, indent + "    ")
