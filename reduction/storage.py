"""Files by content: written aside, checksummed, renamed; never altered, never half there."""

from __future__ import annotations

__all__ = ["Storage", "StoredFile"]

import hashlib
import os
import re
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reduction.scratch import Scratch
from schemas.errors import IngestError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 1 << 20
#: How files are named that a removal has taken aside; without their kind, that of a product.
_ASIDE: Final = re.compile(r"(?:(?P<kind>[a-z]+)-)?[0-9a-f]{32}-(?P<name>[0-9a-f]{64}\..*)")


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
        """Remove scratch files of processes that were killed; what was taken aside stays.

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
            if _ASIDE.fullmatch(path.name):
                continue
            with suppress(FileNotFoundError):  # another process removes its own, or the same
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        return removed

    def remove(self, path: Path, kind: str, *, before: float) -> bool:
        """Remove a stored file that was written before a moment; whether it was.

        The same content may have been kept and published anew since it was looked at. The file is
        taken aside first, so that what is judged is what is removed. Where this process is killed
        between, :meth:`put_back` mends it.

        Parameters
        ----------
        path
            As the storage names it.
        kind
            Its first folder.
        before
            Seconds since 1970.
        """
        aside = self.path("incoming") / f"{kind}-{uuid.uuid4().hex}-{path.name}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process removes it, too, or puts it back
            path.rename(aside)
            if aside.stat().st_mtime < before:
                aside.unlink()
                return True
            aside.replace(path)
        return False

    def put_back(self) -> int:
        """Put files back that removals had taken aside when they were killed.

        Of a removal that is at work the file comes back, too: it finds it gone, and leaves it for
        the next one. What comes back is of today, so that no removal takes it from somebody who
        is about to publish the same content.

        Returns
        -------
        int
            How many there were.
        """
        found = 0
        for path in self.path("incoming").glob("*-*"):
            if (parts := _ASIDE.fullmatch(path.name)) is None:
                continue
            name, kind = parts["name"], parts["kind"] or "product"
            with suppress(FileNotFoundError):  # its removal came to its end
                os.utime(path)
                path.replace(self.path(f"{kind}/{name[:2]}/{name}"))
                found += 1
        return found

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
