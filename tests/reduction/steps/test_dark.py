"""Dark current of every pixel."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps import dark
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
    # the median of 60000 pixels is known to 0.5 % of the noise of one, whoever is averaged
    assert abs(pull.mean()) < 0.03
    assert pull.std() == pytest.approx(1.0, abs=0.02)
    assert found.bulk == pytest.approx(0.02, abs=3.0 * found.bulk_err)
    assert found.bulk_err < 0.005


def test_the_bulk_current_is_right_on_the_average():
    # hot pixels lift the median of all by 0.01 of the noise: none here
    rng = np.random.default_rng(3)
    currents = []
    for _ in range(40):
        frames = [rng.normal(0.05 * t, NOISE, (60, 60)).astype("f4") for t in TIMES]
        currents.append(dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE).bulk)
    error = np.std(currents, ddof=1) / np.sqrt(len(currents))
    # noise of a frame's median 0.125 adu; four of 180 and 240 s: 0.0003 adu/s, of forty 0.00005
    assert error < 0.0001
    assert np.mean(currents) == pytest.approx(0.05, abs=3.0 * error)


@pytest.mark.parametrize("drift", [-1.5, -0.5, 0.0, 3.0])
def test_short_darks_with_another_level_of_bias_do_not_decide(drift):
    rng, times = np.random.default_rng(4), (1.0, 1.0, 300.0, 300.0, 300.0)
    frames = [
        (0.05 * t + (drift if t < 10.0 else 0.0) + rng.normal(0, NOISE, SHAPE)).astype("f4")
        for t in times
    ]
    found = dark_current(frames, times, gain=GAIN, read_noise=NOISE)
    assert found.bulk == pytest.approx(0.05, abs=0.0005)
    assert np.median(found.rate) * 300.0 == pytest.approx(15.0, abs=0.15)


def test_a_dark_far_below_zero_does_not_decide_unless_all_are():
    rng, times = np.random.default_rng(6), (300.0, 300.0, 300.0)
    low = (-9.0, 15.0, 15.0)
    frames = [(level + rng.normal(0, NOISE, SHAPE)).astype("f4") for level in low]
    found = dark_current(frames, times, gain=GAIN, read_noise=NOISE)
    assert found.bulk == pytest.approx(0.05, abs=0.0005)
    found = dark_current(frames[:1] * 3, times, gain=GAIN, read_noise=NOISE)
    assert found.bulk < -3.0 * found.bulk_err


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


@pytest.mark.parametrize("times", [(180.0, 180.0), (1.0, 180.0, 180.0), (60.0, 180.0, 240.0)])
def test_a_cosmic_ray_in_one_of_two_long_darks_is_no_current(times):
    rng = np.random.default_rng(5)
    frames = [rng.normal(0.02 * time, NOISE, SHAPE).astype("f4") for time in times]
    for number in (-1, -2):
        frames[number][20 - number, 20:120] += 900.0
    found = dark_current(frames, times, gain=GAIN, read_noise=NOISE)
    # the current of the other alone: an error of 6 adu in 180 s, of 200 pixels none beyond 4
    assert np.abs(found.rate[21:23, 20:120] - 0.02).max() < 4 * NOISE / 180.0
    assert found.outliers == 200


def test_noise_alone_does_not_lower_the_current_of_two_darks():
    rng = np.random.default_rng(6)
    frames = [rng.normal(3.6, NOISE, (1000, 1000)).astype("f4") for _ in range(2)]
    found = dark_current(frames, (180.0, 180.0), gain=GAIN, read_noise=NOISE)
    # the mean of 1e6 pixels, and the median that the level is taken from
    assert found.rate.mean(dtype="f8") * 180.0 == pytest.approx(3.6, abs=4 * 1.6 * 4.24e-3)
    assert found.rate.std(dtype="f8") * 180.0 == pytest.approx(NOISE / 2**0.5, rel=0.003)


def test_a_pixel_without_values_has_no_current():
    frames = darks(truth())
    for frame in frames:
        frame[3, 4] = np.nan
    frames[0][5, 6] = np.nan
    found = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
    assert np.isnan(found.rate[3, 4])
    assert np.isfinite(found.rate[5, 6])


def test_a_dark_without_values_is_left_out():
    frames = darks(truth())
    nothing = np.full(SHAPE, np.nan, dtype=np.float32)
    found = dark_current([*frames, nothing], (*TIMES, TIMES[-1]), gain=GAIN, read_noise=NOISE)
    alone = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
    assert np.array_equal(found.rate, alone.rate)
    assert found.stray == alone.stray
    with pytest.raises(UnprocessableError, match="1 darks without a valid pixel"):
        dark_current([nothing], (60.0,), gain=GAIN, read_noise=NOISE)


def test_many_darks_are_combined_in_smaller_pieces_with_the_same_result(monkeypatch):
    sizes, slopes = [], dark._slopes
    monkeypatch.setattr(
        *(dark, "_slopes"), lambda stack, *rest: sizes.append(stack.size) or slopes(stack, *rest)
    )
    rng = np.random.default_rng(7)
    chip = rng.normal(5.0, NOISE, (256, 512)).astype("f4")
    dark_current([chip] * 40, (60.0,) * 40, gain=GAIN, read_noise=NOISE)
    assert max(sizes) <= dark._VALUES < 40 * chip.size
    frames = darks(truth())
    frames[1][20:30, 40:90] += 500.0
    frames[2][7, 8] = np.nan
    whole = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
    for values in (1, 7 * len(frames) * SHAPE[1]):  # a row at a time, seven
        monkeypatch.setattr(dark, "_VALUES", values)
        found = dark_current(frames, TIMES, gain=GAIN, read_noise=NOISE)
        assert found.rate.tobytes() == whole.rate.tobytes()
        assert (found.outliers, found.stray) == (whole.outliers, whole.stray)


def test_darks_that_cannot_be_combined_are_refused():
    frames = darks(truth())
    with pytest.raises(UnprocessableError, match="positive exposure times"):
        dark_current(frames, (0.0, *TIMES[1:]), gain=GAIN, read_noise=NOISE)
    with pytest.raises(UnprocessableError, match="0 darks"):
        dark_current([], [], gain=GAIN, read_noise=NOISE)
