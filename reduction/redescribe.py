"""Describing raw frames again: a camera's module read their headers in another way when they came.

A raw frame never changes, and its bytes come in once. One that is described otherwise today
becomes another object of the same file and HDU, which takes the place of the one before: targets
of the frame follow it, and what was made of the old or can be made of the new is looked at again.
"""

from __future__ import annotations

__all__ = ["RedescribedReport", "number_of_frames", "redescribe"]

import datetime as dt
import json
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from reduction.batches import batched
from reduction.damage import reading, see_unaltered
from reduction.duplicates import alone_again
from reduction.frames import read_headers
from reduction.ingest import see_known
from reduction.keys import canonical_json
from reduction.objects import held
from reduction.raw_quality import judge
from reduction.recorded import reason
from reduction.superseded import NOT_SUPERSEDED
from reduction.take_place import columns_of, take_place
from reduction.targets.raw import RawFrame
from schemas.errors import IngestError, UnreadableError, VOError
from schemas.tables import File, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from astropy.io import fits
    from sqlalchemy import ColumnElement

    from reduction.archive import Archive
    from reduction.damage import Held
    from reduction.instruments.base import FrameDescription

_LOG = logging.getLogger(__name__)

_NEW: Final = (
    "its camera's module sees a frame there that it did not see when the file came; nothing is "
    "added to a file that is there"
)

#: Longest text of a value in the sentence that says what is described otherwise.
_LONGEST: Final = 60


@dataclass(slots=True)
class RedescribedReport:
    """What became of the frames.

    Attributes
    ----------
    looked
        Frames whose headers were read.
    changed
        Name of each frame that is described otherwise, and what of it.
    unreadable
        Name and sentence of each frame that cannot be described; it stays as it is.
    """

    looked: int = 0
    changed: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def redescribe(
    archive: Archive,
    *,
    why: str = "",
    instrument: str = "",
    who: str = "",
    change: bool = True,
    progress: Callable[[str], None] = lambda _: None,
    report: RedescribedReport | None = None,
) -> RedescribedReport:
    """Read the headers of raw frames again, and follow what their cameras' modules say now.

    Parameters
    ----------
    why, who
        For the record: why the module says something else. Not needed to look only.
    instrument
        A camera; all that this installation knows where it is empty.
    change
        False to look only.
    progress
        Called with the name of each frame that was looked at.
    report
        Filled frame by frame, each change after it counts, for whoever wants to know what was done
        where an error ends this.

    Raises
    ------
    ParameterError
        If something may be changed and the reason is blank.
    BusyError
        If the database is gone, or the archive was made ready meanwhile by other code: frames that
        were not looked at stay as they are.
    """
    why = reason(why) if change else why
    report = RedescribedReport() if report is None else report
    for frames in _by_file(archive, instrument):
        for frame, found in _described(archive, frames, report):
            name = _name(frame)
            progress(name)
            if found is None:
                continue
            report.looked += 1
            if not (said := _differences(frame, found) or _alone_again(archive, frame)):
                continue
            try:  # the news may be of an altered byte
                see_unaltered(*_file_of(archive, frame)[1:])
            except UnreadableError as error:
                report.unreadable.append((name, str(error)))
                continue
            if change:
                why_now = f"described again ({said}): {why}"
                try:
                    withdrawn = _change(archive, frame, found, (who, why_now))
                    said = f"{said}; {withdrawn}" if withdrawn else said
                except IngestError as error:
                    report.unreadable.append((name, error.what))
                    continue
            report.changed.append((name, said))
    return report


def number_of_frames(archive: Archive, instrument: str = "") -> int:
    """How many raw frames :func:`redescribe` looks at."""
    query = select(func.count()).select_from(Product).where(*_chosen(archive, instrument))
    with archive.transaction() as session:
        return session.scalars(query).one()


def _chosen(archive: Archive, instrument: str) -> Sequence[ColumnElement[bool]]:
    """Raw frames of a camera, or of all, that nothing took the place of."""
    names = [name for name, cls in archive.registry.classes.items() if issubclass(cls, RawFrame)]
    cameras = [instrument] if instrument else list(archive.registry.instruments)
    return (
        Product.class_name.in_(names),
        Product.instrument.in_(cameras),
        Product.target_id.is_(None),
        NOT_SUPERSEDED,
    )


def _by_file(archive: Archive, instrument: str) -> Iterator[Sequence[Product]]:
    """Raw frames that nothing took the place of, file by file."""
    chosen = _chosen(archive, instrument)
    with archive.transaction() as session:
        files = session.scalars(
            select(Product.file_id).where(*chosen).distinct().order_by(Product.file_id)
        ).all()
    for part in batched(files):
        with archive.transaction() as session:
            frames = session.scalars(
                select(Product)
                .where(*chosen, Product.file_id.in_(part))
                .order_by(Product.file_id, Product.product_id)
            ).all()
            session.expunge_all()
        of_file: dict[int | None, list[Product]] = {}
        for frame in frames:
            of_file.setdefault(frame.file_id, []).append(frame)
        yield from of_file.values()


