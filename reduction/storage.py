"""Files by content: written aside, checksummed, renamed; never altered, never half there."""

from __future__ import annotations

__all__ = ["Storage", "StoredFile"]

import hashlib
import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.scratch import Scratch
from schemas.errors import IngestError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the storage.

    Attributes
    ----------
    sha256
        Checksum of its bytes.
    size
        Bytes.
    location
        Path relative to the storage's root.
    """

    sha256: str
    size: int
    location: str


class Storage:
    """A folder of immutable files.

    Parameters
    ----------
    root
        Made if it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, location: str) -> Path:
        """Where a stored file is."""
        return self.root / location

    @property
    def planes(self) -> Scratch:
        """Room on the storage's own disk for planes too large for memory."""
        return Scratch(self.root / "incoming")

    @contextmanager
    def scratch(self, suffix: str) -> Iterator[Path]:
        """A path on the storage's own disk for a file to be written; removed afterwards."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid4().hex}{suffix}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def clear_leftovers(self, *, older_than_s: float = 86400.0) -> int:
        """Remove scratch files of processes that were killed.

        Parameters
        ----------
        older_than_s
            Age at which nobody can be writing any more.

        Returns
        -------
        int
            How many there were.
        """
        limit = time.time() - older_than_s
        removed = 0
        for path in (self.root / "incoming").glob("*"):
            with suppress(FileNotFoundError):  # another process removes its own, or the same
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        return removed

    def copy_in(self, source: Path, kind: str, suffix: str, *, expected: str = "") -> StoredFile:
        """Copy a file of somebody else's into the storage.

        Parameters
        ----------
        source
            The file.
        kind, suffix
            As for :meth:`keep`.
        expected
            Checksum that it had when it was looked at; empty where nobody looked.

        Raises
        ------
        IngestError
            If it has another one now; nothing is kept then.
        StorageError
            If it cannot be written.
        """
        with self.scratch(suffix) as path:
            try:
                shutil.copyfile(source, path)
            except OSError as error:
                message = f"cannot copy {source.name} into the storage: {error.strerror}"
                raise StorageError(message) from error
            digest = checksum(path)
            if expected not in ("", digest):
                what = "it changed while it was read; expected a file that is finished"
                raise IngestError(source.name, what)
            return self._keep(path, digest, kind, suffix)

    def keep(self, path: Path, kind: str, suffix: str) -> StoredFile:
        """Move a finished file to the place that its content gives it.

        Parameters
        ----------
        path
            A scratch file.
        kind
            First folder: "raw" or "product".
        suffix
            Ending of the stored name, with its dot.
        """
        return self._keep(path, checksum(path), kind, suffix)

    def _keep(self, path: Path, digest: str, kind: str, suffix: str) -> StoredFile:
        """Move a finished file of a checksum to its place."""
        location = f"{kind}/{digest[:2]}/{digest}{suffix}"
        final = self.path(location)
        size = path.stat().st_size
        try:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
            final.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o444)
            path.replace(final)
            _sync_folder(final.parent)
        except OSError as error:
            message = f"cannot keep a file of {size} bytes in the storage: {error.strerror}"
            raise StorageError(message) from error
        return StoredFile(digest, size, location)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
