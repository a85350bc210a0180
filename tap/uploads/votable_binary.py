"""Rows of BINARY and BINARY2 streams as blocks."""

from __future__ import annotations

__all__ = ["rows_of_stream"]

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.blocks import Block, Fixed, Ragged, packed
from schemas.errors import UploadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tap.uploads.votable_fields import VOField

_ITEMS: Final[dict[str, np.dtype[Any]]] = {
    "unsignedByte": np.dtype("u1"),
    "short": np.dtype(">i2"),
    "int": np.dtype(">i4"),
    "long": np.dtype(">i8"),
    "float": np.dtype(">f4"),
    "double": np.dtype(">f8"),
}
_COUNT: Final = struct.Struct(">I")
_CELL_BYTES: Final = 1 << 26
_ROW_BYTES: Final = 1 << 27


def rows_of_stream(
    fields: Sequence[VOField], pieces: Iterable[bytes], *, masked: bool
) -> Iterator[Block]:
    """Read rows as their bytes come.

    Parameters
    ----------
    fields
        Columns of the table.
    pieces
        The stream, cut anywhere.
    masked
        Whether each row begins with a mask of its nulls (BINARY2).

    Raises
    ------
    UploadError
        If the stream ends within a row, or a row says more of itself than can be.

    Notes
    -----
    Standard: VOTable-1.4 5.3 and 5.4.
    """
    walker = _Walker(fields, masked=masked)
    kept = b""
    for piece in pieces:
        raw = kept + piece
        block, used = walker.block(raw)
        kept = raw[used:]
        if block.length:
            yield block
        if len(kept) > _ROW_BYTES:
            raise UploadError(f"row {walker.rows + 1} is longer than {_ROW_BYTES >> 20} MB")
    if kept:
        raise UploadError(
            f"the stream ends within row {walker.rows + 1}: found {len(kept)} bytes of it, "
            "expected all"
        )


