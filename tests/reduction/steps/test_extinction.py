"""Extinction from fields at different airmass, from a zero point, and from the atmosphere."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.exposures import exposure_zero_points, frame_errors
from reduction.steps.extinction import (
    Site,
    band_extinction,
    extinction_curve,
    extinction_from_frames,
    extinction_from_zero_points,
)

V = (505e-9, 595e-9)
B = (391e-9, 489e-9)


def test_two_fields_give_the_slope_between_them() -> None:
    found = extinction_from_frames(
        np.array([22.74, 22.82]), np.array([0.03, 0.03]), np.array([1.59, 1.22])
    )
    assert found.coefficient == pytest.approx(0.08 / 0.37)
    assert found.error == pytest.approx(math.hypot(0.03, 0.03) / 0.37)
    assert found.zero_point == pytest.approx(22.82 + found.coefficient * 1.22)


def test_a_night_of_fields_gives_truth_within_the_error() -> None:
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(200):
        airmass = rng.uniform(1.0, 2.2, 12)
        error = rng.uniform(0.005, 0.02, 12)
        z = 25.0 - 0.14 * airmass + error * rng.standard_normal(12)
        found = extinction_from_frames(z, error, airmass)
        pulls.append((found.coefficient - 0.14) / found.error)
    # 200 pulls: their scatter is known to 5 %, and clipping at 3 sigma takes little off it
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("number", [3, 4, 5, 8])
def test_errors_of_few_frames_are_as_large_as_they_miss(number: int) -> None:
    rng = np.random.default_rng(2)
    airmass = np.linspace(1.0, 2.0, number)
    pulls, others = [], []
    for _ in range(300):
        z = 25.0 - 0.2 * airmass + rng.normal(0.0, 0.02, number)
        found = extinction_from_frames(z, np.full(number, 0.003), airmass)
        pulls.append(abs(found.coefficient - 0.2) / found.error)
        known = extinction_from_zero_points(25.0, 1e-6, z, np.full(number, 0.003), airmass)
        others.append(abs(known.coefficient - 0.2) / known.error)
    # the 68th percentile of 300 pulls is known to 5 %
    assert np.percentile(pulls, 68.3) == pytest.approx(1.0, abs=0.15)
    assert np.percentile(others, 68.3) == pytest.approx(1.0, abs=0.15)


def test_frames_that_agree_by_chance_do_not_rule_out_one_that_is_off_by_its_error() -> None:
    z = 24.8 + np.array([0.0, 0.0001, -0.0001, 0.00005, 0.015])
    found = extinction_from_zero_points(25.0, 1e-6, z, np.full(5, 0.02), np.ones(5))
    assert found.used.all()
    assert found.coefficient == pytest.approx(0.2 - 0.003, abs=1e-4)
    cloudy = z - np.array([0.0, 0.0, 0.0, 0.0, 0.5])
    left = extinction_from_zero_points(25.0, 1e-6, cloudy, np.full(5, 0.02), np.ones(5))
    assert left.used.tolist() == [True] * 4 + [False]


def test_frames_of_three_stars_have_the_errors_that_stars_have_together() -> None:
    rng = np.random.default_rng(3)
    pulls = []
    for _ in range(50):
        stars = [(rng.normal(25.0, 0.03, 3), np.full(3, 0.01)) for _ in range(10)]
        medians = np.array([np.median(z) for z, _ in stars])
        pulls.extend((medians - 25.0) / frame_errors(stars))
    # 500 pulls: 3 %; a median of three is better by a tenth than that of many
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    assert frame_errors([(np.array([25.0, 25.0]), np.full(2, 0.02))]) == pytest.approx(
        0.02 / math.sqrt(2.0)
    )


def test_transparency_of_an_exposure_is_measured_once_however_many_chips_it_has() -> None:
    rng = np.random.default_rng(4)
    exposure, chip = (which.ravel() for which in np.mgrid[:6, :32])
    airmass = np.linspace(1.0, 2.0, 6)
    pulls = []
    for _ in range(60):
        sky = -0.2 * airmass + rng.normal(0.0, 0.02, 6)
        z = 25.0 + rng.normal(0.0, 0.1, 32)[chip] + sky[exposure] + rng.normal(0.0, 0.01, 192)
        night = exposure_zero_points(z, np.full(192, 0.01), exposure, chip)
        found = extinction_from_frames(night.zero_points, night.errors, airmass, group=night.group)
        pulls.append(abs(found.coefficient - 0.2) / found.error)
    # the 68th percentile of 60 pulls is known to 12 %
    assert np.percentile(pulls, 68.3) == pytest.approx(1.0, abs=0.3)


def test_chips_that_exposures_do_not_share_have_zero_points_of_their_own() -> None:
    exposure, chip = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 1, 1, 2, 2, 3])
    gains = np.array([0.0, 0.3, -0.5, 0.1])
    sky = np.array([0.0, -0.1, -0.2, -0.3])
    night = exposure_zero_points(
        25.0 + sky[exposure] + gains[chip], np.full(6, 0.01), exposure, chip
    )
    assert night.group.tolist() == [0, 0, 1, 1]
    assert night.zero_points == pytest.approx(25.0 + sky + [0.15, 0.15, -0.2, -0.2])


def test_a_cloud_is_left_out() -> None:
    airmass = np.linspace(1.0, 2.0, 8)
    z = 25.0 - 0.14 * airmass
    z[3] -= 0.4
    found = extinction_from_frames(z, np.full(8, 0.01), airmass)
    assert not found.used[3]
    assert found.used.sum() == 7
    assert found.coefficient == pytest.approx(0.14, abs=1e-6)


def test_one_airmass_tells_nothing() -> None:
    found = extinction_from_frames(np.array([22.0, 22.1]), np.full(2, 0.01), np.full(2, 1.3))
    assert math.isnan(found.coefficient)


def test_known_zero_point_gives_extinction_of_each_frame() -> None:
    airmass = np.array([1.0, 1.5, 2.0])
    found = extinction_from_zero_points(
        25.0, 0.01, 25.0 - 0.2 * airmass, np.full(3, 0.005), airmass
    )
    assert found.coefficient == pytest.approx(0.2)
    assert 0.005 < found.error < 0.012


@pytest.mark.parametrize(
    ("altitude", "band", "expected"),
    [
        (2635.0, V, 0.12),  # Paranal: Patat et al. 2011, A&A 527, A91
        (2635.0, B, 0.22),
        (2168.0, V, 0.15),  # Calar Alto: Sanchez et al. 2007, PASP 119, 1186
    ],
)
def test_clear_sky_of_a_site_is_as_dark_as_published(
    altitude: float, band: tuple[float, float], expected: float
) -> None:
    # nights differ by some hundredths; so may a mean
    assert band_extinction(*band, Site(altitude)) == pytest.approx(expected, abs=0.025)


def test_extinction_falls_with_wavelength_and_altitude() -> None:
    blue, red = extinction_curve([420e-9, 850e-9], Site(1000.0))
    assert blue > 4.0 * red
    assert band_extinction(*V, Site(3000.0)) < band_extinction(*V, Site(100.0))


def test_given_transmission_is_weighted_with() -> None:
    wavelength = np.linspace(500e-9, 600e-9, 50)
    flat = band_extinction(500e-9, 600e-9, Site(1000.0), transmission=(wavelength, np.ones(50)))
    assert flat == pytest.approx(band_extinction(500e-9, 600e-9, Site(1000.0)), abs=1e-4)
    line = np.exp(-0.5 * ((wavelength - 510e-9) / 3e-9) ** 2)
    assert band_extinction(
        500e-9, 600e-9, Site(1000.0), transmission=(wavelength, line)
    ) == pytest.approx(float(extinction_curve(510e-9, Site(1000.0))), abs=2e-3)
