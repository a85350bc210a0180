"""Association of source lists: truth recovered, on all of the sphere, in any order."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.coordinates.matching import search_around_sky

from reduction.steps.associate import AssociateFlag, AssociationType, associate, mean_position
from reduction.steps.friends import friends, unit_vectors

SCATTER = 0.1 / 3600.0


def observed(ra, dec, *, frames, detected=0.95, scatter=SCATTER, seed=1):
    """Lists of stars seen with scattered positions: ra, dec, list, and which star it was."""
    random = np.random.default_rng(seed)
    parts = []
    for frame in range(frames):
        seen = np.flatnonzero(random.random(len(ra)) < detected)
        off = random.normal(0.0, scatter, (2, len(seen)))
        x = ra[seen] + off[0] / np.maximum(np.cos(np.radians(dec[seen])), 1e-6)
        y = dec[seen] + off[1]
        over = y > 90.0
        parts.append((np.where(over, x + 180.0, x) % 360.0, np.where(over, 180.0 - y, y)))
        parts[-1] += (np.full(len(seen), frame), seen)
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def agreement(rows, star):
    """Purity and completeness of associations as sets of a star's detections."""
    kind, count = np.unique(
        np.stack((rows["association"], star[rows["source"]])), axis=1, return_counts=True
    )
    largest = np.zeros(rows["association"].max() + 1, int)
    np.maximum.at(largest, kind[0], count)
    together = np.zeros(star.max() + 1, int)
    np.maximum.at(together, kind[1], count)
    return largest.sum() / len(rows), together.sum() / len(star)


def partition(rows, number):
    """Associations as a set of sets of source numbers."""
    groups = {}
    for association, source in zip(rows["association"], number[rows["source"]], strict=True):
        groups.setdefault(int(association), set()).add(int(source))
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("centre", [(0.0, 0.0), (359.99, 60.0), (123.0, 90.0), (10.0, -90.0)])
def test_simulated_lists_give_their_stars_back_wherever_they_are(centre):
    # 2000 stars in a cap of half a degree, 0.1 arcsec of scatter, 1 arcsec of search: a neighbour
    # closer than that has 1 star in 1000, and is told apart by its distance in most of them
    random = np.random.default_rng(3)
    distance, angle = 0.5 * np.sqrt(random.random(2000)), random.uniform(0, 360, 2000)
    middle = SkyCoord(*centre, unit="deg")
    stars = middle.directional_offset_by(angle * units.deg, distance * units.deg)
    ra, dec, lists, star = observed(stars.ra.deg, stars.dec.deg, frames=12)
    rows = associate(ra, dec, lists, search_distance=1.0)
    purity, completeness = agreement(rows, star)
    assert len(rows) == len(ra)
    assert purity > 0.999
    assert completeness > 0.999
    assert abs(rows["association"].max() + 1 - 2000) <= 4
    assert rows["distance"].max() < 1.0
    # distance from the mean of 11 positions: Rayleigh's mean is sigma sqrt(pi / 2) sqrt(10 / 11)
    expected = 0.1 * np.sqrt(np.pi / 2) * np.sqrt(1 - 1 / 11.4)
    assert rows["distance"].mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("kind", [AssociationType.CHAIN, AssociationType.MATCHED])
@pytest.mark.parametrize("single", [True, False])
def test_the_order_of_sources_and_lists_does_not_matter(kind, single):
    random = np.random.default_rng(5)
    # crowded on purpose: a star in each 2 x 2 arcsec
    stars = random.uniform(0.0, 60.0 / 3600.0, (2, 900))
    ra, dec, lists, _ = observed(*stars, frames=5, detected=0.8, scatter=0.2 / 3600.0)
    number = np.arange(len(ra))
    expected = partition(
        associate(ra, dec, lists, search_distance=1.0, kind=kind, single_out_closest=single),
        number,
    )
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(len(ra))
        renamed = np.random.default_rng(seed).permutation(5)[lists[shuffled]]
        rows = associate(
            *(ra[shuffled], dec[shuffled], renamed),
            search_distance=1.0,
            kind=kind,
            single_out_closest=single,
        )
        assert partition(rows, number[shuffled]) == expected


