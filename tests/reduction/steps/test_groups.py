"""Medians, means and quantiles of many values, against numpy's."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reduction.steps.groups import group_mean, group_quantile
from reduction.steps.network import median_of_planes
from reduction.steps.order import median, moments, within
from reduction.steps.statistics import clipped_statistics, image_statistics
from reduction.steps.student import student_limit

NUMBERS = st.floats(-1e6, 1e6, width=32)
VALUES = arrays.arrays(np.float32, st.integers(1, 60), elements=NUMBERS)
HOLED = arrays.arrays(
    np.float64, st.integers(0, 40), elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))
)


@settings(deadline=None, derandomize=True)
@given(HOLED, st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_a_quantile_of_each_group_is_numpys_without_nan(values, seed, quantile) -> None:
    group = np.random.default_rng(seed).integers(0, 4, len(values))
    found = group_quantile(values, group, 5, quantile)
    assert found.shape == (5,)
    for number in range(5):
        known = values[(group == number) & np.isfinite(values)]
        if len(known) == 0:
            assert np.isnan(found[number])
        else:
            expected = np.quantile(known, quantile)
            assert found[number] == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(deadline=None, derandomize=True)
@given(HOLED, st.integers(0, 10**6))
def test_a_mean_of_each_group_is_numpys_and_what_has_no_weight_may_be_nan(values, seed) -> None:
    random = np.random.default_rng(seed)
    group, weight = random.integers(0, 4, len(values)), random.uniform(0.5, 2.0, len(values))
    weight[np.isnan(values)] = 0.0
    found = group_mean(values, weight, group, 5)
    for number in range(5):
        mine = (group == number) & (weight > 0)
        if mine.any():
            expected = np.average(values[mine], weights=weight[mine])
            assert found[number] == pytest.approx(expected, rel=1e-9, abs=1e-6)
        else:
            assert np.isnan(found[number])


@settings(deadline=None, derandomize=True)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 17), st.integers(1, 6)), elements=NUMBERS)
)
def test_the_network_gives_numpys_medians_of_any_number_of_planes(stack) -> None:
    expected = np.median(stack, axis=0)
    np.testing.assert_array_equal(median_of_planes(stack.copy()), expected)


@settings(deadline=None, derandomize=True)
@given(VALUES, st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_median_moments_and_what_is_within_a_limit_are_numpys(values, centre, limit) -> None:
    assert median(values) == np.median(values)
    mean, stdev = moments(values)
    whole = values.astype(np.float64)
    # sums in single precision about a typical value: to some 1e-7 of the range
    slack = 1e-6 * (np.ptp(whole) + 1e-30)
    assert mean == pytest.approx(whole.mean(), abs=slack + 1e-7 * abs(whole).max())
    assert stdev == pytest.approx(whole.std(), abs=1e-3 * np.ptp(whole) + 1e-6)
    kept = within(values, centre, limit)
    away = np.abs(values - np.float32(centre))
    np.testing.assert_array_equal(kept, values[away <= limit])


def test_nothing_has_no_median_and_no_moments() -> None:
    nothing = np.empty(0, np.float32)
    assert math.isnan(median(nothing))
    assert all(math.isnan(value) for value in moments(nothing))
    assert len(within(nothing, 0.0, 1.0)) == 0


def test_moments_of_values_whose_squares_are_beyond_single_precision_are_right() -> None:
    values = np.array([-1e30, 1e30, 1e30, -1e30], np.float32)
    mean, stdev = moments(values)
    assert mean == pytest.approx(0.0, abs=1e22)
    assert stdev == pytest.approx(1e30, rel=1e-6)


def test_a_median_of_very_many_ordered_values_is_exact() -> None:
    # longer than what is taken whole, and in an order that the regular sample meets
    values = np.tile(np.arange(1000, dtype=np.float32), 600)
    for ordered in (values, np.sort(values), np.sort(values)[::-1]):
        assert median(np.ascontiguousarray(ordered)) == np.median(values) == 499.5


def test_a_median_is_exact_where_the_regular_sample_misleads() -> None:
    # every 11th of 600 000 is what the sample takes: none of them says where the median is
    values = np.random.default_rng(1).random(600_000, np.float32)
    values[::11] = -1.0
    assert median(values) == np.median(values)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(VALUES, st.floats(2.0, 6.0), st.integers(0, 8))
def test_clipping_keeps_some_of_the_values_and_their_own_statistics(values, threshold, rounds):
    found = clipped_statistics(values, threshold=threshold, iterations=rounds)
    assert 1 <= found.count <= len(values)
    assert values.min() <= found.median <= values.max()
    assert found.stdev <= np.ptp(values.astype(np.float64)) + 1e-6
    if rounds == 0:
        assert (found.count, found.median) == (len(values), np.median(values))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(VALUES, st.floats(0.5, 8.0), st.floats(-1e4, 1e4))
def test_statistics_move_and_stretch_with_the_image(values, factor, offset) -> None:
    image = values.reshape(1, -1)
    one, other = (
        image_statistics(np.asarray(each, np.float32)) for each in (image, image * factor + offset)
    )
    # single precision of the largest number
    slack = 4e-7 * (float(np.abs(values).max()) * factor + abs(offset)) + 1e-3
    for name in ("min", "max", "median", "mean"):
        expected = getattr(one, name) * factor + offset
        assert getattr(other, name) == pytest.approx(expected, abs=4 * slack)
    assert other.stdev == pytest.approx(
        one.stdev * factor, abs=0.01 * one.stdev * factor + 4 * slack
    )
    assert one.npix == other.npix == len(values)


@pytest.mark.parametrize(
    ("sigmas", "free", "expected"),
    # quantiles of Student's distribution at 0.841345 and 0.998650 (tables: 1.8367, 13.968, 1.0526)
    [(1.0, 1, 1.8367), (3.0, 2, 19.2060), (3.0, 10, 3.9569), (1.0, 10**6, 1.0)],
)
def test_deviations_of_few_values_are_wider(sigmas: float, free: int, expected: float) -> None:
    assert student_limit(sigmas, free) == pytest.approx(expected, rel=1e-3)