def _described(
    archive: Archive, frames: Sequence[Product], report: RedescribedReport
) -> Iterator[tuple[Product, FrameDescription | None]]:
    """Frames of one file and what their camera's module says of them today, None if nothing."""
    camera = archive.registry.instruments[frames[0].instrument]
    file, path, its = _file_of(archive, frames[0])
    by_hdu: dict[int | None, FrameDescription] = {}
    what = "its camera's module sees no frame in its HDU"
    try:
        headers = _headers(file, path, its)
        by_hdu |= {found.hdu: found for found in camera.describe(headers)}
    except IngestError as error:
        what = error.what
    except UnreadableError as error:
        what = str(error)
    except Exception as error:  # noqa: BLE001  # a camera's module raises what it likes
        _LOG.exception("instrument failed", extra={"target": _name(frames[0])})
        what = f"its headers cannot be understood as those of {camera.name} ({error!r})"
    for hdu in sorted(by_hdu.keys() - {frame.hdu for frame in frames}, key=str):
        name = f"{frames[0].attributes.get('name')}, HDU {hdu}"
        report.unreadable.append((name, _NEW))
    for frame in frames:
        found = by_hdu.get(frame.hdu)
        said = what
        if found is not None:
            try:
                see_known(camera, found, path)
            except IngestError as error:
                found, said = None, error.what
        if found is None:
            report.unreadable.append((_name(frame), said))
        yield frame, found


def _file_of(archive: Archive, frame: Product) -> tuple[File, Path, Held]:
    """A frame's file, where it is, and what sentences call it."""
    with archive.transaction() as session:
        file = session.get_one(File, frame.file_id)
    path = archive.storage.path(file.location)
    return file, path, held(frame, path)


def _headers(file: File, path: Path, its: Held) -> list[fits.Header]:
    """Headers of a file that is not cut off: they stand before what is missing."""
    with reading(its):
        if (size := path.stat().st_size) != file.size:
            raise its.unreadable(f"it has {size} bytes, and was written with {file.size}")
        return read_headers(path)


def _name(frame: Product) -> str:
    return f"{frame.attributes.get('name')} (object {frame.product_id})"


def _differences(frame: Product, found: FrameDescription) -> str:
    """What is described otherwise than before, in words; empty where nothing is."""
    now = columns_of(frame, found)
    attributes = now.pop("attributes")
    pairs = {name: (getattr(frame, name), value) for name, value in now.items()}
    pairs |= {name: (frame.attributes.get(name), value) for name, value in attributes.items()}
    pairs.pop("moment")  # follows from others
    said = [
        f"{name.replace('class_name', 'kind')} {_short(old)} -> {_short(new)}"
        for name, (old, new) in pairs.items()
        if old != _plain(new)
    ]
    return ", ".join(said)


def _alone_again(archive: Archive, frame: Product) -> str:
    """Why a frame is no duplicate any more, though its header says the same as before."""
    if not frame.quality_flags:
        return ""
    with archive.transaction() as session:
        return alone_again(session, frame)


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON, or a date
    """A value as the database gives it back: without tuples."""
    return value if isinstance(value, dt.date) else json.loads(canonical_json(value))


def _short(value: Any) -> str:  # noqa: ANN401  # JSON, or a date
    said = str(value) if isinstance(value, dt.date) else canonical_json(value)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 3] + "..."


def _change(
    archive: Archive, frame: Product, found: FrameDescription, said: tuple[str, str]
) -> str:
    """Let a new description take the place of a frame.

    Returns
    -------
    str
        Why it is not used though a person spoke for it; empty for others.

    Raises
    ------
    IngestError
        If its pixels cannot be judged by what is said of them now.
    """
    camera = archive.registry.instruments[frame.instrument]
    file, path, _ = _file_of(archive, frame)
    try:
        quality = judge(archive, camera, found, path)
    except IngestError:
        raise
    except VOError as error:
        raise IngestError(path.name, str(error)) from error
    except Exception as error:
        _LOG.exception("instrument failed", extra={"target": _name(frame)})
        what = f"the module of {camera.name} cannot judge it ({error!r})"
        raise IngestError(path.name, what) from error
    return archive.transact(
        partial(
            take_place,
            archive,
            old_id=frame.product_id,
            found=found,
            quality=quality,
            sha256=file.sha256,
            said=said,
        )
    )
