"""Archives for tests: empty ones, and one with the frames of a simulated sky."""

from __future__ import annotations

__all__ = ["opened_archive", "simulated_archive"]

from contextlib import contextmanager
from typing import TYPE_CHECKING

from reduction.archive import Archive
from reduction.operate import initialise, sync_recipes
from reduction.simulate import simulate
from schemas.settings import LimitSettings, Settings, StorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel

    from reduction.simulate import SimulationConfig
    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings


@contextmanager
def opened_archive(
    database: DatabaseSettings, files: Path, **sections: BaseModel
) -> Iterator[Archive]:
    """An empty archive, as the one that classes speak of.

    Parameters
    ----------
    database
        Migrated and empty.
    files
        Folder of its files.
    sections
        More of its settings: ``limits=LimitSettings(...)``.
    """
    settings = Settings(database=database, storage=StorageSettings(root=files), **sections)
    archive = Archive(settings)
    try:
        initialise(settings, archive.registry)
        sync_recipes(archive)
        Archive.use(archive)
        yield archive
    finally:
        archive.close()


@contextmanager
def simulated_archive(
    database: DatabaseSettings, folder: Path, config: SimulationConfig
) -> Iterator[Truth]:
    """Simulate a sky below a folder and take frames and stars into an archive; nothing is made."""
    truth = simulate(folder, config=config)
    limits = LimitSettings(make_budget_s=900.0)
    with opened_archive(database, folder / "files", limits=limits) as archive:
        assert archive.ingest([folder / "raw"]).refused == []
        assert archive.load_references(folder / truth.reference, "simulated") > 0
        yield truth
