"""A data folder: where one archive keeps database, files, logs and the state of its processes."""

from __future__ import annotations

__all__ = ["Home", "environment", "said_plainly"]

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from schemas.connections import RESERVED, connections_wanted
from schemas.errors import SettingsError, StorageError, UsageError
from schemas.settings import Settings, load_settings
from vo_service.postgres import Cluster

_SPACE_NEEDED: Final = 500_000_000


class Home:
    """One archive's folder.

    Parameters
    ----------
    data
        The folder; made where it is not there.

    Attributes
    ----------
    asked
        The settings as file and environment say them, before a private database is started.

    Notes
    -----
    ``postgres/`` holds the private database, ``files/`` frames and products, ``jobs/`` uploads
    and results of jobs, ``logs/`` what the processes say, ``run/`` who they are. A database or a
    folder named in the settings is used instead of the private one.
    """

    def __init__(self, data: Path) -> None:
        self.data = data.expanduser().absolute()
        self.asked = load_settings()

    @property
    def cluster(self) -> Cluster | None:
        """The private database, or None where the settings name another."""
        if self.asked.database.service_url:
            return None
        wanted = connections_wanted(self.asked)
        return Cluster(self.data / "postgres", connections=wanted + RESERVED)

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.data / "logs"

    @property
    def run(self) -> Path:
        """Folder of the processes' state."""
        return self.data / "run"

    def prepare(self) -> None:
        """Make the folders and see that they can be used.

        Raises
        ------
        StorageError
            If the folder cannot be written or the disk is almost full; says what to do.
        """
        try:
            for folder in (self.data, self.logs, self.run):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.data) as file:
                file.write(b"x")
        except OSError as error:
            ours = OSError(error.errno, error.strerror, str(self.data))
            raise StorageError(said_plainly(ours, self.data)) from error
        free = shutil.disk_usage(self.data).free
        if free < _SPACE_NEEDED:
            message = (
                f"the disk of {self.data} has {free // 10**6} MB free: expected at least "
                f"{_SPACE_NEEDED // 10**6}; make room, or name a folder elsewhere with --data"
            )
            raise StorageError(message)

    def require(self) -> None:
        """See that there is an archive here, without making or starting anything.

        Raises
        ------
        UsageError
            If there is none; says how to name it and how to make one.
        """
        if self.cluster is not None and not (self.data / "postgres").is_dir():
            message = (
                f"there is no archive in {self.data}: --data or VO_DATA names it; "
                "`vo-service ingest` or `vo-service init` makes one"
            )
            raise UsageError(message)

    def settings(self) -> Settings:
        """The settings in force, with the private database started where one is needed.

        Raises
        ------
        SettingsError, StorageError
            If a setting cannot be used or the database does not start.
        """
        self.prepare()
        settings = self.asked
        changes: dict[str, object] = {}
        if (cluster := self.cluster) is not None:
            pool = {"pool_size": settings.database.pool_size}
            changes["database"] = cluster.start().model_copy(update=pool)
        elif not settings.database.owner_url:
            message = (
                "database.service_url is set but database.owner_url is not: expected both "
                "(VO_DATABASE__OWNER_URL), or neither for a private database"
            )
            raise SettingsError(message)
        if "root" not in settings.storage.model_fields_set:
            changes["storage"] = settings.storage.model_copy(update={"root": self.data / "files"})
        if "folder" not in settings.jobs.model_fields_set:
            changes["jobs"] = settings.jobs.model_copy(update={"folder": self.data / "jobs"})
        return settings.model_copy(update=changes)


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which :func:`schemas.settings.load_settings` reads these settings again.

    Only what a command may have changed is written out: the rest is in the file or in the
    variables already.
    """
    changed = {
        "VO_DATABASE__OWNER_URL": settings.database.owner_url,
        "VO_DATABASE__SERVICE_URL": settings.database.service_url,
        "VO_DATABASE__READER_URL": settings.database.reader_url,
        "VO_STORAGE__ROOT": str(settings.storage.root.absolute()),
        "VO_JOBS__FOLDER": str(settings.jobs.folder.absolute()),
        "VO_ENGINE__ADDRESS": settings.engine.address,
        "VO_WEB__HOST": settings.web.host,
        "VO_WEB__PORT": str(settings.web.port),
        "VO_WEB__BASE_URL": settings.web.base_url,
    }
    return {**os.environ, **changed}


def said_plainly(error: OSError, data: Path) -> str:
    """Say a failure of the file system so that its reader knows what to do.

    Parameters
    ----------
    error
        What the system said.
    data
        The archive's folder. Only what fails in it can be helped by naming another.
    """
    path = error.filename
    named = None if path is None or isinstance(path, int) else Path(os.fsdecode(path)).absolute()
    in_data = named is not None and named.is_relative_to(data)
    where = data if in_data else named
    other = ", or name another folder with --data or VO_DATA" if in_data else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left {f'in {where}' if where else 'on the disk'}: make room{other}"
    if in_data and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot use {named} ({error.strerror}): see who may write there{other}"
    said = error.strerror or str(error)
    return said if named is None else f"{named}: {said}"
