"""Pulling: from the attributes that are asked for down to what they need, and no further."""

from __future__ import annotations

__all__ = ["Pulled", "keys_of", "pull"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError
from sqlalchemy.orm import load_only

from reduction.collection.operators import (
    AttributeCalculator,
    ConcatenateAttributes,
    ConcatenateSources,
    FilterSources,
    SelectSources,
)
from reduction.collection.pushdown import Pushdown, StoredNode
from reduction.rows import copy_query
from schemas.collection_tables import Collection
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy.orm import Session

    from reduction.collection.operator import Operator

    Rows = NDArray[np.void]

_ID: Final = ["object_id", "source_number"]
#: Operators of a tree.
_LARGEST: Final = 2000


@dataclass(slots=True)
class Pulled:
    """Sources with the attributes that were asked for, and what was done for them.

    Attributes
    ----------
    rows
        Structured: ``object_id`` and ``source_number``, which name a source (Astro-WISE's SLID
        and SID) and by which rows are ordered, then the attributes; NaN is "no value".
    statements
        SQL that was run.
    in_database, in_numpy
        Attributes that were computed, and where.
    cells
        Values that came from the database.
    reused
        Numbers of stored collections that were taken instead of doing it again.
    """

    rows: Rows
    statements: list[str] = field(default_factory=list)
    in_database: set[str] = field(default_factory=set)
    in_numpy: set[str] = field(default_factory=set)
    cells: int = 0
    reused: set[int] = field(default_factory=set)


def pull(session: Session, tree: Operator, names: Sequence[str]) -> Pulled:
    """Give the sources of a collection with some attributes.

    Raises
    ------
    ParameterError
        If the collection has no such attribute, or a value is beyond what numbers can be.
    NotFoundError
        If a source list is not in the archive.
    """
    for name in names:
        if name not in tree.attributes:
            raise ParameterError("attribute", name, "one of " + ", ".join(tree.attributes))
    keys = keys_of(session, tree)
    puller = _Puller(session, keys, _stored(session, set(keys.values())))
    rows = puller.rows(tree, frozenset(names))
    puller.done.rows = _as_declared(rows, tree, list(dict.fromkeys(names)))
    return puller.done


def _as_declared(rows: Rows, tree: Operator, names: list[str]) -> Rows:
    """Rows with columns in order, whole numbers where the table has them."""
    kinds = [(name, "i8" if _is_whole(tree.origin(name)) else "f8") for name in names]
    table = np.empty(len(rows), [(name, "i8") for name in _ID] + kinds)
    for name in table.dtype.names or ():
        table[name] = rows[name]
    return table


def _is_whole(column: str | None) -> bool:
    return column is not None and Source.__table__.columns[column].type.python_type is int


def keys_of(session: Session, tree: Operator) -> Mapping[Operator, str]:
    """Key of each operator of a tree.

    Raises
    ------
    NotFoundError
        If a source list is not in the archive.
    ParameterError
        If it has too many operators.
    """
    if tree.size > _LARGEST:
        raise ParameterError("collection", f"{tree.size} operators", f"at most {_LARGEST}")
    found = session.scalars(
        select(Product)
        .where(Product.product_id.in_(tree.source_lists), Product.class_name == "SourceList")
        .options(load_only(Product.product_id, Product.key))
    ).all()
    keys = {row.product_id: row.key for row in found}
    missing = sorted(tree.source_lists - set(keys))
    if missing:
        message = f"there is no SourceList with object_id {missing[0]}"
        raise NotFoundError(message)
    return {operator: operator.key(keys) for operator in _nodes(tree)}


def _nodes(tree: Operator) -> Iterator[Operator]:
    yield tree
    for parent in tree.parents:
        yield from _nodes(parent)


def _stored(session: Session, keys: set[str]) -> Mapping[str, StoredNode]:
    rows = session.scalars(
        select(Collection).where(Collection.key.in_(keys)).order_by(Collection.collection_id)
    )
    return {
        row.key: StoredNode(
            row.collection_id,
            {said["name"]: n for n, said in enumerate(row.attributes) if said["computed"]},
        )
        for row in rows
    }


class _Puller:
    """Does one pull: the largest parts of the tree that SQL can say in SQL, the rest here."""

    def __init__(
        self, session: Session, keys: Mapping[Operator, str], stored: Mapping[str, StoredNode]
    ) -> None:
        self._session, self._keys, self._store = session, keys, stored
        self.done = Pulled(np.zeros(0, [(name, "i8") for name in _ID]))

    def rows(self, operator: Operator, wanted: frozenset[str]) -> Rows:
        """Sources of a node with some attributes, in order."""
        pushdown = Pushdown(self._keys, self._store)
        if pushdown.can(operator, wanted):
            return self._from_database(pushdown, operator, wanted)
        below = [
            self.rows(parent, needed)
            for parent, needed in zip(operator.parents, operator.needs(wanted), strict=True)
        ]
        if isinstance(operator, ConcatenateSources):
            whole = np.concatenate([self._renamed(operator, wanted, part) for part in below])
            return whole[np.unique(_identity(whole), return_index=True)[1]]
        if isinstance(operator, (ConcatenateAttributes, SelectSources)):
            return _joined(operator, wanted, below)
        first = below[0]
        if isinstance(operator, FilterSources):
            first = first[operator.expression.numpy(_columns(first), len(first))]
        return self._renamed(operator, wanted, first)

    def _from_database(
        self, pushdown: Pushdown, operator: Operator, wanted: frozenset[str]
    ) -> Rows:
        query = pushdown.select(operator, wanted)
        statement = str(
            query.compile(
                dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy's
                compile_kwargs={"literal_binds": True},
            )
        )
        try:
            rows = copy_query(self._session, statement, sorted(wanted))
        except DataError as error:
            raise ParameterError(
                "expression", str(error.orig).strip(), "values within the range of numbers"
            ) from error
        self.done.statements.append(statement)
        self.done.in_database |= pushdown.computed
        self.done.reused |= pushdown.reused
        self.done.cells += len(rows) * len(wanted)
        return rows

    def _renamed(self, operator: Operator, wanted: frozenset[str], rows: Rows) -> Rows:
        """The wanted attributes of one parent's rows, its own computed."""
        table = np.empty(len(rows), _kind(wanted))
        for name in _ID:
            table[name] = rows[name]
        for name in wanted:
            parent, old = operator.source_of(name)
            if parent is not None:
                table[name] = rows[old]
                continue
            if isinstance(operator, AttributeCalculator):  # the others have a parent for each
                self.done.in_numpy.add(name)
                table[name] = operator.expression.numpy(_columns(rows), len(rows))
        return table


def _joined(operator: Operator, wanted: frozenset[str], below: list[Rows]) -> Rows:
    """Sources that are in all, with the attributes of each."""
    numbers = [_identity(part) for part in below]
    kept = numbers[0]
    for other in numbers[1:]:
        kept = np.intersect1d(kept, other, assume_unique=True)
    table = np.empty(len(kept), _kind(wanted))
    places = [np.searchsorted(part, kept) for part in numbers]
    for name in _ID:
        table[name] = below[0][name][places[0]]
    for name in wanted:
        parent, old = operator.source_of(name)
        number = next(n for n, each in enumerate(operator.parents) if each is parent)
        table[name] = below[number][old][places[number]]
    return table


def _identity(rows: Rows) -> NDArray[np.int64]:
    """A source's two numbers as one, in the same order."""
    number: NDArray[np.int64] = (rows["object_id"] << 32) | rows["source_number"]
    return number


def _columns(rows: Rows) -> dict[str, NDArray[Any]]:
    return {name: rows[name] for name in rows.dtype.names or ()}


def _kind(wanted: frozenset[str]) -> list[tuple[str, str]]:
    return [(name, "i8") for name in _ID] + [(name, "f8") for name in sorted(wanted)]
