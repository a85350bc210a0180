"""Friends of friends against the slow way, and groups with one source of a list each."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reduction.steps.friends import friends, unit_vectors
from reduction.steps.single_out import single_out

# steps of a quarter of the reach: many pairs are apart by the reach to the letter
LATTICE = arrays.arrays(
    np.int64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(0, 12)
)


def groups_of(labels) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def slowly(points: np.ndarray, reach: float) -> set[frozenset[int]]:
    """Groups by asking each pair, again and again."""
    near = np.linalg.norm(points[:, None] - points[None], axis=2) <= reach * (1 + 1e-12)
    label = np.arange(len(points))
    while True:
        lowest = np.where(near, label[None], len(points)).min(axis=1)
        if (lowest == label).all():
            return groups_of(label)
        label = lowest


@settings(deadline=None, derandomize=True, max_examples=200)
@given(LATTICE, st.sampled_from([1.0, 2.0, 4.0, 5.0, 12.0]))
def test_friends_are_found_as_by_asking_every_pair(lattice, steps) -> None:
    points = lattice * 0.25
    group = friends(points, steps * 0.25)
    assert groups_of(group) == slowly(points, steps * 0.25)
    assert sorted(set(group.tolist())) == list(range(group.max() + 1))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(0, 10**6), st.floats(0.01, 0.3))
def test_friends_do_not_depend_on_the_order_of_the_points(seed, reach) -> None:
    random = np.random.default_rng(seed)
    points, order = random.random((60, 3)), random.permutation(60)
    found = friends(points[order], reach)
    again = np.empty(60, np.intp)
    again[order] = found
    assert groups_of(again) == groups_of(friends(points, reach))


def test_points_that_coincide_are_friends_at_no_distance_and_no_points_have_none() -> None:
    points = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5 + 1e-12]])
    assert groups_of(friends(points, 0.0)) == {frozenset({0, 1}), frozenset({2})}
    assert len(friends(np.empty((0, 3)), 1.0)) == 0


def test_a_chain_reaches_as_far_as_its_steps_are_short() -> None:
    line = np.zeros((100, 3))
    line[:, 0] = np.arange(100)
    assert friends(line, 1.0).max() == 0
    line[50:, 0] += 1e-6
    assert friends(line, 1.0).max() == 1


def test_directions_are_unit_vectors() -> None:
    found = unit_vectors(np.array([0.0, 90.0, 45.0, 10.0]), np.array([0.0, 0.0, 0.0, -90.0]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        found, [[1, 0, 0], [0, 1, 0], [half, half, 0], [0, 0, -1]], atol=1e-15
    )


@settings(deadline=None, derandomize=True, max_examples=200)
@given(LATTICE, st.data())
def test_a_group_that_was_singled_out_has_one_source_of_a_list_at_most(lattice, data) -> None:
    points, reach = lattice * 0.25, 1.0
    lists = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(points), max_size=len(points)))
    )
    before = friends(points, reach)
    labels, contested = single_out(points, lists, before, reach)
    for group in groups_of(labels):
        members = sorted(group)
        assert len({int(lists[m]) for m in members}) == len(members)
        assert len({int(before[m]) for m in members}) == 1, "groups are split, never joined"
    for group in groups_of(before):
        members = sorted(group)
        crowded = len({int(lists[m]) for m in members}) < len(members)
        assert (contested[members] == crowded).all()
        if not crowded:
            assert len({int(labels[m]) for m in members}) == 1, "others stay whole"


def test_of_two_sources_of_a_list_the_nearer_one_is_singled_out() -> None:
    points = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.5, 0, 0]])
    labels, contested = single_out(points, np.array([0, 1, 1]), np.zeros(3, np.intp), 1.0)
    assert labels[0] == labels[1] != labels[2]
    assert contested.all()


def test_pieces_are_put_together_again_closest_first() -> None:
    # no step parts the ends and keeps the middle with the nearer one: 0.7 keeps all, 0.49 none
    points = np.array([[0.0, 0, 0], [0.5, 0, 0], [1.1, 0, 0]])
    labels, _ = single_out(points, np.array([0, 1, 0]), np.zeros(3, np.intp), 1.0)
    assert groups_of(labels) == {frozenset({0, 1}), frozenset({2})}


def test_pieces_of_two_groups_are_not_put_together_however_near() -> None:
    points = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.1, 0, 0], [0.3, 0, 0]])
    labels, contested = single_out(points, np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 1.0)
    assert len(set(labels.tolist())) == 4
    assert contested.all()


def test_sources_of_one_list_at_one_place_stand_alone() -> None:
    labels, _ = single_out(np.zeros((3, 3)), np.array([4, 4, 4]), np.zeros(3, np.intp), 1.0)
    assert len(set(labels.tolist())) == 3


def test_nothing_is_singled_out_of_nothing() -> None:
    labels, contested = single_out(np.empty((0, 3)), np.empty(0, int), np.empty(0, np.intp), 1.0)
    assert (len(labels), len(contested)) == (0, 0)


@pytest.mark.parametrize("offset", [0, 7])
def test_list_numbers_are_names_and_no_counts(offset: int) -> None:
    points = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.9, 0, 0], [1.0, 0, 0]])
    lists = np.array([0, 1, 0, 1]) + offset
    labels, _ = single_out(points, lists, np.zeros(4, np.intp), 1.0)
    assert groups_of(labels) == {frozenset({0, 1}), frozenset({2, 3})}
