"""Files that no row names: left by makings that were overtaken, and by what was killed."""

from __future__ import annotations

__all__ = ["Orphans", "clear_orphans"]

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from reduction.batches import batched
from schemas.tables import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from reduction.archive import Archive

#: Age (s) at which a file's making has ended, one way or the other.
_OLD_S: Final = 86400.0
#: Kinds of files that are looked at: of products, and of reference catalogues.
_KINDS: Final = ("product", "reference")


@dataclass(frozen=True, slots=True)
class Orphans:
    """What was found.

    Attributes
    ----------
    files, size
        How many, and their bytes.
    """

    files: int
    size: int


def clear_orphans(
    archive: Archive, *, remove: bool = False, older_than_s: float = _OLD_S
) -> Orphans:
    """Look for files of products and catalogues that no row names; raw files are left alone.

    A file is kept before the transaction that publishes it. Where that does not come about the
    file stays, and nothing asks for it. Files that a removal had taken aside when it was killed
    are put back before.

    Parameters
    ----------
    archive
        Whose.
    remove
        Whether to remove them, too.
    older_than_s
        Files that are younger may be about to be published, s.
    """
    archive.storage.put_back()
    limit = time.time() - older_than_s
    files = size = 0
    folders = [(kind, folder) for kind in _KINDS for folder in _folders(archive, kind)]
    for kind, folder in folders:
        old = dict(_old_files(folder, limit))
        for part in batched(sorted(old)):
            for path in _unnamed(archive, part):
                if not remove or archive.storage.remove(path, kind, before=limit):
                    files, size = files + 1, size + old[path]
    return Orphans(files, size)


def _folders(archive: Archive, kind: str) -> list[Path]:
    """Folders of the files of a kind."""
    return sorted(archive.storage.path(kind).glob("??"))


def _unnamed(archive: Archive, paths: Sequence[Path]) -> list[Path]:
    """Those of some files that no row names."""
    digests = {path: path.name.partition(".")[0] for path in paths}
    with archive.transaction() as session:
        named = set(
            session.scalars(select(File.sha256).where(File.sha256.in_(sorted(digests.values()))))
        )
    return [path for path, digest in digests.items() if digest not in named]


def _old_files(folder: Path, limit: float) -> Iterator[tuple[Path, int]]:
    """Files that were written before a moment, with their sizes."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removes them, too
            status = path.stat()
            if status.st_mtime < limit:
                yield path, status.st_size
