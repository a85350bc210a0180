"""Stored collections: kept by name, found again by key, as old as their source lists."""

from __future__ import annotations

__all__ = ["current_lists", "find_collection", "is_current", "key_of", "store_collection"]

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from reduction.collection.operators import from_json
from reduction.collection.pulling import keys_of, pull
from reduction.rows import copy_in
from schemas.collection_tables import (
    Collection,
    CollectionInput,
    CollectionSource,
    CollectionValue,
)
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Publication

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.collection.operator import Operator

_LOCK: Final = 7230129
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,63}", re.ASCII)


def store_collection(
    session: Session, tree: Operator, name: str, names: Sequence[str]
) -> Collection:
    """Keep the sources of a collection and the computed ones of some attributes.

    Raises
    ------
    ParameterError
        If the name is taken or is none, or the collection has no such attribute.
    """
    if not _NAME.fullmatch(name):
        raise ParameterError("name", name, "letters, digits, blanks and _ . + -, 64 at most")
    # one after the other, that the second of a name sees the first
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if session.scalar(select(func.count()).where(Collection.name == name)):
        raise _taken(name)
    computed = [each for each in names if tree.origin(each) is None]
    rows = pull(session, tree, computed).rows
    attributes = [
        {**asdict(said), "name": each, "computed": each in computed}
        for each, said in tree.attributes.items()
        if each in names
    ]
    kept = Collection(
        name=name,
        key=key_of(session, tree),
        tree=tree.as_json(),
        attributes=attributes,
        n_sources=len(rows),
    )
    session.add(kept)
    try:
        session.flush()
    except IntegrityError as error:  # by another, at the same time
        raise _taken(name) from error
    session.add_all(
        CollectionInput(collection_id=kept.collection_id, product_id=number)
        for number in sorted(tree.source_lists)
    )
    number = np.broadcast_to(kept.collection_id, len(rows))
    identity = {"product_id": rows["object_id"], "source_number": rows["source_number"]}
    copy_in(session, CollectionSource, {"collection_id": number, **identity})
    for place, said in enumerate(attributes):
        if said["computed"]:
            own = {"attribute": np.broadcast_to(place, len(rows)), "value": rows[said["name"]]}
            copy_in(session, CollectionValue, {"collection_id": number, **identity, **own})
    return kept


def _taken(name: str) -> ParameterError:
    return ParameterError("name", name, "a name that no stored collection has")


def find_collection(session: Session, name: str) -> Operator:
    """Tree of a stored collection.

    Raises
    ------
    NotFoundError
        If there is none of that name; lists those there are.
    """
    row = session.scalars(select(Collection).where(Collection.name == name)).one_or_none()
    if row is None:
        known = session.scalars(select(Collection.name).order_by(Collection.name).limit(20)).all()
        message = f"there is no collection {name!r}; there are {', '.join(known) or 'none at all'}"
        raise NotFoundError(message)
    return from_json(row.tree)


def key_of(session: Session, tree: Operator) -> str:
    """Hash of what a collection is."""
    return keys_of(session, tree)[tree]


def is_current(session: Session, tree: Operator) -> bool:
    """Whether the archive answers with all of a collection's source lists."""
    lists = _current(session, tree)
    return all(lists.get(number) == number for number in tree.source_lists)


def current_lists(session: Session, tree: Operator) -> Operator:
    """The tree with each source list in its present version; one that has none is left out."""
    lists = _current(session, tree)

    def renewed(value: Mapping[str, Any]) -> dict[str, Any]:
        """An operator with its parents, their lists in their present versions."""
        new = {**value, "parents": [renewed(parent) for parent in value["parents"]]}
        if "lists" in value:
            new["lists"] = [lists[number] for number in value["lists"] if number in lists]
        return new

    return from_json(renewed(tree.as_json()))


def _current(session: Session, tree: Operator) -> dict[int, int]:
    """Version of each source list that the archive answers with."""
    rows = session.execute(
        select(Product.product_id, Publication.product_id)
        .join(Publication, Publication.target_id == Product.target_id)
        .where(
            Product.product_id.in_(tree.source_lists),
            Publication.published_to == text("'infinity'"),
        )
    )
    return {row[0]: row[1] for row in rows}
