"""Relative photometry and the statistics of light curves, against simulated truth."""

from __future__ import annotations

__all__: list[str] = []

from types import SimpleNamespace

import numpy as np
import pytest

from reduction.steps.combine_sources import CombineMethod, combine_magnitudes, combine_positions
from reduction.steps.ensemble import relative_photometry
from reduction.steps.ensemble_terms import Orders, Surfaces
from reduction.steps.groups import group_mean, group_quantile
from reduction.steps.variability import light_curve_statistics

FLOOR = 0.004


def night(*, stars=1200, epochs=50, variables=20, outliers=0.002, seed=2, slope=0.0):
    """Magnitudes of stars through clouds of 0.2 mag, one in ten missing, with truth beside."""
    random = np.random.default_rng(seed)
    level = random.uniform(12.0, 18.0, stars)
    photon = 0.002 * 10 ** (0.3 * (level - 12.0))
    offset = random.normal(0.0, 0.2, epochs)
    offset[5] += 1.5
    time = np.sort(random.uniform(0.0, 10.0, epochs))
    star, epoch = (n.ravel() for n in np.mgrid[:stars, :epochs])
    kept = random.random(len(star)) < 0.9
    star, epoch = star[kept], epoch[kept]
    amplitude = np.zeros(stars)
    varying = np.arange(variables) * (stars // max(variables, 1))
    amplitude[varying] = np.maximum(0.1, 5.0 * photon[varying])
    place = random.uniform(-1.0, 1.0, stars)
    tilt = slope * random.normal(size=epochs)
    mag = level[star] + amplitude[star] * np.sin(2 * np.pi * time[epoch] / 1.3) + offset[epoch]
    mag += tilt[epoch] * place[star]
    mag += random.normal(size=len(star)) * np.hypot(photon[star], FLOOR)
    wrong = random.random(len(star)) < outliers
    mag[wrong] += random.normal(0.0, 1.0, wrong.sum())
    return SimpleNamespace(
        star=star,
        epoch=epoch,
        mag=mag,
        err=photon[star],
        time=time[epoch],
        offset=offset,
        varying=varying,
        wrong=wrong,
        stars=stars,
        tilt=tilt,
        place=np.stack((place, random.uniform(-1.0, 1.0, stars)), axis=1)[star],
    )


@pytest.mark.science
def test_offsets_of_frames_and_the_error_floor_are_recovered_within_their_errors():
    made = night()
    found = relative_photometry(made.star, made.epoch, made.mag, made.err)
    off = found.offset - made.offset
    off -= np.median(off)
    # 50 epochs give the scatter of pulls to 10 %; the median's own error is common to all
    assert 0.75 < (off / found.offset_err).std() < 1.25
    assert off.std() < 5e-4
    assert np.median(found.offset) == pytest.approx(0.0, abs=1e-12)
    # 300 stars of 45 epochs, a third of whose variance is the floor's: it is known to a percent
    assert found.floor == pytest.approx(FLOOR, rel=0.05)
    assert not found.constant[made.varying].any()
    assert found.constant.sum() > 0.97 * (made.stars - len(made.varying))


@pytest.mark.science
def test_variables_are_found_and_constants_have_chi_square_about_one():
    made = night()
    found = relative_photometry(made.star, made.epoch, made.mag, made.err)
    good = ~made.wrong
    table = light_curve_statistics(
        *(made.star[good], made.time[good], found.mag[good], found.mag_err[good]),
        stars=made.stars,
    )
    constant = np.setdiff1d(np.arange(made.stars), made.varying)
    chi2 = table["chi2"][constant]
    freedom = table["n_epochs"][constant] - 1
    # mean 1, scatter sqrt(2 / freedom), by 1180 stars
    assert chi2.mean() == pytest.approx(1.0, abs=0.03)
    assert (chi2 - 1.0).std() == pytest.approx(np.sqrt(2.0 / freedom).mean(), rel=0.1)
    assert table["chi2"][made.varying].min() > chi2.max()
    assert table["stetson"][made.varying].min() > 0.8
    assert abs(table["stetson"][constant].mean()) < 0.05
    assert table["stetson"][constant].max() < 0.8
    noise = np.hypot(0.002 * 10 ** (0.3 * (table["mag"][constant] - 12.0)), FLOOR)
    assert np.median(table["rms"][constant] / noise) == pytest.approx(1.0, abs=0.05)
    assert np.median(table["mad"][constant] / noise) == pytest.approx(1.0, abs=0.08)


@pytest.mark.science
def test_errors_that_are_too_small_are_brought_to_what_the_stars_show():
    made = night(stars=800)
    found = relative_photometry(made.star, made.epoch, made.mag, made.err / 1.5)
    # 800 stars in 20 bins: the median variance of a bin is known to 4 %
    assert found.scale == pytest.approx(1.5, rel=0.03)
    assert found.floor == pytest.approx(FLOOR, rel=0.1)
    assert not found.constant[made.varying].any()
    told = relative_photometry(made.star, made.epoch, made.mag, made.err, floor=0.01)
    assert (told.scale, told.floor) == (1.0, 0.01)


@pytest.mark.science
def test_a_slope_across_the_field_is_taken_off_where_it_is_allowed():
    made = night(variables=0, slope=0.02, stars=600)
    flat = relative_photometry(made.star, made.epoch, made.mag, made.err)
    sloped = relative_photometry(
        *(made.star, made.epoch, made.mag, made.err),
        surfaces=Surfaces(made.place, made.place, 0 * made.star, Orders(1, 0)),
    )
    assert flat.floor > 1.5 * FLOOR
    assert sloped.floor == pytest.approx(FLOOR, rel=0.07)
    # at the mean place of each frame's stars
    middle = group_mean(made.place[:, 0], np.ones(len(made.star)), made.epoch, 50)
    offset = made.offset + made.tilt * middle
    assert sloped.offset - np.median(sloped.offset - offset) == pytest.approx(offset, abs=2e-3)


def test_frames_without_a_constant_star_in_common_have_levels_of_their_own():
    star = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    epoch = np.array([0, 1, 2, 0, 1, 2, 3, 4])
    mag = np.array([10.0, 10.5, 10.1, 12.0, 12.5, 12.1, 15.0, 15.2])
    found = relative_photometry(star, epoch, mag, np.full(8, 0.01), floor=0.0, min_epochs=2)
    assert found.offset[:3] == pytest.approx([-0.1, 0.4, 0.0])
    assert found.offset[3:] == pytest.approx([-0.1, 0.1])
    assert found.part.tolist() == [0, 0, 0, 1, 1]
    alone = relative_photometry(star, epoch, mag, np.full(8, 0.01), floor=0.0, min_epochs=3)
    assert np.isnan(alone.offset[3:]).all()
    assert np.isnan(alone.mag[6:]).all()
    assert np.isfinite(alone.mag[:6]).all()


def test_statistics_of_a_light_curve_are_what_they_say():
    random = np.random.default_rng(1)
    mag, err = 15.0 + random.normal(0.0, 0.1, 21), random.uniform(0.05, 0.2, 21)
    table = light_curve_statistics(
        np.r_[np.zeros(21, int), 2, 1, 1],
        np.arange(24.0),
        np.r_[mag, 12.0, 11.0, np.nan],
        np.r_[err, 0.1, 0.1, 0.1],
        stars=4,
    )
    weight = err**-2
    mean = (weight * mag).sum() / weight.sum()
    assert table["n_epochs"].tolist() == [21, 1, 1, 0]
    assert table["mag"][0] == pytest.approx(mean)
    assert table["mag_err"][0] == pytest.approx(weight.sum() ** -0.5)
    assert table["median"][0] == np.median(mag)
    assert table["rms"][0] == pytest.approx(mag.std(ddof=1))
    assert table["chi2"][0] == pytest.approx((weight * (mag - mean) ** 2).sum() / 20)
    assert table["amplitude"][0] == pytest.approx(np.subtract(*np.percentile(mag, [95, 5])))
    assert table["mad"][0] == pytest.approx(1.4826 * np.median(np.abs(mag - np.median(mag))))
    delta = np.sqrt(21 / 20) * (mag - mean) / err
    product = delta[1:] * delta[:-1]
    assert table["stetson"][0] == pytest.approx(
        (np.sign(product) * np.sqrt(np.abs(product))).mean()
    )
    assert table["worst"][0] == pytest.approx(np.abs(delta).max())
    assert table["mag"][1:3].tolist() == [11.0, 12.0]
    assert np.isnan([table[n][1] for n in ("rms", "mad", "chi2", "stetson", "worst")]).all()
    assert np.isnan(table["mag"][3])


def test_groups_have_the_quantiles_and_means_of_numpy():
    random = np.random.default_rng(3)
    group, values = random.integers(0, 30, 500), random.normal(size=500)
    values[random.random(500) < 0.1] = np.nan
    weight = np.where(np.isfinite(values), random.random(500), 0.0)
    for quantile in (0.0, 0.05, 0.5, 0.95, 1.0):
        expected = [np.nanquantile(values[group == n], quantile) for n in range(30)]
        assert group_quantile(values, group, 31, quantile)[:30] == pytest.approx(expected)
    assert np.isnan(group_quantile(values, group, 31, 0.5)[30])
    for n, mean in enumerate(group_mean(values, weight, group, 30)):
        inside = (group == n) & np.isfinite(values)
        assert mean == pytest.approx(np.average(values[inside], weights=weight[inside]))


def test_where_all_stars_vary_none_is_a_constant_one():
    star, epoch = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(20)))
    mag = 12.0 + np.random.default_rng(5).normal(0.0, 0.3, len(star))
    found = relative_photometry(star, epoch, mag, np.full(len(star), 0.003), floor=0.003)
    assert found.constant.sum() == 0
    # the frames still have offsets, of what there is
    assert np.isfinite(found.offset).any()


