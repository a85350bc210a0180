"""Files of the archive that were lost or damaged, brought back.

What a target is made from and cannot be read is restored on the way, where it can be made.
"""

from __future__ import annotations

__all__ = ["make_restoring", "restore"]

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from reduction.damaged_files import damage_of
from reduction.doubtful import doubt_users
from reduction.events import mark_suspect, mark_users_of_raw
from reduction.make import make_target
from reduction.objects import held
from reduction.pixel_cache import PIXELS
from reduction.recorded import enter_edit
from reduction.remake import made_again
from reduction.storage import checksum
from reduction.unreadable import forget_unreadable, note_unreadable
from schemas.errors import (
    BusyError,
    IngestError,
    NotFoundError,
    ParameterError,
    ReductionError,
    TransientError,
    UnreadableError,
    VOError,
)
from schemas.tables import Dependency, File, Lineage, Product, Target, TargetState

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.outcomes import Outcome
    from reduction.storage import StoredFile

_LOG = logging.getLogger(__name__)
#: Times that a maker restores what it cannot read: a disk may go on losing files.
_ROUNDS: Final = 8
#: Lost files that one sentence names.
_NAMED: Final = 5
_WHY: Final = "its file was lost or damaged, and was made again from what it was made from"
_COPIED: Final = "its file was lost or damaged, and came back from a copy"


def restore(
    archive: Archive, object_id: int, *, source: Path | None = None, why: str = "", who: str = ""
) -> list[int]:
    """Bring the file of an object back: from a copy, or by making it again.

    A product is made from its recorded progenitors, with its recorded parameters and code; those
    whose files are damaged, too, are restored before it. The product stays the same object: its
    content has to come out bit for bit. What rests on it is looked at again. What was made of a
    raw frame whose bytes were altered is doubted: :func:`reduction.doubtful.doubt_users`.

    Parameters
    ----------
    object_id
        A raw frame, or a product, published or not.
    source
        A copy of its file. A raw frame cannot be restored without.
    why, who
        For the record; what was done is the reason where none is given.

    Returns
    -------
    list of int
        Objects whose files were restored, progenitors first; empty where none was damaged.

    Raises
    ------
    NotFoundError
        If there is no such object.
    ParameterError
        If it has no file; or as :func:`reduction.remake.made_again`.
    UnreadableError
        If a raw frame is lost and no copy is given; names it, also where it is what the object
        is made from.
    IngestError
        If the copy is of another file, also where nothing is damaged.
    ReductionError
        If it comes out otherwise.
    """
    product, file = _object(archive, object_id)
    if source is not None:
        _see_copy(file, source)
    if not (what := damage_of(archive.storage, file)):
        return []
    if source is not None:
        _copied(archive, file, source, why=why, who=who)
        restored: list[int] = []
    elif product.target_id is None:
        what += ", and raw data cannot be made"
        raise held(product, archive.storage.path(file.location)).unreadable(what)
    else:
        restored = _progenitors(archive, object_id, why=why, who=who)
        with archive.single_flight(product.target_id):
            product, file = _object(archive, object_id)
            if damage_of(archive.storage, file):  # nobody else has done so meanwhile
                _made(archive, product, file, why=why, who=who)
    PIXELS.forget(archive.storage.path(file.location))

    def back(session: Session) -> None:
        """Let those be tried again that could not be made without it."""
        _look_again(archive, session, file)
        forget_unreadable(session, object_id)

    archive.transact(back)
    return [*restored, object_id]


def _object(archive: Archive, object_id: int) -> tuple[Product, File]:
    with archive.transaction() as session:
        product = session.get(Product, object_id)
        if product is None:
            raise NotFoundError(f"there is no object {object_id}; see archive.products")
        file = None if product.file_id is None else session.get_one(File, product.file_id)
        session.expunge_all()
    if file is None:
        found = f"{product.class_name} {object_id}"
        raise ParameterError("object", found, "one with a file: this one's values are rows")
    return product, file


def _see_copy(file: File, source: Path) -> None:
    """See that a file is a copy of what a stored one was."""
    try:
        digest = checksum(source)
    except OSError as error:
        raise ParameterError("file", str(source), f"a copy of {file.name}: {error}") from error
    if digest != file.sha256:
        message = f"it is no copy of {file.name}; expected SHA-256 {file.sha256}, found {digest}"
        raise IngestError(source.name, message)


def _copied(archive: Archive, file: File, source: Path, *, why: str, who: str) -> None:
    """Put a copy to its place, and write down for each object of the file that it came back.

    What was made of altered bytes is doubted before: who is killed meanwhile finds them still.
    """
    folder, _, name = file.location.rpartition("/")
    kind, suffix = folder.partition("/")[0], name.removeprefix(file.sha256)
    found: str | None = None
    with suppress(OSError):
        found = checksum(archive.storage.path(file.location))
    of_file = select(Product).where(Product.file_id == file.file_id).order_by(Product.product_id)

    def doubt(session: Session) -> None:
        """Doubt what was made of each raw frame of the file."""
        raws = session.scalars(of_file.where(Product.target_id.is_(None))).all()
        doubt_users(archive, session, raws, who=who)

    def enter(session: Session) -> None:
        """Write down of each object that its file is back; doubt what was made meanwhile."""
        if found is not None:
            doubt(session)
        for product in session.scalars(of_file).all():
            _enter_file(session, product, (found, file.sha256), who=who, why=why or _COPIED)

    if found is not None:
        archive.transact(doubt)
    archive.storage.copy_in(source, kind, suffix, expected=file.sha256)
    archive.transact(enter)


