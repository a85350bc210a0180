"""Product files that no row names: left by makings that were overtaken or killed."""

from __future__ import annotations

__all__ = ["Orphans", "clear_orphans"]

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from schemas.tables import File

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive
    from reduction.storage import Storage

#: Age (s) at which a file's making has ended, one way or the other.
_OLD_S: Final = 86400.0


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
    """Look for product files that no row names; raw files are never looked at.

    A file is kept before the transaction that publishes it. Where that does not come about the
    file stays, and nothing asks for it.

    Parameters
    ----------
    archive
        Whose.
    remove
        Whether to remove them, too.
    older_than_s
        Files that are younger may be about to be published, s.
    """
    limit = time.time() - older_than_s
    files = size = 0
    for folder in sorted(archive.storage.path("product").glob("??")):
        old = dict(_old_files(folder, limit))
        if not old:
            continue
        with archive.transaction() as session:
            named = set(
                session.scalars(select(File.sha256).where(File.sha256.startswith(folder.name)))
            )
        for path in (path for path in old if path.name.partition(".")[0] not in named):
            if not remove or _removed(archive.storage, path, limit):
                files, size = files + 1, size + old[path]
    return Orphans(files, size)


def _old_files(folder: Path, limit: float) -> Iterator[tuple[Path, int]]:
    """Files that were written before a moment, with their sizes."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removes them, too
            status = path.stat()
            if status.st_mtime < limit:
                yield path, status.st_size


def _removed(storage: Storage, path: Path, limit: float) -> bool:
    """Remove a file that was written before a moment; whether it was.

    The same content may have been kept and published anew since it was looked at. The file is
    taken away first, so that what is judged is what is removed.
    """
    aside = storage.path("incoming") / f"{uuid.uuid4().hex}-{path.name}"
    aside.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):  # another process removes them, too
        path.rename(aside)
        if aside.stat().st_mtime < limit:
            aside.unlink()
            return True
        aside.replace(path)
    return False
