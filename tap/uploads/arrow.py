"""Arrow's arrays as the fields of blocks: what CSV and Parquet are read into."""

from __future__ import annotations

__all__ = ["column_of_arrow", "field_of_arrow"]

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.blocks import Fixed, Layout, Ragged
from schemas.errors import UploadError
from tap.uploads.reading import declared

if TYPE_CHECKING:
    from schemas.columns import Column

_DATATYPES: Final = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int8(): "short",
    pa.int16(): "short",
    pa.uint16(): "int",
    pa.int32(): "int",
    pa.uint32(): "long",
    pa.int64(): "long",
    pa.uint64(): "long",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.null(): "char",
}


#: Bytes of the texts of one column in one block.
_MOST_TEXT: Final = 1 << 26


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def column_of_arrow(name: str, kind: pa.DataType, **facts: str) -> Column:
    """Declare a column of Arrow's type.

    Raises
    ------
    UploadError
        If no query can use values of that type.
    """
    kind = _plain(kind)
    if _is_text(kind):
        return declared(name, "unicodeChar", "*", **facts)
    if _is_moment(kind):
        return declared(name, "char", "*", **{**facts, "xtype": "timestamp"})
    inner = _plain(kind.value_type) if _is_list(kind) else kind
    datatype = _DATATYPES.get(inner)
    if datatype is None:
        raise UploadError(
            f"column {name} has the type {str(kind)[:80]}, which no query can use: expected "
            "numbers, truth values, texts, moments, or lists of numbers"
        )
    if datatype == "char":
        return declared(name, "char", "*", **facts)
    if not _is_list(kind):
        return declared(name, datatype, **facts)
    size = str(kind.list_size) if pa.types.is_fixed_size_list(kind) else "*"
    return declared(name, datatype, size, **facts)


def field_of_arrow(column: Column, array: pa.Array) -> Fixed | Ragged:
    """Read an array of Arrow's as the column is declared.

    Raises
    ------
    UploadError
        If a value does not fit.
    """
    if pa.types.is_dictionary(array.type):
        _check_words(column, array)
        array = array.cast(array.type.value_type)
    layout = Layout.of(column)
    try:
        if layout.dtype is None:
            return _texts(array)
        if layout.scalar:
            return _scalars(array, layout.dtype)
        return _lists(array, layout.dtype)
    except pa.ArrowInvalid as error:
        what = str(error).partition("\n")[0][:160]
        raise UploadError(f"column {column.name}: {what}") from error


def _check_words(column: Column, array: pa.DictionaryArray) -> None:
    """Refuse a long text that stands in many rows before it is written out for each."""
    if not _is_text(array.type.value_type):
        return
    lengths = pc.binary_length(array.dictionary).cast(pa.int64())
    total = pc.sum(lengths.take(array.indices)).as_py() or 0
    if total > _MOST_TEXT:
        raise UploadError(
            f"column {column.name}: {len(array)} texts have {total} bytes, expected at most "
            f"{_MOST_TEXT >> 20} MB"
        )


def _nulls(array: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)


def _target(dtype: np.dtype[Any]) -> pa.DataType:
    return pa.bool_() if dtype.kind == "b" else pa.from_numpy_dtype(dtype.newbyteorder("="))


def _scalars(array: pa.Array, dtype: np.dtype[Any]) -> Fixed:
    nulls = _nulls(array)
    full = array.cast(_target(dtype)).fill_null(False if dtype.kind == "b" else 0)
    values = full.to_numpy(zero_copy_only=False).astype(dtype)
    if dtype.kind == "f":
        nulls = nulls | np.isnan(values)
    return Fixed(values, nulls)


def _texts(array: pa.Array) -> Ragged:
    nulls = _nulls(array)
    if _is_moment(array.type):
        if pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        array = pc.strftime(array.cast(pa.timestamp("us"), safe=False), format="%Y-%m-%dT%H:%M:%S")
    array = array.cast(pa.large_string()).fill_null("")
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return Ragged(raw, places[:-1].copy(), np.diff(places), nulls)


def _lists(array: pa.Array, dtype: np.dtype[Any]) -> Ragged:
    nulls = _nulls(array)
    sizes = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    sizes = sizes.astype(np.int64) * dtype.itemsize
    items = pc.list_flatten(array).cast(_target(dtype))
    if items.null_count and dtype.kind != "f":
        raise UploadError("a list has an item without value: expected whole numbers throughout")
    nothing = False if dtype.kind == "b" else float("nan") if dtype.kind == "f" else 0
    values = items.fill_null(nothing).to_numpy(zero_copy_only=False).astype(dtype)
    return Ragged(values.view(np.uint8), np.cumsum(sizes) - sizes, sizes, nulls)
