"""Matching points of a plane whose place, turn and parity are not known."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reduction.steps.matching import Similarity, find_rotation, find_shift, match_nearest

# 200 pixels between neighbours, a tolerance of 1: nothing meets by chance
POINTS = arrays.arrays(
    np.int64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(0, 9)
)


def pattern(count: int, seed: int = 1) -> np.ndarray:
    """Points without order in a square of 1000, centred on 0."""
    return np.random.default_rng(seed).uniform(-500.0, 500.0, (count, 2))


def turned(points: np.ndarray, degrees: float, *, mirror: bool = False) -> np.ndarray:
    a = math.radians(degrees)
    matrix = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    return points @ (matrix @ np.diag([-1.0, 1.0]) if mirror else matrix).T


@settings(deadline=None, derandomize=True)
@given(POINTS, POINTS, st.floats(0.1, 5.0))
def test_pairs_are_each_others_nearest_and_within_the_radius(points, others, radius) -> None:
    points, others = points.astype(float), others.astype(float)
    here, there = match_nearest(points, others, radius)
    assert len(here) == len(there)
    assert len(set(here.tolist())) == len(here)
    distance = np.linalg.norm(points[:, None] - others[None], axis=2)
    for i, j in zip(here, there, strict=True):
        assert distance[i, j] < radius
        assert distance[i, j] == distance[i].min() == distance[:, j].min()


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_points_without_equal_distances_pair_alike_from_either_side(count, seed) -> None:
    random = np.random.default_rng(seed)
    points, others = random.random((count, 2)), random.random((count + 3, 2))
    here, there = match_nearest(points, others, 0.2)
    back, forth = match_nearest(others, points, 0.2)
    assert set(zip(here, there, strict=True)) == set(zip(forth, back, strict=True))


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_matches_nothing(n: int, m: int) -> None:
    here, there = match_nearest(np.zeros((n, 2)), np.zeros((m, 2)), 1.0)
    assert (len(here), len(there)) == (0, 0)
    assert find_shift(np.zeros((n, 2)), np.zeros((m, 2)), reach=9.0, tolerance=1.0).matches == 0
    assert find_rotation(np.zeros((n, 2)), np.zeros((m, 2)), reach=9.0, tolerance=1.0).matches == 0


@pytest.mark.parametrize("shift", [(0.0, 0.0), (37.0, -52.0), (-69.0, 0.0)])
def test_a_shift_is_found_among_points_that_are_only_in_one_set(shift) -> None:
    both, lone = pattern(12), pattern(12, seed=2)
    points = np.concatenate((both, lone[:6]))
    others = np.concatenate((both + shift, lone[6:]))
    found = find_shift(points, others, reach=70.0, tolerance=1.0)
    assert found.matches == 12
    np.testing.assert_allclose(found.shift, shift, atol=1e-9)
    np.testing.assert_array_equal(found.matrix, np.eye(2))


def test_a_shift_beyond_reach_is_not_found() -> None:
    points = pattern(12)
    found = find_shift(points, points + np.array((80.0, 0.0)), reach=70.0, tolerance=1.0)
    assert found.matches <= 2  # of chance: a pair that happens to be near


def test_one_bright_point_does_not_vote_for_a_shift_as_often_as_it_has_neighbours() -> None:
    # a clump of 20 within the tolerance votes once for the lone point, not 20 times
    clump = np.random.default_rng(3).uniform(0.0, 0.3, (20, 2))
    pair = np.array([[100.0, 0.0], [200.0, 50.0], [300.0, -20.0]])
    points = np.concatenate((np.array([[0.0, 0.0]]), pair))
    found = find_shift(
        points, np.concatenate((clump + 5.0, pair + 9.0)), reach=20.0, tolerance=1.0
    )
    assert found.matches == 3
    np.testing.assert_allclose(found.shift, (9.0, 9.0), atol=0.5)


def test_of_two_shifts_with_equal_votes_that_of_the_brighter_points_counts() -> None:
    bright, faint = np.array([[0.0, 0.0], [50.0, 10.0]]), np.array([[500.0, 0.0], [550.0, 90.0]])
    others = np.concatenate((faint - np.array((6.0, 0.0)), bright + np.array((6.0, 0.0))))
    found = find_shift(np.concatenate((bright, faint)), others, reach=8.0, tolerance=0.5)
    assert found.matches == 2
    np.testing.assert_allclose(found.shift, (6.0, 0.0), atol=1e-9)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 89.0, 180.0, 313.0])
def test_turn_parity_shift_and_scale_are_found_together(degrees, mirror) -> None:
    points = pattern(25)
    true = turned(points, degrees, mirror=mirror) * 1.004 + (40.0, -25.0)
    # a third of either set is not in the other, and places have errors of a tenth of a pixel
    errors = np.random.default_rng(5).normal(0.0, 0.1, true.shape)
    others = np.concatenate(((true + errors)[:18], pattern(8, seed=6)))
    found = find_rotation(points, others, reach=60.0, tolerance=1.5)
    assert found.matches >= 18
    assert np.sign(np.linalg.det(found.matrix)) == (-1 if mirror else 1)
    assert math.sqrt(abs(np.linalg.det(found.matrix))) == pytest.approx(1.004, abs=2e-3)
    # within the tolerance anywhere on the frame
    assert np.linalg.norm(found.apply(points) - true, axis=1).max() < 1.5


def test_a_middle_further_off_than_the_reach_is_not_believed() -> None:
    points = pattern(20)
    others = turned(points, 30.0) + np.array((90.0, 0.0))
    assert find_rotation(points, others, reach=100.0, tolerance=1.0).matches == 20
    assert find_rotation(points, others, reach=80.0, tolerance=1.0).matches < 8


def test_a_scale_that_is_further_off_than_allowed_is_not_found() -> None:
    points = pattern(20)
    others = turned(points, 30.0) * 1.05
    near = find_rotation(points, others, reach=50.0, tolerance=1.0, scale_error=0.01)
    wide = find_rotation(points, others, reach=50.0, tolerance=1.0, scale_error=0.06)
    assert near.matches < 8
    assert wide.matches == 20


def test_the_search_ends_where_enough_points_meet_and_where_it_may_try_no_more() -> None:
    points = pattern(30)
    others = turned(points, 200.0, mirror=True)
    whole = find_rotation(points, others, reach=50.0, tolerance=1.0, enough=31)
    early = find_rotation(points, others, reach=50.0, tolerance=1.0, enough=10)
    assert (whole.matches, early.matches >= 10) == (30, True)
    assert early.trials < whole.trials
    none = find_rotation(points, others, reach=50.0, tolerance=1.0, most=0)
    assert (none.matches, none.trials > 0) == (0, True)


def test_a_similarity_turns_and_shifts_each_point() -> None:
    matrix = np.array([[0.0, -1.0], [1.0, 0.0]])
    found = Similarity(matrix, np.array([10.0, 20.0]), 2).apply(np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(found, [[10.0, 21.0], [8.0, 20.0]])
