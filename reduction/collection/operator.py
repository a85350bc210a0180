"""What any operator of source collections is: a node of a tree, as a value."""

from __future__ import annotations

__all__ = ["AttributeCalculatorDefinition", "Operator"]

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reduction.keys import hash_of
from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class AttributeCalculatorDefinition:
    """What a computed attribute is.

    Attributes
    ----------
    name
        Letters, digits and ``_``.
    expression
        In the language of :mod:`reduction.collection.expressions`.
    unit, ucd, description
        As in TAP_SCHEMA.
    """

    name: str
    expression: str
    unit: str = ""
    ucd: str = ""
    description: str = ""


@dataclass(frozen=True)
class Operator:
    """A node of a tree; ``attributes`` are what can be asked of it, by name, in order."""

    @property
    def parents(self) -> tuple[Operator, ...]:
        """The operators below."""
        return ()

    @cached_property
    def attributes(self) -> dict[str, AttributeCalculatorDefinition]:
        """What can be asked of it."""
        raise NotImplementedError

    def needs(self, wanted: frozenset[str]) -> tuple[frozenset[str], ...]:
        """What of each parent is needed for the wanted attributes."""
        raise NotImplementedError

    def origin(self, name: str) -> str | None:
        """Column of the source lists that an attribute is; None where it is computed."""
        parent, below = self.source_of(name)
        return None if parent is None else parent.origin(below)

    def source_of(self, name: str) -> tuple[Operator | None, str]:
        """Parent that an attribute comes from unchanged, and its name there."""
        return self.parents[0], name

    @cached_property
    def source_lists(self) -> frozenset[int]:
        """Object numbers of all source lists that it is made from."""
        return frozenset[int]().union(*(parent.source_lists for parent in self.parents))

    @cached_property
    def size(self) -> int:
        """How many operators its description names: one that two others share counts twice."""
        return 1 + sum(parent.size for parent in self.parents)

    def as_json(self) -> dict[str, Any]:
        """The tree as a value of JSON types; :func:`from_json` reads it."""
        own = {
            item.name: _json(getattr(self, item.name))
            for item in fields(self)
            if not _is_operators(getattr(self, item.name))
        }
        parents = [parent.as_json() for parent in self.parents]
        return {"operator": type(self).__name__, **own, "parents": parents}

    def key(self, product_keys: Mapping[int, str]) -> str:
        """Hash of what it is; ``product_keys`` are those of its source lists by object number."""
        return hash_of(_keyed(self.as_json(), product_keys))

    def _check(
        self, names: Sequence[str] | frozenset[str], parent: Operator | None = None
    ) -> None:
        there = (parent or self.parents[0]).attributes
        missing = sorted(set(names) - set(there))
        if missing:
            raise ParameterError("attribute", missing[0], "one of " + ", ".join(there))


def _keyed(value: dict[str, Any], keys: Mapping[int, str]) -> dict[str, Any]:
    """A tree with keys of products in place of their numbers; texts for people left out."""
    keyed = {**value, "parents": [_keyed(parent, keys) for parent in value["parents"]]}
    if "lists" in value:
        keyed["lists"] = sorted(keys[number] for number in value["lists"])
    if "definition" in value:
        keyed["definition"] = [value["definition"][word] for word in ("name", "expression")]
    return keyed


def _is_operators(value: object) -> bool:
    if isinstance(value, tuple):
        return any(isinstance(item, Operator) for item in value)
    return isinstance(value, Operator)


def _json(value: object) -> object:
    if isinstance(value, AttributeCalculatorDefinition):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return [_json(item) for item in value] if isinstance(value, tuple) else value
