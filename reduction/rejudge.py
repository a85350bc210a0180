"""Judging raw frames again: those that came before frames were judged, or under other limits.

What a raw frame was found to be when it came never changes. One that fails today is rejected,
which is an edit as any other: who, when and why are recorded, and what was made from it becomes
suspect.
"""

from __future__ import annotations

__all__ = ["JudgedReport", "frames_to_judge", "rejudge"]

import logging
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, text

from reduction.batches import batched
from reduction.duplicates import used_twin
from reduction.edits import held, set_standing
from reduction.frames import read_headers
from reduction.quality import QualityFlags, said_flags
from reduction.raw_quality import judge
from reduction.take_place import JUDGED
from reduction.targets.raw import RawFrame
from schemas.errors import IngestError, VOError
from schemas.recipe_tables import Edit
from schemas.tables import File, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription, Instrument

_LOG = logging.getLogger(__name__)
#: Of which raw frames and products somebody said whether they are good, whatever he said last.
_SAID_OF: Final = select(Edit.product_id).where(
    Edit.field == "is_valid", Edit.product_id.is_not(None)
)


@dataclass(slots=True)
class JudgedReport:
    """What became of the frames.

    Attributes
    ----------
    judged
        Frames whose pixels were measured.
    failed
        Name and flags in words of each frame that fails today's limits.
    unreadable
        Name and sentence of each frame that cannot be measured; it stays as it is.
    """

    judged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def frames_to_judge(archive: Archive, *, every: bool = False) -> Sequence[int]:
    """Numbers of raw frames that were never judged, nor had ``is_valid`` set; file by file.

    Parameters
    ----------
    every
        Also those that were found to be good when they came.
    """
    names = [name for name, cls in archive.registry.classes.items() if issubclass(cls, RawFrame)]
    query = select(Product.product_id).where(
        Product.class_name.in_(names),
        Product.instrument.in_(archive.registry.instruments),
        Product.target_id.is_(None),
        Product.is_valid == 1,
        Product.quality_flags == 0,
        Product.product_id.not_in(_SAID_OF),
    )
    if not every:
        query = query.where(Product.process_params == text("'{}'::jsonb"))
    with archive.transaction() as session:
        return session.scalars(query.order_by(Product.file_id, Product.product_id)).all()


def rejudge(
    archive: Archive,
    frames: Sequence[int],
    *,
    who: str = "",
    change: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> JudgedReport:
    """Measure raw frames, and reject those that fail today's limits.

    Parameters
    ----------
    frames
        From :func:`frames_to_judge`.
    who
        Is recorded as the one who rejected; the user of this process by default.
    change
        False to look only.
    progress
        Called with the name of each frame that was looked at.
    """
    report = JudgedReport()
    looked_at = _looked_up(archive, frames)
    for _, of_file in groupby(looked_at, key=lambda frame: frame.file_id):
        for frame, said in _judged(archive, list(of_file), report):
            name = f"{frame.attributes.get('name')} (object {frame.product_id})"
            progress(name)
            if said is None:
                continue
            report.judged += 1
            if said and (not change or _reject(archive, frame.product_id, said, who)):
                report.failed.append((name, said))
    return report


def _looked_up(archive: Archive, frames: Sequence[int]) -> Iterator[Product]:
    """Frames by their numbers, in their order, some at a time."""
    for numbers in batched(frames):
        query = select(Product).where(Product.product_id.in_(numbers))
        with archive.transaction() as session:
            rows = session.scalars(query.order_by(Product.file_id, Product.product_id)).all()
        yield from rows


def _reject(archive: Archive, object_id: int, said: str, who: str) -> bool:
    """Reject a frame; False where somebody said something of it while it was measured."""

    def work(session: Session) -> bool:
        """Look again at the frame, held against other edits, and reject it."""
        frame = held(session, object_id)
        spoken = session.scalar(_SAID_OF.where(Edit.product_id == object_id).limit(1))
        if frame.is_valid != 1 or frame.quality_flags != 0 or spoken is not None:
            return False
        set_standing(archive, session, frame, 0, who, f"{JUDGED}{said}")
        return True

    return archive.transact(work)


def _judged(
    archive: Archive, frames: Sequence[Product], report: JudgedReport
) -> Iterator[tuple[Product, str | None]]:
    """Frames of one file with their flags in words; empty for none, None if not measured."""
    with archive.transaction() as session:
        location = session.get_one(File, frames[0].file_id).location
    path = archive.storage.path(location)
    instrument = archive.registry.instruments[frames[0].instrument]
    by_hdu: dict[int | None, FrameDescription] = {}
    try:
        by_hdu |= {found.hdu: found for found in instrument.describe(read_headers(path))}
    except Exception as error:  # noqa: BLE001  # a camera's module raises what it likes
        report.unreadable.append((str(frames[0].attributes.get("name")), _sentence(error)))
    for frame in frames:
        said = None
        if (description := by_hdu.get(frame.hdu)) is not None:
            try:
                said = _flags(archive, instrument, description, path, frame.class_name)
                said = said or _repeated(archive, frame)
            except Exception as error:  # noqa: BLE001  # and so do its chip's constants
                name = f"{frame.attributes.get('name')} (object {frame.product_id})"
                report.unreadable.append((name, _sentence(error)))
        yield frame, said


def _flags(
    archive: Archive,
    instrument: Instrument,
    description: FrameDescription,
    path: Path,
    class_name: str,
) -> str:
    """Flags of a frame by today's limits, in words."""
    flags = judge(archive, instrument, description, path).flags
    return said_flags(getattr(archive.registry.classes[class_name], "Flags", QualityFlags), flags)


def _repeated(archive: Archive, frame: Product) -> str:
    """Why a frame is not needed whose exposure came before, in words; empty for others."""
    with archive.transaction() as session:
        other = used_twin(session, frame)
    if other is None or other.product_id > frame.product_id:
        return ""
    return f"DUPLICATE (object {other.product_id} is the same exposure, and came before)"


def _sentence(error: Exception) -> str:
    """Why a frame cannot be judged."""
    if isinstance(error, IngestError):
        return error.what
    if isinstance(error, (VOError, OSError)):
        return str(error)
    _LOG.error("a camera's module failed", exc_info=error)
    return f"its camera's module cannot judge it ({error!r})"
