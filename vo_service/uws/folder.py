"""The folder of jobs: taken for one archive, and nothing but that archive's jobs is touched in it.

Below the operator's folder there is one of our own, with a file that names the archive. Of what is
in it, only names that can be a job's id are looked at.
"""

from __future__ import annotations

__all__ = ["claim_folder", "is_job_id", "jobs_folder"]

import os
import re
import secrets
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from schemas.errors import SettingsError
from schemas.jobs import Job
from schemas.tables import ServiceFact

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

_OWN: Final = "jobs"
_MARKER: Final = ".archive"
_FACT: Final = "archive_id"
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


def is_job_id(name: str) -> bool:
    """Whether a name can be a job's id: 16 random bytes, as text that is safe in addresses."""
    return _JOB_ID.fullmatch(name) is not None


def jobs_folder(folder: Path) -> Path:
    """Where jobs are kept below the folder of the settings."""
    return folder.absolute() / _OWN


def claim_folder(archive: Archive) -> None:
    """Take the folder of the settings for the jobs of this archive.

    Raises
    ------
    SettingsError
        If the archive's files are in it, or it is another archive's, or nobody knows whose what
        is in it is, or it cannot be written.
    """
    given = archive.settings.jobs.folder.absolute()
    root = archive.settings.storage.root.absolute()
    if root.resolve().is_relative_to(given.resolve()):
        message = (
            f"jobs.folder is {given}, and storage.root is {root}: expected a folder for jobs that "
            "neither is the one of the archive's files nor contains it"
        )
        raise SettingsError(message)
    try:
        _mark(jobs_folder(given), archive)
    except OSError as error:
        message = f"jobs.folder is {given}: nothing can be written there ({error.strerror})"
        raise SettingsError(message) from error


def _archive_id(archive: Archive) -> str:
    """What names this archive among all; made where it has none."""
    made = insert(ServiceFact).values(name=_FACT, value=secrets.token_hex(16))
    with archive.transaction() as session:
        session.execute(made.on_conflict_do_nothing())
        return session.scalars(select(ServiceFact.value).where(ServiceFact.name == _FACT)).one()


def _foreign(own: Path, archive: Archive) -> list[str]:
    """Names of what is there and is no job of this archive."""
    names = [path.name for path in own.iterdir() if path.name != _MARKER]
    with archive.transaction() as session:
        known = set(session.scalars(select(Job.job_id).where(Job.job_id.in_(names))))
    return sorted(set(names) - known)


def _mark(own: Path, archive: Archive) -> None:
    archive_id = _archive_id(archive)
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = own / _MARKER
    if own.is_symlink():
        message = f"{own} is a link: expected a folder, or nothing, in jobs.folder under that name"
        raise SettingsError(message)
    if not marker.exists():
        if foreign := _foreign(own, archive):
            message = (
                f"{own} has {foreign[0]!r} in it, which is not known to be a job of this archive: "
                "expected an empty folder, or another jobs.folder"
            )
            raise SettingsError(message)
        aside = own.with_name(f".{_OWN}-{secrets.token_hex(8)}")
        aside.write_text(archive_id + "\n")
        try:
            # of two who come at the same time one is first, and the marker is never half
            os.link(aside, marker)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    found = marker.read_text().strip()
    if found != archive_id:
        message = (
            f"{own} has the jobs of another archive ({found[:40]}, this is {archive_id}): "
            "expected a jobs.folder of this archive's own"
        )
        raise SettingsError(message)
