"""Uploads of jobs: kept if there is room for them, told of in their job's row."""

from __future__ import annotations

__all__ = ["JobUploads", "merged", "total"]

import os
from typing import TYPE_CHECKING, Any

from schemas.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.datastructures import FileStorage

    from schemas.jobs import Job
    from vo_service.uws.files import JobFiles
    from vo_service.uws.store import JobStore


class JobUploads:
    """Takes files of requests into jobs.

    Parameters
    ----------
    store, files
        Where jobs are kept.
    most
        Bytes of all uploads of a job.
    """

    def __init__(self, store: JobStore, files: JobFiles, most: int) -> None:
        self._store, self._files, self._most = store, files, most

    def keep(self, job: Job, files: Sequence[tuple[str, FileStorage]]) -> list[dict[str, Any]]:
        """Keep files of a request, if there is room: all of them, or none.

        Returns
        -------
        list of dict
            As they are told of in :class:`schemas.jobs.Job`.

        Raises
        ------
        TooLargeError, QuotaError, BusyError, StorageError
            If they are too large: for a job, its owner, the disk; nothing is left of them.
        """
        if not files:
            return []
        sizes = [_size(part) for _, part in files]
        self.check(sum(sizes))
        self._store.check_room(job.client, sum(sizes))
        self._files.check_room(sum(sizes))
        kept: dict[str, dict[str, Any]] = {}
        written = []
        try:
            for (name, part), size in zip(files, sizes, strict=True):
                file = self._files.keep_upload(job.job_id, part)
                written.append(file)
                media_type = part.mimetype or ""
                kept[name] = {"name": name, "media_type": media_type, "file": file, "size": size}
        except BaseException:
            self._files.drop_uploads(job.job_id, written)
            raise
        # of several with one name the last one counts
        self._files.drop_uploads(job.job_id, set(written) - {one["file"] for one in kept.values()})
        return list(kept.values())

    def check(self, size: int) -> None:
        """See that uploads of so many bytes may be those of a job."""
        if size > self._most:
            message = (
                f"the uploads of the job have {size} bytes, those of a job may have "
                f"{self._most} (limits.upload_bytes): send less"
            )
            raise TooLargeError(message)


def merged(
    known: Sequence[dict[str, Any]], fresh: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Uploads of a job to which others come, and the files of those whose place they take."""
    names = {upload["name"] for upload in fresh}
    stay = [dict(upload) for upload in known if upload["name"] not in names]
    return [*stay, *fresh], [upload["file"] for upload in known if upload["name"] in names]


def total(uploads: Sequence[dict[str, Any]]) -> int:
    """Bytes of uploads."""
    return sum(upload.get("size", 0) for upload in uploads)


def _size(part: FileStorage) -> int:
    size = part.stream.seek(0, os.SEEK_END)
    part.stream.seek(0)
    return size
