"""Files by the number of their object: published images, raw frames, calibrations."""

from __future__ import annotations

__all__ = ["files_blueprint"]

from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request

from reduction.datasets import find_product
from schemas.dali import FileResult
from schemas.errors import NotFoundError, StorageError
from schemas.tables import File, Product
from sia.soda import image_file
from vo_service.response import file_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive

_BLOCK: Final = 1 << 20


def files_blueprint(archive: Archive) -> Blueprint:
    """View of ``/files/<object_id>``.

    An object never changes, so what is sent for a number is always the same.

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
    with archive.transaction() as session:
        product = session.get(Product, object_id)
        held = None if product is None else session.get(File, product.file_id or 0)
    if product is None:
        message = f"there is no object {object_id}: archive.products lists those that there are"
        raise NotFoundError(message)
    if held is not None:
        path = archive.storage.path(held.location)
        return FileResult(held.media_type, _blocks(path), held.name, held.size)
    timeout_s = archive.settings.limits.sync_timeout_s
    with archive.database.snapshot(timeout_s=timeout_s) as connection:
        dataset = find_product(connection, archive.storage, object_id)
    return image_file(dataset)


def _blocks(path: Path) -> Iterator[bytes]:
    """Pieces of a file that is opened at once: a failure is told before anything is sent."""
    try:
        file = path.open("rb")
    except OSError as error:
        message = f"the archive's file {path.name} cannot be read: {error.strerror}"
        raise StorageError(message) from error

    def pieces() -> Iterator[bytes]:
        with file:
            while block := file.read(_BLOCK):
                yield block

    return pieces()
