"""The tables that every installation publishes, column by column."""

from __future__ import annotations

__all__ = ["FIXED_SCHEMAS"]

from dataclasses import replace
from typing import Final

from schemas.columns import Schema, Table
from schemas.obscore import OBSCORE
from schemas.published_collections import COLLECTION_TABLES
from schemas.published_columns import (
    CHIP,
    END,
    FIELD_COLUMN,
    FILTER,
    INSTRUMENT,
    NIGHT,
    OBJECT,
    QUALITY,
    RECIPE,
    START,
    TO_PRODUCT,
    VALID,
    number,
    text,
    time,
    words,
)
from schemas.published_lists import LIST_TABLES
from schemas.published_sources import RAW_FRAMES, REFERENCE_STARS, SOURCES
from schemas.tap_schema import TAP_SCHEMA

PRODUCTS: Final = Table(
    "archive",
    "products",
    (
        OBJECT,
        text("class_name", "meta.code.class", "class of the object", principal=True, indexed=True),
        INSTRUMENT,
        CHIP,
        FILTER,
        NIGHT,
        time("creation_date", "time.creation", "when it was ingested or made, UTC"),
        words("creator", "meta.id.PI", "who made it"),
        VALID,
        QUALITY,
        number(
            "compare_flags",
            "int",
            "",
            "meta.code.qual",
            "bits that only the comparison with before sets",
        ),
        START,
        END,
        RECIPE,
        words("process_params", "meta.code", "process parameters, JSON"),
        text(
            "key", "meta.id", "SHA-256 of class, recipe, parameters and progenitors", indexed=True
        ),
        text("content_hash", "meta.checksum", "SHA-256 of what it contains"),
        text("file_sha256", "meta.checksum;meta.file", "SHA-256 of its file", indexed=True),
        number("file_size", "long", "byte", "phys.size;meta.file", "size of its file"),
        number("is_current", "int", "", "meta.code", "1 if the archive answers with it, else 0"),
    ),
    "Every raw frame and every product ever made, the superseded ones included",
    kind="view",
    index=20,
)

LINEAGE: Final = Table(
    "archive",
    "lineage",
    (
        OBJECT,
        text("role", "meta.code", "input that the progenitor filled"),
        number("position", "int", "", "meta.number", "number in an input of many, from 0"),
        number(
            "progenitor_id", "long", "", "meta.id.parent", "object it was made from", indexed=True
        ),
        text(
            "progenitor_class",
            "meta.code.class",
            "class of the progenitor",
            indexed=True,
        ),
    ),
    "What each product was made from, one step back",
    kind="view",
    index=21,
    keys=(TO_PRODUCT,),
)

ANCESTORS: Final = Table(
    "archive",
    "ancestors",
    (
        OBJECT,
        text("role", "meta.code", "input through which the ancestor came in"),
        number("ancestor_id", "long", "", "meta.id.parent", "object somewhere behind it"),
        text("ancestor_class", "meta.code.class", "class of the ancestor"),
        number("depth", "int", "", "meta.number", "steps back, the shortest way"),
    ),
    "Everything behind an object down to the raw frames; ask with object_id = ...",
    kind="view",
    index=22,
    keys=(TO_PRODUCT,),
)

DESCENDANTS: Final = Table(
    "archive",
    "descendants",
    (
        OBJECT,
        number("descendant_id", "long", "", "meta.id", "object derived from it"),
        text("descendant_class", "meta.code.class", "class of the descendant"),
        number("depth", "int", "", "meta.number", "steps forward, the shortest way"),
    ),
    "Everything derived from an object; ask with object_id = ...",
    kind="view",
    index=23,
    keys=(TO_PRODUCT,),
)

FIELDS: Final = Table(
    "archive",
    "fields",
    (
        text(
            "field",
            "meta.id;obs.field;meta.main",
            "name of the field",
            principal=True,
            indexed=True,
        ),
        number("ra", "double", "deg", "pos.eq.ra;meta.main", "centre (ICRS)", principal=True),
        number("dec", "double", "deg", "pos.eq.dec;meta.main", "centre (ICRS)", principal=True),
        number("radius", "double", "deg", "phys.angSize;obs.field", "of its circle"),
        number("pixel_scale", "double", "arcsec", "pos.wcs.scale", "of its grid"),
        INSTRUMENT,
        words("process_params", "meta.code", "its own process parameters by class, JSON"),
        number("is_valid", "short", "", "meta.code.qual", "0 closed, 1 open"),
        time("created", "time.creation", "when it was declared, UTC"),
    ),
    "Parts of the sky whose frames, of all nights and cameras, are reduced together",
    kind="view",
    index=23,
    position=("ra", "dec"),
)

