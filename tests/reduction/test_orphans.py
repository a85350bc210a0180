"""Product files that no row names."""

from __future__ import annotations

__all__: list[str] = []

import os
from typing import TYPE_CHECKING

from reduction.orphans import clear_orphans
from reduction.remake import remake
from tests.support.toy import ToyBias

if TYPE_CHECKING:
    from pathlib import Path

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


def test_remaking_leaves_no_file(archive: Archive, night: Path, work_log: Path) -> None:
    bias = ToyBias.get()
    before = files(archive)
    assert remake(archive, bias.object_id).same
    assert files(archive) == before
