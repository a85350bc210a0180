"""The global solution of a simulated field, through the whole chain, against the truth."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.simulation.config import SimulationConfig
from reduction.solutions import SOLUTION_DTYPE, pos_err_of, wcs_of
from reduction.steps.wcs import TanWcs
from reduction.target import Progenitor
from reduction.targets.astrometric import AstrometricParameters, wcs_from_attributes
from reduction.targets.global_astrometric import GAstrometric
from tests.support.archives import simulated_archive
from tests.support.mosaic import separation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(
    chips=2, nights=("2025-03-01", "2025-03-02"), n_science=3, n_bias=3, n_dome=3, stars=60.0
)
SHAPE = CONFIG.shape


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings) -> Iterator[Truth]:
    """Two simulated nights of one field, ingested, and the field declared."""
    folder = tmp_path_factory.mktemp("mosaic")
    with simulated_archive(database, folder, CONFIG) as made:
        declare_field(Archive.current(), FieldSpec("deep", CONFIG.ra, CONFIG.dec, 0.03))
        yield made


@pytest.fixture(scope="module")
def solved(truth: Truth) -> GAstrometric:
    """The field's solution."""
    found: GAstrometric = GAstrometric.get(field="deep")
    return found


def as_progenitor(made: GAstrometric) -> Progenitor:
    return Progenitor(made.object_id, "GAstrometric", "", {}, {}, tables=made.tables)


def errors(truth: Truth, wcs_by_frame: dict[tuple[str, str], TanWcs]) -> np.ndarray:
    """Differences of all frames' projections from the true ones, arcsec, shape (n, 81, 2)."""
    return np.array(
        [
            separation(wcs, TanWcs.from_cards(truth.exposures[name].wcs[chip]), SHAPE)
            for (name, chip), wcs in wcs_by_frame.items()
        ]
    )


def own_solutions() -> list[AstrometricParameters]:
    return list(AstrometricParameters.instrument.name == "simulated")


def frame_of(made: AstrometricParameters) -> Progenitor:
    """What names the frame of a product."""
    raw = {"name": made.raw.name, "mjd_obs": made.raw.mjd_obs}
    return Progenitor(
        *(made.object_id, "AstrometricParameters", "V", {}, {}),
        raw=raw,
        instrument="simulated",
        chip=made.chip.name,
    )


def test_every_frame_of_the_field_has_a_place_in_the_solution(
    truth: Truth, solved: GAstrometric
) -> None:
    table = solved.tables["SOLUTIONS"]
    assert table.dtype.names == SOLUTION_DTYPE.names
    assert solved.n_frames == len(table) == 12
    assert (solved.n_exposures, solved.n_setups) == (6, 1)
    assert solved.quality_flags == 0
    assert solved.catalogue == "simulated"
    asked = as_progenitor(solved)
    frames = {(made.raw.name, made.chip.name): frame_of(made) for made in own_solutions()}
    for name, exposure in truth.exposures.items():
        for chip in exposure.wcs:
            frame = frames[name, chip]
            assert wcs_of(asked, frame) is not None
            assert 0.0 < (pos_err_of(asked, frame) or 0.0) < 0.03
            later = dict(frame.raw) | {"mjd_obs": frame.raw["mjd_obs"] + 1.0}
            assert wcs_of(asked, replace(frame, raw=later)) is None
            assert wcs_of(None, frame) is None


def test_the_global_solution_is_better_than_single_frames_and_as_good_as_it_says(
    truth: Truth, solved: GAstrometric
) -> None:
    asked = as_progenitor(solved)
    single = {
        (made.raw.name, made.chip.name): wcs_from_attributes(made._record.attributes)
        for made in own_solutions()
    }
    together = {
        (made.raw.name, made.chip.name): wcs_of(asked, frame_of(made)) for made in own_solutions()
    }
    assert None not in together.values()
    alone = np.sqrt(np.mean(errors(truth, single) ** 2))
    found = np.sqrt(np.mean(errors(truth, together) ** 2))
    # the catalogue's errors (30 mas) are the same on all exposures: they do not average, but the
    # centroids' do, and the faint stars that no catalogue has tie the exposures to each other
    assert found < 0.85 * alone
    # formal errors are means over the stars; corners of the frame count more on the grid
    stated = np.sqrt(np.mean(solved.tables["SOLUTIONS"]["pos_err"] ** 2))
    assert 0.6 < found / stated < 2.0
    assert solved.reference_error == pytest.approx(CONFIG.reference_error, rel=0.4)


def test_residuals_are_tabled_and_drawn(solved: GAstrometric) -> None:
    reference, overlap = solved.tables["RESIDUALS_REF"], solved.tables["RESIDUALS_OVERLAP"]
    assert len(np.unique(overlap["star"])) == solved.n_overlap > 50
    assert len(np.unique(reference["star"])) == solved.n_ref > 20
    rms = np.sqrt(np.mean(overlap["dra"] ** 2 + overlap["ddec"] ** 2) / 2.0)
    assert rms == pytest.approx(solved.rms_overlap)
    assert set(np.unique(overlap["frame"])) == set(range(12))
    figure = solved.inspect()
    assert len(figure.axes) >= 10
    single = next(iter(AstrometricParameters.instrument.name == "simulated"))
    assert len(single.tables["RESIDUALS"]) == single.n_ref
    assert len(single.inspect().axes) >= 5
