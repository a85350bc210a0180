"""Files of jobs, one folder a job: uploads, and a result that is whole or not there.

A result is written aside, forced to the disk and renamed; only then does its job become COMPLETED.
"""

from __future__ import annotations

__all__ = ["JobFiles", "Writing"]

import os
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError, StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from werkzeug.datastructures import FileStorage

_BUFFER: Final = 1 << 20


class Writing:
    """A result on its way to the disk.

    Parameters
    ----------
    path
        Where it shall be.
    limit
        Bytes at most.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._aside = path.with_name(path.name + ".part")
        self._stream = self._aside.open("wb", buffering=_BUFFER)

    def write(self, piece: bytes) -> None:
        """Take a piece.

        Raises
        ------
        QueryError
            If the result becomes too large; says how to go further.
        """
        self.size += len(piece)
        if self.size > self._limit:
            message = (
                f"the result is larger than the {self._limit / 1e6:g} MB of this service's limit: "
                "ask for fewer columns or rows, or in parts"
            )
            raise QueryError(message)
        self._stream.write(piece)

    def keep(self) -> None:
        """Put it in place, whole and on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._aside.replace(self.path)
        _sync(self.path.parent)

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
        Made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def path(self, job_id: str, name: str) -> Path:
        """Where a file of a job is; both names are our own, never a user's."""
        return self._folder / job_id / name

    def keep_upload(self, job_id: str, number: int, part: FileStorage) -> str:
        """Keep a file that came with a request; the name it has from now on.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        name = f"upload-{number}"
        path = self.path(job_id, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                part.save(stream)
                stream.flush()
                os.fsync(stream.fileno())
            _sync(path.parent)
            _sync(self._folder)
        except OSError as error:
            self.remove(job_id)
            message = f"an uploaded file cannot be kept: {error.strerror}"
            raise StorageError(message) from error
        return name

    def write(self, job_id: str, attempt: int, suffix: str, limit: int) -> Writing:
        """Begin the result of an attempt; what earlier ones left is removed.

        Later ones are left alone: whoever was thought dead may come back to his work.
        """
        path = self.path(job_id, f"result-{attempt}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.clear(job_id, before=attempt)
        return Writing(path, limit)

    def clear(self, job_id: str, *, before: int | None = None) -> None:
        """Remove what attempts left, those before a number or all; uploads stay."""
        for path in self.path(job_id, "").glob("result-*"):
            number = int(path.name.removeprefix("result-").partition(".")[0])
            if before is None or number < before:
                path.unlink(missing_ok=True)

    def remove(self, job_id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.path(job_id, ""), ignore_errors=True)

    def older_than(self, seconds: float) -> Iterator[str]:
        """Ids of the folders that nothing was put into for a time."""
        limit = time.time() - seconds
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_dir() and entry.stat().st_mtime < limit:
                        yield entry.name

    def remove_all(self, job_ids: Collection[str]) -> None:
        """Remove the files of several jobs."""
        for job_id in job_ids:
            self.remove(job_id)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
