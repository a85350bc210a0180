"""From one photometric system to another: bands that are added, colours that are not known."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.transformation import (
    PIVOT,
    SDSS_TO_JOHNSON,
    fit_color_term,
    of_color,
    with_transformations,
)

MAGS = {"g": np.array([15.0, 16.0]), "r": np.array([14.5, np.nan]), "i": np.array([14.3, 15.0])}
ERRORS = {band: np.array([0.01, 0.02]) for band in MAGS}


def test_bands_are_added_by_the_published_formulae_and_unknown_stays_unknown() -> None:
    mags, errors = with_transformations(MAGS, ERRORS)
    assert list(mags) == ["g", "r", "i", "B", "V", "R", "I"]
    # Lupton (2005): B = g + 0.3130 (g - r) + 0.2271; V = g - 0.5784 (g - r) - 0.0038
    assert mags["B"][0] == pytest.approx(15.0 + 0.3130 * 0.5 + 0.2271)
    assert mags["V"][0] == pytest.approx(15.0 - 0.5784 * 0.5 - 0.0038)
    assert mags["I"][0] == pytest.approx(14.5 - 1.2444 * 0.2 - 0.3820)
    assert np.isnan(mags["B"][1])
    # g has 1.3130 of itself in B, and r -0.3130
    assert errors["B"][0] == pytest.approx(0.01 * math.hypot(1.3130, 0.3130))
    assert set(MAGS) == {"g", "r", "i"}, "what was given is not changed"


def test_a_band_that_is_there_is_not_replaced_and_one_without_its_bands_is_not_added() -> None:
    v = np.array([99.0, 98.0])
    mags, errors = with_transformations(
        {"g": MAGS["g"], "r": MAGS["r"], "V": v}, ERRORS | {"V": v}
    )
    assert mags["V"] is v
    assert errors["V"] is v
    assert set(mags) == {"g", "r", "V", "B"}
    assert set(with_transformations({"r": MAGS["r"]}, ERRORS)[0]) == {"r"}
    assert set(with_transformations(MAGS, {"g": ERRORS["g"]})[0]) == set(MAGS)


def test_each_rule_is_one_of_its_bands_and_a_color() -> None:
    for rule in SDSS_TO_JOHNSON:
        mags = {rule.primary: np.array([12.0]), rule.secondary: np.array([12.0])}
        errors = {band: np.array([0.0]) for band in mags}
        found, error = rule.apply(mags, errors)
        assert found[0] == pytest.approx(12.0 + rule.coefficient), "no colour, no term"
        assert error[0] == 0.0


def test_a_colour_that_is_not_known_is_that_of_most() -> None:
    color = np.array([0.2, np.nan, 0.6, 1.4])
    np.testing.assert_allclose(
        of_color(color, 0.1), 0.1 * (np.array([0.2, 0.6, 0.6, 1.4]) - PIVOT)
    )
    assert not of_color(np.full(3, np.nan), 0.1).any()
    assert not of_color(color, 0.0).any()
    assert of_color(np.empty(0), 0.1).shape == (0,)


def frames(term: float, *, stars: int = 30, count: int = 4, noise: float = 0.0):
    """Zero points of stars on frames that each have their own, and which frame and star it is."""
    random = np.random.default_rng(1)
    color, group = np.tile(random.uniform(0.0, 1.5, stars), count), np.repeat(range(count), stars)
    zero = 20.0 + group + term * (color - PIVOT) + random.normal(0.0, noise, len(color))
    return zero, np.full(len(color), 0.01), color, group, np.tile(np.arange(stars), count)


def test_a_colour_term_is_found_whatever_each_frames_zero_point() -> None:
    zero, errors, color, group, star = frames(-0.07)
    slope, _, used = fit_color_term(zero, errors, color, group, star=star)
    assert slope == pytest.approx(-0.07, abs=1e-9)
    assert used == 120


def test_a_wild_star_and_values_that_are_none_do_not_count() -> None:
    zero, errors, color, group, star = frames(0.05, noise=0.005)
    zero[3] += 2.0
    zero[7], errors[8], color[9] = np.nan, np.nan, np.nan
    slope, error, used = fit_color_term(zero, errors, color, group, star=star)
    assert 110 <= used <= 116
    assert slope == pytest.approx(0.05, abs=4 * 0.005 / math.sqrt(116) / 0.43)
    assert 0.0005 < error < 0.01


@pytest.mark.parametrize(
    "color",
    [np.full(200, 0.7), np.r_[np.full(199, 0.5), 1.5]],
    ids=["all of one colour", "one star holds the line"],
)
def test_where_colours_do_not_tell_there_is_no_term(color) -> None:
    zero = 20.0 + 0.05 * color + np.random.default_rng(2).normal(0.0, 0.01, 200)
    slope, error, used = fit_color_term(zero, np.full(200, 0.01), color, np.zeros(200, int))
    assert math.isnan(slope)
    assert math.isnan(error)
    assert used == 200


def test_nine_stars_are_too_few() -> None:
    zero, errors, color, group, _ = frames(0.05, stars=9, count=1)
    slope, _, used = fit_color_term(zero, errors, color, group)
    assert (math.isnan(slope), used) == (True, 9)
    zero, errors, color, group, _ = frames(0.05, stars=10, count=1)
    assert fit_color_term(zero, errors, color, group)[0] == pytest.approx(0.05, abs=1e-9)
