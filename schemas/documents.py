"""VOSI documents (capabilities, tables, availability) as vo-models objects, and as XML.

What they say comes from declarations: parameters, tables, functions, limits. There is no template.
"""

from __future__ import annotations

__all__ = [
    "Availability",
    "Feature",
    "Limits",
    "Mount",
    "OutputFormat",
    "TableAccess",
    "availability_document",
    "capabilities_document",
    "table_document",
    "tables_document",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from lxml import etree
from pydantic import AnyUrl
from vo_models import tapregext as tr
from vo_models import vodataservice as vs
from vo_models import voresource as vr
from vo_models.vosi import availability as va
from vo_models.vosi import capabilities as vc
from vo_models.vosi import tables as vt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pydantic_xml import BaseXmlModel

    from schemas.columns import Column, ForeignKey, Schema, Table

    Said = TypeVar("Said", bound=BaseXmlModel)

_VOSI: Final = "ivo://ivoa.net/std/VOSI#"


@dataclass(frozen=True, slots=True)
class Mount:
    """A standard interface at an address.

    Attributes
    ----------
    standard_id
        IVOA identifier of the protocol.
    url
        Where it is, in full.
    version
        Of the protocol; empty for VOSI's own.
    use
        ``base`` where the address is completed by the client, ``full`` otherwise.
    """

    standard_id: str
    url: str
    version: str = ""
    use: Literal["full", "base"] = "full"


@dataclass(frozen=True, slots=True)
class Feature:
    """An optional feature or function of a query language (TAPRegExt-1.0 2.3)."""

    kind: str
    form: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A form of answers (TAPRegExt-1.0 2.4)."""

    mime: str
    aliases: tuple[str, ...] = ()
    ivo_id: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use, by default and at most (TAPRegExt-1.0 2.5).

    Attributes
    ----------
    duration_s
        Seconds that a job may run by default.
    rows_default, rows_hard
        Of an answer.
    duration_hard_s
        Seconds that a job may run at most; None for as many as by default.
    retention_s
        Seconds after which a job is destroyed, by default and at most; None where there are none.
    """

    duration_s: int
    rows_default: int
    rows_hard: int
    duration_hard_s: int | None = None
    retention_s: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TableAccess:
    """What a TAP service says of itself beyond its address (TAPRegExt-1.0)."""

    mount: Mount
    languages: tuple[tuple[str, str], ...]
    features: tuple[Feature, ...]
    formats: tuple[OutputFormat, ...]
    limits: Limits
    models: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a service can answer, since when, and what stands in its way."""

    available: bool
    up_since: datetime
    notes: tuple[str, ...] = ()


def capabilities_document(
    *,
    own: Sequence[Mount | TableAccess],
    capabilities_url: str,
    availability_url: str,
    tables_url: str = "",
) -> bytes:
    """Say what is offered beside these addresses (VOSI-1.1 3)."""
    vosi = [
        Mount(_VOSI + "capabilities", capabilities_url),
        Mount(_VOSI + "availability", availability_url),
    ]
    if tables_url:
        vosi.append(Mount(_VOSI + "tables-1.1", tables_url, version="1.1"))
    said = [
        _table_access(one) if isinstance(one, TableAccess) else _capability(one) for one in own
    ]
    said += [_capability(one) for one in vosi]
    return _xml(vc.VOSICapabilities(capability=said))


def _interface(mount: Mount) -> vr.Interface:
    return vr.Interface(
        type="vs:ParamHTTP",
        role="std",
        version=mount.version or None,
        access_url=[vr.AccessURL(value=AnyUrl(mount.url), use=mount.use)],
    )


def _capability(mount: Mount) -> vr.Capability:
    return vr.Capability(standard_id=AnyUrl(mount.standard_id), interface=[_interface(mount)])


def _table_access(access: TableAccess) -> tr.TableAccess:
    return tr.TableAccess(
        interface=[_interface(access.mount)],
        data_model=[tr.DataModelType(value=name, ivo_id=ivo_id) for name, ivo_id in access.models],
        language=[_language(access)],
        output_format=[
            tr.OutputFormat(mime=one.mime, alias=list(one.aliases), ivo_id=one.ivo_id or None)
            for one in access.formats
        ],
        retention_period=_retention(access.limits),
        execution_duration=tr.TimeLimits(
            default=access.limits.duration_s,
            hard=access.limits.duration_hard_s or access.limits.duration_s,
        ),
        output_limit=tr.DataLimits(
            default=tr.DataLimit(value=access.limits.rows_default, unit="row"),
            hard=tr.DataLimit(value=access.limits.rows_hard, unit="row"),
        ),
    )


def _retention(limits: Limits) -> tr.TimeLimits | None:
    if limits.retention_s is None:
        return None
    default, hard = limits.retention_s
    return tr.TimeLimits(default=default, hard=hard)


def _language(access: TableAccess) -> tr.Language:
    kinds = dict.fromkeys(feature.kind for feature in access.features)
    return tr.Language(
        name="ADQL",
        version=[tr.Version(value=version, ivo_id=ivo_id) for version, ivo_id in access.languages],
        description="Astronomical Data Query Language",
        language_features=[
            tr.LanguageFeatureList(
                type=kind,
                feature=[
                    tr.LanguageFeature(form=one.form, description=one.description or None)
                    for one in access.features
                    if one.kind == kind
                ],
            )
            for kind in kinds
        ],
    )


def tables_document(
    schemas: Sequence[Schema], *, quoted: Callable[[str], str], columns: bool = True
) -> bytes:
    """Describe all published tables (VOSI-1.1 4).

    Parameters
    ----------
    schemas
        What is published.
    quoted
        A column's name as a query writes it.
    columns
        False for names and descriptions alone (``detail=min``).
    """
    said = []
    for schema in schemas:
        tables = [_table(vs.Table, table, quoted, columns=columns) for table in schema.tables]
        one = vs.TableSchema(schema_name=schema.name, table=tables)
        said.append(_told(one, description=schema.description, utype=schema.utype))
    declared = [
        column for schema in schemas for table in schema.tables for column in table.columns
    ]
    return _xml(vt.VOSITableSet(tableset_schema=said), declared if columns else ())


def table_document(table: Table, *, quoted: Callable[[str], str]) -> bytes:
    """Describe one table (VOSI-1.1 4)."""
    return _xml(_table(vt.VOSITable, table, quoted, columns=True), table.columns)


def _told(model: Said, **texts: str) -> Said:
    """Set texts after the fact: the constructors escape what the serializer escapes again."""
    for name, text in texts.items():
        if text:
            setattr(model, name, text)
    return model


def _table(
    kind: type[Any], table: Table, quoted: Callable[[str], str], *, columns: bool
) -> vs.Table:
    model: vs.Table = kind(table_name=table.qualified_name, table_type=_kind(table))
    if columns:
        model.column = [_column(column, quoted) for column in table.columns]
        model.foreign_key = [_foreign_key(key, quoted) for key in table.keys]
    return _told(model, description=table.description, utype=table.utype)


def _kind(table: Table) -> str:
    return "base_table" if table.kind == "table" else table.kind


def _column(column: Column, quoted: Callable[[str], str]) -> vs.TableParam:
    flags = [name for name in ("principal", "indexed", "std") if getattr(column, name)]
    model = vs.TableParam(
        column_name=column.name,
        unit=column.unit or None,
        ucd=column.ucd or None,
        utype=column.utype or None,
        datatype=vs.DataType(value=column.datatype, arraysize=column.arraysize),
        flag=flags,
    )
    return _told(model, column_name=quoted(column.name), description=column.description)


def _foreign_key(key: ForeignKey, quoted: Callable[[str], str]) -> vs.ForeignKey:
    pairs = [
        vs.FKColumn(from_column=quoted(mine), target_column=quoted(theirs))
        for mine, theirs in key.columns
    ]
    return vs.ForeignKey(
        target_table=key.target_table, fk_column=pairs, description=key.description or None
    )


def availability_document(state: Availability) -> bytes:
    """Say whether the service can answer (VOSI-1.1 5)."""
    return _xml(
        va.Availability(available=state.available, up_since=state.up_since, note=list(state.notes))
    )


def _xml(model: BaseXmlModel, columns: Sequence[Column] = ()) -> bytes:
    """Serialise, and say the xtypes of the columns, for which vo-models has the wrong place.

    VODataService-1.1 3.5.3 has an attribute of ``dataType``, vo-models an element beside it.
    """
    root: Any = model.to_xml_tree(skip_empty=True, exclude_none=True)
    for element, column in zip(root.iter("column"), columns, strict=bool(columns)):
        if column.xtype:
            element.find("dataType").set("extendedType", column.xtype)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