def test_singled_out_associations_have_one_source_of_a_list_and_the_closest_one():
    # two stars 0.8 arcsec apart on three frames, on one of them a third, wrong detection
    dec = np.array([0.0, 0.8, 0.05, 0.85, 0.02, 0.82, 0.4]) / 3600.0
    lists = np.array([0, 0, 1, 1, 2, 2, 2])
    rows = associate(np.full(7, 10.0), dec, lists, search_distance=1.0)
    assert partition(rows, np.arange(7)) == {
        frozenset({0, 2, 4}),
        frozenset({1, 3, 5}),
        frozenset({6}),
    }
    assert (rows["flag"] & AssociateFlag.CONTESTED != 0).all()
    assert rows["flag"][rows["source"] == 6] & AssociateFlag.ALONE
    whole = associate(np.full(7, 10.0), dec, lists, search_distance=1.0, single_out_closest=False)
    assert partition(whole, np.arange(7)) == {frozenset(range(7))}
    assert (whole["flag"] == AssociateFlag.REPEATED).all()


def test_a_master_list_gathers_what_is_nearest_to_its_sources():
    dec = np.array([0.0, 10.0, 0.3, 0.1, 9.5, 30.0]) / 3600.0
    lists = np.array([0, 0, 1, 1, 2, 2])
    rows = associate(np.zeros(6), dec, lists, search_distance=1.0, kind=AssociationType.MASTER)
    assert partition(rows, np.arange(6)) == {frozenset({0, 3}), frozenset({1, 4})}
    assert rows["flag"][rows["source"] == 3] == AssociateFlag.CONTESTED
    both = associate(
        *(np.zeros(6), dec, lists),
        search_distance=1.0,
        kind=AssociationType.MASTER,
        single_out_closest=False,
    )
    assert partition(both, np.arange(6)) == {frozenset({0, 2, 3}), frozenset({1, 4})}


def test_matched_wants_a_source_of_every_list_all_near_each_other():
    dec = np.array([0.0, 0.7, 1.4, 60.0, 60.5, 60.9, 120.0, 120.1]) / 3600.0
    lists = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    chain = associate(np.zeros(8), dec, lists, search_distance=1.0)
    assert frozenset({0, 1, 2}) in partition(chain, np.arange(8))
    rows = associate(np.zeros(8), dec, lists, search_distance=1.0, kind=AssociationType.MATCHED)
    assert partition(rows, np.arange(8)) == {frozenset({3, 4, 5})}


def test_nothing_and_positions_that_are_none_are_no_trouble():
    empty = np.empty(0)
    for kind in AssociationType:
        assert len(associate(empty, empty, empty.astype(int), search_distance=1.0, kind=kind)) == 0
    rows = associate(
        np.array([np.nan, 5.0, 5.0]), np.zeros(3), np.array([0, 1, 2]), search_distance=1.0
    )
    assert rows["source"].tolist() == [1, 2]


def test_friends_are_those_that_all_pairs_within_reach_connect():
    random = np.random.default_rng(8)
    ra, dec = random.uniform(0.0, 0.02, (2, 3000))
    sky = SkyCoord(ra, dec, unit="deg")
    one, other, _, _ = search_around_sky(sky, sky, 1.0 / 3600.0 * units.deg)
    reach = 2.0 * np.sin(np.radians(1.0 / 3600.0) / 2.0)
    group = friends(unit_vectors(ra, dec), reach)
    assert (group[one] == group[other]).all()
    leader = np.arange(3000)
    for _ in range(3000):
        lower = leader.copy()
        np.minimum.at(lower, one, leader[other])
        if (lower == leader).all():
            break
        leader = lower
    assert len(np.unique(leader)) == group.max() + 1


def test_mean_positions_do_not_know_where_zero_is():
    ra, dec = mean_position(
        np.array([359.0, 1.0, 0.0, 90.0, 180.0, 270.0]),
        np.array([0.0, 0.0, 89.0, 89.0, 89.0, 89.0]),
        np.array([0, 0, 1, 1, 1, 1]),
    )
    assert min(ra[0], 360.0 - ra[0]) == pytest.approx(0.0, abs=1e-12)
    assert dec == pytest.approx([0.0, 90.0], abs=1e-12)
