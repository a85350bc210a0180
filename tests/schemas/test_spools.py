"""A file that several read at once, each from its start."""

from __future__ import annotations

__all__: list[str] = []

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.spools import opener_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: Files that this process has open.
NUMBERS = Path("/proc/self/fd")
CONTENT = bytes(range(256)) * 600


@pytest.fixture(scope="module")
def file() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as made:
        made.write(CONTENT)
        yield made


def test_each_reads_all_of_it_whatever_the_others_have_read(file: BinaryIO) -> None:
    opened = opener_of(file)
    with opened() as one, opened() as other:
        assert one.read(1000) == CONTENT[:1000]
        assert other.read() == CONTENT
        assert one.read() == CONTENT[1000:]
        assert other.read() == b""
    assert file.tell() == len(CONTENT), "the file's own place stays where its writer left it"


def test_what_was_written_and_not_yet_on_disk_is_read_too() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"few bytes")
        with opener_of(file)() as found:
            assert found.read() == b"few bytes"


def test_what_is_open_outlives_the_file_and_gives_its_number_back() -> None:
    before = len(list(NUMBERS.iterdir()))
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        found = opener_of(file)()
    assert found.read(10) == CONTENT[:10]
    found.close()
    found.close()
    assert len(list(NUMBERS.iterdir())) == before
    with pytest.raises(ValueError, match="closed"):
        found.read()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
            st.integers(-200_000, 200_000),
            st.integers(0, 70_000),
        ),
        max_size=6,
    )
)
def test_it_is_read_as_bytes_in_memory_are(steps) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        with opener_of(file)() as found:
            model = io.BytesIO(CONTENT)
            assert found.readable()
            assert found.seekable()
            for whence, offset, count in steps:
                start = {io.SEEK_SET: 0, io.SEEK_CUR: model.tell(), io.SEEK_END: len(CONTENT)}
                if start[whence] + offset < 0:
                    with pytest.raises((ValueError, OSError)):
                        found.seek(offset, whence)
                else:
                    assert found.seek(offset, whence) == model.seek(offset, whence)
                assert found.read(count) == model.read(count)
                assert found.tell() == model.tell()
