"""The sky between sources, where many are too faint to be seen."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest
import sep

from reduction.simulation.sky import render
from reduction.simulation.truth import SkyTruth
from reduction.steps.background import Background, background_behind, estimate_background

SIDE, LEVEL, GAIN, READ_NOISE, FWHM = 512, 400.0, 2.5, 2.5, 3.8
NOISE = math.hypot(math.sqrt(LEVEL / GAIN), READ_NOISE)

#: Pixels of sky that a star's best estimate of its flux is made from, and a flux of S/N 1, adu.
AREA = 4.0 * math.pi * (FWHM / 2.3548) ** 2
FAINTEST = NOISE * math.sqrt(AREA)


def sky(density: float, slope: float, seed: int) -> tuple[Background, Background, int]:
    """First and second sky of a field with so many stars of S/N 5 in 256 x 256 pixels.

    Their number grows by ``slope`` in log10 a magnitude, down to S/N 0.3; how many are detected
    in 256 x 256 pixels.
    """
    rng, power = np.random.default_rng(seed), slope / 0.4
    number = rng.poisson(density * (SIDE / 256) ** 2 * (5.0 / 0.3) ** power)
    flux = 0.3 * FAINTEST * rng.uniform(0.0, 1.0, number) ** (-1.0 / power)
    x, y = rng.uniform(-10.0, SIDE + 10.0, (2, number))
    light, none = np.full((SIDE, SIDE), LEVEL), np.zeros(number)
    stars = SkyTruth(np.array([]), none, none, {}, none > 0, none, none + 1, none)
    render(light, x, y, np.minimum(flux, 2e4 * FAINTEST), stars, seeing=FWHM)
    image = rng.poisson(light * GAIN) / GAIN + rng.normal(0.0, READ_NOISE, light.shape)
    image = image.astype(np.float32)
    first = estimate_background(image)
    found = sep.extract(image - first.level, 3.0, err=first.rms, minarea=5, gain=GAIN)
    mask = np.zeros(image.shape, dtype=bool)
    return first, background_behind(image, found, first, mask=mask), len(found) // 4


def test_an_empty_sky_is_measured_without_bias():
    _, behind, _ = sky(0.01, 0.18, seed=3)
    # A pixel's noise over the root of the pixels; those that stand out by noise are left out on
    # both sides.
    assert abs(behind.level.mean() - LEVEL) < 4.0 * NOISE / SIDE
    assert behind.rms.mean() == pytest.approx(NOISE, rel=0.005)


def test_stars_too_faint_to_be_detected_hardly_raise_the_sky():
    misses = []
    for seed in range(3):
        _, behind, detected = sky(50.0, 0.18, seed)
        assert detected >= 30
        misses.append(float(behind.level.mean()) - LEVEL)
    # What the sky is too bright by is missing in every pixel of a flux: less than one per cent of
    # a flux of S/N 10.
    assert abs(np.mean(misses)) * AREA < 0.01 * 10.0 * FAINTEST
