"""Coadds of a simulated field through the archive: pixels, sources, and what VO clients see."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.operate import initialise, sync_recipes
from reduction.simulate import SimulationConfig, Truth, simulate
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from schemas.settings import Settings, StorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clusters import Databases

pytestmark = [pytest.mark.slow, pytest.mark.science]

SKY = SimulationConfig(
    chips=2, shape=(320, 320), nights=("2026-01-10",), filters=("V", "B"), n_science=4, dither=12.0
)
FIELD = FieldSpec("simulated", SKY.ra, SKY.dec, 0.025, pixel_scale=0.25)


@pytest.fixture(scope="module")
def observed(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, Truth]]:
    """An archive with a simulated night of two chips and two bands, and a declared field."""
    folder = tmp_path_factory.mktemp("sky")
    with databases.fresh() as database:
        truth = simulate(folder, config=SKY)
        settings = Settings(database=database, storage=StorageSettings(root=folder / "files"))
        opened = Archive(settings)
        initialise(settings, opened.registry)
        sync_recipes(opened)
        Archive.use(opened)
        assert opened.ingest([folder / "raw"]).refused == []
        opened.load_references(folder / truth.reference, "simulated")
        declare_field(opened, FIELD)
        yield opened, truth
        opened.close()


def test_x(observed):
    archive, truth = observed
    c = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    for a in type(c).ATTRIBUTES:
        print(a.name, getattr(c, a.name))
    print(c.tables["FRAMES"])
    print(c.quality_flags)
    s = CoaddedSourceList.get(field="simulated", filter="V")
    for a in type(s).ATTRIBUTES:
        print(a.name, getattr(s, a.name))
    b = CoaddedSourceList.get(field="simulated", filter="B")
    from reduction.rows import read_rows
    from schemas.tables import Source
    rv = read_rows(archive, Source, s.object_id)
    rb = read_rows(archive, Source, b.object_id)
    sky = truth.sky
    d = np.hypot((rv["ra"][:,None]-sky.ra)*np.cos(np.radians(SKY.dec)), rv["dec"][:,None]-sky.dec)*3600
    i = d.argmin(1); ok = (d.min(1) < .5) & (rv["flags"] == 0) & ~sky.galaxy[i]
    print(ok.sum(), len(rv), np.median(d.min(1)[ok]))
    dm = rv["mag"][ok]-sky.mags["V"][i[ok]]; db = rb["mag"][ok]-sky.mags["B"][i[ok]]
    print(np.median(dm), np.median(db), np.std((dm-np.median(dm))/rv["mag_err"][ok]))
    assert 0
