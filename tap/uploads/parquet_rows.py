"""A program of its own that unpacks Parquet: whatever a file makes of it, the service lives on.

``python -m tap.uploads.parquet_rows BYTES ROWS TEXTS`` reads a Parquet file from its standard
input, which can be sought in, and writes its rows as a stream of Arrow to its standard output,
ROWS at a time. TEXTS are numbers of columns, with commas between, whose dictionaries are kept. A
small file can become any number of bytes, in ways that only unpacking finds out: so the process
may take no more than BYTES beyond what the program itself needs.
"""

from __future__ import annotations

__all__ = ["main"]

import resource
import sys
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

#: Bytes of a batch of rows.
_BATCH: Final = 1 << 27
_SECONDS: Final = 120


def main() -> int:
    """Unpack; what is wrong is said on the standard error output, with status 1."""
    memory, rows = map(int, sys.argv[1:3])
    texts = [int(word) for word in sys.argv[3].split(",") if word]
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    taken = Path("/proc/self/statm")
    if taken.exists():  # elsewhere than on Linux the limit is not held to
        most = int(taken.read_text().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _unpack(rows, texts)
    except MemoryError:
        sys.stderr.write(f"it unpacks to more than {memory >> 20} MB at a time\n")
        return 1
    except (pa.ArrowException, OSError, ValueError) as error:
        sys.stderr.write(str(error).partition("\n")[0][:160] + "\n")
        return 1
    return 0


def _unpack(rows: int, texts: list[int]) -> None:
    names = pq.read_schema(sys.stdin.buffer).names
    sys.stdin.buffer.seek(0)
    file = pq.ParquetFile(sys.stdin.buffer, read_dictionary=[names[one] for one in texts])
    with pa.ipc.new_stream(sys.stdout.buffer, file.schema_arrow) as stream:
        for batch in file.iter_batches(batch_size=rows, use_threads=False):
            if batch.get_total_buffer_size() > _BATCH:
                message = f"{batch.num_rows} rows unpack to more than {_BATCH >> 20} MB"
                raise ValueError(message)
            stream.write_batch(batch)


if __name__ == "__main__":
    sys.exit(main())
