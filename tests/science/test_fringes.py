"""Fringes of the night sky through an archive: found, taken out, and remade when a frame goes."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from reduction.archive import Archive
from reduction.edits import edit
from reduction.make import OutcomeKind
from reduction.scope import Scope
from reduction.simulation.config import SimulationConfig
from reduction.targets.fringe import FringeFrame
from reduction.targets.reduced import ReducedScienceFrame
from tests.support.archives import simulated_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(
    seed=411, chips=1, shape=(320, 320), nights=("2025-03-01",), filters=("I", "V"),
    n_science=6, dither=20.0, stars=20.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings) -> Iterator[Truth]:
    """A night in a filter whose sky has fringes and in one without, reduced."""
    folder = tmp_path_factory.mktemp("fringed")
    with simulated_archive(database, folder, CONFIG) as made:
        remake()
        yield made


def remake(*, without: str = "") -> None:
    """Reduce what is not fresh; a frame that was rejected is not."""
    scope = Scope(classes=frozenset({"ReducedScienceFrame"}))
    with Archive.current().snapshot(scope, timeout_s=60.0) as answering:
        failed = [o.name for o in answering.report.outcomes if o.kind is OutcomeKind.FAILED]
    assert all(without and without in name for name in failed), failed


def frames(band: str) -> list[ReducedScienceFrame]:
    """Reduced frames of a band by their names."""
    found = ReducedScienceFrame.instrument.name == "simulated"
    return sorted(
        (one for one in list(found) if one.filter.name == band), key=lambda one: one.raw.name
    )


def strength(image: np.ndarray, pattern: np.ndarray, bad: np.ndarray) -> float:
    """How much of a pattern is in an image, sources left out: a least-squares slope."""
    level = np.median(image[~bad])
    noise = 1.4826 * np.median(np.abs(image[~bad] - level))
    high = ndimage.uniform_filter(np.where(bad, level, image), 5) > level + 2.5 * noise
    good = ~bad & ~ndimage.binary_dilation(high, iterations=6)
    wanted = pattern[good] - pattern[good].mean()
    return float(wanted @ (image[good] - image[good].mean()) / (wanted @ wanted))


def test_the_fringes_of_a_night_are_those_of_the_chip(truth: Truth) -> None:
    (fringe,) = list(FringeFrame.instrument.name == "simulated")
    chip = truth.chips[fringe.chip.name]
    assert (fringe.filter.name, fringe.frames_used, fringe.quality_flags) == ("I", 6, 0)
    assert fringe.level == pytest.approx(truth.exposures[frames("I")[0].raw.name].sky, rel=0.02)
    bad = (fringe.hot.images["MAP"] == 0) | (fringe.cold.images["MAP"] == 0)
    pattern, true = fringe.images["FRINGE"], chip.fringe["I"]
    # Each frame has fringes of a strength of its own; their mean is what is left in the pattern.
    mean = np.mean([exposure.fringe for exposure in truth.exposures.values() if exposure.fringe])
    found = strength(pattern, true, bad)
    # Six frames of 3.3 % noise a pixel on a pattern of 3 %: 0.0015 on 10^5 pixels; sources that
    # are not masked, and the mean that leaves out what deviates, make more.
    assert found == pytest.approx(mean, rel=0.03)
    rest = np.where(bad, 0.0, pattern - found * true)
    # Noise of the mean of six frames in 5 x 5 pixels: 0.27 %; a tenth of the pattern is 0.3 %.
    assert ndimage.uniform_filter(rest, 5).std() < 0.005


def test_reduced_frames_are_left_without_fringes(truth: Truth) -> None:
    for frame in frames("I"):
        exposure = truth.exposures[frame.raw.name]
        pattern = truth.chips[frame.chip.name].fringe["I"]
        bad = frame.images["MASK"] != 0
        there = exposure.fringe * exposure.sky
        left = strength(frame.images["IMAGE"], pattern, bad)
        # Photon noise as large as the fringes' scatter, on 5 x 10^4 pixels and more: 0.5 % of
        # them; sources that are not masked as much again, and the pattern's own error.
        assert abs(left) < 0.03 * there
        assert frame.corrections.endswith("flat, fringe")
        assert frame.scale_factor == pytest.approx(
            there / np.mean([e.fringe for e in truth.exposures.values() if e.fringe]), rel=0.04
        )


def test_frames_of_a_filter_without_fringes_have_none_to_be_taken_out(truth: Truth) -> None:
    for frame in frames("V"):
        assert frame.fringe is None
        assert frame.scale_factor is None
        assert "fringe" not in frame.corrections


def test_a_rejected_frame_remakes_the_fringes_and_what_they_were_taken_from(truth: Truth) -> None:
    first, before = frames("I"), frames("V")
    (old,) = {frame.fringe.object_id for frame in first}
    rejected = first[0].raw
    lineage = [raw.name for raw in first[1].fringe.raw_science_frames]
    assert sorted(lineage) == [frame.raw.name for frame in first]
    edit(Archive.current(), rejected.object_id, "is_valid", 0, why="clouds")
    remake(without=rejected.name.removesuffix(".fits"))
    after = frames("I")
    assert [frame.raw.name for frame in after] == [frame.raw.name for frame in first[1:]]
    (new,) = {frame.fringe.object_id for frame in after}
    assert new != old
    fringe = after[0].fringe
    assert fringe.frames_used == 5
    assert rejected.name not in [raw.name for raw in fringe.raw_science_frames]
    assert {f.object_id for f in frames("V")} == {f.object_id for f in before}
    edit(Archive.current(), rejected.object_id, "is_valid", 1, why="no clouds")
    remake()
    assert [f.object_id for f in frames("I")] == [f.object_id for f in first]  # as it was
