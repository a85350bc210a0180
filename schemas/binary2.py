"""Rows as VOTable's BINARY2, packed column by column."""

from __future__ import annotations

__all__ = ["pack"]

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.blocks import Fixed, Layout, Ragged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.blocks import Block
    from schemas.columns import Column


#: Bytes of a row beyond which an index for each byte costs more than Python for each value.
_LONG: Final = 4096


def pack(columns: Sequence[Column], block: Block) -> bytes:
    """Write rows as BINARY2, without a Python operation per value of fixed width.

    Parameters
    ----------
    columns
        What the values are.
    block
        The rows.

    Returns
    -------
    bytes
        For each row a mask of nulls, its first column in the highest bit, then the values.

    Notes
    -----
    Standard: VOTable-1.4 5.4.
    """
    nulls = np.array([field.nulls for field in block.fields], np.bool_).reshape(-1, block.length)
    parts: list[NDArray[np.uint8] | Ragged] = [np.packbits(nulls, axis=0).T]
    for column, field in zip(columns, block.fields, strict=True):
        parts.extend(_parts(column, field))
    return _interleaved(_merged(parts), block.length)


def _parts(column: Column, field: Fixed | Ragged) -> list[NDArray[np.uint8] | Ragged]:
    """A field's bytes: a matrix of shape (n, width), or counts and what they count."""
    layout = Layout.of(column)
    if isinstance(field, Fixed):
        return [_matrix(field)]
    if layout.wide:
        field = _wide(field)
    size = layout.dtype.itemsize if layout.dtype is not None else 1 + layout.wide
    if layout.count is not None:
        return [_padded(field, layout.count * size, _filler(layout))]
    counts = (field.sizes // size).astype(">i4").view(np.uint8).reshape(-1, 4)
    return [counts, field]


def _matrix(field: Fixed) -> NDArray[np.uint8]:
    values = field.values
    if values.dtype.kind == "b":
        letters = np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
        return np.where(field.nulls, np.uint8(ord("?")), letters).reshape(-1, 1)
    width = values.dtype.itemsize
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)


def _filler(layout: Layout) -> bytes:
    """The item that stands where a value of fixed size has none."""
    if layout.dtype is None:
        return b"\0"
    nothing = float("nan") if layout.dtype.kind == "f" else 0
    return np.array([nothing], layout.dtype).tobytes()


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


def _merged(
    parts: Sequence[NDArray[np.uint8] | Ragged],
) -> list[NDArray[np.uint8] | Ragged]:
    """Neighbouring matrices as one."""
    merged: list[NDArray[np.uint8] | Ragged] = []
    for ragged, run in itertools.groupby(parts, lambda part: isinstance(part, Ragged)):
        if ragged:
            merged.extend(run)
        else:
            matrices = [part for part in run if not isinstance(part, Ragged)]
            merged.append(np.concatenate(matrices, axis=1))
    return merged


def _interleaved(parts: Sequence[NDArray[np.uint8] | Ragged], length: int) -> bytes:
    """Row after row from column after column."""
    if len(parts) == 1 and not isinstance(parts[0], Ragged):
        return parts[0].tobytes()
    widths = [
        part.sizes if isinstance(part, Ragged) else np.full(length, part.shape[1], np.int64)
        for part in parts
    ]
    rows = np.sum(widths, axis=0)
    if int(rows.sum()) > _LONG * length:
        pieces = [
            part.pieces() if isinstance(part, Ragged) else [row.tobytes() for row in part]
            for part in parts
        ]
        return b"".join(itertools.chain.from_iterable(zip(*pieces, strict=True)))
    out = np.empty(int(rows.sum()), np.uint8)
    place = np.cumsum(rows) - rows
    for part, width in zip(parts, widths, strict=True):
        if isinstance(part, Ragged):
            total = int(width.sum())
            rank = np.arange(total) - np.repeat(np.cumsum(width) - width, width)
            source = np.repeat(part.starts, width) + rank
            out[np.repeat(place, width) + rank] = part.data[source]
        else:
            out[place[:, None] + np.arange(part.shape[1])] = part
        place = place + width
    return out.tobytes()
