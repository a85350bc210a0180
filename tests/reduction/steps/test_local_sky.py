"""The sky beneath a source, from a ring around it."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.local_sky import ring_sky
from reduction.steps.sources import extract


def test_a_ring_tells_level_and_error_of_a_sloping_sky_with_stars_in_it() -> None:
    random = np.random.default_rng(0)
    image = random.normal(0.0, 2.0, (300, 300)) + 0.02 * np.arange(300)
    image[::30, ::30] += 500.0  # a star in every ring, and one or two on
    x, y = random.uniform(30.0, 270.0, (2, 800))
    none = np.zeros(image.shape, np.bool_)
    level, error = ring_sky(image.astype(np.float32), none, x, y, inner=8.0)
    pull = (level - 0.02 * x) / error
    # 800 rings, some of whose pixels are common; a pixel of a star in 400 moves the mean by a
    # part in 400 of the distance between the cuts: 0.1 of an error
    assert pull.std() == pytest.approx(1.0, abs=0.15)
    assert abs(pull.mean()) < 0.2


def test_a_ring_off_the_frame_tells_nothing_and_one_at_the_edge_what_there_is() -> None:
    image = np.full((60, 60), 7.0, np.float32)
    bad = np.zeros(image.shape, np.bool_)
    bad[:, 30:] = True
    x, y = np.array([0.0, 10.0, 55.0, 59.9]), np.array([0.0, 30.0, 30.0, 59.9])
    level, error = ring_sky(image, bad, x, y, inner=8.0)
    assert level[:2] == pytest.approx(7.0)
    assert error[:2] == pytest.approx(0.0)
    assert np.isnan(level[2:]).all()


def test_fluxes_in_the_aperture_are_right_on_a_ring_as_on_meshes() -> None:
    random = np.random.default_rng(2)
    image = random.normal(100.0, 3.0, (400, 400))
    rows, columns = np.mgrid[:400, :400]
    places = [(30 + 40 * i, 30 + 40 * j) for i in range(9) for j in range(9)]
    for x, y in places:
        image += (
            4000.0
            / (2 * np.pi * 1.2**2)
            * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.2**2))
        )
    image = random.normal(image, np.sqrt(np.maximum(image - 100.0, 0.0))).astype(np.float32)
    for ring in (0.0, 10.0):
        found = extract(image, gain=1.0, aperture_radius=6.0, sky_ring=ring)
        found = found[found["flux_aper"] > 2000.0]
        assert len(found) == len(places)
        pull = (found["flux_aper"] - 4000.0) / found["flux_aper_err"]
        # 81 stars: their scatter is known to 8 %
        assert pull.std() == pytest.approx(1.0, abs=0.25)
        assert abs(pull.mean()) < 0.45
