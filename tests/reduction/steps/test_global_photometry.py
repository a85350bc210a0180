"""Zero points of many frames from the stars that they share, with clouds over some of them."""

from __future__ import annotations

__all__: list[str] = []

import tracemalloc

import numpy as np
import pytest

from reduction.steps.global_photometry import link_stars, solve_zero_points

pytestmark = pytest.mark.science

FLOOR = 0.005


def survey(*, seed: int = 3, frames: int = 60, stars: int = 1500, standards: int = 40) -> dict:
    """A strip of overlapping frames: a third is under clouds, standards lie on the first five."""
    rng = np.random.default_rng(seed)
    place, mag = rng.uniform(0.0, 31.0, stars), rng.uniform(14.0, 19.0, stars)
    centre = np.arange(frames) * 0.5
    clouds = np.where(np.arange(frames) % 3 == 1, rng.uniform(0.1, 1.5, frames), 0.0)
    zero = 24.0 + rng.normal(0.0, 0.05, frames) - clouds
    index = [np.flatnonzero(np.abs(place - c - 0.5) < 0.5) for c in centre]
    frame = np.concatenate([np.full(len(stars), f) for f, stars in enumerate(index)])
    star = np.concatenate(index)
    error = 0.003 * 10 ** (0.2 * (mag[star] - 14.0))
    noise = np.hypot(error, FLOOR) * rng.standard_normal(len(star))
    held = np.full(stars, np.nan)
    near = np.flatnonzero(place < 3.0)[:standards]
    held[near] = mag[near] + 0.01 * rng.standard_normal(len(near))
    return {
        "truth": zero,
        "mags": mag,
        "clouds": clouds,
        "given": {
            "frame": frame,
            "star": star,
            "magnitude": mag[star] - zero[frame] + noise,
            "error": error,
            "n_frames": frames,
            "standard": held,
            "standard_error": np.full(stars, 0.01),
            "floor": FLOOR,
        },
    }


def test_zero_points_of_all_frames_are_recovered_within_their_errors() -> None:
    pulls = []
    for seed in range(12):
        made = survey(seed=seed)
        found = solve_zero_points(**made["given"])
        miss = found.zero_points - made["truth"]
        assert np.abs(miss / found.errors).max() < 4.5
        pulls.append(miss / found.errors)
        assert found.chi2 == pytest.approx(1.0, abs=0.1)
    # neighbours are correlated: a chain of 60 has some 10 independent pulls
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.25)


def test_errors_are_right_where_frames_are_not_connected() -> None:
    # pairs of frames with two stars in common, one of them a standard, and nothing between pairs
    pairs, rng = 400, np.random.default_rng(9)
    zero, mag = rng.normal(24.0, 0.1, 2 * pairs), rng.uniform(14.0, 16.0, 2 * pairs)
    frame = np.repeat(np.arange(2 * pairs), 2)
    star = 2 * (frame // 2) + np.tile([0, 1], 2 * pairs)
    error = np.full(len(frame), 0.01)
    noise = np.hypot(0.01, FLOOR) * rng.standard_normal(len(frame))
    held = np.where(np.arange(2 * pairs) % 2 == 0, mag, np.nan)
    found = solve_zero_points(
        frame=frame,
        star=star,
        magnitude=mag[star] - zero[frame] + noise,
        error=error,
        n_frames=2 * pairs,
        standard=held,
        standard_error=np.full(2 * pairs, 0.001),
        floor=FLOOR,
    )
    # two measurements a star, three unknowns and one constant a pair: one degree of freedom each
    assert found.chi2 == pytest.approx(1.0, abs=0.25)
    pull = (found.zero_points - zero) / found.errors
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)


def test_a_frame_under_clouds_is_as_good_as_its_neighbours() -> None:
    made = survey()
    found = solve_zero_points(**made["given"])
    cloudy = made["clouds"] > 0
    assert found.errors[cloudy].mean() < 1.2 * found.errors[~cloudy].mean()
    assert np.abs(found.zero_points - made["truth"])[cloudy].max() < 5 * found.errors.max()


