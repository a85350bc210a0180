"""The real frames through the whole chain, once for all tests that look at them."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.archive import Archive
from reduction.scope import Scope
from schemas.settings import LimitSettings
from tests.support.archives import opened_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.clusters import Databases

CATALOGUES = ("landolt_all.csv", "tycho2_fields.csv", "sdss_daophot_NGC2420.csv.gz")
CLASSES = ("SourceList", "CalibratedScienceFrame")


@pytest.fixture(scope="session")
def real_sky(
    databases: Databases, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """An archive with the Nickel's standard fields and all of CAFOS, made."""
    files, limits = tmp_path_factory.mktemp("sky"), LimitSettings(make_budget_s=900.0)
    with databases.fresh() as database, opened_archive(database, files, limits=limits) as made:
        nickel = shared / "data" / "nickel_2024-05-13"
        galaxy = nickel / "science" / "d1048.fits.fz"
        folders = [nickel / "bias", nickel / "flat", nickel / "standard", galaxy]
        report = made.ingest([*folders, shared / "data" / "cafos_ngc2420_2021-03"])
        assert report.refused == []
        for name in CATALOGUES:
            made.load_references(shared / "data" / "reference_catalogues" / name, name)
        with made.snapshot(Scope(classes=frozenset(CLASSES)), timeout_s=60.0) as answering:
            assert answering.report.failed == 0, answering.report.outcomes
        yield made


@pytest.fixture(scope="session")
def small_telescopes(
    databases: Databases, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """An archive with MIT's two nights and a night of MicroObservatory, unmade."""
    data = shared / "data"
    files, limits = tmp_path_factory.mktemp("small"), LimitSettings(make_budget_s=900.0)
    with databases.fresh() as database, opened_archive(database, files, limits=limits) as made:
        frames = sorted((data / "microobservatory_hatp32_2017-12-20" / "science").iterdir())
        report = made.ingest([data / "mit_wallace_2713_2018-10", *frames[::4]])
        assert (report.frames, report.refused) == (47 + 8, [])
        made.load_references(data / "reference_catalogues" / "tycho2_fields.csv", "tycho2")
        yield made


@pytest.fixture
def archive(real_sky: Archive) -> Archive:
    """The archive of the real frames, as the one that classes speak of."""
    Archive.use(real_sky)
    return real_sky
