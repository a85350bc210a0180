"""Published tables of stored source collections, column by column."""

from __future__ import annotations

__all__ = ["COLLECTION_TABLES"]

from dataclasses import replace
from typing import Final

from schemas.columns import Column, ForeignKey, Table

_COLLECTION: Final = Column(
    "collection_id",
    "long",
    ucd="meta.id",
    description="number of the collection",
    principal=True,
    indexed=True,
)
_OBJECT: Final = Column(
    "object_id",
    "long",
    ucd="meta.id.parent",
    description="the source list (object_id in archive.sources)",
)
_SOURCE: Final = Column(
    "source_id",
    "long",
    ucd="meta.id",
    description="the source (source_id in archive.sources)",
    principal=True,
)
_CURRENT: Final = Column(
    "is_current",
    "int",
    ucd="meta.code",
    description="1 if the archive still answers with all that it was made from, else 0",
)
_TO_COLLECTION: Final = ForeignKey(
    "archive.collections", (("collection_id", "collection_id"),), "the collection"
)
_TO_PRODUCT: Final = ForeignKey("archive.products", (("object_id", "object_id"),), "the product")


def _words(name: str, ucd: str, description: str) -> Column:
    return Column(name, "unicodeChar", "*", ucd=ucd, description=description)


COLLECTIONS: Final = Table(
    "archive",
    "collections",
    (
        _COLLECTION,
        replace(
            _words("collection", "meta.id;meta.main", "its name"), principal=True, indexed=True
        ),
        Column("n_sources", "long", ucd="meta.number", description="number of its sources"),
        _words("attributes", "meta.note", "attributes that were kept, JSON"),
        _words("tree", "meta.code", "the operators that make it, JSON"),
        Column(
            "collection_key",
            "char",
            "*",
            ucd="meta.id",
            description="SHA-256 of its tree and its source lists: alike for the same collection",
            indexed=True,
        ),
        _words("creator", "meta.id.PI", "who stored it"),
        Column(
            "creation_date",
            "char",
            "*",
            "timestamp",
            ucd="time.creation",
            description="when it was stored, UTC",
        ),
        _CURRENT,
    ),
    "Source collections that were stored",
    kind="view",
    index=30,
)

COLLECTION_INPUTS: Final = Table(
    "archive",
    "collection_inputs",
    (
        _COLLECTION,
        replace(_OBJECT, indexed=True),
        replace(_CURRENT, description="1 if the archive still answers with this list, else 0"),
    ),
    "Source lists that each stored collection was made from",
    kind="view",
    index=31,
    keys=(_TO_COLLECTION, _TO_PRODUCT),
)

COLLECTION_SOURCES: Final = Table(
    "archive",
    "collection_sources",
    (_COLLECTION, _OBJECT, _SOURCE),
    "Sources of stored collections, one row for each",
    kind="view",
    index=32,
    keys=(_TO_COLLECTION, _TO_PRODUCT),
)

COLLECTION_VALUES: Final = Table(
    "archive",
    "collection_values",
    (
        _COLLECTION,
        replace(_words("attribute", "meta.id", "name of the attribute"), principal=True),
        _words("unit", "meta.unit", "its unit"),
        replace(_OBJECT, indexed=True),
        _SOURCE,
        Column(
            "val",
            "double",
            ucd="arith",
            description="its value for the source",
            principal=True,
        ),
    ),
    "Computed attributes of stored collections, one row for each value",
    kind="view",
    index=33,
    keys=(_TO_COLLECTION, _TO_PRODUCT),
)

COLLECTION_TABLES: Final = (COLLECTIONS, COLLECTION_INPUTS, COLLECTION_SOURCES, COLLECTION_VALUES)
