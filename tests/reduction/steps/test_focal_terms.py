"""Terms over a focal plane: what they are at places, in steps, and in the mean over chips."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.focal_terms import FocalTerms

#: Two chips beside each other: the focal plane is 200 x 50.
CHIPS = {
    name: (x0 + np.array([0.0, 100.0, 100.0, 0.0]), np.array([0.0, 0.0, 50.0, 50.0]))
    for name, x0 in (("a", 0.0), ("b", 100.0))
}


def test_round_terms_are_powers_of_the_distance_from_the_middle() -> None:
    rng = np.random.default_rng(1)
    u, v = rng.uniform(0.0, 200.0, 40), rng.uniform(0.0, 50.0, 40)
    model = FocalTerms.of(CHIPS, 2, 6)
    assert model.steps == (0, 2, 5, 6, 7)
    terms = model.terms(u, v)
    distance = np.hypot(u - 100.0, v - 25.0) / 100.0
    assert terms[:, 5] == pytest.approx(distance**4, abs=1e-12)
    assert terms[:, 6] == pytest.approx(distance**6, abs=1e-12)
    # those up to the degree are the polynomial's own
    assert FocalTerms.of(CHIPS, 4, 4).steps == FocalTerms.of(CHIPS, 4).steps


def test_what_is_left_of_the_terms_has_the_degree_that_they_need() -> None:
    model = FocalTerms.of(CHIPS, 2, 6)
    assert model.degree == 6
    for number, degree in ((7, 6), (6, 4), (5, 2), (2, 1), (0, 0)):
        few = model.first(number)
        assert (few.degree, few.steps[-1]) == (degree, number)
        assert few.terms(np.zeros(3), np.zeros(3)).shape == (3, number)


def test_a_surface_is_its_terms_and_0_in_the_mean_over_all_pixels() -> None:
    model = FocalTerms.of(CHIPS, 3, 8)
    slopes = np.random.default_rng(2).normal(size=model.steps[-1])
    surface = model.surface(slopes)
    x, y = np.meshgrid(np.arange(400) / 2.0 + 0.25, np.arange(100) / 2.0 + 0.25)
    values = surface.at(x, y)
    assert abs(values.mean()) < 4e-3
    assert np.abs(values - surface.middle - model.terms(x, y) @ slopes).max() < 1e-12
    means, products = model.means()
    half = model.terms(x[:, :200], y[:, :200]).reshape(-1, model.steps[-1])
    # sums over pixels are integrals but for their size squared, 8e-4
    assert np.abs(means[0] - half.mean(axis=0)).max() < 1.2e-3
    assert np.abs(products[0] - half.T @ half / len(half)).max() < 1.2e-3
