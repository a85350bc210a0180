"""Source collections as people use them."""

from __future__ import annotations

__all__ = ["SourceCollection"]

from typing import TYPE_CHECKING, Any

from reduction.archive import Archive
from reduction.collection.operator import AttributeCalculatorDefinition, Operator
from reduction.collection.operators import (
    AttributeCalculator,
    ConcatenateAttributes,
    ConcatenateSources,
    FilterSources,
    RenameAttributes,
    SelectAttributes,
    SelectSources,
    SourceListWrapper,
)
from reduction.collection.pulling import Pulled, pull
from reduction.collection.store import (
    current_lists,
    find_collection,
    is_current,
    key_of,
    store_collection,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from reduction.target import DBObject


class SourceCollection:
    """Sources and what is known of them: said as a tree of operators, done when pulled.

    Each method gives a new collection and does nothing. :meth:`pull` asks for attributes: only
    those, and what they are computed from, are read or computed, by the database where SQL can say
    it. :meth:`store` keeps the sources and what was computed of them under a name.

    Parameters
    ----------
    tree
        What it is.
    """

    def __init__(self, tree: Operator) -> None:
        self.tree = tree

    @classmethod
    def of(cls, *source_lists: DBObject | int) -> SourceCollection:
        """All sources of some source lists (objects, or their numbers)."""
        numbers = [one if isinstance(one, int) else one.object_id for one in source_lists]
        return cls(SourceListWrapper(tuple(numbers)))

    @classmethod
    def load(cls, name: str) -> SourceCollection:
        """A stored collection by its name.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with Archive.current().transaction() as session:
            return cls(find_collection(session, name))

    # what it is

    @property
    def attributes(self) -> Mapping[str, AttributeCalculatorDefinition]:
        """What can be pulled, by name."""
        return self.tree.attributes

    @property
    def key(self) -> str:
        """Hash of what it is: the same for the same tree over the same source lists."""
        with Archive.current().transaction() as session:
            return key_of(session, self.tree)

    @property
    def is_current(self) -> bool:
        """Whether all of its source lists are what the archive answers with now."""
        with Archive.current().transaction() as session:
            return is_current(session, self.tree)

    # operators

    def select(self, *names: str) -> SourceCollection:
        """Only some attributes (SelectAttributes)."""
        return SourceCollection(SelectAttributes(self.tree, names))

    def rename(self, **new: str) -> SourceCollection:
        """Other names: ``rename(new="old")`` (RenameAttributes)."""
        pairs = tuple((old, name) for name, old in new.items())
        return SourceCollection(RenameAttributes(self.tree, pairs))

    def filter(self, condition: str) -> SourceCollection:
        """Only sources for which a condition holds (FilterSources)."""
        return SourceCollection(FilterSources(self.tree, condition))

    def calculate(
        self, name: str, expression: str, *, unit: str = "", ucd: str = "", description: str = ""
    ) -> SourceCollection:
        """A further attribute (AttributeCalculator)."""
        definition = AttributeCalculatorDefinition(name, expression, unit, ucd, description)
        return SourceCollection(AttributeCalculator(self.tree, definition))

    def also_in(self, other: SourceCollection) -> SourceCollection:
        """Only sources that another collection has too (SelectSources)."""
        return SourceCollection(SelectSources(self.tree, other.tree))

    def with_attributes(self, *others: SourceCollection) -> SourceCollection:
        """Sources that all have, with the attributes of all (ConcatenateAttributes)."""
        return SourceCollection(ConcatenateAttributes((self.tree, *(o.tree for o in others))))

    def with_sources(self, *others: SourceCollection) -> SourceCollection:
        """Sources of all, with the attributes that all have (ConcatenateSources)."""
        return SourceCollection(ConcatenateSources((self.tree, *(o.tree for o in others))))

    # pulling

    def pull(self, *names: str) -> NDArray[Any]:
        """Sources with some attributes; all of them where none is named.

        Returns
        -------
        ndarray
            Structured: ``object_id`` and ``source_number``, then the attributes; NaN is "no
            value".

        Raises
        ------
        ParameterError
            If there is no such attribute.
        """
        return self.pulled(*names).rows

    def pulled(self, *names: str) -> Pulled:
        """As :meth:`pull`, with what was done for it."""
        with Archive.current().transaction() as session:
            return pull(session, self.tree, names or tuple(self.attributes))

    # keeping

    def store(self, name: str, *names: str) -> SourceCollection:
        """Keep its sources, and the computed ones of some attributes (all where none is named).

        Whoever pulls the same collection, or one made from it, finds what was kept by its key.

        Raises
        ------
        ParameterError
            If the name is taken.
        """
        with Archive.current().transaction() as session:
            store_collection(session, self.tree, name, names or tuple(self.attributes))
        return self

    def refreshed(self) -> SourceCollection:
        """The same tree over what its source lists are now."""
        with Archive.current().transaction() as session:
            return SourceCollection(current_lists(session, self.tree))

    def __repr__(self) -> str:
        """Operators from the outermost in, and the number of source lists."""
        words, node = [], self.tree
        while node.parents:
            words.append(type(node).__name__)
            node = node.parents[0]
        words.append(f"{len(self.tree.source_lists)} source lists")
        return f"<SourceCollection {' < '.join(words)}>"
