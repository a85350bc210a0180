"""VOSI of what is mounted: capabilities, availability and tables."""

from __future__ import annotations

__all__ = ["Health", "plain_capabilities", "tables_blueprint", "tap_capabilities"]

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from flask import Blueprint, Response, request

from schemas.dali import Param, parse_params
from schemas.documents import (
    Availability,
    Feature,
    Limits,
    Mount,
    OutputFormat,
    TableAccess,
    availability_document,
    capabilities_document,
    table_document,
    tables_document,
)
from schemas.errors import NotFoundError
from tap.adql.functions import STANDARD, USER_DEFINED
from tap.metadata import MODELS, delimited
from tap.protocol import LANGUAGES
from vo_service.formats.choice import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Schema
    from schemas.database import Database
    from schemas.settings import JobSettings, LimitSettings
    from vo_service.mount import Protocol

_FEATURES: Final = "ivo://ivoa.net/std/TAPRegExt#features-"
_GEOMETRY: Final = """
    AREA BOX CENTROID CIRCLE CONTAINS COORD1 COORD2 COORDSYS DISTANCE INTERSECTS POINT POLYGON
    REGION
"""
# COALESCE is offered, but not announced: STILTS 3.4.7 knows no key for it
_OPTIONAL: Final = (
    Feature(_FEATURES + "adql-string", "LOWER"),
    Feature(_FEATURES + "adql-string", "UPPER"),
    Feature(_FEATURES + "adql-string", "ILIKE"),
    Feature(_FEATURES + "adql-sets", "UNION"),
    Feature(_FEATURES + "adql-sets", "EXCEPT"),
    Feature(_FEATURES + "adql-sets", "INTERSECT"),
    Feature(_FEATURES + "adql-common-table", "WITH"),
    Feature(_FEATURES + "adql-type", "CAST"),
    Feature(_FEATURES + "adql-unit", "IN_UNIT"),
    Feature(_FEATURES + "adql-offset", "OFFSET"),
)
_ANSWERS_FOR_S: Final = 2.0
_XML: Final = "text/xml;charset=utf-8"


@dataclass(slots=True)
class Health:
    """Whether the database answers each role, asked at most every other second.

    Attributes
    ----------
    database
        The connections.
    up_since
        When this process began to answer.
    """

    database: Database
    up_since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _faults: tuple[str, ...] = ()
    _asked: float = float("-inf")

    def faults(self) -> tuple[str, ...]:
        """Sentences about what does not work; empty where all does."""
        if time.monotonic() - self._asked > _ANSWERS_FOR_S:
            self._faults = tuple(self._ask())
            self._asked = time.monotonic()
        return self._faults

    def _ask(self) -> list[str]:
        images = sa.table("obscore", schema="ivoa")
        recipes = sa.table("recipe", schema="vo")
        probes = (
            ("reader", self.database.reader, images, "users' queries cannot be answered"),
            ("service", self.database.service, recipes, "nothing can be made or ingested"),
        )
        faults = []
        for role, engine, table, consequence in probes:
            probe = sa.select(sa.literal(1)).select_from(table).limit(1)
            try:
                with engine.connect() as connection:
                    connection.execute(probe)
            except sa.exc.SQLAlchemyError:
                faults.append(f"the database does not answer the {role} role: {consequence}")
        return faults

    def document(self) -> bytes:
        """VOSI availability (VOSI-1.1 5)."""
        faults = self.faults()
        return availability_document(Availability(not faults, self.up_since, faults))


def _features() -> tuple[Feature, ...]:
    names = [function.name for function in STANDARD if function.name in _GEOMETRY.split()]
    geometry = [Feature(_FEATURES + "adqlgeo", name) for name in dict.fromkeys(names)]
    own = [
        Feature(_FEATURES + "udf", function.signature, function.description)
        for function in USER_DEFINED
    ]
    return (*geometry, *_OPTIONAL, *own)


def tap_capabilities(
    protocol: Protocol,
    *,
    base_url: str,
    limits: LimitSettings,
    jobs: JobSettings,
    schemas: Sequence[Schema],
) -> bytes:
    """Capabilities of the TAP service (TAPRegExt-1.0)."""
    url = base_url + protocol.path
    published = {table.qualified_name for schema in schemas for table in schema.tables}
    access = TableAccess(
        Mount(protocol.standard_id, url, protocol.version, "base"),
        LANGUAGES,
        _features(),
        tuple(OutputFormat(one.mime, one.aliases, one.ivo_id) for one in FORMATS),
        Limits(
            jobs.duration_default_s,
            limits.maxrec_default,
            limits.maxrec_hard,
            duration_hard_s=jobs.duration_hard_s,
            retention_s=(jobs.retention_default_s, jobs.retention_hard_s),
        ),
        tuple((name, ivorn) for name, ivorn, table in MODELS if table in published),
    )
    return capabilities_document(
        own=[access],
        capabilities_url=url + "/capabilities",
        availability_url=url + "/availability",
        tables_url=url + "/tables",
    )


def plain_capabilities(protocol: Protocol, *, base_url: str) -> bytes:
    """Capabilities of a service with one interface (VOSI-1.1 3)."""
    url = base_url + protocol.path
    return capabilities_document(
        own=[Mount(protocol.standard_id, f"{url}/{protocol.resource}", protocol.version)],
        capabilities_url=url + "/capabilities",
        availability_url=url + "/availability",
    )


_DETAIL: Final = Param(
    "DETAIL", lambda text: text.strip().lower(), default="max", values=("min", "max")
)


def tables_blueprint(path: str, schemas: Sequence[Schema]) -> Blueprint:
    """Views of the published tables, all of them or one (VOSI-1.1 4)."""
    views = Blueprint("tables", __name__, url_prefix=path)
    documents = {
        detail: tables_document(schemas, quoted=delimited, columns=detail == "max")
        for detail in _DETAIL.values
    }
    by_name = {
        table.qualified_name.lower(): table for schema in schemas for table in schema.tables
    }

    @views.get("")
    def tables() -> Response:
        params = parse_params([_DETAIL], request.args.items(multi=True))
        return Response(documents[params["DETAIL"]], content_type=_XML)

    @views.get("/<name>")
    def table(name: str) -> Response:
        found = by_name.get(name.lower())
        if found is None:
            message = f"there is no table {name!r}: expected one of those that /tables lists"
            raise NotFoundError(message)
        return Response(table_document(found, quoted=delimited), content_type=_XML)

    return views
