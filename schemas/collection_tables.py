"""Tables of source collections that were stored: the tree, its sources, what was computed."""

from __future__ import annotations

__all__ = ["Collection", "CollectionInput", "CollectionSource", "CollectionValue"]

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, Integer, func, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.base import Base


class Collection(Base):
    """A stored collection. ``attributes`` has an object for each attribute, in order."""

    __tablename__ = "collection"

    collection_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(index=True)
    tree: Mapped[dict[str, Any]]
    attributes: Mapped[list[Any]]
    n_sources: Mapped[int]
    creator: Mapped[str] = mapped_column(server_default=text("current_user"))
    creation_date: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class CollectionInput(Base):
    """A source list that a collection was made from."""

    __tablename__ = "collection_input"

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("vo.collection.collection_id"), primary_key=True
    )
    product_id: Mapped[int] = mapped_column(
        ForeignKey("vo.product.product_id"), primary_key=True, index=True
    )


class CollectionSource(Base):
    """A source that a collection has."""

    __tablename__ = "collection_source"

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("vo.collection.collection_id"), primary_key=True
    )
    product_id: Mapped[int] = mapped_column(primary_key=True)
    source_number: Mapped[int] = mapped_column(Integer, primary_key=True)


class CollectionValue(Base):
    """Value of a computed attribute for one source; ``attribute`` counts the collection's own."""

    __tablename__ = "collection_value"
    __table_args__ = (Index("ix_collection_value_source", "product_id", "source_number"),)

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("vo.collection.collection_id"), primary_key=True
    )
    attribute: Mapped[int] = mapped_column(Integer, primary_key=True)
    product_id: Mapped[int] = mapped_column(primary_key=True)
    source_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    value: Mapped[float | None]
