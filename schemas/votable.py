"""VOTable 1.4 as a stream: the one writer for answers, errors and service descriptions.

Texts of ``char`` columns are UTF-8, the same bytes as ASCII wherever ASCII says it; beyond ASCII
STILTS and TOPCAT read them so, while astropy refuses them in BINARY and BINARY2. A column declared
``unicodeChar`` goes out in 16-bit units, which all of them read. Rows are BINARY2 (the default),
BINARY or TABLEDATA. The markup is serialised by lxml around a marker, and only rows are put in the
marker's place. Reading VOTables is not done here.
"""

from __future__ import annotations

__all__ = ["Serialization", "bare_document", "error_document", "trailing_info", "write_votable"]

import binascii
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from schemas import kernel
from schemas.binary2 import declared, lowest, pack
from schemas.dali import Info
from schemas.errors import VOError
from schemas.tabledata import FORBIDDEN, table_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from schemas.columns import Column
    from schemas.dali import InputParam, Rows, ServiceDescriptor, TableResult

_NS: Final = "http://www.ivoa.net/xml/VOTable/v1.3"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_LOCATION: Final = f"{_NS} http://www.ivoa.net/xml/VOTable/VOTable-1.4.xsd"
_MARKER: Final = "@rows@"


class Serialization(StrEnum):
    """How rows are written (VOTable-1.4 5)."""

    BINARY2 = "BINARY2"
    BINARY = "BINARY"
    TABLEDATA = "TABLEDATA"


def write_votable(
    result: TableResult,
    *,
    base_url: str,
    serialization: Serialization = Serialization.BINARY2,
) -> Generator[bytes]:
    """Write an answer piece by piece.

    Parameters
    ----------
    result
        The table. Rows that fail with a :class:`VOError` half way end the table with a trailing
        ``QUERY_STATUS`` of ``ERROR``; more rows than asked for with ``OVERFLOW``.
    base_url
        Of the service; put before the paths of service descriptors.
    serialization
        How rows are written.

    Yields
    ------
    bytes
        Pieces of the document, UTF-8; the first one before any row is asked for.

    Notes
    -----
    Standard: VOTable-1.4 5; DALI-1.1 4.4.
    """
    columns = result.columns
    if serialization is Serialization.BINARY:
        columns = declared(columns)
    head, _ = _skeleton(result, columns, base_url, serialization, ())
    yield head
    encode = _Rows() if serialization is Serialization.TABLEDATA else _Base64(serialization)
    trailing: tuple[Info, ...] = ()
    try:
        for rows in result.rows:
            yield encode(columns, rows)
        trailing = trailing_info(result)
    except VOError as error:
        trailing = (Info("QUERY_STATUS", "ERROR", str(error)),)
    yield encode.rest()
    yield _skeleton(result, columns, base_url, serialization, trailing)[1]


def trailing_info(result: TableResult) -> tuple[Info, ...]:
    """What is to be said after the last row (DALI-1.1 4.4.1)."""
    over = result.overflowed()
    if not over:
        return ()
    text = over if isinstance(over, str) else result.overflow
    return (Info("QUERY_STATUS", "OVERFLOW", text),)


def bare_document(result: TableResult, base_url: str, trailing: Sequence[Info] = ()) -> bytes:
    """Describe a table without its rows, for a form of answers that holds them in its own way."""
    head, tail = _skeleton(result, result.columns, base_url, None, trailing)
    return head + tail


def error_document(message: str, infos: Sequence[Info] = ()) -> bytes:
    """Say that a request failed.

    Parameters
    ----------
    message
        Sentence for the user; written as the text of ``QUERY_STATUS``.
    infos
        What else is to be said.

    Notes
    -----
    Standard: DALI-1.1 4.2 and 4.4.2: the INFO is within the RESOURCE of type ``results``.
    """
    root = _root()
    resource = etree.SubElement(root, _tag("RESOURCE"), type="results")
    _info(resource, Info("QUERY_STATUS", "ERROR", message))
    for info in infos:
        _info(resource, info)
    return _serialised(root)


def _skeleton(
    result: TableResult,
    columns: Sequence[Column],
    base_url: str,
    serialization: Serialization | None,
    trailing: Sequence[Info],
) -> tuple[bytes, bytes]:
    """The document before and after its rows."""
    root = _root()
    resource = etree.SubElement(root, _tag("RESOURCE"), type="results")
    _info(resource, Info("QUERY_STATUS", "OK"))
    for info in result.infos:
        _info(resource, info)
    table = etree.SubElement(resource, _tag("TABLE"))
    ids = _ids(result)
    for index, column in enumerate(columns):
        field = _field(table, column, ids.get(column.name, ""), first=_is_first(columns, index))
        least = lowest(column) if serialization is Serialization.BINARY else None
        if least is not None:
            etree.SubElement(field, _tag("VALUES"), null=str(least))
    if serialization is not None:
        _data(table, serialization)
    for info in trailing:
        _info(resource, info)
    for descriptor in result.descriptors:
        _descriptor(root, descriptor, base_url, ids)
    head, _, tail = _serialised(root).partition(_MARKER.encode())
    return head, tail


