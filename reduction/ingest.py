"""Raw frames into the archive: recognised, classified, checksummed, stored, registered.

One transaction a file. A file that cannot be taken is refused with a sentence and the rest goes
on; a file that is there already is left as it is. An exposure that is there already, in a file of
other bytes, is taken with a flag, and not used.
"""

from __future__ import annotations

__all__ = [
    "IngestReport",
    "ingest_files",
    "raw_attributes",
    "raw_files",
    "register_file",
    "see_known",
]

import datetime as dt
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.damage import see_unaltered
from reduction.declare import EARLIER, declare_in_field, declare_target, hold_fields
from reduction.duplicates import flag_duplicate
from reduction.events import mark_users_of_raw
from reduction.fields import joined_fields
from reduction.intake import sound_headers
from reduction.keys import hash_of
from reduction.objects import held
from reduction.raw_quality import judge
from reduction.reach import Frame
from reduction.redeclare import see_declared
from reduction.storage import checksum
from reduction.targets.raw import RawFrame
from reduction.validity import say_validity
from schemas.deferred import deferred
from schemas.errors import BusyError, IngestError, UnreadableError, VOError
from schemas.tables import File, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from astropy.io import fits
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription, Instrument
    from reduction.raw_quality import RawQuality
    from reduction.storage import StoredFile
else:
    fits = deferred("astropy.io.fits")

_LOG = logging.getLogger(__name__)
_SUFFIXES = (".fits", ".fit", ".fts")
_PACKED = ("", ".gz", ".fz")


@dataclass(slots=True)
class IngestReport:
    """What became of the files.

    Attributes
    ----------
    ingested, known
        Files taken, and files that were there already.
    frames
        Raw frames (CCDs) registered.
    refused
        File name and sentence for each file that was not taken.
    damaged
        The same for each that is there already, but whose own file in the archive is damaged.
    remarks
        The same for what is odd of files that were taken.
    """

    ingested: int = 0
    known: int = 0
    frames: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def raw_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files named, and FITS files below the folders named, in a stable order.

    Raises
    ------
    IngestError
        If a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if not p.is_dir() and _suffix(p))
        elif path.exists():
            yield path
        else:
            raise IngestError(str(path), "no such file or folder")


def ingest_files(
    archive: Archive, paths: Iterable[Path], progress: Callable[[Path], None]
) -> IngestReport:
    """Take files into the archive.

    Parameters
    ----------
    paths
        As :func:`raw_files` gives them.
    progress
        Called with each file when it is done.
    """
    report = IngestReport()
    for path in paths:
        remarks: list[str] = []
        try:
            frames = _ingest_one(archive, path, remarks.append)
        except UnreadableError as error:
            report.known += 1
            report.damaged.append((_readable(path.name), str(error)))
        except IngestError as error:
            report.refused.append((_readable(path.name), error.what))
        except BusyError as error:
            report.refused.append((_readable(path.name), str(error)))
        else:
            report.ingested += frames > 0
            report.known += frames == 0
            report.frames += frames
            report.remarks += [(_readable(path.name), remark) for remark in remarks]
        progress(path)
    return report


def _readable(name: str) -> str:
    """A file's name as text, also where it is none in UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((s + p for s in _SUFFIXES for p in _PACKED if name.endswith(s + p)), "")


def _ingest_one(archive: Archive, path: Path, remark: Callable[[str], None]) -> int:
    suffix = _suffix(path)
    if not suffix:
        raise IngestError(path.name, "expected a name ending in .fits, .fits.gz or .fits.fz")
    try:
        digest = checksum(path)
    except OSError as error:
        raise IngestError(path.name, f"cannot be read ({error.strerror})") from error
    if _is_there(archive, digest, path):
        return 0
    instrument, descriptions = _understood(archive, path, remark)
    judged = [_judged(archive, instrument, description, path) for description in descriptions]
    stored = archive.storage.copy_in(path, "raw", suffix, expected=digest)

    def work(session: Session) -> int:
        """Register the file and its frames in one transaction; how many."""
        hold_fields(session, alone=False)
        see_declared(session, archive.registry, instrument)
        number = register_file(session, stored, path, "image/fits")
        if number is None:
            return 0
        moved: list[int] = []
        for description, quality in zip(descriptions, judged, strict=True):
            moved += _register_frame(
                archive, session, instrument, description, quality, stored, number, path
            )
        say_validity(session, moved, why=EARLIER)
        return len(descriptions)

    return archive.transact(work)


def _is_there(archive: Archive, digest: str, path: Path) -> bool:
    """Whether the archive has a file of these bytes.

    Raises
    ------
    UnreadableError
        If it has, and its own is lost or damaged: this is the copy that brings it back.
    """
    with archive.transaction() as session:
        file = session.scalar(select(File).where(File.sha256 == digest))
        if file is None:
            return False
        query = select(Product).where(Product.file_id == file.file_id)
        product = session.scalars(query.order_by(Product.product_id)).first()
    if product is not None:
        place = archive.storage.path(file.location)
        advice = f"`vo-service restore {product.product_id} --file {path}` brings it back"
        see_unaltered(place, replace(held(product, place), advice=advice))
    return True


def _understood(
    archive: Archive, path: Path, remark: Callable[[str], None]
) -> tuple[Instrument, list[FrameDescription]]:
    """Camera of a file, and its frames; refused where the camera's module fails."""
    headers = sound_headers(path, remark)
    instrument = _recognise(archive, path, headers)
    try:
        descriptions = instrument.describe(headers)
    except IngestError as error:
        raise IngestError(path.name, error.what) from error
    except Exception as error:
        _LOG.exception("instrument failed", extra={"target": path.name})
        what = f"its headers cannot be understood as those of {instrument.name} ({error!r})"
        raise IngestError(path.name, what) from error
    for description in descriptions:
        see_known(instrument, description, path)
    return instrument, descriptions


