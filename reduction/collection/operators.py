"""The operators of source collections: Astro-WISE's classes, as values.

A tree of operators says what a collection is; it does nothing. Two trees that are alike are the
same collection: its key is a hash of the tree and of the keys of its source lists.
"""

from __future__ import annotations

__all__ = [
    "AttributeCalculator",
    "ConcatenateAttributes",
    "ConcatenateSources",
    "FilterSources",
    "RenameAttributes",
    "SelectAttributes",
    "SelectSources",
    "SourceListWrapper",
    "from_json",
]

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from reduction.collection.expressions import Expression, parse_expression
from reduction.collection.operator import AttributeCalculatorDefinition, Operator
from schemas.errors import ParameterError
from schemas.published_sources import SOURCES
from schemas.tables import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_IDENTITY: Final = ("object_id", "product_id", "source_number")


@dataclass(frozen=True)
class SourceListWrapper(Operator):
    """The sources of some source lists, with all their attributes.

    Attributes
    ----------
    lists
        Object numbers, sorted.
    """

    lists: tuple[int, ...]

    def __post_init__(self) -> None:
        """Bring the lists into order."""
        object.__setattr__(self, "lists", tuple(sorted({int(number) for number in self.lists})))

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Columns of the table of sources."""
        said = {column.name: column for column in SOURCES.columns}
        names = [c.name for c in Source.__table__.columns if c.name not in _WRITTEN]
        return {
            name: AttributeCalculatorDefinition(
                name, "", *(said[name].unit, said[name].ucd, said[name].description)
            )
            if name in said
            else AttributeCalculatorDefinition(name, "")
            for name in names
        }

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Nothing: there is nothing below."""
        del wanted
        return ()

    def origin(self, name: str) -> str | None:
        """The column of that name."""
        return name

    @cached_property
    def source_lists(self) -> frozenset[int]:
        """Its lists."""
        return frozenset(self.lists)


_WRITTEN: Final = ("product_id", "source_number")


@dataclass(frozen=True)
class _OfOne(Operator):
    parent: Operator

    @property
    def parents(self) -> tuple[Operator, ...]:
        """The one below."""
        return (self.parent,)

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Those of the parent."""
        return self.parent.attributes

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """The same."""
        return (wanted,)


@dataclass(frozen=True)
class SelectAttributes(_OfOne):
    """Some of the attributes."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """See that they are there."""
        self._check(self.names)

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """The selected ones."""
        return {name: self.parent.attributes[name] for name in self.names}


@dataclass(frozen=True)
class RenameAttributes(_OfOne):
    """Other names for some attributes: pairs of old and new."""

    renamed: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        """See that the old ones are there, and that no two are called alike."""
        object.__setattr__(self, "renamed", tuple((str(a), str(b)) for a, b in self.renamed))
        self._check([old for old, _ in self.renamed])
        new = [dict(self.renamed).get(name, name) for name in self.parent.attributes]
        for name in new:
            _check_name(name)
            if new.count(name) > 1:
                raise ParameterError("attribute", name, "a name that no other attribute has")

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Those of the parent under their new names."""
        new = dict(self.renamed)
        return {
            new.get(name, name): replace(said, name=new.get(name, name))
            for name, said in self.parent.attributes.items()
        }

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """The same by their old names."""
        return (frozenset(self.source_of(name)[1] for name in wanted),)

    def source_of(self, name: str) -> tuple[Operator | None, str]:
        """The old name."""
        return self.parent, {new: old for old, new in self.renamed}.get(name, name)


