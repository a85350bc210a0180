"""Blocks of rows as PostgreSQL's COPY (FORMAT binary) takes them, by numpy."""

from __future__ import annotations

__all__ = ["HEADER", "TRAILER", "copy_frames"]

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.blocks import Fixed, Layout, Ragged, packed
from schemas.errors import UploadError
from schemas.interleaving import interleaved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from schemas.blocks import Block
    from schemas.columns import Column
    from schemas.interleaving import Part

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

_WIDE: Final = {"u1": np.dtype(">i2")}
_OIDS: Final = {"bool": 16, "int2": 21, "int4": 23, "int8": 20, "float4": 700, "float8": 701}
_ARRAY_HEADER: Final = 20
_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)?(?:Z|\+00:00)?", re.ASCII
)
_EPOCH: Final = np.datetime64("2000-01-01", "us")


def copy_frames(columns: Sequence[Column], block: Block, *, first: int) -> bytes:
    """Write the rows of a block, without COPY's header and trailer.

    Parameters
    ----------
    columns
        Their ``sql_type`` says how each value is written.
    block
        The rows.
    first
        Number of the block's first row, from 1: for what is said of a wrong moment.

    Raises
    ------
    UploadError
        If a text that should be a moment is none, or is no UTF-8.

    Notes
    -----
    PostgreSQL manual, COPY, "Binary Format"; src/backend/utils/adt/arrayfuncs.c, array_recv.
    """
    count = np.frombuffer(len(columns).to_bytes(2, "big"), np.uint8)
    parts: list[Part] = [np.broadcast_to(count, (block.length, 2))]
    for column, field in zip(columns, block.fields, strict=True):
        parts += _parts(column, field, first)
    return interleaved(parts, block.length)


def _parts(column: Column, field: Fixed | Ragged, first: int) -> Iterable[Part]:
    if isinstance(field, Fixed):
        return [_scalars(field)]
    if column.sql_type == "timestamp":
        return [_scalars(_moments(column, field, first))]
    if column.sql_type.endswith("[]"):
        return _arrays(column, field)
    field = _texts(column, field, first)
    return [_lengths(np.where(field.nulls, -1, field.sizes)), field]


def _lengths(sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    return sizes.astype(">i4").view(np.uint8).reshape(-1, 4)


def _bytes_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes of numbers as the database takes them, one row for each."""
    values = np.ascontiguousarray(values, _WIDE.get(values.dtype.str[1:], values.dtype))
    return values.view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _scalars(field: Fixed) -> Part:
    values = _bytes_of(field.values)
    width = values.shape[1]
    sizes = np.where(field.nulls, -1, width)
    cells = np.concatenate([_lengths(sizes), values], axis=1)
    if not field.nulls.any():
        return cells
    starts = np.arange(len(cells)) * (4 + width)
    return Ragged(cells.ravel(), starts, np.where(field.nulls, 4, 4 + width), field.nulls)


def _arrays(column: Column, field: Ragged) -> list[Part]:
    dtype = Layout.of(column).dtype
    assert dtype is not None  # noqa: S101  # an array of numbers has one
    whole = b"".join(field.pieces())
    items = np.frombuffer(whole, dtype)
    counts = field.sizes // dtype.itemsize
    values = _bytes_of(items)
    width = 4 + values.shape[1]
    inner = np.concatenate([_lengths(np.full(len(values), width - 4)), values], axis=1)
    sizes = counts * width
    head = np.zeros((block_length := len(counts), 6), ">i4")
    head[:, 0] = np.where(field.nulls, -1, _ARRAY_HEADER + sizes)
    head[:, 1] = 1
    head[:, 3] = _OIDS[column.sql_type.removesuffix("[]")]
    head[:, 4] = counts
    head[:, 5] = 1
    starts = np.arange(block_length) * 24
    heads = Ragged(head.view(np.uint8).ravel(), starts, np.where(field.nulls, 4, 24), field.nulls)
    body = Ragged(inner.ravel(), np.cumsum(sizes) - sizes, sizes, field.nulls)
    return [heads, body]


def _texts(column: Column, field: Ragged, first: int) -> Ragged:
    """Texts that the database can hold: UTF-8, which ends where a NUL stands."""
    pieces = field.pieces()
    whole = b"".join(pieces)
    if b"\0" in whole:
        pieces = [piece.partition(b"\0")[0] for piece in pieces]
        field = packed(pieces, field.nulls)
    if not whole.isascii():
        for row, piece in enumerate(pieces, first):
            _decoded(column, piece, row)
    return field


def _decoded(column: Column, piece: bytes, row: int) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        message = f"row {row}, column {column.name}: found {piece[:40]!r}, expected UTF-8 or ASCII"
        raise UploadError(message) from None


def _moments(column: Column, field: Ragged, first: int) -> Fixed:
    """Microseconds since 2000, which is how the database takes timestamps."""
    texts = []
    nulls = field.nulls.copy()
    for place, piece in enumerate(field.pieces()):
        text = _decoded(column, piece.partition(b"\0")[0], first + place).strip()
        if not text:
            nulls[place] = True
        elif not _MOMENT.fullmatch(text):
            raise _no_moment(column, text, first + place)
        texts.append(text.removesuffix("Z").removesuffix("+00:00") or "2000-01-01")
    try:
        moments = np.array(texts, "M8[us]")
    except ValueError:
        for row, text in enumerate(texts, first):
            try:
                np.datetime64(text)
            except ValueError:
                raise _no_moment(column, text, row) from None
        raise
    return Fixed((moments - _EPOCH).astype(">i8"), nulls)


def _no_moment(column: Column, text: str, row: int) -> UploadError:
    return UploadError(
        f"row {row}, column {column.name}: found {text[:40]!r}, expected a moment such as "
        "2026-01-31T12:30:00.5 (DALI-1.1 3.3.3)"
    )