class _Walker:
    def __init__(self, fields: Sequence[VOField], *, masked: bool) -> None:
        self._fields = fields
        self._mask = (len(fields) + 7) // 8 if masked else 0
        self._fixed = all(one.count is not None for one in fields)
        self.rows = 0

    def block(self, raw: bytes) -> tuple[Block, int]:
        """The whole rows at the beginning of some bytes, and how many bytes they take."""
        starts, places, counts, used = self._walk_fixed(raw) if self._fixed else self._walk(raw)
        data = np.frombuffer(raw, np.uint8)
        cells = []
        for index, one in enumerate(self._fields):
            nulls = np.zeros(len(starts), np.bool_)
            if self._mask:
                nulls = (data[starts + index // 8] & (0x80 >> index % 8)) != 0
            cells.append(
                _field(one, data, places[index], counts[index], nulls, masked=bool(self._mask))
            )
        self.rows += len(starts)
        return Block(len(starts), tuple(cells)), used

    def _walk_fixed(
        self, raw: bytes
    ) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], list[NDArray[np.int64]], int]:
        sizes = [one.size(one.count or 0) for one in self._fields]
        width = self._mask + sum(sizes)
        length = len(raw) // width
        starts = np.arange(length, dtype=np.int64) * width
        offsets = self._mask + np.cumsum([0, *sizes[:-1]])
        places = [starts + offset for offset in offsets]
        counts = [np.full(length, one.count or 0, np.int64) for one in self._fields]
        return starts, places, counts, length * width

    def _walk(
        self, raw: bytes
    ) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], list[NDArray[np.int64]], int]:
        """Row by row: where a cell begins depends on the lengths of those before."""
        steps = [(one.size, one.count) for one in self._fields]
        end, place = len(raw), 0
        table: list[list[int]] = []
        while True:
            row, here = [place], place + self._mask
            for size, count in steps:
                if count is None:
                    if here + 4 > end:
                        break
                    (count,) = _COUNT.unpack_from(raw, here)  # noqa: PLW2901  # of this row
                    here += 4
                    if size(count) > _CELL_BYTES:
                        self._too_long(len(table), len(row) // 2, count)
                row += (here, count)
                here += size(count)
            if len(row) <= 2 * len(steps) or here > end or here == place:
                break
            table.append(row)
            place = here
        numbers = np.array(table, np.int64).reshape(len(table), 1 + 2 * len(steps))
        cells = range(len(steps))
        return (
            numbers[:, 0],
            [numbers[:, 1 + 2 * index] for index in cells],
            [numbers[:, 2 + 2 * index] for index in cells],
            place,
        )

    def _too_long(self, rows: int, index: int, count: int) -> None:
        name = self._fields[index].column.name
        message = f"row {self.rows + rows + 1}, column {name}: says that it has {count} items"
        raise UploadError(f"{message}, expected at most {_CELL_BYTES >> 20} MB")


def _field(
    one: VOField,
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    counts: NDArray[np.int64],
    nulls: NDArray[np.bool_],
    *,
    masked: bool,
) -> Fixed | Ragged:
    datatype = one.attributes["datatype"]
    cell = Ragged(data, places, np.where(nulls, 0, one.size(counts)), nulls)
    if datatype in {"char", "unicodeChar"}:
        return _texts(cell, wide=datatype == "unicodeChar", masked=masked)
    if one.column.arraysize is None:
        return _scalars(one, datatype, cell, places)
    counts = np.where(nulls, 0, counts)
    if datatype == "bit":
        pairs = zip(cell.pieces(), counts.tolist(), strict=True)
        bits = [np.unpackbits(np.frombuffer(piece, np.uint8))[:count] for piece, count in pairs]
        items = np.concatenate([np.empty(0, np.uint8), *bits])
    elif datatype == "boolean":
        letters = np.frombuffer(b"".join(cell.pieces()), np.uint8)
        items = np.isin(letters, np.frombuffer(b"Tt1", np.uint8)).view(np.uint8)
    else:
        items = np.frombuffer(b"".join(cell.pieces()), _ITEMS[datatype])
    return _array(one, items, counts, nulls, masked=masked)


def _texts(cell: Ragged, *, wide: bool, masked: bool) -> Ragged:
    """UTF-8, cut at the first NUL. Without a mask an empty text is no value."""
    pieces = cell.pieces()
    if wide:
        pieces = [p.decode("utf-16-be", "replace").encode("utf-8", "replace") for p in pieces]
    pieces = [piece.partition(b"\0")[0] if b"\0" in piece else piece for piece in pieces]
    nulls = cell.nulls
    if not masked:
        nulls = nulls | np.fromiter((not piece for piece in pieces), np.bool_, len(pieces))
    return packed(pieces, nulls)


def _scalars(one: VOField, datatype: str, cell: Ragged, places: NDArray[np.int64]) -> Fixed:
    bytes_ = cell.data[places[:, None] + np.arange(one.width)]
    if datatype == "bit":
        return Fixed(bytes_[:, 0] >= 0x80, cell.nulls)
    if datatype == "boolean":
        letters = bytes_[:, 0]
        true = np.isin(letters, np.frombuffer(b"Tt1", np.uint8))
        known = true | np.isin(letters, np.frombuffer(b"Ff0", np.uint8))
        return Fixed(true, cell.nulls | ~known)
    values: NDArray[Any] = np.ascontiguousarray(bytes_).view(_ITEMS[datatype]).reshape(len(places))
    nulls = cell.nulls
    if values.dtype.kind == "f":
        nulls = nulls | np.isnan(values)
    elif one.null is not None:
        nulls = nulls | (values == int(one.null))
    return Fixed(values, nulls)


def _array(
    one: VOField,
    items: NDArray[Any],
    counts: NDArray[np.int64],
    nulls: NDArray[np.bool_],
    *,
    masked: bool,
) -> Ragged:
    """Items in the type that the column is declared with; NaN throughout is no value."""
    if one.column.datatype == "double" and items.dtype.kind == "f":
        items = items.astype(">f8")
    if one.count is not None and items.dtype.kind == "f":
        matrix = items.reshape(-1, one.count)
        nothing = np.isnan(matrix).all(axis=1)
        items = matrix[~nothing].ravel()
        there = ~nulls
        nulls = nulls.copy()
        nulls[there] = nothing
        counts = np.where(nulls, 0, one.count)
    elif not masked:
        nulls = nulls | (counts == 0)
    sizes = counts * items.dtype.itemsize
    raw = np.ascontiguousarray(items).view(np.uint8).ravel()
    return Ragged(raw, np.cumsum(sizes) - sizes, sizes, nulls)