@dataclass(frozen=True)
class FilterSources(_OfOne):
    """The sources for which a condition holds."""

    condition: str

    def __post_init__(self) -> None:
        """Read the condition."""
        self._check(self.expression.names)
        if not self.expression.truth:
            raise ParameterError("condition", self.condition, "a condition, not a number")
        object.__setattr__(self, "condition", self.expression.text)

    @cached_property
    def expression(self) -> Expression:
        """The condition, read."""
        return parse_expression(self.condition)

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Also what the condition is about."""
        return (wanted | self.expression.names,)


@dataclass(frozen=True)
class AttributeCalculator(_OfOne):
    """A further attribute, computed from others."""

    definition: AttributeCalculatorDefinition

    def __post_init__(self) -> None:
        """Read the definition."""
        _check_name(self.definition.name)
        if self.definition.name in self.parent.attributes:
            raise ParameterError("attribute", self.definition.name, "a name that is not taken")
        self._check(self.expression.names)
        text = replace(self.definition, expression=self.expression.text)
        object.__setattr__(self, "definition", text)

    @cached_property
    def expression(self) -> Expression:
        """The definition, read."""
        return parse_expression(self.definition.expression)

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Those of the parent and the new one."""
        return {**self.parent.attributes, self.definition.name: self.definition}

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """What it is computed from, where it is wanted."""
        if self.definition.name not in wanted:
            return (wanted,)
        return ((wanted - {self.definition.name}) | self.expression.names,)

    def source_of(self, name: str) -> tuple[Operator | None, str]:
        """None for its own attribute."""
        return (None, "") if name == self.definition.name else (self.parent, name)


@dataclass(frozen=True)
class SelectSources(_OfOne):
    """The sources that another collection has too."""

    selection: Operator

    @property
    def parents(self) -> tuple[Operator, ...]:
        """The sources, and those that are selected."""
        return (self.parent, self.selection)

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Of the selection only which sources it has."""
        return (wanted, frozenset())


@dataclass(frozen=True)
class _OfSome(Operator):
    parts: tuple[Operator, ...]

    def __post_init__(self) -> None:
        """Refuse none."""
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise ParameterError("collections", "none", "at least one")

    @property
    def parents(self) -> tuple[Operator, ...]:
        """The ones below."""
        return self.parts


@dataclass(frozen=True)
class ConcatenateAttributes(_OfSome):
    """The sources that all of some collections have, with the attributes of each.

    Of attributes of one name the first collection's is taken.
    """

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Those of all."""
        return {k: v for part in reversed(self.parts) for k, v in part.attributes.items()}

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Each attribute of the first that has it."""
        owner = {name: self.source_of(name)[0] for name in wanted}
        return tuple(frozenset(n for n in wanted if owner[n] is part) for part in self.parts)

    def source_of(self, name: str) -> tuple[Operator | None, str]:
        """The first that has it."""
        return next((part for part in self.parts if name in part.attributes), None), name


@dataclass(frozen=True)
class ConcatenateSources(_OfSome):
    """The sources of all of some collections, each once, with the attributes that all have."""

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """Those that all have."""
        first, *others = self.parts
        return {
            name: said
            for name, said in first.attributes.items()
            if all(name in other.attributes for other in others)
        }

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """The same of each."""
        return tuple(wanted for _ in self.parts)

    def origin(self, name: str) -> str | None:
        """The column, where it is the same in all."""
        found = {part.origin(name) for part in self.parts}
        return found.pop() if len(found) == 1 else None


_CLASSES: Final[dict[str, type[Operator]]] = {
    cls.__name__: cls
    for cls in (
        *(SourceListWrapper, SelectAttributes, RenameAttributes, FilterSources),
        *(AttributeCalculator, SelectSources, ConcatenateAttributes, ConcatenateSources),
    )
}


def from_json(value: Mapping[str, Any]) -> Operator:
    """Read what :meth:`Operator.as_json` wrote.

    Raises
    ------
    ParameterError
        If there is no such operator, or an attribute that it needs is not there.
    """
    cls = _CLASSES.get(value["operator"])
    if cls is None:
        raise ParameterError("operator", value["operator"], "one of " + ", ".join(_CLASSES))
    parents = tuple(from_json(parent) for parent in value["parents"])
    own = {k: _tuples(v) for k, v in value.items() if k not in ("operator", "parents")}
    if issubclass(cls, _OfSome):
        return cls(parents)
    if "definition" in own:
        own["definition"] = AttributeCalculatorDefinition(**own["definition"])
    return cls(*parents, **own)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _IDENTITY:
        raise ParameterError("attribute", name, "letters, digits and _, no name of an identity")


def _tuples(value: Any) -> Any:  # noqa: ANN401  # JSON
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
