"""Parquet, row group by row group; what a VOTable in its metadata says of the columns is kept."""

from __future__ import annotations

__all__ = ["read_parquet"]

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.blocks import Block
from schemas.errors import UploadError
from tap.uploads.arrow import column_of_arrow, field_of_arrow
from tap.uploads.reading import MOST_COLUMNS, Reading, declared
from tap.uploads.votable import read_fields

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import IO, BinaryIO

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
#: Bytes that the process takes which unpacks a file.
_MEMORY: Final = 1 << 29
_TOO_MUCH: Final = "it takes too much to unpack it"


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


def _file(stream: BinaryIO) -> pq.ParquetFile:
    """Open a file; nothing but its footer is read here."""
    try:
        return pq.ParquetFile(
            stream,
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
    texts = [number for number, one in enumerate(columns) if one.sql_type == "text"]
    with tempfile.TemporaryFile() as copy:
        with closing(opener()) as stream:
            rows = _rows_at_a_time(_file(stream))
            stream.seek(0)
            shutil.copyfileobj(stream, copy)
        copy.seek(0)
        with closing(_batches(copy, rows, texts)) as batches:
            for batch in batches:
                pairs = zip(columns, batch.columns, strict=True)
                yield Block(batch.num_rows, tuple(field_of_arrow(*pair) for pair in pairs))


def _environment() -> dict[str, str]:
    """The modules that are found here, and memory that is taken as it is needed."""
    found = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": found, "ARROW_DEFAULT_MEMORY_POOL": "system"}


def _batches(file: IO[bytes], rows: int, texts: Sequence[int]) -> Generator[pa.RecordBatch]:
    """Rows as a process of limited memory unpacks them."""
    asked = [str(_MEMORY), str(rows), ",".join(map(str, texts))]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "tap.uploads.parquet_rows", *asked],  # numbers alone
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(),
        ) as child,
    ):
        pipe = cast("IO[bytes]", child.stdout)  # one was asked for
        try:
            with pa.ipc.open_stream(pipe) as stream:
                yield from stream
            failure = None
        except (pa.ArrowException, OSError) as error:
            failure = error
        except GeneratorExit:
            child.kill()
            raise
        pipe.close()  # who still writes is told so
        if child.wait() or failure is not None:
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            what = lines[-1][:160] if lines and child.returncode == 1 else _TOO_MUCH
            raise UploadError(f"not a Parquet file that can be read ({what})") from failure
