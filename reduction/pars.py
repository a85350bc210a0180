"""Process parameters of a class and of all it is made from: what each is, and who said so."""

from __future__ import annotations

__all__ = ["Branch", "Layer", "Pars", "Setting", "chain_of", "check_overrides", "split_key"]

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING, Any

from reduction.parameters import (
    BandConstant,
    ChipConstant,
    check_parameters,
    declared_parameters,
    near_names,
)
from reduction.speakers import Speakers
from reduction.target import ProcessTarget
from schemas.errors import ParameterError

if TYPE_CHECKING:
    from reduction.archive import Archive
    from reduction.declared import Declared
    from reduction.registry import Registry
    from reduction.speakers import View
    from reduction.target import DBObject

_MIDDLE = "process_params"


@dataclass(frozen=True, slots=True)
class Layer:
    """A value of a parameter, and who said it: the class, its instrument, the settings ...

    ``wrong`` is empty, or says why the class, as it is now, cannot be made with the value.
    """

    origin: str
    value: Any
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One process parameter of one class.

    Attributes
    ----------
    class_name
        ``BiasFrame``.
    declared
        Its name, type, range, unit and meaning.
    layers
        All that was said of it, the class's default first; the last one counts.
    """

    class_name: str
    declared: Declared
    layers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        """``SIGMA_CLIP``."""
        return self.declared.name

    @property
    def type(self) -> str:
        """As it is written: ``float``."""
        return self.declared.type

    @property
    def range(self) -> str:
        """Which values there are: ``above 0``, ``WEIGHTED, CLIPPED``; empty for all."""
        return self.declared.range

    @property
    def unit(self) -> str:
        """Its unit; empty for none."""
        return self.declared.limits.unit

    @property
    def description(self) -> str:
        """What it means, in one line."""
        return self.declared.limits.description

    @property
    def wrong(self) -> str:
        """Why the value that counts cannot be used; empty if it can."""
        return self.layers[-1].wrong

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

    @property
    def said(self) -> str:
        """Name, value and unit; and who said so and what held before, but for a default alone."""
        said = f"{self.name} = {self.value!r}" + (f" {self.unit}" if self.unit else "")
        before = ", ".join(f"{x.origin} {x.value!r}" for x in reversed(self.layers[:-1]))
        if before or self.origin != "default":
            said += f"  [{self.origin}{'; ' if before else ''}{before}]"
        return f"{said}  {self.wrong}" if self.wrong else said

    @property
    def meaning(self) -> str:
        """What it means, and its range or choices, in one line."""
        words = (self.description, f"({self.range})" if self.range else "")
        return " ".join(word for word in words if word)

    def as_json(self) -> dict[str, Any]:
        """All of it, of JSON types."""
        limits = self.declared.limits
        return {
            "class": self.class_name,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "type": self.type,
            "range": self.range,
            "choices": list(limits.choices),
            "description": self.description,
            "origin": self.origin,
            "wrong": self.wrong,
            "layers": [{"origin": x.origin, "value": x.value} for x in self.layers],
        }


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
        for all instruments; without a chip, constants of the chip have no value. Several
        instruments joined by "+" are those of a field: what is made of the field as a whole has
        parameters of its own for them, all other classes for each camera.
    filter
        Leaves out what the filter does not need; without it constants of the filter have no value.
    field
        A field whose own parameters count too; its instruments are taken where none is named.
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
        self._speakers = Speakers(
            self._archive, instrument=instrument, chip=chip, filter=filter, field=field
        )
        self._call = check_overrides(registry, name, parameters or {})
        self._seen: set[str] = set()
        self.tree = self._branch(name, ())
        self.settings = {s.key: s for s in _settings(self.tree)}

    def _branch(self, name: str, inputs: tuple[str, ...]) -> Branch:
        cls = self._archive.registry.classes[name]
        if name in self._seen:
            return Branch(name, inputs, (), (), again=True)
        self._seen.add(name)
        view, below = self._speakers.view(cls), dict[str, list[str]]()
        for slot in cls.SLOTS.values():
            for progenitor in slot.classes:
                if self._has_parameters(progenitor) and view.wants(slot):
                    below.setdefault(progenitor, []).append(slot.name)
        settings = tuple(self._settings_of(cls))
        branches = tuple(self._branch(n, tuple(slots)) for n, slots in below.items())
        return Branch(name, inputs, settings, branches)

    def _has_parameters(self, name: str) -> bool:
        """Whether a class is made, or is one of raw frames that are verified by limits."""
        return hasattr(self._archive.registry.classes.get(name), "Parameters")

    def _settings_of(self, cls: type[DBObject]) -> Iterator[Setting]:
        parameters: Any = cls.Parameters
        view = self._speakers.view(cls)
        layers = {n: [_first(item, view)] for n, item in declared_parameters(parameters).items()}
        for origin, values in self._said(cls, parameters):
            for name, value in values.items():
                wrong = _wrong(cls.__name__, parameters, name, value)
                if name in layers:
                    layers[name].append(Layer(origin, value, wrong))
        for name, item in declared_parameters(parameters).items():
            yield Setting(cls.__name__, item, tuple(layers[name]))

    def _said(
        self, cls: type[DBObject], parameters: type[Any]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Who says what of a class's parameters; later ones count."""
        for origin, values in self._speakers.configured(cls):
            yield origin, check_parameters(cls.__name__, parameters, values)
        yield from self._speakers.stored(cls)
        yield "call", self._call.get(cls.__name__, {})

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # of the parameter's type
        """Value that counts; ``BiasFrame.SIGMA_CLIP`` will do as key."""
        class_name, name = split_key(key)
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
        If a key is none or said twice, or a class is not in the chain or a name unknown, with the
        names that look like it; or a value cannot be used.
    """
    chain = chain_of(registry, class_name)
    asked: dict[str, dict[str, Any]] = {}
    for key, value in parameters.items():
        owner, name = split_key(key)
        if owner not in chain:
            raise ParameterError(key, owner, _members(registry, class_name, owner, chain))
        if name in asked.setdefault(owner, {}):
            raise ParameterError(key, value, f"one value of {owner}.{name}: it is set twice")
        asked[owner][name] = value
    return {
        owner: check_parameters(owner, chain[owner].Parameters, values)
        for owner, values in asked.items()
    }


def _members(registry: Registry, class_name: str, owner: str, chain: Mapping[str, Any]) -> str:
    """Which classes would be right in the place of one that is not in the chain."""
    known = registry.classes.get(owner)
    if known is None:
        return f"{near_names(owner, chain)}: {class_name} is made from these"
    if not issubclass(known, ProcessTarget) and hasattr(known, "Parameters"):
        return "a class that is made: raw frames are judged when they come in, by the settings"
    with_some = sorted(n for n, cls in chain.items() if declared_parameters(cls.Parameters))
    return f"{class_name} or a class that it is made from: {', '.join(with_some)}"


def split_key(key: str) -> tuple[str, str]:
    """Class and name of a parameter's key.

    Raises
    ------
    ParameterError
        If it has another form.
    """
    words = key.split(".")
    if len(words) == 3 and words[1] == _MIDDLE:
        return words[0], words[2]
    if len(words) != 2:
        expected = "a key such as BiasFrame.process_params.SIGMA_CLIP or BiasFrame.SIGMA_CLIP"
        raise ParameterError("parameters", key, expected)
    return words[0], words[1]


def _first(item: Declared, view: View) -> Layer:
    """What the class says itself, or leaves to the chip or the filter."""
    if isinstance(item.default, ChipConstant):
        return Layer(item.default_words, getattr(view.chip, item.default.name, None))
    if isinstance(item.default, BandConstant):
        return Layer(item.default_words, getattr(view.band, item.default.name, None))
    return Layer("default", None if item.default is MISSING else item.default)


def _wrong(class_name: str, parameters: type[Any], name: str, value: object) -> str:
    try:
        check_parameters(class_name, parameters, {name: value})
    except ParameterError as error:
        return f"cannot be used: expected {error.expected}"
    return ""


def _settings(branch: Branch) -> Iterator[Setting]:
    yield from branch.settings
    for below in branch.branches:
        yield from _settings(below)


def _lines(branch: Branch, indent: str) -> Iterator[str]:
    through = f" ({', '.join(branch.inputs)})" if branch.inputs else ""
    yield f"{indent}{branch.class_name}{through}{': see above' if branch.again else ''}"
    for setting in branch.settings:
        yield f"{indent}    {setting.said}"
    for below in branch.branches:
        yield from _lines(below, indent + "    ")
