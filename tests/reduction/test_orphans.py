"""Product files that no row names."""

from __future__ import annotations

__all__: list[str] = []

import os
import time
from typing import TYPE_CHECKING

from reduction import orphans
from reduction.orphans import clear_orphans
from reduction.remake import remake
from tests.support.toy import ToyBias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from reduction.archive import Archive


def files(archive: Archive) -> set[Path]:
    return {path for path in archive.storage.root.rglob("*") if path.is_file()}


def aged(archive: Archive) -> None:
    for path in files(archive):
        os.utime(path, (0, 0))


def test_what_no_row_names_is_removed_when_it_is_old_and_nothing_else(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    kept = files(archive)
    with archive.storage.scratch(".fits") as path:
        path.write_bytes(b"left by a making that was killed")
        archive.storage.keep(path, "product", ".fits")
    with archive.storage.scratch(".fits") as path:
        path.write_bytes(b"a raw frame that no row names yet")
        raw = archive.storage.keep(path, "raw", ".fits")
    assert clear_orphans(archive, remove=True).files == 0  # all are of today
    aged(archive)
    found = clear_orphans(archive)
    assert (found.files, found.size) == (1, 32)
    assert clear_orphans(archive, remove=True) == found
    assert files(archive) == kept | {archive.storage.path(raw.location)}
    assert clear_orphans(archive).files == 0
    assert bias.images["BIAS"].shape


def test_what_is_published_meanwhile_stays(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(content: bytes, age: float) -> Path:
        with archive.storage.scratch(".fits") as path:
            path.write_bytes(content)
            os.utime(path, (time.time() - age,) * 2)
            return archive.storage.path(archive.storage.keep(path, "product", ".fits").location)

    look = orphans._old_files

    def looked_at(folder: Path, limit: float) -> Iterator[tuple[Path, int]]:
        yield from look(folder, limit)
        if folder == again.parent:  # another making of the same content ends now
            keep(b"made again", 0.0)
        if folder == gone.parent:  # another process removes it
            gone.unlink()

    again, gone = keep(b"made again", 1e6), keep(b"gone", 1e6)
    left = keep(b"left", 1e6)
    assert len({again.parent, gone.parent, left.parent}) == 3
    monkeypatch.setattr(orphans, "_old_files", looked_at)
    found = clear_orphans(archive, remove=True)
    assert (found.files, found.size) == (1, 4)
    assert files(archive) == {again}
    assert again.read_bytes() == b"made again"


def test_remaking_leaves_no_file(archive: Archive, night: Path, work_log: Path) -> None:
    bias = ToyBias.get()
    before = files(archive)
    assert remake(archive, bias.object_id).same
    assert files(archive) == before