def _data(table: etree._Element, serialization: Serialization) -> None:
    place = etree.SubElement(etree.SubElement(table, _tag("DATA")), _tag(serialization))
    if serialization is not Serialization.TABLEDATA:
        place = etree.SubElement(place, _tag("STREAM"), encoding="base64")
    place.text = _MARKER


def _tag(name: str) -> str:
    return f"{{{_NS}}}{name}"


def _root() -> etree._Element:
    namespaces: Any = {None: _NS, "xsi": _XSI}
    root = etree.Element(_tag("VOTABLE"), nsmap=namespaces, version="1.4")
    root.set(f"{{{_XSI}}}schemaLocation", _LOCATION)
    return root


def _serialised(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _clean(text: str) -> str:
    """Without the characters that no XML document may hold, and without the marker."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text).replace(_MARKER, "rows")


def _info(parent: etree._Element, info: Info) -> None:
    element = etree.SubElement(
        parent, _tag("INFO"), name=_clean(info.name), value=_clean(info.value)
    )
    if info.text:
        element.text = _clean(info.text)


def _ids(result: TableResult) -> dict[str, str]:
    """XML IDs of the columns that descriptors refer to."""
    inputs = [inp for descriptor in result.descriptors for inp in descriptor.inputs]
    names = {inp.column for inp in inputs} & {column.name for column in result.columns}
    return {name: "col_" + re.sub(r"\W", "_", name) for name in sorted(names)}


def _is_first(columns: Sequence[Column], index: int) -> bool:
    """Whether no earlier column has the same name: an ID stands only once."""
    return all(columns[index].name != column.name for column in columns[:index])


def _field(table: etree._Element, column: Column, xml_id: str, *, first: bool) -> etree._Element:
    facts = {
        "ID": xml_id if first else "",
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": column.arraysize or "",
        "xtype": column.xtype or "",
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
    }
    given = {key: _clean(value) for key, value in facts.items() if value}
    element = etree.SubElement(table, _tag("FIELD"), given)
    if column.description:
        etree.SubElement(element, _tag("DESCRIPTION")).text = _clean(column.description)
    return element


def _descriptor(
    root: etree._Element,
    descriptor: ServiceDescriptor,
    base_url: str,
    ids: dict[str, str],
) -> None:
    """A resource that says how a service is called (DataLink-1.1 4)."""
    resource = etree.SubElement(
        root, _tag("RESOURCE"), type="meta", ID=descriptor.name, utype="adhoc:service"
    )
    if descriptor.description:
        etree.SubElement(resource, _tag("DESCRIPTION")).text = _clean(descriptor.description)
    facts = {
        "accessURL": base_url + descriptor.path,
        "standardID": descriptor.standard_id,
        "contentType": descriptor.content_type,
    }
    for name, value in facts.items():
        if value:
            etree.SubElement(
                resource,
                _tag("PARAM"),
                {"name": name, "datatype": "char", "arraysize": "*", "value": _clean(value)},
            )
    group = etree.SubElement(resource, _tag("GROUP"), name="inputParams")
    for inp in descriptor.inputs:
        _input(group, inp, ids)


def _input(group: etree._Element, inp: InputParam, ids: dict[str, str]) -> None:
    param = inp.param
    facts = {
        "name": param.name,
        "datatype": param.datatype,
        "arraysize": param.arraysize or "",
        "xtype": param.xtype or "",
        "unit": param.unit,
        "ucd": param.ucd,
        "utype": param.utype,
        "ref": ids.get(inp.column, ""),
    }
    given = {key: _clean(value) for key, value in facts.items() if value}
    element = etree.SubElement(group, _tag("PARAM"), {**given, "value": _clean(inp.value)})
    if param.description:
        etree.SubElement(element, _tag("DESCRIPTION")).text = _clean(param.description)
    options = inp.options or param.values
    if not (inp.minimum or inp.maximum or options):
        return
    values = etree.SubElement(element, _tag("VALUES"))
    if inp.minimum:
        etree.SubElement(values, _tag("MIN"), value=inp.minimum)
    if inp.maximum:
        etree.SubElement(values, _tag("MAX"), value=inp.maximum)
    for option in options:
        etree.SubElement(values, _tag("OPTION"), value=_clean(option))


class _Rows:
    """TABLEDATA."""

    def __call__(self, columns: Sequence[Column], rows: Rows) -> bytes:
        """XML of the rows."""
        return table_rows(columns, rows)

    def rest(self) -> bytes:
        """Nothing is kept back."""
        return b""


class _Base64:
    """BINARY2 or BINARY as base64, whole groups of three bytes at a time."""

    def __init__(self, serialization: Serialization) -> None:
        self._masked = serialization is Serialization.BINARY2
        self._encode = binascii.b2a_base64 if kernel.KERNEL is None else kernel.KERNEL.base64
        self._kept = b""

    def __call__(self, columns: Sequence[Column], rows: Rows) -> bytes:
        """Text of the rows but for the last one or two bytes, which are kept back."""
        raw = self._kept + pack(columns, rows, masked=self._masked)
        whole = len(raw) - len(raw) % 3
        self._kept = raw[whole:]
        return self._encode(raw[:whole]) if whole else b""

    def rest(self) -> bytes:
        """What was kept back."""
        kept, self._kept = self._kept, b""
        return self._encode(kept) if kept else b""
