"""Overscan correction and trimming."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.overscan import OverscanMethod, correct_overscan, overscan_level, trim
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


@pytest.mark.parametrize("method", [m for m in OverscanMethod if m])
@pytest.mark.parametrize("level", [1000.0, 1000.3, 1000.5])
def test_the_level_of_whole_numbers_is_not_a_whole_number(method, level):
    rng = np.random.default_rng(2)
    raw = np.rint(rng.normal(level, 2.0, (500, 300))).astype(np.uint16)
    science = Section(30, 470, 30, 270)
    found = overscan_level(raw, science, method=method)
    # noise of a pixel 2.02 adu after rounding, of the strip's 7200 or more 0.024: four of these
    assert float(found.mean()) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("method", [m for m in OverscanMethod if m])
def test_overscan_pixels_without_a_value_do_not_count(method):
    raw = frame_with_level(300).astype(np.float32)
    for y, x in ((10, 2), (10, 52), (1, 20), (27, 20)):  # one in each strip
        raw[y, x] = np.nan
    raw[11, 52] = -np.inf
    assert np.all(correct_overscan(raw, SCIENCE, method=method) == 50)


@pytest.mark.parametrize("method", [5, 6, 7, 8])
def test_a_line_without_an_overscan_value_has_no_level(method):
    raw = frame_with_level(300).astype(np.float32)
    raw[10, : SCIENCE.x0] = raw[10, SCIENCE.x1 :] = np.nan
    raw[: SCIENCE.y0, 20] = raw[SCIENCE.y1 :, 20] = np.nan
    image = correct_overscan(raw, SCIENCE, method=method)
    line = np.s_[10 - SCIENCE.y0] if method < 7 else np.s_[:, 20 - SCIENCE.x0]
    assert np.isnan(image[line]).all()
    assert np.isnan(image).sum() == image[line].size


@pytest.mark.parametrize("method", [2, 6])
@pytest.mark.parametrize(("first", "last"), [(1, 0), (0, 1), (3, 2)])
def test_an_overscan_section_that_lacks_lines_is_the_one_that_is_looked_at(method, first, last):
    raw = frame_with_level(300)
    raw[:, SCIENCE.x1 : SCIENCE.x1 + 4] += 12  # columns that trail the light
    raw[:, SHAPE[1] - 4 :] -= 20
    own = Section(SCIENCE.y0 + first, SCIENCE.y1 - last, SCIENCE.x1 + 4, SHAPE[1] - 4)
    assert np.all(correct_overscan(raw, SCIENCE, overscan=own, method=method) == 50)


@pytest.mark.parametrize(
    ("method", "own"),
    [(6, Section(SCIENCE.y0 + 2, SCIENCE.y1 - 1, 46, 60)), (8, Section(24, 30, 8, 45))],
)
def test_lines_beyond_the_overscan_section_have_the_level_of_the_nearest(method, own):
    drift = 300 + 2 * np.arange(SHAPE[0])[:, None] + 3 * np.arange(SHAPE[1])[None, :]
    raw = drift.astype(np.uint16)
    level = overscan_level(raw, SCIENCE, overscan=own, method=method).ravel()
    whole = overscan_level(raw, SCIENCE, method=method).ravel()
    low, high = 2, -1
    assert np.array_equal(level[low:high], whole[low:high])
    assert np.all(level[:low] == whole[low])
    assert np.all(level[high:] == whole[high - 1])


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