def test_errors_grow_away_from_the_standards() -> None:
    found = solve_zero_points(**survey()["given"])
    assert found.errors[-1] > 2.0 * found.errors[0]
    assert found.n_standards[0] > 0
    assert found.n_standards[-1] == 0


def test_variable_stars_and_wrong_standards_do_no_harm() -> None:
    made = survey()
    clean = solve_zero_points(**made["given"])
    rng = np.random.default_rng(8)
    spoiled = {**made["given"], "magnitude": made["given"]["magnitude"].copy()}
    some = rng.choice(len(spoiled["magnitude"]), len(spoiled["magnitude"]) // 50, replace=False)
    spoiled["magnitude"][some] += rng.normal(0.0, 1.0, len(some))
    spoiled["standard"] = spoiled["standard"].copy()
    spoiled["standard"][np.flatnonzero(np.isfinite(spoiled["standard"]))[:2]] += 0.8
    found = solve_zero_points(**spoiled)
    assert np.abs(found.zero_points - clean.zero_points).max() < 2.0 * clean.errors.max()
    assert found.used[some].mean() < 0.2


def test_standards_that_scatter_by_their_colours_are_averaged_not_left_to_the_best_known() -> None:
    """A catalogue's errors say nothing of colours: those of the brightest are the smallest."""
    rng = np.random.default_rng(12)
    misses, scatters = [], []
    for seed in range(8):
        made = survey(seed=seed, standards=80)
        given = dict(made["given"])
        held = np.flatnonzero(np.isfinite(given["standard"]))
        colours = rng.normal(0.0, 0.2, len(held))
        given["standard"] = given["standard"].copy()
        given["standard"][held] = made["mags"][held] + colours
        given["standard_error"] = np.full(len(given["standard"]), 0.03)
        # five by chance alike, known ten times better than the others
        given["standard"][held[:5]] = made["mags"][held[:5]] - 0.2
        given["standard_error"][held[:5]] = 0.003
        found = solve_zero_points(**given)
        near = slice(0, 5)
        misses.append((found.zero_points - made["truth"])[near].mean())
        scatters.append(found.standard_scatter)
        assert found.errors[0] > 0.02  # 0.2 over the root of 80
        assert found.n_standards[near].sum() > 60
    # the mean of 80, five of which are off by 0.2: 0.01, and 0.02 by chance
    assert abs(np.mean(misses)) < 0.03
    assert np.abs(misses).max() < 0.08
    assert np.mean(scatters) == pytest.approx(0.2, rel=0.15)


def test_a_frame_that_nothing_ties_has_no_zero_point() -> None:
    made = survey()["given"]
    alone = made["n_frames"]
    stars = len(made["standard"])
    made["frame"] = np.append(made["frame"], [alone, alone])
    made["star"] = np.append(made["star"], [stars, stars + 1])
    made["magnitude"] = np.append(made["magnitude"], [-8.0, -7.0])
    made["error"] = np.append(made["error"], [0.01, 0.01])
    made["standard"] = np.append(made["standard"], [np.nan, np.nan])
    made["standard_error"] = np.append(made["standard_error"], [np.nan, np.nan])
    made["n_frames"] = alone + 1
    found = solve_zero_points(**made)
    assert np.isnan(found.zero_points[alone])
    assert np.isnan(found.magnitudes[stars:]).all()
    assert np.isfinite(found.zero_points[:alone]).all()


def test_stars_are_linked_over_frames_and_pole() -> None:
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(0.0, 360.0, 200), rng.uniform(89.0, 89.99, 200)
    moved = dec + 0.2 / 3600.0
    star = link_stars(
        np.tile(ra, 2), np.concatenate((dec, moved)), np.repeat([0, 1], 200), radius=1.0
    )
    assert (star[:200] == star[200:]).all()
    assert len(np.unique(star)) == 200


def test_stars_on_very_many_frames_are_linked_without_all_their_pairs() -> None:
    # 40 stars on 1000 frames: 20 million pairs, 320 MB of them alone
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(150.0, 150.2, 40), rng.uniform(2.0, 2.2, 40)
    frame, star = (which.ravel() for which in np.mgrid[:1000, :40])
    shift = rng.normal(0.0, 0.05 / 3600.0, (2, len(star)))
    tracemalloc.start()
    found = link_stars(ra[star] + shift[0], dec[star] + shift[1], frame, radius=1.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(found)) == 40
    assert (found.reshape(1000, 40) == found[:40]).all()
    assert most < 64e6


def test_two_sources_of_one_frame_are_never_one_star() -> None:
    ra = np.array([10.0, 10.0, 10.0 + 0.5 / 3600, 20.0])
    star = link_stars(ra, np.zeros(4), np.array([0, 1, 1, 0]), radius=1.0)
    assert star.tolist() == [-1, -1, -1, -1]


def test_errors_are_those_that_measurements_show_where_these_say_too_little() -> None:
    # twice the noise that errors and floor promise: flat field, colours, changing clouds
    rng, pulls, chi2 = np.random.default_rng(4), [], []
    for _ in range(80):
        zero, mag = 25.0 + rng.normal(0.0, 0.3, 12), rng.uniform(15.0, 18.0, 80)
        frame, star = np.nonzero(rng.random((12, 80)) < 0.5)
        held = np.full(80, np.nan)
        some = rng.choice(80, 10, replace=False)
        held[some] = mag[some] + rng.normal(0.0, 0.0206, 10)
        found = solve_zero_points(
            *(frame, star, mag[star] - zero[frame] + rng.normal(0.0, 0.0206, len(frame))),
            np.full(len(frame), 0.0025),
            n_frames=12,
            standard=held,
            standard_error=np.full(80, 0.0025),
            floor=0.01,
        )
        pulls.append((found.zero_points - zero) / found.errors)
        chi2.append(found.chi2)
    # a frame's error is mostly the ten standards', common to the twelve: 80 independent pulls
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    # that of the measurements is 4, of the standards, whose own excess is found, 1
    assert np.mean(chi2) > 3.0


def test_errors_of_frames_in_many_unconnected_pairs_are_those_that_are_made() -> None:
    pulls, errors = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        pairs, stars = 20, 2
        truth = rng.normal(25.0, 0.1, 2 * pairs)
        pair, side, number = (which.ravel() for which in np.mgrid[:pairs, :2, :stars])
        frame, star = 2 * pair + side, stars * pair + number
        mag = rng.uniform(12.0, 15.0, pairs * stars)
        found = solve_zero_points(
            *(frame, star, mag[star] - truth[frame] + rng.normal(0.0, 0.02, len(star))),
            np.full(len(star), 0.02),
            n_frames=2 * pairs,
            standard=mag + rng.normal(0.0, 0.02, len(mag)),
            standard_error=np.full(len(mag), 0.02),
            floor=1e-4,
        )
        pulls.append((found.zero_points - truth) / found.errors)
        errors.append(np.median(found.errors))
    # 200 independent pairs: 5 %; what 20 degrees of freedom say of the scatter is taken only
    # where it is more, which makes errors a tenth larger
    assert np.std(pulls) == pytest.approx(0.92, abs=0.12)
    # mean of two frames 0.02 sqrt(3 / 4), half of their difference 0.02 / 2: together 0.02
    assert np.median(errors) == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_one_of_a_fields_few_standards_that_is_far_off_is_left_out(number: int) -> None:
    misses, errors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        zero, mag = 25.0 + rng.normal(0.0, 0.3, 6), rng.uniform(15.0, 18.0, 60)
        frame, star = np.nonzero(rng.random((6, 60)) < 0.8)
        held, some = np.full(60, np.nan), rng.choice(60, number, replace=False)
        held[some] = mag[some] + rng.normal(0.0, 0.02, number)
        held[some[0]] += 0.5
        found = solve_zero_points(
            *(frame, star, mag[star] - zero[frame] + rng.normal(0.0, 0.01, len(star))),
            np.full(len(star), 0.01),
            n_frames=6,
            standard=held,
            standard_error=np.full(60, 0.02),
        )
        misses.append(float(np.mean(found.zero_points - zero)))
        errors.append(float(np.mean(found.errors)))
    # 0.02 mag of two to four standards; by clipping alone 3 of 12 fields had no zero point at all
    assert np.abs(misses).max() < 0.05
    assert np.max(errors) < 0.03
    assert np.std(misses) == pytest.approx(np.mean(errors), rel=0.5)
