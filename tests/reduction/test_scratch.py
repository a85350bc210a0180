"""Room for large planes, and what is left of it: what is said where there is none."""

from __future__ import annotations

__all__: list[str] = []

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.scratch import Scratch
from reduction.storage import Storage
from schemas.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_that_takes_no_file_is_not_called_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as refused:
        Scratch(tmp_path / "file", limit=1).full((4, 4), 0.0, np.float32)
    assert "no room" not in str(refused.value)
    assert f"cannot make a file in {tmp_path / 'file'} for a plane of 64 bytes" in str(
        refused.value
    )


def test_leftovers_that_others_clear_at_the_same_time_are_no_error(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for number in range(2000):
        path = incoming / f"{number}.fits"
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    (incoming / "new.fits").write_bytes(b"")
    storages = [Storage(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(Storage.clear_leftovers, storages)) == 2000
    assert [path.name for path in incoming.iterdir()] == ["new.fits"]
