"""The sky of images of whole numbers."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.background import estimate_background
from reduction.steps.digitised import smoothed_out, step_of
from reduction.steps.sources import extract

GOOD = np.zeros((256, 256), np.bool_)


def counts(level: float, noise: float, *, side: int = 256, seed: int = 1) -> np.ndarray:
    """Even sky as it is read out."""
    sky = np.random.default_rng(seed).normal(level, noise, (side, side))
    return np.rint(sky).astype(np.float32)


def test_the_step_of_whole_numbers_is_told_whatever_was_taken_off() -> None:
    image = counts(60_000.0, 4.0)
    assert step_of(image, GOOD) == 1.0
    rows = np.random.default_rng(2).normal(1000.0, 3.0, (256, 1)).astype(np.float32)
    assert step_of(image - rows, GOOD) == pytest.approx(1.0, abs=0.02)
    assert step_of(16.0 * image, GOOD) == 16.0
    blank = image.copy()
    blank[::3] = np.nan
    assert step_of(np.nan_to_num(blank), np.isnan(blank)) == 1.0


def test_numbers_that_are_not_digitised_have_none() -> None:
    rng = np.random.default_rng(3)
    assert step_of(rng.normal(100.0, 3.0, GOOD.shape).astype(np.float32), GOOD) == 0.0
    flat = rng.normal(1.0, 0.01, GOOD.shape).astype(np.float32)
    assert step_of(counts(100.0, 3.0) / flat, GOOD) == 0.0
    assert step_of(np.full(GOOD.shape, 7.0, np.float32), GOOD) == 0.0


def test_smoothing_out_is_the_same_at_every_call_and_stays_within_the_step() -> None:
    image = counts(100.0, 2.0)
    made = smoothed_out(image, 2.0)
    assert (made == smoothed_out(image, 2.0)).all()
    assert np.abs(made - image).max() <= 1.0
    assert (made - image).std() == pytest.approx(2.0 / np.sqrt(12.0), rel=0.01)


@pytest.mark.parametrize("noise", [0.2, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("level", [100.0, 100.3, 100.5, 100.6])
def test_the_level_of_noise_less_than_a_step_is_the_mean_of_the_numbers(
    level: float, noise: float
) -> None:
    image = counts(level, noise, side=512)
    image[100:104, 50:54] += 500.0
    sky = estimate_background(image)
    # the even noise of nine meshes of 64 x 64 pixels is 0.002, the whole frame's less; the mode
    # was wrong by 0.25
    without = np.delete(image, slice(96, 108), axis=0)
    assert sky.level.mean() == pytest.approx(without.mean(), abs=0.005)
    assert sky.global_level == pytest.approx(without.mean(), abs=0.01)


@pytest.mark.parametrize("noise", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("level", [100.0, 100.3, 100.5, 100.6])
def test_the_level_of_whole_numbers_is_right_to_a_part_of_one(level: float, noise: float) -> None:
    image = counts(level, noise, side=512)
    sky = estimate_background(image)
    # it was wrong by up to 0.9; what is left is of the shape that whole numbers of so little
    # noise have, a mode of 64 x 64 pixels is good to some hundredths of the noise
    assert sky.level.mean() == pytest.approx(level, abs=0.05 + 0.01 * noise)
    # digitised they are noisier by a twelfth; clipped by 1.5 % less
    assert sky.global_rms == pytest.approx(np.hypot(noise, 12**-0.5), rel=0.035)


def test_no_noise_stays_none() -> None:
    image = np.full((256, 256), 50.0, np.float32)
    image[::16, ::2] = 60.0  # hot pixels: numbers differ, the sky does not
    assert step_of(image, GOOD) == 10.0
    assert estimate_background(image).global_rms == 0.0


def test_whole_numbers_make_no_sources() -> None:
    found = dict.fromkeys((True, False), 0)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sky = rng.normal(100.3, 2.0, (384, 384))
        for whole in found:
            image = (np.rint(sky) if whole else sky).astype(np.float32)
            found[whole] += len(extract(image, gain=1.0, aperture_radius=6.0, threshold=2.5))
    # 25 times as many where the level was 0.73 too low
    assert found[True] < 1.5 * found[False]