TARGETS: Final = Table(
    "archive",
    "targets",
    (
        number(
            "target_id",
            "long",
            "",
            "meta.id",
            "number of the target",
            principal=True,
            indexed=True,
        ),
        text("class_name", "meta.code.class", "class of the target", principal=True, indexed=True),
        INSTRUMENT,
        CHIP,
        FILTER,
        NIGHT,
        number(
            "raw_object_id", "long", "", "meta.id.parent", "raw frame it belongs to", indexed=True
        ),
        text(
            "state",
            "meta.code.status",
            "missing, suspect, fresh, or failed (cannot be made)",
            principal=True,
        ),
        words("reasons", "meta.note", "why it cannot be made, JSON"),
        number(
            "object_id", "long", "", "meta.id", "product the archive answers with", indexed=True
        ),
        text(
            "obs_publisher_did",
            "meta.ref.ivoid",
            "dataset identifier, published images only",
            indexed=True,
        ),
        number("validity_start", "double", "d", "time.start", "begin of validity, MJD UTC"),
        number("validity_end", "double", "d", "time.end", "end of validity, MJD UTC"),
        replace(FIELD_COLUMN, indexed=True),
    ),
    "What the archive can make, and whether what it has is still right",
    kind="view",
    index=24,
    keys=(TO_PRODUCT,),
)

PUBLICATIONS: Final = Table(
    "archive",
    "publications",
    (
        number("publication_id", "long", "", "meta.id", "number of the publication", indexed=True),
        OBJECT,
        text("class_name", "meta.code.class", "class of the object", indexed=True),
        number("target_id", "long", "", "meta.id", "target that it is a version of", indexed=True),
        time("published_from", "time.start", "since when the archive answered with it, UTC"),
        time("published_to", "time.end", "until when, UTC; no value: it still does"),
        words("reasons", "meta.note", "why it was made, JSON"),
    ),
    "Which product the archive answered with at which time, and why it was made",
    kind="view",
    index=26,
    keys=(TO_PRODUCT,),
)

EDITS: Final = Table(
    "archive",
    "edits",
    (
        number("edit_id", "long", "", "meta.id", "number of the edit", indexed=True),
        OBJECT,
        text("subject", "meta.code.class", "class of what was edited"),
        text("field", "meta.code", "what was changed"),
        words("value_before", "meta.note", "value before"),
        words("value_after", "meta.note", "value after"),
        words("who", "meta.id", "person"),
        words("why", "meta.note", "reason given"),
        time("edit_time", "time.epoch", "when, UTC"),
    ),
    "Every change that a person made to what may be changed",
    kind="view",
    index=25,
    keys=(TO_PRODUCT,),
)

FLAGS: Final = Table(
    "archive",
    "flags",
    (
        text("class_name", "meta.code.class", "class of the products", principal=True),
        number("flag", "int", "", "meta.code.qual", "power of 2", principal=True),
        text("name", "meta.id", "name of the flag", principal=True),
        text("description", "meta.note", "what was found, and what it was compared with"),
    ),
    "What each bit of quality_flags and compare_flags means; set where 1 = MOD(flags / flag, 2)",
    kind="view",
    index=27,
)

SCRIPTS: Final = Table(
    "archive",
    "scripts",
    (
        text(
            "sha256",
            "meta.checksum",
            "SHA-256 of its text, in recipe_version of its products",
            principal=True,
            indexed=True,
        ),
        words("name", "meta.id;meta.file", "name of its file", principal=True),
        words("declares", "meta.code.class", "classes and steps that it declares, JSON"),
        number("allowed", "int", "", "meta.code", "1 if an operator lets it run, else 0"),
        words("who", "meta.id", "person who added it"),
        words("why", "meta.note", "reason given"),
        time("added", "time.creation", "when it was added, UTC"),
    ),
    "Users' own code that products were made by",
    kind="view",
    index=28,
)

FIXED_SCHEMAS: Final = (
    Schema(
        "archive",
        (
            SOURCES,
            *LIST_TABLES,
            RAW_FRAMES,
            REFERENCE_STARS,
            PRODUCTS,
            LINEAGE,
            ANCESTORS,
            DESCENDANTS,
            FIELDS,
            TARGETS,
            PUBLICATIONS,
            EDITS,
            FLAGS,
            SCRIPTS,
            *COLLECTION_TABLES,
        ),
        "Sources, products, their lineage and their freshness",
        index=2,
    ),
    Schema("ivoa", (OBSCORE,), "Published images (ObsCore-1.1)", index=1),
    TAP_SCHEMA,
)
