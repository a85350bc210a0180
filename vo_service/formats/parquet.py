"""Apache Parquet with a VOTable in it that describes the columns (the VOParquet convention).

Row groups are written as rows come, so memory does not grow with the answer.
"""

from __future__ import annotations

__all__ = ["PARQUET"]

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyarrow import parquet

from schemas.blocks import Block, Layout
from schemas.dali import Info
from schemas.errors import VOError
from schemas.votable import bare_document, trailing_info
from vo_service.formats.arrow import Drain, batch_of, schema_of, with_distinct_names
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from schemas.columns import Column
    from schemas.dali import TableResult

_GROUP_ROWS: Final = 1 << 17
_GROUP_BYTES: Final = 1 << 24


def _write(result: TableResult, base_url: str) -> Generator[bytes]:
    """Write a file piece by piece.

    Notes
    -----
    IVOA Note "Parquet in the VO" 1.0, 2.2. An answer that fails half way is a whole file that
    says so in its VOTable; and since few readers look there, the transfer breaks off as well.
    """
    result = with_distinct_names(result)
    schema = schema_of(result.columns)
    drain = Drain()
    failure: VOError | None = None
    trailing: tuple[Info, ...] = ()
    with parquet.ParquetWriter(drain, schema, **_options(result.columns)) as writer:
        try:
            for table in _groups(result, schema):
                writer.write_table(table, row_group_size=len(table))
                yield drain.take()
            trailing = trailing_info(result)
        except VOError as error:
            failure = error
            trailing = (Info("QUERY_STATUS", "ERROR", str(error)),)
        document = bare_document(result, base_url, trailing)
        writer.add_key_value_metadata(
            {"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": document}
        )
    yield drain.take()
    if failure is not None:
        raise failure


def _options(columns: Sequence[Column]) -> dict[str, Any]:
    """How columns are written, by name: several may have one, and then not all be numbers."""
    floats = {c.name for c in columns if _is_float(c)}
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [c.name for c in columns if Layout.of(c).dtype is None],
        "use_byte_stream_split": sorted(floats - {c.name for c in columns if not _is_float(c)}),
    }


def _is_float(column: Column) -> bool:
    return column.datatype in {"float", "double"} and Layout.of(column).scalar


def _groups(result: TableResult, schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches joined until they are worth a row group; those that were read before a failure."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        for some in result.rows:
            batch = batch_of(schema, Block.of(result.columns, some))
            batches.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield pa.Table.from_batches(batches)
                batches, rows, size = [], 0, 0
    except VOError:
        if batches:
            yield pa.Table.from_batches(batches)
        raise
    if batches:
        yield pa.Table.from_batches(batches)


PARQUET: Final = Format(
    "application/vnd.apache.parquet",
    ("parquet", "application/x-parquet", "application/parquet"),
    "",
    "parquet",
    _write,
)
