"""Trees of operators as SQL: what the database can do, it does, and sends only the answer."""

from __future__ import annotations

__all__ = ["Pushdown", "StoredNode"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, Integer, and_, cast, func, literal, select, union_all

from reduction.collection.operators import (
    AttributeCalculator,
    ConcatenateAttributes,
    ConcatenateSources,
    FilterSources,
    SelectSources,
    SourceListWrapper,
)
from schemas.collection_tables import CollectionSource, CollectionValue
from schemas.tables import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, FromClause, Select, Subquery

    from reduction.collection.operator import Operator

_SOURCES = Source.__table__
_ID = ("product_id", "source_number")
_PART, _PLACE = "part number", "place among parts"


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A collection that was stored, by which the same node need not be done again.

    Attributes
    ----------
    collection_id
        Its number.
    values
        Number of each computed attribute that was kept, by name.
    """

    collection_id: int
    values: Mapping[str, int]


@dataclass(slots=True)
class Pushdown:
    """Makes SQL of trees.

    Attributes
    ----------
    keys
        Key of each operator.
    stored
        Stored nodes by key.
    computed, reused
        Attributes that the SQL computes; stored collections that it takes.
    """

    keys: Mapping[Operator, str]
    stored: Mapping[str, StoredNode]
    computed: set[str] = field(default_factory=set)
    reused: set[int] = field(default_factory=set)

    def can(self, operator: Operator, wanted: frozenset[str]) -> bool:
        """Whether all that is needed for some attributes can be said in SQL."""
        if self._stored(operator, wanted) is not None:
            return True
        if isinstance(operator, AttributeCalculator) and operator.definition.name in wanted:
            own = operator.expression.pushable
        else:
            own = not isinstance(operator, FilterSources) or operator.expression.pushable
        needs = operator.needs(wanted)
        return own and all(map(self.can, operator.parents, needs))

    def select(self, operator: Operator, wanted: frozenset[str]) -> Select[Any]:
        """Identity of each source, and the wanted attributes by name."""
        node = self._stored(operator, wanted)
        if node is not None:
            return self._from_store(operator, wanted, node)
        if isinstance(operator, SourceListWrapper):
            return _of_lists(operator, wanted)
        below = [
            self.select(parent, needed).subquery()
            for parent, needed in zip(operator.parents, operator.needs(wanted), strict=True)
        ]
        if isinstance(operator, ConcatenateSources):
            return _united(operator, wanted, below)
        first = below[0]
        query = select(*_identity(first))
        for name in sorted(wanted):
            query = query.add_columns(self._column(operator, name, below).label(name))
        if isinstance(operator, FilterSources):
            columns = {name: first.c[name] for name in operator.expression.names}
            query = query.where(operator.expression.sql(columns))
        if isinstance(operator, (ConcatenateAttributes, SelectSources)):
            for other in below[1:]:
                query = query.join(other, _same(first, other))
        return query

    def _column(self, operator: Operator, name: str, below: list[Subquery]) -> ColumnElement[Any]:
        parent, old = operator.source_of(name)
        if parent is not None:
            place = next(n for n, each in enumerate(operator.parents) if each is parent)
            return below[place].c[old]
        if not isinstance(operator, AttributeCalculator):
            raise TypeError(name)  # the others have a parent for each
        self.computed.add(name)
        expression = operator.expression
        value = expression.sql({n: below[0].c[n] for n in expression.names})
        return cast(cast(value, Integer), Double) if expression.truth else value

    def _stored(self, operator: Operator, wanted: frozenset[str]) -> StoredNode | None:
        node = self.stored.get(self.keys[operator])
        if node is None:
            return None
        own = {name for name in wanted if operator.origin(name) is None}
        return node if own <= set(node.values) else None

    def _from_store(
        self, operator: Operator, wanted: frozenset[str], node: StoredNode
    ) -> Select[Any]:
        self.reused.add(node.collection_id)
        kept = CollectionSource.__table__
        query = select(*_identity(kept)).where(kept.c.collection_id == node.collection_id)
        origins = {name: operator.origin(name) for name in sorted(wanted)}
        if any(origin is not None for origin in origins.values()):
            query = query.join(_SOURCES, _same(kept, _SOURCES))
        for name, origin in origins.items():
            if origin is not None:
                query = query.add_columns(_SOURCES.c[origin].label(name))
                continue
            value = CollectionValue.__table__.alias()
            query = query.outerjoin(
                value,
                and_(
                    _same(kept, value),
                    value.c.collection_id == node.collection_id,
                    value.c.attribute == node.values[name],
                ),
            ).add_columns(value.c.value.label(name))
        return query


def _of_lists(operator: SourceListWrapper, wanted: frozenset[str]) -> Select[Any]:
    columns = [_SOURCES.c[name] for name in sorted(wanted)]
    lists = _SOURCES.c.product_id.in_(operator.lists)
    return select(*_identity(_SOURCES), *columns).where(lists)


def _united(
    operator: ConcatenateSources, wanted: frozenset[str], below: list[Subquery]
) -> Select[Any]:
    """All rows; of a source that is in two parts those of the first."""
    names = (*_ID, *sorted(wanted))
    parts = (
        select(*(part.c[name] for name in names), literal(number).label(_PART))
        for number, part in enumerate(below)
    )
    whole = union_all(*parts).subquery()
    together = sum(len(part.source_lists) for part in operator.parts)
    if together == len(operator.source_lists):
        return select(*(whole.c[name] for name in names))
    place = func.row_number().over(partition_by=_identity(whole), order_by=whole.c[_PART])
    placed = select(*(whole.c[name] for name in names), place.label(_PLACE)).subquery()
    return select(*(placed.c[name] for name in names)).where(placed.c[_PLACE] == 1)


def _identity(table: FromClause) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in _ID]


def _same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(*(a == b for a, b in zip(_identity(one), _identity(other), strict=True)))
