"""Noise of sums over a sky whose pixels share some of it."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
import sep
from scipy.ndimage import gaussian_filter

from reduction.steps.background import background_behind, estimate_background
from reduction.steps.correlated_noise import SkyNoise, circle


def test_noise_of_resampled_pixels_is_seen_and_counted() -> None:
    rng = np.random.default_rng(11)
    white = rng.normal(0.0, 10.0, (600, 600)).astype(np.float32)
    smooth = gaussian_filter(white, 0.8)
    none = np.zeros(white.shape, bool)
    # some 1200 circles: their variance is known to 4 %
    even = SkyNoise.of(white, np.full(white.shape, 10.0, np.float32), none)
    assert even.factor_of_circle(8.0) == pytest.approx(1.0, abs=0.15)
    # sums over many pixels keep their variance while that of a pixel falls; the edge loses some
    sky = SkyNoise.of(smooth, np.full(white.shape, smooth.std(), np.float32), none)
    kernel = circle(8.0)
    spread_out = gaussian_filter(np.pad(kernel, 8), 0.8)
    expected = (spread_out**2).sum() / kernel.sum() * white.var() / smooth.var()
    assert sky.factor(kernel) == pytest.approx(expected, rel=0.15)


def test_hum_of_an_amplifier_cancels_in_a_star_and_structure_of_the_sky_does_not() -> None:
    rng = np.random.default_rng(13)
    y, x = np.mgrid[:600, :600]
    none = np.zeros(x.shape, bool)
    # waves of three pixels, with a phase of its own in every row
    phase = rng.uniform(0.0, 2.0 * np.pi, (600, 1))
    hum = 10.0 * np.sqrt(2.0) * np.sin(2.0 * np.pi * x / 3.0 + phase)
    white = rng.normal(0.0, 10.0, x.shape)
    rms = np.full(x.shape, np.hypot(10.0, 10.0), np.float32)
    quiet = SkyNoise.of((white + hum).astype(np.float32), rms, none)
    assert quiet.factor_of_circle(8.0) == pytest.approx(0.5, abs=0.12)
    wavy = white + 2.0 * np.sin(2.0 * np.pi * y / 80.0)
    rms = np.full(x.shape, np.sqrt(102.0), np.float32)
    loud = SkyNoise.of(wavy.astype(np.float32), rms, none)
    # 2 adu^2 of a hundred, the same in all of 197 pixels, whose values are in turn clipped
    assert 2.5 < loud.factor_of_circle(8.0) < 5.5


@pytest.mark.parametrize("wide", [0.0, 3.0, 12.0])
def test_noise_under_sources_is_known_where_the_level_follows_what_pixels_share(wide: float):
    side, radius = 768, 8
    y, x = (a.ravel() for a in np.mgrid[24:side:48, 24:side:48])
    under = np.zeros((side, side), bool)
    for row, column in zip(y, x, strict=True):
        under[row - radius : row + radius + 1, column - radius : column + radius + 1] |= (
            circle(radius) > 0
        )
    seen, said = [], []
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        image = rng.normal(0.0, 10.0, under.shape)
        if wide:
            common = gaussian_filter(rng.normal(0.0, 1.0, under.shape), wide)
            image += 3.0 * common / common.std()
        nothing = np.zeros(0, sep.extract(image, 1e6).dtype)
        first = estimate_background(image, mask=under)
        sky = background_behind(image, nothing, first, mask=under)
        rest = (image - sky.level).astype(np.float32)
        noise = SkyNoise.behind(rest, sky.rms, under, sky)
        sums, _, _ = sep.sum_circle(rest, x, y, float(radius), subpix=1)
        seen.append(sums / sky.global_rms)
        area = float(circle(radius).sum())
        said.append(noise.factor_of_circle(radius) * area + sky.level_variance * area**2)
    # some thousand places: a scatter is known to 2.2 %, that of the sums between them to 1.5 %;
    # noise of two meshes' size is followed from where the place is not
    assert np.std(seen) == pytest.approx(np.sqrt(np.mean(said)), rel=0.08)