def _judged(
    archive: Archive, instrument: Instrument, description: FrameDescription, path: Path
) -> RawQuality:
    """What a frame is found to be; refused where the constants of its chip cannot be used."""
    try:
        return judge(archive, instrument, description, path)
    except IngestError:
        raise
    except VOError as error:
        raise IngestError(path.name, str(error)) from error
    except Exception as error:
        _LOG.exception("instrument failed", extra={"target": path.name})
        what = f"the module of {instrument.name} cannot judge it ({error!r})"
        raise IngestError(path.name, what) from error


def see_known(instrument: Instrument, description: FrameDescription, path: Path) -> None:
    """See that a camera's module describes a frame by a chip and a night that there are.

    Raises
    ------
    IngestError
        If it does not.
    """
    if description.chip not in instrument.chips:
        known = ", ".join(instrument.chips)
        raise IngestError(path.name, f"chip {description.chip!r}, expected one of {known}")
    try:
        dt.date.fromisoformat(description.night)
    except ValueError as error:
        what = f"night {description.night!r}, expected a date such as 2025-03-01"
        raise IngestError(path.name, what) from error


def _recognise(archive: Archive, path: Path, headers: list[fits.Header]) -> Instrument:
    for instrument in archive.registry.instruments.values():
        try:
            if any(instrument.recognises(header) for header in headers[:2]):
                return instrument
        except Exception as error:
            _LOG.exception("instrument failed", extra={"target": path.name})
            what = f"the module of {instrument.name} cannot say whether it is its own ({error!r})"
            raise IngestError(path.name, what) from error
    found = next((h["INSTRUME"] for h in headers[:2] if "INSTRUME" in h), None)
    known = ", ".join(sorted(archive.registry.instruments))
    what = f"keyword INSTRUME is {found!r}; expected a frame of {known}"
    raise IngestError(path.name, what)


def register_file(session: Session, stored: StoredFile, path: Path, media_type: str) -> int | None:
    """Number of a file of the storage, entered now; None if it is there already."""
    statement = (
        upsert(File)
        .values(
            sha256=stored.sha256,
            size=stored.size,
            location=stored.location,
            name=_readable(path.name),
            media_type=media_type,
        )
        .on_conflict_do_nothing(index_elements=[File.sha256])
        .returning(File.file_id)
    )
    return session.scalars(statement).one_or_none()


def _register_frame(
    archive: Archive,
    session: Session,
    instrument: Instrument,
    description: FrameDescription,
    quality: RawQuality,
    stored: StoredFile,
    file_number: int,
    path: Path,
) -> list[int]:
    """Register a frame; numbers of targets of before that hold for another time now."""
    key = hash_of([description.kind.value, stored.sha256, description.hdu])
    moment = description.mjd_obs + description.exptime / 2 / 86400
    raw = Product(
        class_name=description.kind.value,
        key=key,
        content_hash=key,
        recipe_version="raw",
        process_params=dict(quality.limits),
        quality_flags=quality.flags,
        attributes={**raw_attributes(description, path.name), **quality.attributes},
        instrument=instrument.name,
        chip=description.chip,
        filter=description.filter,
        night=dt.date.fromisoformat(description.night),
        moment=moment,
        file_id=file_number,
        hdu=description.hdu,
    )
    if issubclass(archive.registry.classes[raw.class_name], RawFrame):
        flag_duplicate(session, raw)
    session.add(raw)
    session.flush()
    frame = Frame.of(archive.registry, raw, stored.sha256)
    moved = [
        declare_target(archive, session, cls, frame)
        for cls in archive.registry.targets()
        if raw.class_name in cls.ANCHOR_CLASSES and not cls.ANCHOR.per_field
    ]
    for number, spec in joined_fields(session, frame):
        declare_in_field(archive, session, number, spec, [raw])
    mark_users_of_raw(session, archive.registry, raw)
    return [number for number in moved if number is not None]


def raw_attributes(description: FrameDescription, name: str) -> dict[str, Any]:
    """What a camera's module says of a frame of a file, as JSON values by name."""
    overscan = description.overscan
    science = description.science
    return {
        "name": _readable(name),
        "object": description.object,
        "exptime": description.exptime,
        "mjd_obs": description.mjd_obs,
        "ra": description.ra,
        "dec": description.dec,
        "airmass": description.airmass,
        "science": [science.y0, science.y1, science.x0, science.x1],
        "overscan": overscan and [overscan.y0, overscan.y1, overscan.x0, overscan.x1],
        "wcs": dict(description.wcs),
    }
