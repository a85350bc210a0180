"""Files by the number of their object: published images, raw frames, calibrations."""

from __future__ import annotations

__all__ = ["files_blueprint"]

import os
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request

from reduction.damage import reading, see_unaltered
from reduction.datasets import find_product
from schemas.dali import FileResult
from sia.soda import image_file
from vo_service.response import file_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.archive import Archive
    from reduction.mender import SoundFile

_BLOCK: Final = 1 << 20


def files_blueprint(archive: Archive) -> Blueprint:
    """View of ``/files/<object_id>``.

    An object never changes, so what is sent for a number is always the same: a file that is
    damaged is not sent, a product's is made again.

    Parameters
    ----------
    archive
        Where the files are.
    """
    views = Blueprint("files", __name__, url_prefix="/files")

    @views.get("/<int:object_id>")
    def file(object_id: int) -> Response:
        answer = file_response(_result(archive, object_id))
        answer.headers["Cache-Control"] = "public, max-age=86400, immutable"
        if request.method == "HEAD":
            answer.close()
        return answer

    return views


def _result(archive: Archive, object_id: int) -> FileResult:
    file = archive.mender.file(object_id)
    if file is not None:
        return FileResult(file.media_type, _blocks(file), file.name, file.size)
    timeout_s = archive.settings.limits.sync_timeout_s
    with archive.database.snapshot(timeout_s=timeout_s) as connection:
        dataset = find_product(connection, archive.storage, object_id)
    return image_file(archive, dataset)


def _blocks(file: SoundFile) -> Iterator[bytes]:
    """Pieces of a file that is opened at once: a failure is told before anything is sent.

    One that is written into while it is sent breaks off before its last piece.
    """
    with reading(file.held):
        stream = file.path.open("rb")
        before = os.fstat(stream.fileno())
    see_unaltered(file.path, file.held)
    with reading(file.held):
        if not os.path.samestat(before, file.path.stat()):  # what was opened was not looked at
            raise file.held.unreadable("it was written while it was opened")

    def pieces() -> Iterator[bytes]:
        with stream:
            sent, last = 0, stream.read(_BLOCK)
            while block := stream.read(_BLOCK):
                yield last
                sent, last = sent + len(last), block
            sent += len(last)
            now = os.fstat(stream.fileno())
            if sent != file.size or now.st_mtime_ns != before.st_mtime_ns:
                raise file.held.unreadable("it was altered while it was sent")
            yield last

    return pieces()
