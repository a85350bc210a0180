"""What is told from trails though something of it is not known."""

from __future__ import annotations

__all__: list[str] = []

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reduction.steps.lookalikes import _fades


def sight(light: np.ndarray) -> Any:
    """A line whose pieces have a light; NaN is not known."""
    return SimpleNamespace(signal=light.astype(np.float32), known=np.isfinite(light))


@pytest.mark.parametrize("unknown", [[], [4], [15], [25], [9, 10, 11], [0, 1, 29], [2, 7, 13, 22]])
def test_a_spike_is_one_whichever_of_its_pieces_are_not_known(unknown: list[int]) -> None:
    away = np.abs(np.arange(30) - 10)
    spike, trail = 900.0 * np.exp(-away / 6.0), np.full(30, 60.0)
    spike[unknown] = trail[unknown] = np.nan
    assert _fades(sight(spike), (0, 30), 10)
    assert not _fades(sight(trail), (0, 30), 10)


def test_a_spike_through_a_corner_is_one_by_the_ends_that_are_too_dark_for_its_run() -> None:
    spike = np.array([30.8, 40.5, 65.6, 113.1, 538.3, 136.5, 74.9, 46.8, 26.4])
    assert _fades(sight(spike), (1, 8), 4)
    trail = np.array([49.8, 50.5, 51.6, 113.1, 538.3, 136.5, 54.9, 46.8, 50.4])
    assert not _fades(sight(trail), (1, 8), 4)
