"""One scale in a field: what is made of its frames agrees, through clouds and over nights."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.simulation.config import SimulationConfig
from reduction.steps.matching import match_nearest
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.combined_list import CombinedList
from reduction.targets.gphotometric import GPhotometric
from reduction.targets.variability_frame import VariabilityFrame
from tests.support.archives import simulated_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

#: A clear night, and one of clouds; in the first there is a cloud too.
CLOUDS = (0.0, 0.0, 0.25, 0.6, 0.4, 0.5)
CONFIG = SimulationConfig(
    chips=1,
    shape=(400, 400),
    nights=("2025-03-01", "2025-03-02"),
    n_science=3,
    stars=50.0,
    galaxies=0.0,
    clouds=CLOUDS,
)
FIELD = FieldSpec("clouds", CONFIG.ra, CONFIG.dec, 0.012)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings) -> Iterator[Truth]:
    """Two nights and a field; nothing is made yet."""
    folder = tmp_path_factory.mktemp("clouds")
    with simulated_archive(database, folder, CONFIG) as made:
        declare_field(Archive.current(), FIELD)
        yield made


def same_stars(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the same stars, within half an arcsec."""
    scale = np.cos(np.radians(CONFIG.dec)) * 3600.0
    one, other = (np.column_stack((r["ra"] * scale, r["dec"] * 3600.0)) for r in (rows, others))
    return match_nearest(one, other, 0.5)


def test_lists_light_curves_and_coadds_of_a_field_are_on_one_scale(truth: Truth) -> None:
    solution = GPhotometric.get(field="clouds", filter="V")
    table = np.sort(solution.tables["ZERO_POINTS"], order="mjd_obs")
    assert table["zero_point"][0] - table["zero_point"] == pytest.approx(CLOUDS, abs=0.02)
    combined = CombinedList.get(field="clouds")
    curves = VariabilityFrame.get(field="clouds", filter="V")
    deep = CoaddedSourceList.get(field="clouds", filter="V")
    assert combined.n_tied == curves.light_curves.n_tied == len(CLOUDS)
    assert deep.photometry == "GPhotometric"
    assert CoaddedRegriddedFrame.get(field="clouds", filter="V").photometry == "GPhotometric"
    lists, coadd, variable = combined.rows, deep.rows, curves.rows
    one, other = same_stars(lists, coadd)
    good = (lists["flags"][one] == 0) & (coadd["flags"][other] == 0)
    good &= (lists["n_sources"][one] >= 4) & (lists["mag_v_err"][one] < 0.02)
    assert good.sum() > 15
    off = (lists["mag_v"][one] - coadd["mag"][other])[good]
    # the same photons, of which each weighs the frames in its own way: 0.01 a star and less
    assert np.median(off) == pytest.approx(0.0, abs=0.006)
    assert 1.4826 * np.median(np.abs(off - np.median(off))) < 0.02
    star = {number: n for n, number in enumerate(lists["association"])}
    pairs = [(star[a], n) for n, a in enumerate(variable["association"]) if a in star]
    one, other = np.array(pairs).T
    good = (lists["flags"][one] == 0) & (variable["n_epochs"][other] >= 4)
    good &= lists["mag_v_err"][one] < 0.02
    assert good.sum() > 15
    off = (lists["mag_v"][one] - variable["mag"][other])[good]
    assert np.median(off) == pytest.approx(0.0, abs=0.006)
