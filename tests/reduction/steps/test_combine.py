"""Combining frames, and the read noise that it rests on."""

from __future__ import annotations

__all__: list[str] = []

import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData

from reduction.steps.combine import combine, combine_biases
from reduction.steps.read_noise import pair_noise, read_noise
from schemas.errors import UnprocessableError


@pytest.fixture
def biases() -> list[np.ndarray]:
    """Seven frames of noise 3 adu, with outliers in some."""
    rng = np.random.default_rng(3)
    frames = [rng.normal(0.0, 3.0, (300, 64)).astype(np.float32) for _ in range(7)]
    frames[2][5, 7] = 5000.0
    frames[4][290, 60] = -700.0
    return frames


def test_the_mean_of_survivors_leaves_outliers_out(biases):
    mean, count = combine(biases, [3.0] * 7, sigma_clip=4.0)
    assert (count[5, 7], count[290, 60]) == (6, 6)
    survivors = [f[5, 7] for i, f in enumerate(biases) if i != 2]
    assert mean[5, 7] == pytest.approx(np.mean(survivors), abs=1e-5)


def test_a_master_bias_agrees_with_ccdproc(biases):
    ours = combine_biases(biases, read_noise=3.0, sigma_clip=3.0)
    combiner = ccdproc.Combiner([CCDData(f.astype(float), unit="adu") for f in biases])
    combiner.sigma_clipping(
        low_thresh=3.0,
        high_thresh=3.0,
        func=lambda a, axis=None: np.ma.median(a, axis=axis),
        dev_func=lambda _a, axis=None: 3.0,
    )
    theirs = np.asarray(combiner.average_combine())
    assert np.allclose(ours, theirs, atol=1e-5)


