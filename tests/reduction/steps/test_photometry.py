"""Zero points and magnitudes of made-up stars."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.few_standards import right_standards
from reduction.steps.photometry import (
    aperture_sky_noise,
    expected_errors,
    intrinsic_scatter,
    isolated,
    limiting_magnitude,
    magnitudes,
    proportional_scatter,
    star_zero_points,
    zero_point,
)
from reduction.steps.transformation import fit_color_term

ZERO = 22.75


def stars(count: int, *, seed: int = 2, scatter: float = 0.03) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    mag = generator.uniform(12.0, 16.0, count)
    flux = 60.0 * 10 ** (0.4 * (ZERO - mag - generator.normal(0.0, scatter, count)))
    return {"flux": flux, "flux_err": flux / 100, "mag": mag, "mag_err": np.full(count, 0.01)}


@pytest.mark.parametrize("true", [0.0, 0.008])
def test_what_all_fluxes_are_wrong_by_is_told_by_bright_stars(true: float) -> None:
    rng = np.random.default_rng(31)
    found, plain = [], []
    for _ in range(40):
        flux = 10.0 ** rng.uniform(3.0, 5.0, 100)
        own = 100.0 / flux
        # the same light under all, of which their errors know nothing, and one in ten a blend
        miss = np.hypot(own, true) * rng.standard_normal(100)
        miss += 100.0 / flux * rng.standard_normal(100) + 0.1 * (rng.random(100) < 0.1)
        found.append(proportional_scatter(miss, own))
        plain.append(intrinsic_scatter(miss, own, robust=True))
    # stars tell it whose errors are smaller, with 0.2 to 0.5 % of such light; blends add a tenth
    assert np.median(found) == pytest.approx(true, abs=0.003)
    assert np.median(plain) > np.median(found) + 0.002
    assert proportional_scatter(np.ones(2), np.ones(2)) == 0.0


def of(made: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return star_zero_points(**made, exptime=60.0)


def test_zero_point_is_recovered_within_its_error() -> None:
    found = zero_point(*of(stars(100)))
    assert found.value == pytest.approx(ZERO, abs=4.0 * found.error)
    assert found.error == pytest.approx(0.03 / math.sqrt(100), rel=0.3)
    assert found.scatter == pytest.approx(0.03, rel=0.3)


def test_errors_of_zero_points_are_those_of_their_spread() -> None:
    # a scatter of 20 stars is itself known to 16 %: pulls are Student's, 1.06, and clipping adds
    pulls = []
    for seed in range(300):
        found = zero_point(*of(stars(20, seed=seed)))
        pulls.append((found.value - ZERO) / found.error)
    assert np.std(pulls) == pytest.approx(1.06, abs=0.15)


def test_a_star_on_many_frames_is_one_star_of_a_colour_term() -> None:
    # 20 stars of the catalogue's 0.02 mag on 30 frames, measured to 0.01
    rng, pulls = np.random.default_rng(2), []
    frame, star = np.repeat(np.arange(30), 20), np.tile(np.arange(20), 30)
    for _ in range(200):
        color, catalogue = rng.uniform(0.0, 1.5, 20), rng.normal(0.0, 0.02, 20)
        z = (25.0 + 0.1 * (color - 0.5) + catalogue)[star] + rng.normal(0.0, 0.01, 600)
        term, error, count = fit_color_term(
            *(z, np.full(600, 0.0224), color[star], frame), star=star
        )
        assert count > 570
        pulls.append((term - 0.1) / error)
    # an error from 20 residuals is good to 16 %: Student's pulls have a scatter of 1.06; a star
    # at the end of the colours pulls the line to itself: 0.1 more. As independent ones: 4.2
    assert np.std(pulls) == pytest.approx(1.1, abs=0.2)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_stars_that_agree_by_chance_have_the_error_of_their_own(count: int) -> None:
    rng = np.random.default_rng(6)
    z = 20.0 + rng.normal(0.0, 0.02, (600, count))
    found = [zero_point(row, np.full(count, 0.02)) for row in z]
    pulls = np.array([(one.value - 20.0) / one.error for one in found])
    # 600 normal pulls: 5 expected beyond 2.6. Errors from the scatter alone: 4 % beyond 5
    assert np.abs(pulls).max() < 4.5
    assert np.std(pulls) < 1.1
    assert min(one.error * math.sqrt(one.n_stars) for one in found) >= 0.0199


def test_faint_stars_do_not_spoil_the_bright_ones() -> None:
    made = stars(60, scatter=0.0)
    generator = np.random.default_rng(5)
    faint = np.arange(60) >= 10
    made["flux_err"] = np.where(faint, 0.1, 0.005) * made["flux"]
    made["flux"] = made["flux"] + made["flux_err"] * generator.standard_normal(60)
    found = zero_point(*of(made))
    # ten stars of 0.011 mag: 0.0036 mag, whatever fifty of 0.11 do
    assert found.error < 0.006
    assert found.value == pytest.approx(ZERO, abs=0.015)


def test_outliers_are_left_out() -> None:
    made = stars(50)
    made["mag"][:5] += 1.0
    found = zero_point(*of(made))
    assert not found.used[:5].any()
    assert found.value == pytest.approx(ZERO, abs=0.02)


def test_extinction_is_taken_off_per_airmass() -> None:
    plain = zero_point(*of(stars(20)))
    above = zero_point(*of(stars(20)), airmass=1.5, extinction=0.2)
    assert above.value == pytest.approx(plain.value + 0.3)
    assert above.scatter == pytest.approx(plain.scatter)


def test_stars_without_flux_or_magnitude_are_not_used() -> None:
    made = stars(10)
    made["flux"][0], made["flux"][1], made["mag"][2] = np.nan, -5.0, np.nan
    found = zero_point(*of(made))
    assert not found.used[:3].any()
    assert found.n_stars <= 7


def test_single_star_has_its_own_error() -> None:
    found = zero_point(*of(stars(1)))
    assert found.n_stars == 1
    assert found.error == pytest.approx(math.hypot(1.0857 / 100, 0.01), rel=1e-3)
    assert math.isnan(found.scatter)


def test_no_star_gives_no_zero_point() -> None:
    made = stars(3)
    made["mag"][:] = np.nan
    found = zero_point(*of(made))
    assert found.n_stars == 0
    assert math.isnan(found.value)


def test_magnitudes_undo_the_zero_point() -> None:
    made = stars(30, scatter=0.0)
    mag, err = magnitudes(made["flux"], made["flux_err"], ZERO, 60.0)
    assert mag == pytest.approx(made["mag"])
    assert err == pytest.approx(np.full(30, 1.0857 / 100), rel=1e-3)


def test_flux_that_is_not_positive_has_no_magnitude() -> None:
    mag, err = magnitudes(np.array([0.0, -1.0, np.nan, 1.0]), np.ones(4), ZERO, 1.0)
    assert np.isnan(mag).tolist() == [True, True, True, False]
    assert np.isnan(err).tolist() == [True, True, True, False]


def test_only_neighbours_that_matter_disturb_a_star() -> None:
    x, y = np.array([10.0, 15.0, 80.0, 82.0]), np.array([10.0, 10.0, 80.0, 80.0])
    flux = np.array([1000.0, 5.0, 1000.0, 900.0])
    assert isolated(x, y, flux, radius=10.0).tolist() == [True, False, False, False]
    assert isolated(x, y, flux, radius=1.0).all()


def test_the_limit_is_five_times_the_skys_noise_whatever_the_sources_are() -> None:
    rng = np.random.default_rng(8)
    flux, gain, floor, sky = 10.0 ** rng.uniform(2, 6, 500), 1.6, 0.003, 40.0
    error = np.sqrt(sky**2 + flux / gain + (floor * flux) ** 2)
    flux[3] = error[5] = np.nan
    noise = aperture_sky_noise(flux, error, gain, floor=floor)
    assert noise == pytest.approx(sky, rel=1e-6)
    assert limiting_magnitude(noise / 60.0, 24.0) == pytest.approx(
        24.0 - 2.5 * np.log10(5 * sky / 60.0)
    )
    assert np.isnan(aperture_sky_noise(flux[3:4], error[3:4], gain))
    assert np.isnan(limiting_magnitude(np.nan, 24.0))


def test_faint_standards_do_not_draw_the_zero_point_to_where_noise_makes_them_brighter() -> None:
    rng = np.random.default_rng(21)
    misses = []
    for kind in ("measured", "expected"):
        values = []
        for _ in range(200):
            mag = rng.uniform(14.5, 15.2, 60)
            light = 10.0 ** (-0.4 * (mag - 15.0)) * 1000.0  # S/N 8 to 16
            flux = light + rng.normal(0.0, 100.0, 60)
            z, error = star_zero_points(flux, np.full(60, 100.0), mag, np.zeros(60), 1.0)
            if kind == "expected":
                error = expected_errors(error, z - np.median(z))
            some = error < 1.0857 / 9.0
            values.append(zero_point(z[some], error[some]).value - 22.5)
        misses.append(float(np.mean(values)))
    # the mean of 200 is known to 0.001; half of 1 / (S/N)^2 is the logarithm's own
    assert misses[0] > 0.01
    assert abs(misses[1]) < 0.005


@pytest.mark.parametrize("number", [3, 4, 6, 10, 30])
def test_truth_is_as_often_within_the_error_of_few_stars_as_of_many(number: int) -> None:
    rng = np.random.default_rng(22)
    pulls = []
    for _ in range(400):
        z = rng.normal(0.0, np.hypot(0.03, 0.02), number)
        found = zero_point(z, np.full(number, 0.02))
        pulls.append(abs(found.value) / found.error)
    # the 68th percentile of 400 pulls is known to 6 %; where most of few agree by chance, one
    # that is far off in units of the errors that are stated is left out
    assert np.percentile(pulls, 68.3) == pytest.approx(1.0, abs=0.25 if number < 10 else 0.15)


@pytest.mark.parametrize("number", [3, 4, 5, 7])
def test_as_many_of_few_stars_errors_hold_the_truth_as_are_said_to(number: int) -> None:
    rng = np.random.default_rng(23)
    inside = []
    for _ in range(800):
        found = zero_point(rng.normal(0.0, 0.03, number), np.full(number, 0.005))
        inside.append(abs(found.value) < found.error)
    # 800 are known to 1.7 %; by clipping at three errors however few there are: 0.54 to 0.6
    assert np.mean(inside) == pytest.approx(0.683, abs=0.045)


@pytest.mark.parametrize("number", [3, 4, 5, 6])
@pytest.mark.parametrize("scatter", [0.0, 0.03])
def test_one_star_of_few_that_is_far_off_is_left_out(number: int, scatter: float) -> None:
    rng = np.random.default_rng(24)
    left_out, inside, widths = 0, [], []
    for _ in range(200):
        z = rng.normal(0.0, np.hypot(0.02, scatter), number)
        z[0] += 0.5
        found = zero_point(z, np.full(number, 0.02))
        left_out += not found.used[0]
        inside.append(abs(found.value) < found.error)
        widths.append(found.error)
        assert found.used[1:].sum() >= min(number - 1, 3)
    assert left_out >= 196
    # 200 are known to 0.033; of two stars the larger counts of their own errors and 1.8 times
    # their scatter
    assert 0.6 < np.mean(inside) < 0.9
    assert np.median(widths) < 2.0 * np.hypot(0.02, scatter) / np.sqrt(number - 1)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_good_standards_are_not_left_out_for_agreeing_badly(number: int) -> None:
    rng = np.random.default_rng(25)
    z = rng.normal(0.0, np.hypot(0.02, 0.04), (400, number))
    wrong = [right_standards(row, np.full(number, 0.02), 0.05).wrong for row in z]
    assert np.mean(np.max(wrong, axis=1) > 0.9) < 0.01
    # twice the scatter that is usual is told to people rather than cut away
    far = rng.normal(0.0, 0.1, (400, number))
    found = [right_standards(row, np.full(number, 0.02), 0.05) for row in far]
    cut = np.mean([one.wrong.max() > 0.9 for one in found])
    told = np.mean([one.doubt(np.ones(number, np.bool_)) > 0.5 for one in found])
    assert cut < 0.06
    assert told > cut + 0.1


def test_of_three_stars_that_all_disagree_none_is_left_out_and_all_are_in_doubt() -> None:
    found = zero_point(np.array([0.0, 0.25, 0.5]), np.full(3, 0.02))
    assert found.used.all()
    assert found.doubt > 0.5
    assert found.error > 0.15
    clear = zero_point(np.array([0.0, 0.02, -0.03]), np.full(3, 0.02))
    assert clear.doubt < 0.1
    # those whose errors are large say little: one of three is wrong in 14 of 100 cases anyway
    loose = zero_point(np.array([0.0, 0.25, 0.5]), np.full(3, 0.2))
    assert loose.used.all()
    assert loose.doubt < 0.25


def test_a_star_whose_own_error_is_large_is_not_wrong_for_being_off() -> None:
    z, errors = np.array([0.0, 0.01, 0.4]), np.array([0.02, 0.02, 0.25])
    found = zero_point(z, errors)
    assert found.used.all()
    assert abs(found.value) < found.error
    assert found.doubt < 0.2
