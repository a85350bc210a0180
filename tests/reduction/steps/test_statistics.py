"""Statistics of images."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.statistics import (
    clipped_statistics,
    image_statistics,
    sub_window_statistics,
)
from schemas.errors import UnprocessableError


def test_image_statistics_leave_out_nan_and_masked_pixels():
    image = np.array([[1, 2, 3], [4, np.nan, 1000]], dtype=np.float32)
    bad = image == 1000
    stat = image_statistics(image, bad=bad)
    assert (stat.min, stat.max, stat.mean, stat.median, stat.npix) == (1, 4, 2.5, 2.5, 4)
    assert stat.stdev == pytest.approx(np.std([1, 2, 3, 4]))


def test_an_image_without_valid_pixels_is_refused():
    nothing = np.full((3, 3), np.nan, dtype=np.float32)
    for measure in (image_statistics, sub_window_statistics):
        with pytest.raises(UnprocessableError, match="valid pixel"):
            measure(nothing)


def test_flatness_is_the_range_of_the_sub_windows_medians():
    image = np.zeros((40, 80), dtype=np.float32)
    image[:10, :10] = 5.0  # one window of 4 x 8
    image[39, 79] = 1e6  # one pixel does not move a median
    stat = sub_window_statistics(image)
    assert stat.flatness == 5.0
    assert stat.max_stdev > 1e4


def test_clipping_finds_mean_and_scatter_under_outliers_however_far():
    rng = np.random.default_rng(2)
    values = rng.normal(10.0, 2.0, 100_000).astype(np.float32)
    values[:1000] = 1e7
    stat = clipped_statistics(values, threshold=5.0, iterations=10)
    # 3 standard errors of mean (2/sqrt n) and scatter (2/sqrt 2n)
    assert stat.mean == pytest.approx(10.0, abs=3 * 2 / 99_000**0.5)
    assert stat.stdev == pytest.approx(2.0, abs=3 * 2 / 198_000**0.5)
    assert stat.count == 99_000


def test_clipping_nothing_gives_nan():
    stat = clipped_statistics(np.array([np.nan], dtype=np.float32), threshold=5, iterations=5)
    assert np.isnan(stat.mean)
    assert stat.count == 0


def test_clipping_a_constant_keeps_it():
    stat = clipped_statistics(np.full(9, 7.0, dtype=np.float32), threshold=5, iterations=5)
    assert (stat.mean, stat.stdev, stat.count) == (7.0, 0.0, 9)