def _enter_file(
    session: Session, product: Product, sums: tuple[str | None, str], *, who: str, why: str
) -> None:
    """Write down that an object's file is another one, or that again: checksums, who and why."""
    subject, number = product.class_name, product.product_id
    enter_edit(session, subject, "file", sums, who=who, why=why, product_id=number)


def _progenitors(archive: Archive, object_id: int, *, why: str, who: str) -> list[int]:
    """Restore what it is made from, as far as that is damaged."""
    with archive.transaction() as session:
        numbers = session.scalars(
            select(Product.product_id)
            .join(Lineage, Lineage.progenitor_id == Product.product_id)
            .where(Lineage.product_id == object_id, Product.file_id.is_not(None))
            .order_by(Product.product_id)
            .distinct()
        ).all()
    restored: list[int] = []
    lost: list[UnreadableError] = []
    for number in numbers:  # of a night that is lost all frames are named
        try:
            restored += restore(archive, number, why=why, who=who)
        except UnreadableError as error:
            lost.append(error)
    if lost:
        more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        message = "; ".join(map(str, lost[:_NAMED])) + more
        raise UnreadableError(message, object_id=lost[0].object_id)
    return restored


def _made(archive: Archive, product: Product, file: File, *, why: str, who: str) -> None:
    """Make a product again, and let its file be the new one."""
    again = made_again(archive, product.product_id, kept=True)
    if again.content_hash != product.content_hash or again.stored is None:
        message = (
            f"{product.class_name} {product.product_id} comes out otherwise "
            f"({product.content_hash[:12]} -> {again.content_hash[:12]}): it is not restored; "
            f"expected a copy of {file.name}, or `vo-service bump {product.class_name}`, by which "
            "all of the class are made anew"
        )
        raise ReductionError(message)
    with archive.transaction() as session:
        row = session.get_one(File, file.file_id, with_for_update=True)
        _enter(session, product, row, again.stored, why=why, who=who)


def _enter(
    session: Session, product: Product, row: File, stored: StoredFile, *, why: str, who: str
) -> None:
    """Write down the new file; its headers say when they were written: its bytes may differ."""
    _enter_file(session, product, (row.sha256, stored.sha256), who=who, why=why or _WHY)
    row.sha256, row.size, row.location = stored.sha256, stored.size, stored.location


def _look_again(archive: Archive, session: Session, file: File) -> None:
    """Let all be examined that could not be made without the file; nothing becomes stale by it.

    What cannot be read is noted with targets whose state stays, so that of a product's users none
    is known to have failed by it: those that failed by another word of it are tried again.
    """
    for product in session.scalars(select(Product).where(Product.file_id == file.file_id)):
        if product.target_id is not None:
            users = (
                select(Target.target_id)
                .join(Dependency, Dependency.target_id == Target.target_id)
                .where(
                    Dependency.progenitor_target_id == product.target_id,
                    Target.state == TargetState.FAILED,
                )
            )
            mark_suspect(session, session.scalars(users).all())
        else:
            mark_users_of_raw(session, archive.registry, product)


def make_restoring(archive: Archive, target_id: int) -> Outcome:
    """Make a target as :func:`reduction.make.make_target` does, and restore what that needs.

    Raises
    ------
    UnreadableError
        If a file is damaged that cannot be made again; it is noted with the target.
    """
    try:
        return _made_restoring(archive, target_id)
    except UnreadableError as error:
        with suppress(BusyError):  # it is told all the same
            note_unreadable(archive, target_id, error)
        raise


def _made_restoring(archive: Archive, target_id: int) -> Outcome:
    """Make a target; once more where something was restored, by this maker or by another one."""
    last: UnreadableError | None = None
    for _ in range(_ROUNDS):
        try:
            return make_target(archive, target_id)
        except UnreadableError as error:
            if _is_hopeless(archive, error):
                raise
            try:
                restored = _restored(archive, target_id, set())
            except TransientError:
                raise
            except VOError as cause:
                message = f"{error}; it cannot be made again: {cause}"
                raise UnreadableError(message, object_id=error.object_id) from cause
            # where nothing is damaged another maker may have restored it: once more, and no more
            if not restored and str(error) == str(last):
                raise
            last = error
            done = f"restored objects {restored}" if restored else "tried once more"
            _LOG.warning("%s: %s", done, error, extra={"target": target_id})
    raise last or UnreadableError(
        f"what target {target_id} is made from is damaged again and again"
    )


def _is_hopeless(archive: Archive, error: UnreadableError) -> bool:
    """Whether what cannot be read is still damaged, and nothing but a copy brings it back."""
    if error.object_id is None:
        return False
    product, file = _object(archive, error.object_id)
    return product.target_id is None and bool(damage_of(archive.storage, file))


def _restored(archive: Archive, target_id: int, seen: set[tuple[str, int]]) -> list[int]:
    """Restore what a target, and whatever is made before it, is made from.

    Parameters
    ----------
    seen
        Targets and products that were looked at: many paths lead to a bias.
    """
    if ("target", target_id) in seen:
        return []
    seen.add(("target", target_id))
    verdict = archive.examine(target_id)
    restored = [one for need in verdict.needs for one in _restored(archive, need, seen)]
    progenitors = {p.product_id: p for products in verdict.inputs.values() for p in products}
    for number, progenitor in sorted(progenitors.items()):
        if ("product", number) in seen:
            continue
        seen.add(("product", number))
        if progenitor.target_id is not None and progenitor.file_id is not None:
            restored += restore(archive, number)
    return restored
