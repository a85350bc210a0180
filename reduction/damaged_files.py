"""Files of the archive that are not there, or not as they were written."""

from __future__ import annotations

__all__ = ["Damage", "damage_of", "damaged_files"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from reduction.batches import batched
from reduction.objects import brought_back
from reduction.storage import checksum
from schemas.tables import File, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.archive import Archive
    from reduction.storage import Storage

_MADE: Final = "product/"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not as it was written.

    Attributes
    ----------
    name
        The file's own name, as a person knows it.
    what
        A sentence: not there, of another size, or with other bytes.
    object_ids, class_name
        Objects whose pixels or rows it has, and their class; none of a reference catalogue whose
        file was read once.
    raw
        Whether it was brought in: only a copy restores it.
    """

    name: str
    what: str
    object_ids: tuple[int, ...]
    class_name: str
    raw: bool

    @property
    def advice(self) -> str:
        """What brings it back, as the end of a sentence."""
        if not self.object_ids:
            return f"`vo-service load-reference {self.name}` of the same file brings it back"
        return brought_back(self.object_ids[0], raw=self.raw)


def damaged_files(archive: Archive, *, read: bool = True) -> Iterator[Damage]:
    """Find files that are not there, or not as they were written.

    Parameters
    ----------
    read
        Whether to read each byte of each file; else sizes are all that is looked at.
    """
    with archive.transaction() as session:
        numbers = session.scalars(select(File.file_id).order_by(File.file_id)).all()
    for part in batched(numbers):
        with archive.transaction() as session:
            files = session.scalars(
                select(File).where(File.file_id.in_(part)).order_by(File.file_id)
            ).all()
            session.expunge_all()
        for file in files:
            if what := damage_of(archive.storage, file, read=read):
                yield _of_file(archive, file, what)


def damage_of(storage: Storage, file: File, *, read: bool = True) -> str:
    """What is wrong with a file, as a sentence; empty where nothing is.

    Parameters
    ----------
    read
        As :func:`damaged_files`.
    """
    path = storage.path(file.location)
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"it has {size} bytes, and was written with {file.size}"
        if read and checksum(path) != file.sha256:
            return "its bytes are not those that were written"
    except FileNotFoundError:
        return "it is not there"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def _of_file(archive: Archive, file: File, what: str) -> Damage:
    with archive.transaction() as session:
        rows = session.execute(
            select(Product.product_id, Product.class_name)
            .where(Product.file_id == file.file_id)
            .order_by(Product.product_id)
        ).all()
    numbers = tuple(row.product_id for row in rows)
    class_name = rows[0].class_name if rows else ""
    return Damage(file.name, what, numbers, class_name, not file.location.startswith(_MADE))