@pytest.mark.science
def test_combined_positions_and_magnitudes_have_the_errors_that_they_say():
    random = np.random.default_rng(4)
    stars, seen = 800, 9
    star = np.repeat(np.arange(stars), seen)
    err = random.uniform(0.05, 0.3, len(star)) / 3600.0
    centre = random.uniform(0, 360, stars)
    ra = (centre[star] + random.normal(0.0, err) / np.cos(np.radians(60.0))) % 360.0
    dec = 60.0 + random.normal(0.0, err)
    found_ra, found_dec, found_err = combine_positions(ra, dec, err, star)
    off = ((found_ra - centre + 180.0) % 360.0 - 180.0) * np.cos(np.radians(60.0))
    assert (off / found_err).std() == pytest.approx(1.0, abs=0.08)
    assert ((found_dec - 60.0) / found_err).std() == pytest.approx(1.0, abs=0.08)
    mag_err = random.uniform(0.01, 0.05, len(star))
    mag = 15.0 + random.normal(0.0, mag_err)
    mag[::90] = np.nan
    for method in CombineMethod:
        mean, error = combine_magnitudes(mag, mag_err, star, stars + 1, method=method)
        pull = (mean[:stars] - 15.0) / error[:stars]
        assert pull.std() == pytest.approx(1.0, abs=0.1)
        assert np.isnan(mean[stars])
        assert np.isnan(error[stars])


@pytest.mark.science
@pytest.mark.parametrize("method", CombineMethod)
@pytest.mark.parametrize("shared", [1, 3, 10])
def test_combined_magnitudes_have_errors_with_those_of_their_zero_points(method, shared):
    # ten frames with zero points of one solution, of three, or each of its own: good to 0.02 mag;
    # in the one all but the first frame are off by another 0.01 each
    random = np.random.default_rng(5)
    stars, frames = 12, 10
    star, frame = np.repeat(np.arange(stars), frames), np.tile(np.arange(frames), stars)
    solution = frame * shared // frames
    beyond = np.where((np.arange(frames) > 0) & (shared == 1), 0.01, 0.0)
    pulls = []
    for _ in range(400):
        common, own = random.normal(0.0, 0.02, shared), random.normal(0.0, beyond)
        mag = 15.0 + common[solution] + own[frame] + random.normal(0.0, 0.002, len(star))
        mean, said = combine_magnitudes(
            *(mag, np.full(len(star), 0.002), star, stars),
            zero_err=np.hypot(0.02, beyond)[frame],
            solution=solution,
            method=method,
        )
        pulls.append((mean - 15.0) / said)
    # 400 independent errors have a scatter good to 0.035
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)
