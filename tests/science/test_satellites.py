"""Trails of satellites are found, whole and alone, and nothing else is taken for one."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.satellite import find_satellites
from tests.support.scenes import add_bleeding_star, add_trail, crowded_sky

pytestmark = pytest.mark.science

SHAPE, NOISE, FULL = (900, 1100), 12.0, 60000.0


def chord(light: np.ndarray) -> float:
    """Length of a trail in the frame, pixels."""
    y, x = np.nonzero(light > 0.9 * light.max())
    return math.hypot(float(np.ptp(y)), float(np.ptp(x)))


@pytest.mark.slow
def test_trails_are_complete_and_pure_at_every_angle_and_brightness():
    rng = np.random.default_rng(41)
    trails = whole = true = hit = masked = lit = 0
    for _ in range(40):
        image = crowded_sky(rng, SHAPE, NOISE)
        saturated = image > FULL
        # From where a trail is hardly seen (0.8 of the sky's noise) to 30 times the noise.
        peak, sigma = NOISE * 10 ** rng.uniform(-0.1, 1.5), rng.uniform(1.5, 4.0)
        light = add_trail(image, rng, peak=peak, sigma=sigma)
        found, _ = find_satellites(image, saturated=saturated)
        masked += int(found.sum())
        lit += int((found & (light > 0.1 * NOISE)).sum())
        if chord(light) < 400.0:  # shorter ones are not looked for
            continue
        trails += 1
        whole += bool(found[light > 0.6 * peak].mean() > 0.9)
        harm = light > NOISE
        true, hit = true + int(harm.sum()), hit + int((found & harm).sum())
    assert trails > 30
    assert whole >= 0.95 * trails
    # Pixels whose light exceeds the sky's noise are masked, and no others than those that have
    # at least a tenth of it.
    assert hit >= 0.95 * true
    assert lit >= 0.95 * masked


@pytest.mark.slow
def test_galaxies_spikes_and_bleeding_columns_are_no_trails():
    rng = np.random.default_rng(42)
    for number in range(40):
        image = crowded_sky(rng, SHAPE, NOISE)
        if number % 2:
            add_bleeding_star(image, rng)
        found, trails = find_satellites(image, saturated=image > FULL)
        assert trails == []
        assert not found.any()
