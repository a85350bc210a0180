"""Parquet, row group by row group; what a VOTable in its metadata says of the columns is kept."""

from __future__ import annotations

__all__ = ["read_parquet"]

from contextlib import closing
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.blocks import Block
from schemas.errors import UploadError
from tap.uploads.arrow import column_of_arrow, field_of_arrow
from tap.uploads.reading import MOST_COLUMNS, Reading, declared
from tap.uploads.votable import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from schemas.columns import Column
    from tap.uploads.reading import Opener

_VOTABLE: Final = b"IVOA.VOTable-Parquet.content"
_ROWS: Final = 8192
#: Bytes that a file may grow to when its pages are unpacked, as a multiple of its own.
_UNPACKED: Final = 100
_UNPACKED_AT_LEAST: Final = 1 << 28
#: Bytes of a value, and of the values of a block.
_VALUE: Final = 8
_BLOCK: Final = 1 << 24


def read_parquet(opener: Opener) -> Reading:
    """Read a Parquet file.

    Raises
    ------
    UploadError
        If it is none, has columns that no query can use, or would grow beyond measure.

    Notes
    -----
    The VOTable of the convention "VOParquet" (IVOA Note, version 1.0) gives unit, UCD, xtype,
    utype and description to the columns of the same name.
    """
    with closing(opener()) as stream:
        file = _file(stream)
        _check_size(file, stream)
        kinds = [(field.name, field.type) for field in file.schema_arrow]
        if len(kinds) > MOST_COLUMNS:
            raise UploadError(f"the file has more than {MOST_COLUMNS} columns, expected fewer")
        said = {one.name: one for one in _described(file)}
    columns = tuple(_column(name, kind, said.get(name)) for name, kind in kinds)
    return Reading(columns, lambda: _blocks(opener, columns))


def _file(stream: BinaryIO, texts: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a file; columns of texts keep their dictionaries, which may stand for many rows."""
    try:
        return pq.ParquetFile(
            stream,
            read_dictionary=list(texts),
            thrift_string_size_limit=1 << 24,
            thrift_container_size_limit=1 << 20,
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> UploadError:
    what = str(error).partition("\n")[0][:160]
    return UploadError(f"not a Parquet file that can be read ({what})")


def _check_size(file: pq.ParquetFile, stream: BinaryIO) -> None:
    size = stream.seek(0, 2)
    unpacked = sum(max(group.total_byte_size, _VALUE * _values(group)) for group in _groups(file))
    if unpacked > max(_UNPACKED * size, _UNPACKED_AT_LEAST):
        raise UploadError(
            f"{size} bytes of Parquet would become {unpacked}: expected at most {_UNPACKED} times "
            "as many"
        )


def _groups(file: pq.ParquetFile) -> Iterator[pq.RowGroupMetaData]:
    return map(file.metadata.row_group, range(file.metadata.num_row_groups))


def _values(group: pq.RowGroupMetaData) -> int:
    """Values in a row group, the items of lists one by one."""
    return sum(group.column(number).num_values for number in range(group.num_columns))


def _rows_at_a_time(file: pq.ParquetFile) -> int:
    """Rows that make a block of some megabytes, lists and all."""
    densest = max((_values(group) / max(group.num_rows, 1) for group in _groups(file)), default=1)
    return int(max(1, min(_ROWS, _BLOCK / (_VALUE * max(densest, 1)))))


def _described(file: pq.ParquetFile) -> tuple[Column, ...]:
    document = (file.schema_arrow.metadata or {}).get(_VOTABLE)
    document = document or (file.metadata.metadata or {}).get(_VOTABLE)
    return read_fields(document) if document else ()


def _column(name: str, kind: pa.DataType, said: Column | None) -> Column:
    column = column_of_arrow(name, kind)
    if said is None:
        return column
    facts = {
        "unit": said.unit,
        "ucd": said.ucd,
        "utype": said.utype,
        "description": said.description,
    }
    xtype = said.xtype or ""
    if column.datatype in {"char", "unicodeChar"}:
        datatype = said.datatype if said.datatype in {"char", "unicodeChar"} else column.datatype
        moment = "timestamp" if column.xtype == "timestamp" else xtype
        return declared(name, datatype, "*", xtype=moment, **facts)
    return declared(name, column.datatype, column.arraysize, xtype=xtype, **facts)


def _blocks(opener: Opener, columns: tuple[Column, ...]) -> Iterator[Block]:
    texts = [one.name for one in columns if one.sql_type == "text"]
    with closing(opener()) as stream:
        file = _file(stream, texts)
        batches = file.iter_batches(batch_size=_rows_at_a_time(file), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(error) from error
            if batch is None:
                return
            pairs = zip(columns, batch.columns, strict=True)
            yield Block(batch.num_rows, tuple(field_of_arrow(*pair) for pair in pairs))
