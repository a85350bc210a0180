"""What users may query: the fixed tables, and a view of each class, read off its declaration."""

from __future__ import annotations

__all__ = ["class_views", "dataset_classes", "flagged_classes", "published_schemas", "table_name"]

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from reduction.quality import QualityFlags, flags_of
from schemas.columns import Column, ForeignKey, Schema, Table
from schemas.obscore import OBSCORE
from schemas.published import FIXED_SCHEMAS
from schemas.published_columns import COMMON_COLUMNS, FIELD_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reduction.attributes import Attribute
    from reduction.registry import Registry
    from reduction.target import DBObject, ProcessTarget

_DATATYPES = {
    float: ("double", None, "float8"),
    int: ("int", None, "int4"),
    str: ("char", "*", "text"),
    bool: ("boolean", None, "bool"),
}

_FIELD_NAME = ", (SELECT f.name FROM vo.field f WHERE f.field_id = t.field_id) AS field"


def table_name(cls: type[DBObject]) -> str:
    """``ReducedScienceFrame`` -> ``reduced_science_frame``; a class's ``TABLE`` comes first."""
    return cls.TABLE or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


def column_name(attribute: str) -> str:
    """``imstat.median`` -> ``imstat_median``."""
    return attribute.replace(".", "_").lower()


def _classes(registry: Registry) -> Iterable[type[ProcessTarget]]:
    return sorted(registry.targets(), key=lambda cls: cls.__name__)


def class_views(registry: Registry) -> Iterator[sql.Composed]:
    """Statements that make the view of each class anew."""
    for cls in _classes(registry):
        columns = [
            sql.SQL("(p.attributes->>{})::{} AS {}").format(
                sql.Literal(a.name),
                sql.SQL(_DATATYPES[a.type][2]),
                sql.Identifier(column_name(a.name)),
            )
            for a in cls.ATTRIBUTES
        ]
        view = sql.Identifier("archive", table_name(cls))
        yield sql.SQL("DROP VIEW IF EXISTS {}").format(view)
        yield sql.SQL(
            "CREATE VIEW {} AS SELECT p.product_id AS object_id, p.instrument, p.chip, p.filter, "
            "to_char(t.night, 'YYYY-MM-DD') AS night, "
            "CASE WHEN t.field_id IS NULL OR t.raw_id IS NOT NULL THEN t.moment END AS moment, "
            "to_char(p.creation_date AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') "
            "AS creation_date, "
            "vo.was(p.product_id, 'is_valid', p.is_valid)::smallint AS is_valid, "
            "p.quality_flags, "
            "vo.was(p.product_id, 'timestamp_start', p.timestamp_start) AS timestamp_start, "
            "vo.was(p.product_id, 'timestamp_end', p.timestamp_end) AS timestamp_end, "
            "p.recipe_version{}{} FROM vo.product p JOIN vo.published u USING (product_id) "
            "JOIN vo.target t ON t.target_id = u.target_id WHERE p.class_name = {}"
        ).format(
            view,
            sql.SQL(_FIELD_NAME if cls.ANCHOR.per_field else ""),
            sql.SQL("").join(sql.SQL(", ") + column for column in columns),
            sql.Literal(cls.__name__),
        )
    yield from _flags_view(registry)


def flagged_classes(registry: Registry) -> list[Any]:
    """Classes whose objects may have quality flags, by name: each with ``Flags``."""
    return [
        cls
        for _, cls in sorted(registry.classes.items())
        if len(getattr(cls, "Flags", QualityFlags))
    ]


def _flags_view(registry: Registry) -> Iterator[sql.Composed]:
    """Statements that make the view of all classes' flags anew."""
    view = sql.Identifier("archive", "flags")
    yield sql.SQL("DROP VIEW IF EXISTS {}").format(view)
    rows = [
        sql.SQL("({}, {}, {}, {})").format(
            *map(sql.Literal, (cls.__name__, flag.bit, flag.name, flag.sentence))
        )
        for cls in flagged_classes(registry)
        for flag in flags_of(cls.Flags)
    ]
    yield sql.SQL(
        "CREATE VIEW {} AS SELECT class_name, flag, name, description FROM (VALUES {}) "
        "AS f(class_name, flag, name, description)"
    ).format(view, sql.SQL(", ").join(rows))


def published_schemas(registry: Registry) -> tuple[Schema, ...]:
    """All schemas with their tables, for TAP_SCHEMA, VOSI and the checker of queries."""
    tables = tuple(
        Table(
            "archive",
            table_name(cls),
            (*_common_columns(cls), *(_column(a) for a in cls.ATTRIBUTES)),
            next(iter((cls.__doc__ or "").strip().splitlines()), cls.__name__),
            kind="view",
            index=100 + number,
            keys=(ForeignKey("archive.products", (("object_id", "object_id"),), "the product"),),
            freshness=(cls.__name__,),
        )
        for number, cls in enumerate(_classes(registry))
    )
    datasets = tuple(sorted(dataset_classes(registry)))
    fixed = tuple(
        replace(
            schema,
            tables=tuple(
                replace(table, freshness=datasets) if table is OBSCORE else table
                for table in (*schema.tables, *(tables if schema.name == "archive" else ()))
            ),
        )
        for schema in FIXED_SCHEMAS
    )
    return (*fixed, *registry.published)


def dataset_classes(registry: Registry) -> frozenset[str]:
    """Names of the classes whose images are datasets, of plugins, too."""
    own = {cls.__name__ for cls in registry.targets() if cls.PUBLISHED}
    return frozenset(own | set(OBSCORE.freshness))


def _common_columns(cls: type[ProcessTarget]) -> tuple[Column, ...]:
    return (*COMMON_COLUMNS, FIELD_COLUMN) if cls.ANCHOR.per_field else COMMON_COLUMNS


def _column(a: Attribute) -> Column:
    datatype, arraysize, _ = _DATATYPES[a.type]
    return Column(
        column_name(a.name), datatype, arraysize, None, a.unit, a.ucd, a.utype, a.description
    )
