"""Places of stars: means, pulls, and those that contradict the rest."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction.steps.star_places import StarPlaces


def places(star, offsets, *, wanted, variance=1.0, catalogue=1.0, loose=1e6) -> StarPlaces:
    star = np.asarray(star, np.intp)
    offsets = np.stack((np.asarray(offsets, float), np.zeros(len(star))), axis=1)
    wanted = np.stack((np.asarray(wanted, float), np.zeros(len(wanted))), axis=1)
    wanted[np.isnan(wanted[:, 0])] = np.nan
    first = np.zeros((len(wanted), 2))
    return StarPlaces(star, offsets, np.full(len(star), variance), wanted, catalogue, first, loose)


def told(found: StarPlaces) -> np.ndarray:
    return np.isfinite(found.wanted[:, 0])


def test_means_are_weighted_by_inverse_variances_and_the_catalogue_is_one_place() -> None:
    found = places([0, 0, 1], [1.0, 3.0, 5.0], wanted=[11.0, np.nan], variance=1.0, catalogue=0.5)
    mean, weight = found.means(np.ones(3, bool), told(found))
    # (1 + 3 + 2 x 11) / 4; of the other star the detection, and next to nothing of the guess at 0
    assert mean[0, 0] == pytest.approx(26 / 4)
    assert mean[1, 0] == pytest.approx(5.0, rel=1e-5)
    np.testing.assert_allclose(weight, [4.0, 1.0 + 1e-6])
    without, weight = found.means(np.array([True, False, True]), np.array([False, False]))
    assert without[0, 0] == pytest.approx(1.0, rel=1e-5)
    assert weight[0] == pytest.approx(1.0, rel=1e-5)


def test_a_star_without_any_place_stays_at_its_first_guess() -> None:
    found = places([0], [4.0], wanted=[np.nan, np.nan])
    mean, _ = found.means(np.array([False]), told(found))
    np.testing.assert_array_equal(mean, np.zeros((2, 2)))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(-5.0, 5.0), min_size=2, max_size=6), st.floats(0.1, 4.0))
def test_a_pull_is_against_the_stars_other_places_and_not_against_itself(
    offsets, variance
) -> None:
    count = len(offsets)
    found = places([0] * count, offsets, wanted=[np.nan], variance=variance, loose=1e12)
    chi2, far = found.pulls(np.ones(count, bool), told(found))
    for number, value in enumerate(offsets):
        others = offsets[:number] + offsets[number + 1 :]
        # variance of a difference from the mean of the others; (dx^2 + dy^2) / 2 with dy = 0
        expected = (value - np.mean(others)) ** 2 / (variance * count / (count - 1)) / 2
        assert chi2[number] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert far.tolist() == [0.0]


def test_a_place_without_another_one_has_no_pull() -> None:
    found = places([0, 1], [50.0, 3.0], wanted=[np.nan, 4.0])
    chi2, far = found.pulls(np.ones(2, bool), told(found))
    assert (chi2[0], far[0]) == (0.0, 0.0)
    assert chi2[1] == far[1] == pytest.approx(1.0 / 2.0 / 2.0)
    chi2, far = found.pulls(np.ones(2, bool), np.zeros(2, bool))
    assert not chi2.any()
    assert not far.any()


def test_the_one_that_is_far_off_goes_and_those_that_it_pulled_stay() -> None:
    found = places([0] * 4, [0.0, 0.5, -0.5, 30.0], wanted=[0.2])
    kept, catalogue = found.without_discrepant(np.ones(4, bool), told(found), 4.0)
    assert kept.tolist() == [True, True, True, False]
    assert catalogue.tolist() == [True]


def test_two_wild_places_go_one_after_the_other() -> None:
    found = places([0] * 6, [0.0, 0.3, -0.3, 0.1, 40.0, -25.0], wanted=[np.nan])
    kept, _ = found.without_discrepant(np.ones(6, bool), told(found), 4.0)
    assert kept.tolist() == [True] * 4 + [False] * 2


def test_the_catalogues_place_goes_where_it_is_the_one_that_is_wrong() -> None:
    found = places([0, 0, 0, 1, 1], [0.0, 0.2, -0.2, 1.0, 1.1], wanted=[25.0, 1.0])
    kept, catalogue = found.without_discrepant(np.ones(5, bool), told(found), 4.0)
    assert kept.all()
    assert catalogue.tolist() == [False, True]


def test_of_two_that_contradict_each_other_none_is_to_be_used() -> None:
    found = places([0, 0, 1, 1], [0.0, 30.0, 2.0, 2.5], wanted=[np.nan, np.nan])
    kept, catalogue = found.without_discrepant(np.ones(4, bool), told(found), 4.0)
    number = found.number(kept, catalogue)
    assert number[0] < 2
    assert (number[1], kept[2:].all()) == (2, True)


def test_what_was_out_stays_out_and_what_was_given_is_not_changed() -> None:
    found = places([0] * 5, [0.0, 1.0, 0.5, -30.0, 50.0], wanted=[0.0])
    begun, catalogue = np.array([True, True, True, True, False]), told(found)
    kept, _ = found.without_discrepant(begun, catalogue, 4.0)
    assert kept.tolist() == [True, True, True, False, False]
    assert begun.tolist() == [True, True, True, True, False]
    assert catalogue.tolist() == [True]


@pytest.mark.parametrize(("apart", "stays"), [(7.9, True), (8.1, False)])
def test_the_limit_is_in_standard_deviations(apart: float, stays) -> None:
    # of the difference of two places of variance 1, the mean of x and y: apart / 2
    found = places([0, 0], [0.0, apart], wanted=[np.nan], loose=1e12)
    kept, _ = found.without_discrepant(np.ones(2, bool), told(found), 4.0)
    assert kept.all() == stays


def test_against_one_detection_alone_the_catalogue_stays() -> None:
    found = places([0], [40.0], wanted=[0.0])
    kept, catalogue = found.without_discrepant(np.ones(1, bool), told(found), 4.0)
    assert (kept.tolist(), catalogue.tolist()) == ([False], [True])
