"""Dark current of every pixel."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.dark import dark_current
from schemas.errors import UnprocessableError

GAIN, NOISE, SHAPE = 2.0, 6.0, (300, 200)
TIMES = (60.0, 60.0, 180.0, 180.0, 240.0, 240.0)


def truth(seed: int = 1) -> np.ndarray:
    """A bulk current of 0.02 adu/s, and hot pixels of 0.3 to 30 adu/s."""
    rng = np.random.default_rng(seed)
    rate = np.full(SHAPE, 0.02)
    hot = rng.random(SHAPE) < 0.01
    rate[hot] += 10.0 ** rng.uniform(-0.5, 1.5, int(hot.sum()))
    return rate


def darks(rate: np.ndarray, *, stray: tuple[float, ...] = (0.0,) * 6) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [
        (rng.poisson((rate * time + more) * GAIN) / GAIN + rng.normal(0, NOISE, SHAPE)).astype(
            "f4"
        )
        for time, more in zip(TIMES, stray, strict=True)
    ]


def test_the_current_is_recovered_within_the_noise_of_all_darks_together():
    rate = truth()
    found = dark_current(darks(rate), TIMES, gain=GAIN, read_noise=NOISE)
    times = np.array(TIMES)
    # of the mean weighted by the squares of the times
    variance = NOISE**2 / (times**2).sum()
    variance = variance + rate / GAIN * (times**3).sum() / (times**2).sum() ** 2
    pull = (found.rate - rate) / np.sqrt(variance)
    # The bulk current is the least of six medians: a quarter of the sky's error of one too low.
    assert abs(pull.mean()) < 0.05
    assert pull.std() == pytest.approx(1.0, abs=0.02)
    assert found.bulk == pytest.approx(0.02, abs=0.003)


def test_light_that_got_in_does_not_count_as_current():
    rate = truth()
    stray = (30.0, 20.0, 30.0, 5.0, 0.0, 24.0)
    found = dark_current(darks(rate, stray=stray), TIMES, gain=GAIN, read_noise=NOISE)
    assert found.stray == pytest.approx(stray, abs=0.5)
    assert np.median(found.rate - rate) == pytest.approx(0.0, abs=0.003)


def test_cosmic_rays_are_left_out_and_counted():
    rate = np.full(SHAPE, 0.02)
    frames = darks(rate)
    for number, frame in enumerate(frames):
        frame[10 + number, 20:60] += 900.0
    found = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
    assert found.outliers >= 240
    assert np.abs(found.rate[10:16, 20:60] - 0.02).max() < 0.2


def test_a_pixel_without_values_has_no_current():
    frames = darks(truth())
    for frame in frames:
        frame[3, 4] = np.nan
    frames[0][5, 6] = np.nan
    found = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
    assert np.isnan(found.rate[3, 4])
    assert np.isfinite(found.rate[5, 6])


def test_darks_that_cannot_be_combined_are_refused():
    frames = darks(truth())
    with pytest.raises(UnprocessableError, match="positive exposure times"):
        dark_current(frames, (0.0, *TIMES[1:]), gain=GAIN, read_noise=NOISE)
    with pytest.raises(UnprocessableError, match="0 darks"):
        dark_current([], [], gain=GAIN, read_noise=NOISE)
