"""Judging raw frames again: those that came before frames were judged, or under other limits.

What a raw frame was found to be when it came never changes. One that fails today is rejected,
which is an edit as any other: who, when and why are recorded, and what was made from it becomes
suspect.
"""

from __future__ import annotations

__all__ = ["JudgedReport", "frames_to_judge", "rejudge"]

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from reduction.edits import edit
from reduction.frames import read_headers
from reduction.quality import QualityFlags, said_flags
from reduction.raw_quality import judge
from reduction.targets.raw import RawFrame
from schemas.errors import IngestError
from schemas.tables import File, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription


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


def frames_to_judge(archive: Archive, *, every: bool = False) -> Sequence[Product]:
    """Raw frames that nobody rejected or proposed, and that were never judged; by file.

    Parameters
    ----------
    every
        Also those that were found to be good when they came.
    """
    names = [name for name, cls in archive.registry.classes.items() if issubclass(cls, RawFrame)]
    query = select(Product).where(
        Product.class_name.in_(names),
        Product.instrument.in_(archive.registry.instruments),
        Product.target_id.is_(None),
        Product.is_valid == 1,
        Product.quality_flags == 0,
    )
    if not every:
        query = query.where(Product.process_params == text("'{}'::jsonb"))
    with archive.transaction() as session:
        return session.scalars(query.order_by(Product.file_id, Product.product_id)).all()


def rejudge(
    archive: Archive,
    frames: Sequence[Product],
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
    for _, of_file in groupby(frames, key=lambda frame: frame.file_id):
        for frame, said in _judged(archive, list(of_file), report):
            name = f"{frame.attributes.get('name')} (object {frame.product_id})"
            progress(name)
            if said is None:
                continue
            report.judged += 1
            if said:
                report.failed.append((name, said))
            if said and change:
                edit(archive, frame.product_id, "is_valid", 0, why=f"judged: {said}", who=who)
    return report


def _judged(
    archive: Archive, frames: Sequence[Product], report: JudgedReport
) -> Iterator[tuple[Product, str | None]]:
    """Frames of one file with their flags in words; empty for none, None if not measured."""
    with archive.transaction() as session:
        location = session.get_one(File, frames[0].file_id).location
    path = archive.storage.path(location)
    try:
        by_hdu = _descriptions(archive, frames[0], path)
    except (IngestError, OSError) as error:
        report.unreadable.append((str(frames[0].attributes.get("name")), str(error)))
        by_hdu = {}
    instrument = archive.registry.instruments[frames[0].instrument]
    for frame in frames:
        said = None
        if (description := by_hdu.get(frame.hdu)) is not None:
            try:
                flags = judge(archive, instrument, description, path).flags
            except IngestError as error:
                report.unreadable.append((str(frame.attributes.get("name")), error.what))
            else:
                cls = archive.registry.classes[frame.class_name]
                said = said_flags(getattr(cls, "Flags", QualityFlags), flags)
        yield frame, said


def _descriptions(
    archive: Archive, frame: Product, path: Path
) -> dict[int | None, FrameDescription]:
    """What the camera says today of each chip of a file, by HDU."""
    found = archive.registry.instruments[frame.instrument].describe(read_headers(path))
    return {description.hdu: description for description in found}
