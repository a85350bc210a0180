"""Rows as VOTable's BINARY2 and BINARY: by the compiled part, or packed column by column."""

from __future__ import annotations

__all__ = ["declared", "lowest", "pack"]

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from schemas.blocks import Block, Fixed, Layout, Ragged, nothing, packed
from schemas.errors import FatalError
from schemas.frames import Frames
from schemas.interleaving import interleaved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.columns import Column
    from schemas.dali import Rows


def lowest(column: Column) -> int | None:
    """The number that stands for no value in BINARY; None for all but whole numbers."""
    dtype = Layout.of(column).dtype
    if dtype is None or dtype.kind not in "iu":
        return None
    return int(np.iinfo(dtype).min)


def declared(columns: Sequence[Column]) -> list[Column]:
    """What BINARY declares: unsignedByte, whose every value is a value, becomes short."""
    return [
        replace(column, datatype="short")
        if column.datatype == "unsignedByte" and Layout.of(column).scalar
        else column
        for column in columns
    ]


def pack(columns: Sequence[Column], rows: Rows, *, masked: bool = True) -> bytes:
    """Write rows as BINARY2, without a Python operation per value of fixed width.

    Parameters
    ----------
    columns
        What the values are; for BINARY what :func:`declared` gives.
    rows
        The rows.
    masked
        Whether each row begins with a mask of nulls: BINARY2. BINARY has none; there NaN, the
        lowest whole number and ``?`` stand for no value.

    Returns
    -------
    bytes
        For each row a mask of nulls, its first column in the highest bit, then the values.

    Raises
    ------
    FatalError
        In BINARY, if a value is the number that stands for no value.

    Notes
    -----
    Standard: VOTable-1.4 5.3 and 5.4.
    """
    if isinstance(rows, Frames):
        done = rows.packed(columns, masked=masked)
        if done is not None:
            return done
    block = Block.of(columns, rows)
    parts: list[NDArray[np.uint8] | Ragged] = []
    if masked:
        nulls = np.array([field.nulls for field in block.fields], np.bool_)
        parts.append(np.packbits(nulls.reshape(-1, block.length), axis=0).T)
    for column, field in zip(columns, block.fields, strict=True):
        parts.extend(_parts(column, field if masked else _unmasked(column, field)))
    return interleaved(parts, block.length)


def _unmasked(column: Column, field: Fixed | Ragged) -> Fixed | Ragged:
    """With numbers for what has no value."""
    layout, least = Layout.of(column), lowest(column)
    if least is None or layout.dtype is None:
        return field
    if isinstance(field, Fixed):
        if (field.values == least)[~field.nulls].any():
            message = f"column {column.name}: holds the value that stands for no value"
            raise FatalError(message)
        values = np.where(field.nulls, layout.dtype.type(least), field.values)
        return Fixed(values.astype(layout.dtype), field.nulls)
    if layout.count is None or layout.dtype.itemsize == 1 or not field.nulls.any():
        return field
    filler = np.full(layout.count, least, layout.dtype).tobytes()
    pairs = zip(field.pieces(), field.nulls.tolist(), strict=True)
    return packed([filler if null else piece for piece, null in pairs], field.nulls)


def _parts(column: Column, field: Fixed | Ragged) -> list[NDArray[np.uint8] | Ragged]:
    """A field's bytes: a matrix of shape (n, width), or counts and what they count."""
    layout = Layout.of(column)
    if isinstance(field, Fixed):
        return [_matrix(field)]
    if layout.wide:
        field = _wide(field)
    if layout.dtype is not None and layout.dtype.kind == "b":
        field = replace(field, data=_letters(field.data != 0))
    size = layout.dtype.itemsize if layout.dtype is not None else 1 + layout.wide
    if layout.count is not None:
        return [_padded(field, layout.count * size, _filler(layout))]
    counts = (field.sizes // size).astype(">i4").view(np.uint8).reshape(-1, 4)
    return [counts, field]


def _matrix(field: Fixed) -> NDArray[np.uint8]:
    values = field.values
    if values.dtype.kind == "b":
        return np.where(field.nulls, np.uint8(ord("?")), _letters(values)).reshape(-1, 1)
    width = values.dtype.itemsize
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)


def _letters(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(flags, np.uint8(ord("T")), np.uint8(ord("F")))


def _filler(layout: Layout) -> bytes:
    """The item that stands where a value of fixed size has none."""
    if layout.dtype is None:
        return b"\0"
    if layout.dtype.kind == "b":
        return b"?"
    return np.array([nothing(layout.dtype)], layout.dtype).tobytes()


def _wide(field: Ragged) -> Ragged:
    """UTF-8 to 16-bit units; what has none (beyond U+FFFF) takes a pair."""
    pieces = [piece.decode().encode("utf-16-be") for piece in field.pieces()]
    sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
    data = np.frombuffer(b"".join(pieces), np.uint8)
    return Ragged(data, np.cumsum(sizes) - sizes, sizes, field.nulls)


def _padded(field: Ragged, width: int, filler: bytes) -> NDArray[np.uint8]:
    """Values cut or filled to one width."""
    full = filler * (width // len(filler))
    raw = b"".join([piece[:width] + full[len(piece) :] for piece in field.pieces()])
    return np.frombuffer(raw, np.uint8).reshape(-1, width)
