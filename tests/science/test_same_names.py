"""Two nights of a camera that numbers its files anew each night: all frames keep their own."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.fields import FieldSpec, declare_field
from reduction.simulate import simulate
from reduction.simulation.config import SimulationConfig
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.global_astrometric import GAstrometric
from reduction.targets.variability_frame import VariabilityFrame
from schemas.settings import LimitSettings
from tests.support.archives import opened_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(
    chips=1,
    nights=("2025-03-01", "2025-03-02"),
    n_science=2,
    n_bias=3,
    n_dome=3,
    stars=60.0,
    dither=20.0,
)


@pytest.fixture
def nights(tmp_path: Path, database: DatabaseSettings) -> Iterator[None]:
    """Science files of the second night with the names of the first's, and a field on them."""
    truth = simulate(tmp_path, config=CONFIG)
    other = tmp_path / "second"
    other.mkdir()
    names = sorted(truth.exposures)
    for first, second in zip(names[:2], names[2:], strict=True):
        (tmp_path / "raw" / second).rename(other / first)
    limits = LimitSettings(make_budget_s=300.0)
    with opened_archive(database, tmp_path / "files", limits=limits) as archive:
        assert archive.ingest([tmp_path / "raw", other]).refused == []
        archive.load_references(tmp_path / truth.reference, "simulated")
        declare_field(archive, FieldSpec("deep", CONFIG.ra, CONFIG.dec, 0.03))
        yield


@pytest.mark.usefixtures("nights")
def test_names_that_repeat_confuse_neither_places_nor_exposures_nor_light_curves() -> None:
    solved = GAstrometric.get(field="deep")
    table = solved.tables["SOLUTIONS"]
    assert solved.n_frames == 4
    assert len(np.unique(table["name"])) == 2
    assert solved.rms < 0.05
    coadd = CoaddedRegriddedFrame.get(field="deep", filter="V")
    assert (coadd.n_frames, coadd.n_exposures, coadd.exptime_total) == (4, 4, 240.0)
    # places of another night would smear the stars
    assert abs(coadd.psf_difference) < 0.05
    places = {(one.raw.mjd_obs, one.grid_x, one.grid_y) for one in coadd.regridded}
    assert len(places) == 4
    variables = VariabilityFrame.get(field="deep", filter="V")
    rows = variables.rows
    assert variables.n_stars > 20
    assert np.nanmedian(rows["rms"][rows["mag"] < 19.0]) < 0.01
