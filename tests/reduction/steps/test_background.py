"""The sky between sources, where many are too faint to be seen."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.simulation.sky import render
from reduction.simulation.truth import SkyTruth
from reduction.steps.background import Background, background_behind, estimate_background
from reduction.steps.detect import detect

SIDE, LEVEL, GAIN, READ_NOISE, FWHM = 512, 400.0, 2.5, 2.5, 3.8
NOISE = math.hypot(math.sqrt(LEVEL / GAIN), READ_NOISE)

#: Pixels of sky that a star's best estimate of its flux is made from, and a flux of S/N 1, adu.
AREA = 4.0 * math.pi * (FWHM / 2.3548) ** 2
FAINTEST = NOISE * math.sqrt(AREA)


def sky(density: float, slope: float, seed: int) -> tuple[Background, float]:
    """Sky of a field with so many stars of S/N 5 in 256 x 256 pixels, and its unseen light.

    The number of stars grows by ``slope`` in log10 a magnitude, down to S/N 0.3; the light of
    those below S/N 5 is adu a pixel.
    """
    rng, power = np.random.default_rng(seed), slope / 0.4
    number = rng.poisson(density * (SIDE / 256) ** 2 * (5.0 / 0.3) ** power)
    flux = 0.3 * FAINTEST * rng.uniform(0.0, 1.0, number) ** (-1.0 / power)
    x, y = rng.uniform(0.0, SIDE - 1.0, (2, number))
    light, none = np.full((SIDE, SIDE), LEVEL), np.zeros(number)
    stars = SkyTruth(np.array([]), none, none, {}, none > 0, none, none + 1, none)
    render(light, x, y, np.minimum(flux, 2e4 * FAINTEST), stars, seeing=FWHM)
    image = rng.poisson(light * GAIN) / GAIN + rng.normal(0.0, READ_NOISE, light.shape)
    image = image.astype(np.float32)
    first = estimate_background(image)
    pixels = np.ascontiguousarray(image - first.level)
    found = detect(pixels, 3.0, err=first.rms, minarea=5, gain=GAIN)
    behind = background_behind(image, found, first, mask=np.zeros(image.shape, dtype=bool))
    return behind, float(flux[flux < 5.0 * FAINTEST].sum()) / SIDE**2


def test_an_empty_sky_is_measured_without_bias():
    behind, _ = sky(0.01, 0.18, seed=3)
    # a pixel's noise over the root of the pixels
    assert abs(behind.level.mean() - LEVEL) < 4.0 * NOISE / SIDE
    assert behind.rms.mean() == pytest.approx(NOISE, rel=0.005)


@pytest.mark.parametrize("slope", [0.18, 0.3, 0.6])
def test_the_sky_has_as_much_of_unseen_stars_as_is_under_sources(slope: float):
    misses, light = [], []
    for seed in range(3):
        behind, unseen = sky(20.0, slope, seed)
        light.append(unseen)
        misses.append(float(behind.level.mean()) - LEVEL - unseen)
    # Where sources are has nothing to do with stars unseen: the mean of their light is under
    # sources as between them, and a flux from which another mean is taken is wrong by the
    # difference in all its pixels. A sky without unseen stars would make fluxes too large by
    # their light: 0.3, 0.8 and 5 per cent of a flux of S/N 10. What is seen is not cut at S/N 5
    # exactly, and wings reach beyond what is covered.
    assert abs(np.mean(misses)) * AREA < 0.005 * 10.0 * FAINTEST
    assert np.mean(light) * AREA > 0.002 * 10.0 * FAINTEST
