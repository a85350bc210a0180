"""The overscan method is one choice for all that a bias is subtracted from."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.recipe_edits import set_parameter
from reduction.simulate import SimulationConfig, simulate
from reduction.targets.reduced import ReducedScienceFrame
from schemas.errors import ReductionError
from tests.support.archives import opened_archive

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.settings import DatabaseSettings

CONFIG = SimulationConfig(
    chips=1, shape=(96, 96), nights=("2025-03-01",), n_bias=3, n_dome=2, n_twilight=2, n_science=1
)


def choose(archive: Archive, *classes: str, method: int) -> None:
    for name in classes:
        set_parameter(
            archive, name, "OVERSCAN_CORRECTION", method, instrument="simulated", why="to see"
        )


def methods(frame: Any) -> set[int]:
    """Overscan methods of everything that a frame is made from."""
    flats = (frame.flat.dome, frame.flat.twilight)
    biases = [frame.bias, frame.hot.bias, frame.gain.bias, *(flat.bias for flat in flats)]
    noises = [frame.read_noise, *(bias.read_noise for bias in biases)]
    return {product.overscan_correction for product in (*biases, *noises)}


@pytest.mark.slow
def test_another_method_is_taken_by_all_calibrations_and_frames_or_by_none(
    fresh_database: DatabaseSettings, tmp_path: Path
) -> None:
    simulate(tmp_path, config=CONFIG)
    with opened_archive(fresh_database, tmp_path / "files") as archive:
        archive.ingest([tmp_path / "raw"])
        name = max(path.name for path in (tmp_path / "raw").iterdir())  # science comes last

        def get() -> Any:
            return ReducedScienceFrame.get(raw=name)

        first = get()
        assert methods(first) == {6}
        choose(archive, "BiasFrame", method=1)
        with pytest.raises(ReductionError, match=r"set ReadNoise\.OVERSCAN_CORRECTION, too"):
            get()
        choose(archive, "ReadNoise", method=1)
        second = get()
        assert methods(second) == {1}
        assert second.corrections.startswith("overscan 1")
        # The rows' drift is left in: the sky is the same, but for its level.
        difference = second.images["IMAGE"] - first.images["IMAGE"]
        assert abs(np.nanmedian(difference)) < 10.0
        choose(archive, "ReadNoise", "BiasFrame", method=6)
        assert get().object_id == first.object_id  # made before, with the same inputs
