"""Files that no row names, and those that a killed removal left aside."""

from __future__ import annotations

__all__: list[str] = []

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from reduction import orphans
from reduction.frames import read_images
from reduction.operate import sync_recipes
from reduction.orphans import clear_orphans
from reduction.remake import remake
from tests.support.toy import ToyBias

if TYPE_CHECKING:
    from collections.abc import Iterator
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


KILLED = """
import os, sys
from pathlib import Path
from reduction.storage import Storage

Path.replace = lambda *_: os._exit(9)  # killed as it puts the file back
path = Path(sys.argv[2])
Storage(Path(sys.argv[1])).remove(path, "product", before=0.0)
"""


@pytest.mark.parametrize("way", ["storage", "start"])
def test_what_a_killed_removal_had_taken_aside_is_put_back(
    archive: Archive, night: Path, work_log: Path, way: str
) -> None:
    ToyBias.get()
    kept = files(archive)
    (path,) = (p for p in kept if p.is_relative_to(archive.storage.path("product")))
    words = [sys.executable, "-c", KILLED, str(archive.storage.root), str(path)]
    assert subprocess.run(words, check=False).returncode == 9  # our own
    assert not path.exists()
    # as those before were named, whose kind was not said
    (aside,) = archive.storage.path("incoming").iterdir()
    if way == "start":
        aside = aside.rename(aside.with_name(aside.name.partition("-")[2]))
    aged(archive)
    assert archive.storage.clear_leftovers() == 0
    if way == "start":
        sync_recipes(archive)
    else:
        assert clear_orphans(archive, remove=True).files == 0
    assert files(archive) == kept
    assert "BIAS" in read_images(path)
    assert path.stat().st_mtime > time.time() - 600  # no removal takes it from who publishes it


def test_a_catalogue_s_file_that_no_row_names_is_removed(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("name,ra,dec\na,1,2\n")
    archive.load_references(path, "stars")
    named = files(archive)
    path.write_text("name,ra,dec\nb,1,2\n")
    archive.storage.copy_in(path, "reference", ".csv")
    aged(archive)
    assert clear_orphans(archive, remove=True).files == 1
    assert files(archive) == named
