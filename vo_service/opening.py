"""Opening the archive of a data folder, as the command line does."""

from __future__ import annotations

__all__ = ["claim_jobs", "open_archive", "prepare_database"]

import logging
from typing import TYPE_CHECKING, Final

from reduction.archive import Archive
from schemas.errors import BusyError
from vo_service.prepared import code_beside, fingerprint, is_prepared, note_prepared
from vo_service.state import StateFile

if TYPE_CHECKING:
    from schemas.settings import Settings
    from vo_service.home import Home


_log = logging.getLogger(__name__)
_STARTING: Final = "the service is being made ready: ask again in some seconds"
_OTHER: Final = (
    "the service runs other code or settings than this command has: `vo-service stop`, then "
    "`vo-service serve`, has it run these"
)


def prepare_database(settings: Settings) -> list[str]:
    """Bring tables, views, roles' rights, recipes and TAP_SCHEMA to what the code says.

    Returns
    -------
    list of str
        Sentences about recipes that changed since the archive last knew them.
    """
    from reduction.operate import initialise, sync_recipes  # noqa: PLC0415  # mostly not needed
    from reduction.published import published_schemas  # noqa: PLC0415  # likewise
    from reduction.registry import Registry  # noqa: PLC0415  # likewise
    from tap.metadata import fill_tap_schema  # noqa: PLC0415  # likewise
    from tap.row_counts import count_rows, note_row_counts  # noqa: PLC0415  # likewise

    code = fingerprint(settings)
    registry = Registry.load(settings.reduction.plugins)
    beside = code_beside(settings.reduction.plugins)
    initialise(settings, registry)
    archive = Archive(settings)
    try:
        said = sync_recipes(archive)
        schemas = published_schemas(registry)
        fill_tap_schema(archive.database.service, schemas)
        note_row_counts(archive.database.service, count_rows(archive.database.reader, schemas))
        _see_connections(archive)
        note_prepared(archive.database.service, settings, code, beside)
    finally:
        archive.close()
    return said


def _see_connections(archive: Archive) -> None:
    """Say in the log where the database takes fewer connections than the service may hold."""
    from sqlalchemy import text  # noqa: PLC0415  # mostly not needed

    from schemas.connections import RESERVED, connections_wanted  # noqa: PLC0415  # likewise

    with archive.database.service.connect() as connection:
        taken = int(connection.scalar(text("SHOW max_connections")) or 0)
    wanted = connections_wanted(archive.settings) + RESERVED
    if taken < wanted:
        _log.warning(
            "the database takes %d connections (max_connections), this service may hold %d at a "
            "time: expected at least that, or smaller web.workers, web.threads or "
            "database.pool_size",
            taken,
            wanted,
        )


def claim_jobs(settings: Settings) -> None:
    """Take the folder of jobs for this archive, before anything runs.

    Raises
    ------
    SettingsError
        If it is not this archive's own.
    """
    from vo_service.uws.folder import claim_folder  # noqa: PLC0415  # needed for serving alone

    archive = Archive(settings)
    try:
        claim_folder(archive)
    finally:
        archive.close()


def open_archive(home: Home, *, anew: bool = False) -> Archive:
    """Open the archive of a folder; made ready first, unless that was done before.

    Parameters
    ----------
    anew
        Make it ready although it is, unless a service runs on it: what a recipe failed at will
        be tried again.

    Raises
    ------
    BusyError
        If a service runs on it that has other code, plugins or settings, or is not ready yet.
    """
    settings = home.settings()
    running = StateFile(home.run).read()
    if running is not None:
        web = settings.web.model_copy(update={"base_url": running.url})
        settings = settings.model_copy(update={"web": web})
    archive = Archive(settings)
    ready = is_prepared(archive.database.service, settings)
    if running is not None and not ready:
        archive.close()
        # its programs are started once the database is ready
        raise BusyError(_OTHER if running.children else _STARTING)
    if running is None and (anew or not ready):
        prepare_database(settings)
    Archive.use(archive)
    return archive