def test_combining_twice_gives_the_same_bits(biases):
    first, second = (combine_biases(biases, read_noise=3.0) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("number", [256, 257, 300])
def test_more_frames_than_a_byte_counts_are_all_counted(number):
    rng = np.random.default_rng(5)
    frames = [(rng.normal(100.0, 5.0, (16, 16))).astype(np.float32) for _ in range(number)]
    mean, count = combine(frames, [5.0] * number, sigma_clip=20.0)
    assert (count == number).all()
    assert np.allclose(mean, np.mean(frames, axis=0), atol=1e-3)


def test_missing_values_do_not_count(biases):
    biases[0][10, 10] = np.nan
    for frame in biases:
        frame[20, 20] = np.nan
    mean, count = combine(biases, [3.0] * 7, sigma_clip=10.0)
    assert count[10, 10] == 6
    assert mean[10, 10] == pytest.approx(np.mean([f[10, 10] for f in biases[1:]]), abs=1e-5)
    assert count[20, 20] == 0
    assert np.isnan(mean[20, 20])


def test_where_two_frames_disagree_the_one_with_less_light_stands():
    low, high = (np.full((4, 4), value, dtype=np.float32) for value in (0.0, 100.0))
    for frames in ([low, high], [high, low]):
        mean, count = combine(frames, [1.0, 1.0], sigma_clip=3.0)
        assert np.all(mean == 0.0)
        assert np.all(count == 1)


def test_where_half_of_four_frames_are_hit_the_other_half_is_averaged():
    frames = [np.full((4, 4), value, dtype=np.float32) for value in (0.0, 130.0, 1.0, 100.0)]
    frames.append(np.full((4, 4), np.nan, dtype=np.float32))
    mean, count = combine(frames, [1.0] * 5, sigma_clip=3.0)
    assert np.all(mean == 0.5)
    assert np.all(count == 2)


@pytest.mark.parametrize("sigma_clip", [3.0, 5.0])
def test_noise_alone_does_not_lower_the_mean_of_two(sigma_clip):
    rng = np.random.default_rng(8)
    frames = [rng.normal(10.0, 3.0, (1000, 1000)).astype(np.float32) for _ in range(2)]
    mean, count = combine(frames, [3.0, 3.0], sigma_clip=sigma_clip)
    # Noise of two values differs by 6 sigma or more in one pixel of 45 000. Taking the lower is
    # then 3.3 sigma too little: 7e-5 of 2.1 adu of noise in the mean, which is known to 2e-3
    assert mean.mean(dtype=np.float64) == pytest.approx(10.0, abs=4 * 2.1e-3)
    assert mean.std(dtype=np.float64) == pytest.approx(3.0 / 2**0.5, rel=4 * 0.5**0.5 / 1000)
    assert (count < 2).mean() < 1e-4


def test_weights_are_those_of_the_mean_of_what_is_kept():
    values = (1000.0, 1003.0, 1009.0, 5000.0)
    frames = [np.full((4, 4), value, dtype=np.float32) for value in values]
    mean, count = combine(frames, [9.0] * 4, sigma_clip=4.0, weights=[4.0, 2.0, 2.0, 8.0])
    assert mean == pytest.approx((2 * 1000.0 + 1003.0 + 1009.0) / 4)
    assert np.all(count == 3)
    equal, _ = combine(frames, [9.0] * 4, sigma_clip=4.0, weights=[7.0] * 4)
    plain, _ = combine(frames, [9.0] * 4, sigma_clip=4.0)
    assert equal.tobytes() == plain.tobytes()


@pytest.mark.parametrize("noises", [(30.0, 3.0), (30.0, 30.0, 3.0), (3.0, 30.0, 30.0, 30.0)])
def test_a_good_frame_is_not_left_out_for_the_noise_of_others(noises):
    rng = np.random.default_rng(9)
    frames = [rng.normal(500.0, noise, (300, 300)).astype(np.float32) for noise in noises]
    weights = [noise**-2 for noise in noises]
    mean, count = combine(frames, noises, sigma_clip=5.0, weights=weights)
    assert (count == len(noises)).mean() > 0.9999
    # of 90 000 values, four standard errors of their scatter
    best = sum(weights) ** -0.5
    assert mean.std(dtype=np.float64) == pytest.approx(best, rel=4 / (2 * 90000) ** 0.5)


@pytest.mark.parametrize("levels", [(1e3, 3e4), (1e3, 1e3, 3e4), (5e3, 1e4, 3e4)])
def test_a_defect_of_the_brightest_flat_is_not_kept_for_the_noise_of_the_faint(levels):
    rng = np.random.default_rng(19)
    shape, gain = (200, 200), 2.0
    frames = [(rng.poisson(level * gain, shape) / gain / level).astype("f4") for level in levels]
    photon = [1.0 / (gain * level) for level in levels]
    hit = np.s_[::5, ::5]
    frames[-1][hit] += 0.3
    weights = [1.0 / noise for noise in photon]
    mean, count = combine(
        frames, [0.0] * len(levels), sigma_clip=5.0, photon=photon, weights=weights
    )
    # What is left is of the other frames, nearly always of all; four errors of 1600 pixels
    noise = (1.0 / sum(weights[:-1])) ** 0.5
    assert mean[hit].mean(dtype=np.float64) == pytest.approx(1.0, abs=4 * noise / 40)
    assert (count[hit] == len(levels) - 1).mean() > 0.99
    assert mean[hit].std(dtype=np.float64) == pytest.approx(noise, rel=4 / (2 * 1600) ** 0.5)


def test_a_hit_or_missing_value_of_a_faint_flat_leaves_the_bright_one():
    noises = (0.02, 0.004)
    for value in (1.5, np.nan, np.inf):
        frames = [np.full((3, 3), one, dtype=np.float32) for one in (value, 1.0)]
        for each, of_each in ((frames, noises), (frames[::-1], noises[::-1])):
            weights = [noise**-2 for noise in of_each]
            mean, count = combine(each, of_each, sigma_clip=5.0, weights=weights)
            assert np.all(mean == 1.0)
            assert np.all(count == 1)


def test_photon_noise_widens_the_limit():
    frames = [np.full((2, 2), value, dtype=np.float32) for value in (980.0, 1000.0, 1020.0)]
    _, tight = combine(frames, [1.0] * 3, sigma_clip=3.0)
    _, wide = combine(frames, [1.0] * 3, sigma_clip=3.0, photon=[0.5] * 3)
    assert (tight[0, 0], wide[0, 0]) == (1, 3)


def test_frames_of_different_shapes_are_refused():
    frames = [np.zeros((2, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32)]
    with pytest.raises(UnprocessableError, match="one common shape"):
        combine(frames, [1.0, 1.0], sigma_clip=3.0)
    with pytest.raises(UnprocessableError, match="expected equal shapes"):
        pair_noise(*frames)
    with pytest.raises(UnprocessableError, match="0 frames"):
        combine([], [], sigma_clip=3.0)


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan")])
def test_a_master_bias_needs_a_read_noise(biases, noise):
    with pytest.raises(UnprocessableError, match="expected a positive number"):
        combine_biases(biases, read_noise=noise)


def test_read_noise_is_that_of_one_frame(biases):
    noise = read_noise(biases)
    # 6 pairs of 19200 pixels, neighbours share a frame: about 4 sqrt(1 / (2 * 19200 * 3))
    assert noise.read_noise == pytest.approx(3.0, rel=0.012)
    assert noise.rms == pytest.approx(3.0, rel=0.012)
    assert abs(noise.mean_diff) < 0.1


def test_read_noise_of_rounded_values_is_not_quantised():
    rng = np.random.default_rng(4)
    frames = [np.rint(rng.normal(100.0, 1.3, (500, 500))).astype(np.float32) for _ in range(2)]
    # Between the noise before and after rounding (1/12 adu2 more); 2 standard errors of 0.35 %
    measured = read_noise(frames).read_noise
    assert 1.3 * 0.993 < measured < (1.3**2 + 1 / 12) ** 0.5 * 1.007


def test_read_noise_of_equal_frames_is_zero():
    same = [np.ones((8, 8), dtype=np.float32)] * 2
    assert read_noise(same).read_noise == 0.0


def test_read_noise_needs_two_frames(biases):
    with pytest.raises(UnprocessableError, match="at least 2"):
        read_noise(biases[:1])


def test_read_noise_needs_valid_pixels():
    nothing = np.full((4, 4), np.nan, dtype=np.float32)
    with pytest.raises(UnprocessableError, match="no valid pixel"):
        pair_noise(nothing, nothing)
