"""Least squares with values that repeat: variances found, sums as of generalised least squares."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction.steps.repeats import Repeats, repeats_of


def covariance(found: Repeats) -> np.ndarray:
    same = found.star[:, None] == found.star[None]
    return np.diag(found.own) + np.where(same, found.common[found.star][:, None], 0.0)


def measured(
    *, stars: int, frames: int, own: float, common: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A constant and a slope, seen on stars that are each off by something of their own."""
    random = np.random.default_rng(seed)
    star = np.tile(np.arange(stars), frames)
    design = np.stack((np.ones(len(star)), random.uniform(-1, 1, len(star))), axis=1)
    values = design @ (0.3, -0.1) + random.normal(0.0, common, stars)[star]
    return design, values + random.normal(0.0, own, len(star)), star


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.0, 10.0))
def test_whitened_sums_of_squares_are_those_of_generalised_least_squares(seed, common) -> None:
    random = np.random.default_rng(seed)
    star = random.integers(0, 5, 24)
    _, star = np.unique(star, return_inverse=True)
    variances = np.full(star.max() + 1, common)
    found = Repeats(star, random.uniform(0.5, 4.0, 24), variances, 1.0)
    values = random.normal(size=24)
    white = found.whitened(values)
    assert white.shape == (24,)
    assert white @ white == pytest.approx(values @ np.linalg.solve(covariance(found), values))
    design = random.normal(size=(24, 3))
    np.testing.assert_allclose(
        found.whitened(design).T @ found.whitened(design),
        design.T @ np.linalg.solve(covariance(found), design),
        atol=1e-9,
    )


def test_of_stars_that_are_off_by_anything_only_differences_count() -> None:
    star = np.array([0, 0, 0, 1, 1, 2])
    found = Repeats(star, np.full(6, 4.0), np.full(3, math.inf), 1.0)
    white = found.whitened(np.array([1.0, 2.0, 6.0, 5.0, 7.0, 100.0]))
    np.testing.assert_allclose(white, np.array([-2.0, -1.0, 3.0, -1.0, 1.0, 0.0]) / 2.0)


def test_an_error_holds_both_variances() -> None:
    found = Repeats(np.array([0, 1, 1]), np.array([9.0, 1.0, 0.0]), np.array([16.0, 0.0]), 1.0)
    np.testing.assert_allclose(found.error, [5.0, 1.0, 0.0])


@pytest.mark.parametrize(("own", "common"), [(0.01, 0.03), (0.03, 0.01), (0.02, 0.0)])
def test_scatter_of_repeats_and_of_stars_are_told_apart(own: float, common: float) -> None:
    found_own, found_common = [], []
    for seed in range(20):
        design, values, star = measured(stars=40, frames=10, own=own, common=common, seed=seed)
        found = repeats_of(design, values, np.full(400, 1e-6), star, np.zeros(400))
        found_own.append(float(found.own.mean()))
        found_common.append(float(found.common.mean()))
    # of 20 tries: variance of repeats to 1 % (360 free), of stars to 5 % (38 free) and what
    # repeats leave of it, own^2 / 10
    assert np.mean(found_own) == pytest.approx(own**2, rel=3 * 0.017)
    error = math.sqrt(2 / 38 / 20) * (common**2 + own**2 / 10)
    assert np.mean(found_common) == pytest.approx(common**2, abs=3.5 * error)


def test_what_stars_are_known_to_be_off_by_is_not_found_a_second_time() -> None:
    design, values, star = measured(stars=60, frames=8, own=0.01, common=0.03, seed=3)
    known = repeats_of(design, values, np.full(480, 0.01), star, np.full(480, 0.03))
    free = repeats_of(design, values, np.full(480, 0.01), star, np.zeros(480))
    np.testing.assert_allclose(known.common, free.common, rtol=0.1)
    assert known.common.min() >= 0.03**2
    # ten times too large an error is believed: nothing is added to it
    wide = repeats_of(design, values, np.full(480, 0.01), star, np.full(480, 0.3))
    np.testing.assert_allclose(wide.common, 0.09)


def test_freedom_is_about_the_number_of_stars_where_stars_are_what_is_wrong() -> None:
    design, values, star = measured(stars=50, frames=20, own=0.001, common=0.05, seed=4)
    found = repeats_of(design, values, np.full(1000, 0.001), star, np.zeros(1000))
    # the constant takes one; of the slope, which differs within each star, next to nothing
    assert found.free == pytest.approx(49, abs=1.0)


def test_where_nothing_repeats_all_scatter_is_the_stars() -> None:
    design, values, star = measured(stars=300, frames=1, own=0.02, common=0.0, seed=5)
    found = repeats_of(design, values, np.full(300, 1e-4), star, np.zeros(300))
    assert found.own.max() < 1e-6
    # variance of 298 free values: 8 %, three times
    assert found.common.mean() == pytest.approx(0.02**2, rel=0.25)


def test_too_few_repeats_do_not_tell_how_much_repeats_scatter() -> None:
    # 10 stars twice: 20 values less 10 stars less the slope are 9 degrees of freedom, one too few
    for stars, known in ((10, False), (12, True)):
        design, values, star = measured(stars=stars, frames=2, own=0.05, common=0.0, seed=7)
        found = repeats_of(design, values, np.full(2 * stars, 1e-5), star, np.zeros(2 * stars))
        assert (found.own.max() > 1e-4) == known


def test_stars_may_have_any_numbers() -> None:
    design, values, star = measured(stars=30, frames=6, own=0.01, common=0.02, seed=6)
    names = np.random.default_rng(1).permutation(1000)[:30]
    error, nothing = np.full(180, 0.01), np.zeros(180)
    one = repeats_of(design, values, error, star, nothing)
    other = repeats_of(design, values, error, names[star], nothing)
    np.testing.assert_allclose(one.error, other.error)
    assert one.free == pytest.approx(other.free)
