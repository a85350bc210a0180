"""Fixtures of all tests."""

from __future__ import annotations

__all__: list[str] = []

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from schemas.settings import Settings, StorageSettings
from tests.support.clusters import Databases, throw_away_cluster
from tests.support.serving import Observatory, observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings
    from vo_service.postgres import Cluster

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL cluster of these tests alone."""
    with throw_away_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def databases(cluster: Cluster) -> Databases:
    """Where migrated, empty databases come from: ``with databases.fresh() as settings``."""
    return Databases(cluster)


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[DatabaseSettings]:
    """A migrated database that the tests of one module share."""
    with databases.fresh() as settings:
        yield settings


@pytest.fixture
def fresh_database(databases: Databases) -> Iterator[DatabaseSettings]:
    """A migrated, empty database for one test alone."""
    with databases.fresh() as settings:
        yield settings


@pytest.fixture(scope="module")
def settings(database: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a service on the module's database, with files of its own."""
    files = tmp_path_factory.mktemp("files")
    return Settings(database=database, storage=StorageSettings(root=files))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material beside the checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs ../shared/data: real frames beside the checkout")
    return folder


@pytest.fixture(scope="session")
def observatory(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observatory]:
    """A served archive with a simulated night."""
    with databases.fresh() as database, observed(database, tmp_path_factory.mktemp("o")) as held:
        yield held
