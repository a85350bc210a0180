"""Blocks as Arrow arrays, and the stream of them that Arrow calls IPC.

Texts are strings, moments too (ISO 8601, as the VOTable beside them declares), arrays are lists,
``unsignedByte`` is uint8. NaN and null stay apart.
"""

from __future__ import annotations

__all__ = ["ARROW", "Drain", "batch_of", "schema_of", "with_distinct_names"]

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from schemas.blocks import Block, Fixed, Layout
from schemas.dali import Info
from schemas.errors import VOError
from schemas.votable import bare_document, trailing_info
from vo_service.formats.base import Format
from vo_service.formats.names import distinct

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from schemas.blocks import Ragged
    from schemas.columns import Column
    from schemas.dali import TableResult

_ITEMS: Final = {
    "boolean": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
}


class Drain:
    """A file that a writer fills and a generator empties."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        """Take bytes."""
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is behind it."""

    def close(self) -> None:
        """What is left can be taken still."""

    def take(self) -> bytes:
        """What has come since it was asked last."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def with_distinct_names(result: TableResult) -> TableResult:
    """Give each column a name of its own: readers of Arrow refuse, or lose, what has none."""
    names = distinct([column.name for column in result.columns])
    pairs = zip(result.columns, names, strict=True)
    return replace(result, columns=[replace(column, name=name) for column, name in pairs])


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Arrow's types of the columns; units, UCDs and descriptions as metadata of the fields."""
    return pa.schema([_field(column) for column in columns])


def _field(column: Column) -> pa.Field:
    facts = {
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
        "xtype": column.xtype or "",
        "description": column.description,
    }
    return pa.field(column.name, _type(column), metadata={k: v for k, v in facts.items() if v})


def _type(column: Column) -> pa.DataType:
    layout = Layout.of(column)
    if layout.dtype is None:
        return pa.string()
    item = _ITEMS[column.datatype]
    return item if layout.scalar else pa.list_(item)


def batch_of(schema: pa.Schema, block: Block) -> pa.RecordBatch:
    """Turn rows into a batch; numbers become little-endian, texts are taken as they are."""
    arrays = [_array(field.type, held) for field, held in zip(schema, block.fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(kind: pa.DataType, held: Fixed | Ragged) -> pa.Array:
    valid = _bits(~held.nulls) if held.nulls.any() else None
    length = len(held.nulls)
    if isinstance(held, Fixed):
        return pa.Array.from_buffers(kind, length, [valid, _numbers(held.values)])
    held = held.compact()
    size = 1
    if pa.types.is_list(kind):
        size = max(1, kind.value_type.bit_width // 8)
    ends = np.cumsum(held.sizes // size)
    offsets = pa.py_buffer(np.concatenate(([0], ends)).astype(np.int32))
    if not pa.types.is_list(kind):
        return pa.Array.from_buffers(kind, length, [valid, offsets, pa.py_buffer(held.data)])
    count = int(ends[-1]) if length else 0
    wire = kind.value_type.to_pandas_dtype()
    values = held.data.view(np.dtype(wire).newbyteorder(">"))
    items = pa.Array.from_buffers(kind.value_type, count, [None, _numbers(values)])
    return pa.Array.from_buffers(kind, length, [valid, offsets], children=[items])


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _numbers(values: NDArray[Any]) -> pa.Buffer:
    if values.dtype.kind == "b":
        return _bits(values)
    return pa.py_buffer(values.astype(values.dtype.newbyteorder("<")))


def _write(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write batches as they come; what is to be said at the end goes with an empty last one."""
    result = with_distinct_names(result)
    schema = schema_of(result.columns).with_metadata(
        {"IVOA.VOTable-Parquet.content": bare_document(result, base_url)}
    )
    drain = Drain()
    failure: VOError | None = None
    with pa.ipc.new_stream(drain, schema) as stream:
        yield drain.take()
        try:
            for rows in result.rows:
                stream.write_batch(batch_of(schema, Block.of(result.columns, rows)))
                yield drain.take()
            said = trailing_info(result) or (Info("QUERY_STATUS", "OK"),)
        except VOError as error:
            failure = error
            said = (Info("QUERY_STATUS", "ERROR", str(error)),)
        empty = batch_of(schema, Block.from_rows(result.columns, []))
        stream.write_batch(empty, custom_metadata={info.name: info.value for info in said})
    yield drain.take()
    if failure is not None:
        raise failure


ARROW: Final = Format("application/vnd.apache.arrow.stream", ("arrow",), "", "arrows", _write)
