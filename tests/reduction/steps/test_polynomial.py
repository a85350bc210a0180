"""Polynomials from pixels to the sky: exact where they should be, no richer than stars allow."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from reduction.steps.distortion import DEGREE
from reduction.steps.polynomial import PixelPlane, is_significant, polynomial_wcs
from reduction.steps.wcs import project

SHAPE = (400, 600)
TERMS = {1: 3, 2: 6, 3: 10}


def places(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0.0, 0.0), (599.0, 399.0), (count, 2))


def coefficients(degree: int, seed: int = 2) -> np.ndarray:
    """A frame of a fifth of a degree, north up, whose bends are a hundredth of its half width."""
    found = np.random.default_rng(seed).normal(0.0, 1e-3, (TERMS[degree], 2))
    found[:3] = (0.002, -0.003), (-0.1, 0.0), (0.0, 0.1)
    return found


def test_a_frames_pixels_are_numbers_between_minus_one_and_one() -> None:
    plane = PixelPlane.of(SHAPE)
    corners = np.array([[-0.5, -0.5], [599.5, 399.5], [299.5, 199.5]])
    terms = plane.terms(corners, 1)
    np.testing.assert_allclose(terms, [[1, -1, -2 / 3], [1, 1, 2 / 3], [1, 0, 0]], atol=1e-12)
    assert np.abs(plane.terms(corners, DEGREE)).max() == 1.0


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_polynomial_is_found_from_as_many_stars_as_it_has_terms(degree: int) -> None:
    plane, points = PixelPlane.of(SHAPE), places(TERMS[degree])
    true = coefficients(degree)
    found, rest = plane.fit(
        points, plane.terms(points, degree) @ true, np.ones(len(points)), degree
    )
    np.testing.assert_allclose(found, true, rtol=1e-7, atol=1e-12)
    assert rest < 1e-20


def test_a_star_of_no_weight_does_not_move_the_fit() -> None:
    plane, points, true = PixelPlane.of(SHAPE), places(20), coefficients(2)
    measured = plane.terms(points, 2) @ true
    measured[0] += 1.0
    weights = np.ones(20)
    weights[0] = 0.0
    found, rest = plane.fit(points, measured, weights, 2)
    np.testing.assert_allclose(found, true, atol=1e-12)
    assert rest < 1e-20
    weights[0] = 1e-3
    moved, more = plane.fit(points, measured, weights, 2)
    assert np.abs(moved - true).max() > 1e-6
    assert more > 1e-4


def test_weights_are_inverse_variances_so_that_the_rest_is_chi_squared() -> None:
    # two coordinates of 400 stars less 12 coefficients: 788 +- sqrt(2 x 788) = 40, three times
    plane, points, true = PixelPlane.of(SHAPE), places(400), coefficients(2)
    random = np.random.default_rng(3)
    sigma = random.uniform(1e-5, 1e-4, 400)
    measured = plane.terms(points, 2) @ true + random.normal(size=(400, 2)) * sigma[:, None]
    _, rest = plane.fit(points, measured, sigma**-2.0, 2)
    assert rest == pytest.approx(788, abs=3 * 40)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    st.sampled_from([1, 2, 3]),
    st.floats(0.0, 360.0),
    st.floats(-89.0, 89.0),
    arrays.arrays(np.float64, (10, 2), elements=st.floats(-1e-3, 1e-3)),
    st.floats(0.0, 360.0),
    st.booleans(),
)
def test_the_wcs_is_the_polynomial_to_the_last_digits(degree, ra0, dec0, bends, turn, mirror):
    plane, points = PixelPlane.of(SHAPE), places(30)
    angle, sign = np.radians(turn), -1.0 if mirror else 1.0
    found = bends[: TERMS[degree]].copy()
    found[1] = 0.1 * sign * np.cos(angle), 0.1 * np.sin(angle)
    found[2] = -0.1 * sign * np.sin(angle), 0.1 * np.cos(angle)
    wcs = polynomial_wcs(plane, found, ra0, dec0)
    assert (wcs.distortion is None) == (degree == 1)
    there = project(*wcs.to_sky(*points.T), ra0, dec0)
    # a micro-arcsecond is 3e-10 degrees
    np.testing.assert_allclose(
        np.stack(there, axis=-1), plane.terms(points, degree) @ found, atol=3e-10
    )
    back = np.stack(wcs.to_pixel(*wcs.to_sky(*points.T)), axis=-1)
    np.testing.assert_allclose(back, points, atol=1e-5)


def test_without_its_distortion_the_wcs_errs_least_in_the_middle_of_the_frame() -> None:
    plane, found = PixelPlane.of(SHAPE), coefficients(3)
    wcs = polynomial_wcs(plane, found, 150.0, 2.0)
    middle = np.array([[plane.x0, plane.y0], [plane.x0 + 3, plane.y0], [plane.x0, plane.y0 + 3]])
    (c11, c12), (c21, c22) = wcs.cd
    straight = (middle - (wcs.x0, wcs.y0)) @ np.array([[c11, c12], [c21, c22]]).T
    exact = plane.terms(middle, 3) @ found
    np.testing.assert_allclose(straight[0], exact[0], atol=1e-14)
    # three pixels off: second order, 3e-3 x (3 / 300)^2
    np.testing.assert_allclose(straight, exact, atol=1e-6)


def test_a_bend_that_stars_show_is_significant_and_one_that_they_do_not_is_not() -> None:
    plane, points, true = PixelPlane.of(SHAPE), places(60), coefficients(2)
    straight = true.copy()
    straight[3:] = 0.0
    noise = np.random.default_rng(4).normal(0.0, 3e-5, (60, 2))
    for shape, expected in ((true, True), (straight, False)):
        measured = plane.terms(points, 2) @ shape + noise
        fits = [(d, plane.fit(points, measured, np.ones(60), d)[1]) for d in (1, 2)]
        assert is_significant(60, *fits, per_term=3) is expected


def test_chance_is_taken_for_a_bend_about_once_in_a_thousand_frames() -> None:
    plane, points = PixelPlane.of(SHAPE), places(40)
    designs = [plane.terms(points, degree) for degree in (1, 2)]
    left = [np.eye(40) - design @ np.linalg.pinv(design) for design in designs]
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(3000):
        noise = random.normal(size=(40, 2))
        fits = [
            (d, float(np.sum((rest @ noise) ** 2))) for d, rest in zip((1, 2), left, strict=True)
        ]
        alarms += is_significant(40, *fits, per_term=3)
    # 3 expected: more than 10 come once in 4000 such tries
    assert alarms <= 10


@pytest.mark.parametrize("degrees", [(1, 2), (1, 3), (2, 3)])
def test_significance_is_that_of_an_f_test_of_both_coordinates(degrees: tuple[int, int]) -> None:
    few, many = (TERMS[degree] for degree in degrees)
    more, free = 2 * (many - few), 2 * (50 - many)
    limit = 1.0 + more / free * stats.f.isf(1e-3, more, free)
    for part, expected in ((0.999, False), (1.001, True)):
        fits = (degrees[0], limit * part), (degrees[1], 1.0)
        assert is_significant(50, *fits, per_term=3) is expected


@pytest.mark.parametrize(("stars", "expected"), [(17, False), (18, True)])
def test_a_bend_wants_so_many_stars_for_each_of_its_terms(stars, expected) -> None:
    assert is_significant(stars, (1, 1.0), (2, 1e-6), per_term=3) is expected


def test_a_polynomial_through_every_star_says_nothing() -> None:
    assert not is_significant(10, (1, 1.0), (3, 0.0), per_term=1)
    assert is_significant(11, (1, 1.0), (3, 0.0), per_term=1)
    assert not is_significant(11, (1, 0.0), (3, 0.0), per_term=1)
