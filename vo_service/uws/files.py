"""Files of jobs, one folder a job: uploads, and a result that is whole or not there.

A result is written aside, forced to the disk and renamed; only then does its job become COMPLETED.
Folders and files are the service's alone (0700 and 0600). Where the disk is nearly full nothing
more is written: the database may be on it too.
"""

from __future__ import annotations

__all__ = ["JobFiles", "Writing"]

import os
import secrets
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from schemas.errors import BusyError, QueryError, StorageError
from vo_service.uws.folder import is_job_id, jobs_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from werkzeug.datastructures import FileStorage

_BUFFER: Final = 1 << 20
_LOOK_BYTES: Final = 64 << 20
_RETRY_S: Final = 300.0


class Writing:
    """A result on its way to the disk.

    Parameters
    ----------
    path
        Where it shall be.
    limit
        Bytes at most.
    free_bytes
        Of the disk, that must be left.
    """

    def __init__(self, path: Path, limit: int, free_bytes: int = 0) -> None:
        self.path = path
        self.size = 0
        self._limit, self._free_bytes = limit, free_bytes
        self._looked = 0
        self._aside = path.with_name(path.name + ".part")
        self._look()
        self._stream = _opened(self._aside)

    def write(self, piece: bytes) -> None:
        """Take a piece.

        Raises
        ------
        QueryError
            If the result becomes too large; says how to go further.
        StorageError
            If the disk has no room for it.
        """
        self.size += len(piece)
        if self.size > self._limit:
            message = (
                f"the result is larger than the {self._limit / 1e6:g} MB of this service's limit: "
                "ask for fewer columns or rows, or in parts"
            )
            raise QueryError(message)
        if self.size - self._looked > _LOOK_BYTES:
            self._look()
        try:
            self._stream.write(piece)
        except OSError as error:
            raise _cannot_keep(error) from error

    def keep(self) -> None:
        """Put it in place, whole and on the disk.

        Raises
        ------
        StorageError
            If the disk does not take it.
        """
        try:
            _finish(self._stream)
            self._aside.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise _cannot_keep(error) from error

    def _look(self) -> None:
        self._looked = self.size
        if _free(self.path.parent) < self._free_bytes:
            message = "the result cannot be kept: the service's disk for results is nearly full"
            raise StorageError(message)

    def drop(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self._stream.close()
        self._aside.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class JobFiles:
    """The folder of all jobs.

    Parameters
    ----------
    folder
        Of the settings; jobs are in one below it (:mod:`vo_service.uws.folder`), which is made
        where it is not there.
    free_bytes
        Of the disk, that must be left: where there are fewer nothing is written.
    """

    def __init__(self, folder: Path, *, free_bytes: int = 0) -> None:
        self._folder = jobs_folder(folder)
        self._free_bytes = free_bytes

    def path(self, job_id: str, name: str) -> Path:
        """Where a file of a job is; both names are our own, never a user's."""
        return self._folder / job_id / name

    def check_room(self, size: int) -> None:
        """See that the disk has room for uploads.

        Raises
        ------
        BusyError
            If it has not.
        """
        if self._free_bytes and _free(self._folder) - size < self._free_bytes:
            message = (
                "the service's disk for uploads and results is nearly full: ask again later, or "
                "delete jobs that you do not need any more"
            )
            raise BusyError(message, retry_after_s=_RETRY_S)

    def keep_upload(self, job_id: str, part: FileStorage) -> str:
        """Keep a file that came with a request; the name it has from now on.

        No two have one name: who keeps a file at the same time takes nobody's place.

        Raises
        ------
        StorageError
            If it cannot be written; nothing is left of it, and what was there stays.
        """
        name = f"upload-{secrets.token_hex(8)}"
        path = self.path(job_id, name)
        aside = path.with_name(name + ".part")
        try:
            self._make(path.parent)
            stream = _opened(aside)
            try:
                part.save(stream)
            finally:
                _finish(stream)
            aside.replace(path)
            _sync(path.parent)
            _sync(self._folder)
        except OSError as error:
            aside.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            message = f"an uploaded file cannot be kept: {error.strerror}"
            raise StorageError(message) from error
        return name

    def drop_uploads(self, job_id: str, names: Collection[str]) -> None:
        """Remove uploads that their job does not have (any more)."""
        for name in names:
            with suppress(OSError):
                self.path(job_id, name).unlink(missing_ok=True)

    def write(self, job_id: str, attempt: int, suffix: str, limit: int) -> Writing:
        """Begin the result of an attempt; what earlier ones left is removed.

        Later ones are left alone: whoever was thought dead may come back to his work.

        Raises
        ------
        StorageError
            If the disk is nearly full, or cannot be written.
        """
        path = self.path(job_id, f"result-{attempt}.{suffix}")
        try:
            self._make(path.parent)
            self.clear(job_id, before=attempt)
            return Writing(path, limit, self._free_bytes)
        except OSError as error:
            raise _cannot_keep(error) from error

    def clear(self, job_id: str, *, before: int | None = None) -> None:
        """Remove what attempts left, those before a number or all; uploads stay."""
        for path in self.path(job_id, "").glob("result-*"):
            number = int(path.name.removeprefix("result-").partition(".")[0])
            if before is None or number < before:
                path.unlink(missing_ok=True)

    def remove(self, job_id: str) -> None:
        """Remove all files of a job; nothing but a folder that can be a job's is touched."""
        if is_job_id(job_id):
            shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def older_than(self, seconds: float) -> Iterator[str]:
        """Ids of the folders of jobs that nothing was put into for a time."""
        limit = time.time() - seconds
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    is_jobs = is_job_id(entry.name) and entry.is_dir(follow_symlinks=False)
                    if is_jobs and entry.stat(follow_symlinks=False).st_mtime < limit:
                        yield entry.name

    def remove_all(self, job_ids: Collection[str]) -> None:
        """Remove the files of several jobs."""
        for job_id in job_ids:
            self.remove(job_id)

    def _make(self, folder: Path) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def _opened(path: Path) -> BinaryIO:
    """A new file that nobody else may read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(handle, "wb", buffering=_BUFFER)


def _finish(stream: BinaryIO) -> None:
    """Force what was written to the disk; the file is closed in any case."""
    try:
        stream.flush()
        os.fsync(stream.fileno())
    finally:
        with suppress(OSError):
            stream.close()


def _free(folder: Path) -> int:
    """Free bytes of the disk that a folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _cannot_keep(error: OSError) -> StorageError:
    return StorageError(f"the result cannot be kept: {error.strerror or error}")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
