"""Overscan correction and trimming."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.overscan import OverscanMethod, correct_overscan, trim
from schemas.errors import UnprocessableError

SCIENCE = Section(4, 24, 6, 46)
SHAPE = (30, 60)


def frame_with_level(level: np.ndarray | float) -> np.ndarray:
    """Signal 50 on the science pixels above a level, everything whole numbers."""
    raw = np.zeros(SHAPE) + level
    raw[SCIENCE.slices] += 50
    return raw.astype(np.uint16)


@pytest.mark.parametrize("method", [m for m in OverscanMethod if m])
def test_every_method_removes_a_constant_level(method):
    image = correct_overscan(frame_with_level(300), SCIENCE, method=method)
    assert image.shape == SCIENCE.shape
    assert image.dtype == np.float32
    assert np.array_equal(image, np.full(SCIENCE.shape, 50, dtype=np.float32))


def test_method_zero_only_trims():
    raw = frame_with_level(300)
    assert np.array_equal(correct_overscan(raw, SCIENCE, method=0), trim(raw, SCIENCE))


@pytest.mark.parametrize("method", [5, 6])
def test_methods_per_row_follow_a_level_that_drifts_from_row_to_row(method):
    raw = frame_with_level(300 + np.arange(SHAPE[0])[:, None])
    assert np.ptp(correct_overscan(raw, SCIENCE, method=method)) == 0
    assert np.ptp(correct_overscan(raw, SCIENCE, method=2)) == SCIENCE.shape[0] - 1


@pytest.mark.parametrize("method", [7, 8])
def test_methods_per_column_follow_a_level_that_drifts_from_column_to_column(method):
    raw = frame_with_level(300 + np.arange(SHAPE[1])[None, :])
    assert np.ptp(correct_overscan(raw, SCIENCE, method=method)) == 0


def test_methods_look_at_their_own_side():
    raw = frame_with_level(300)
    raw[:, : SCIENCE.x0] = 100
    before = correct_overscan(raw, SCIENCE, method=OverscanMethod.PRESCAN_X_PER_ROW)
    after = correct_overscan(raw, SCIENCE, method=OverscanMethod.OVERSCAN_X_PER_ROW)
    assert (before[0, 0], after[0, 0]) == (250, 50)


def test_the_instruments_overscan_section_is_preferred():
    raw = frame_with_level(300)
    raw[:, SCIENCE.x1 : SCIENCE.x1 + 4] = 340  # columns that trail the light
    good = Section(SCIENCE.y0, SCIENCE.y1, SCIENCE.x1 + 4, SHAPE[1])
    assert np.all(correct_overscan(raw, SCIENCE, overscan=good) == 50)
    assert not np.all(correct_overscan(raw, SCIENCE, method=2) == 10)


def test_a_cosmic_ray_in_the_overscan_does_not_shift_its_row():
    rng = np.random.default_rng(1)
    raw = frame_with_level(300) + rng.integers(-3, 4, SHAPE).astype(np.uint16)
    clean = correct_overscan(raw, SCIENCE)
    raw[10, 55] = 20000
    assert np.abs(correct_overscan(raw, SCIENCE) - clean).max() < 1.0


def test_a_frame_without_overscan_is_refused_with_the_method_named():
    raw = np.zeros((20, 40), dtype=np.uint16)
    with pytest.raises(UnprocessableError, match=r"method 6 \(OVERSCAN_X_PER_ROW\)"):
        correct_overscan(raw, Section(0, 20, 0, 40))


@pytest.mark.parametrize("method", [-1, 9])
def test_an_unknown_method_is_refused(method):
    with pytest.raises(UnprocessableError, match="expected 0 to 8"):
        correct_overscan(frame_with_level(300), SCIENCE, method=method)


def test_a_section_outside_the_frame_is_refused():
    with pytest.raises(UnprocessableError, match="does not lie in a frame"):
        trim(np.zeros((10, 10), dtype=np.uint16), Section(0, 11, 0, 10))
