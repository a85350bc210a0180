"""Low-pass filter, flats, master flat and gain."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from scipy import ndimage

from reduction.steps.flat import CombineType, combine_flats, master_flat
from reduction.steps.gain import linearity, mean_gain, pair_gain
from reduction.steps.smooth import fill_bad_pixels, low_pass
from schemas.errors import UnprocessableError

GAIN, NOISE = 2.0, 3.0


def light(level: float, shape: tuple[int, int] = (256, 256), seed: int = 5) -> np.ndarray:
    """A debiased flat with vignetting, in adu."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    fall = 1.0 - 0.4 * ((y - shape[0] / 2) ** 2 + (x - shape[1] / 2) ** 2) / shape[0] ** 2
    electrons = rng.poisson(level * fall * GAIN)
    return (electrons / GAIN + rng.normal(0.0, NOISE, shape)).astype(np.float32)


def test_the_low_pass_is_a_gaussian_where_nothing_is_bad():
    image = light(1000.0, (90, 70))
    ours = low_pass(image, sigma=3.0)
    theirs = ndimage.gaussian_filter(image.astype(float), 3.0, mode="reflect", truncate=4.0)
    assert np.allclose(ours, theirs, rtol=1e-5)


def test_mirrored_edges_agree_with_reflection():
    image = light(1000.0, (90, 70))
    mirrored = low_pass(image, sigma=3.0, mirror=(20, 20))
    assert np.allclose(mirrored, low_pass(image, sigma=3.0), rtol=1e-5)


def test_bad_pixels_do_not_reach_the_low_pass():
    image = np.full((60, 60), 7.0, dtype=np.float32)
    bad = np.zeros(image.shape, dtype=bool)
    bad[30, 20:40] = True
    image[bad] = 1e6
    image[10, 10] = np.nan
    assert np.allclose(low_pass(image, sigma=4.0, bad=bad), 7.0, rtol=1e-5)


def test_far_from_every_good_pixel_the_low_pass_is_nan():
    image = np.full((80, 10), np.nan, dtype=np.float32)
    image[:5] = 1.0
    smooth = low_pass(image, sigma=2.0)
    assert smooth[0, 0] == 1.0
    assert np.isnan(smooth[-1, 0])


def test_bad_pixels_are_filled_from_good_ones_however_far():
    image = np.tile(np.arange(50, dtype=np.float32), (50, 1))
    bad = np.zeros(image.shape, dtype=bool)
    bad[20:32, 20:32] = True
    bad[3, 3] = True
    image[bad] = np.nan
    filled = fill_bad_pixels(image, bad, size=5)
    assert filled[3, 3] == 3.0
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~bad], image[~bad])
    with pytest.raises(UnprocessableError, match="every pixel is bad"):
        fill_bad_pixels(image, np.ones_like(bad), size=5)


@pytest.mark.parametrize(
    ("shape", "hole"),
    [((8, 400), np.s_[:, 100:160]), ((400, 300), np.s_[:, :150]), ((60, 60), np.s_[:59, :])],
)
def test_a_hole_of_any_size_is_filled_from_its_rim(shape, hole):
    image = np.arange(shape[1], dtype=np.float32) + np.zeros(shape, dtype=np.float32)
    bad = np.zeros(shape, dtype=bool)
    bad[hole] = True
    filled = fill_bad_pixels(image, bad, size=9)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~bad], image[~bad])
    # no value further from a pixel than the nearest good one and the half square about that
    distance = ndimage.distance_transform_edt(bad)
    assert (np.abs(filled - image)[bad] <= distance[bad] + 4).all()


def test_a_master_flat_of_a_chip_with_a_dead_half_is_that_of_the_other_half():
    dome, twilight = light(2e4, (200, 200)), light(3e4, (200, 200), seed=6)
    dead = np.zeros(dome.shape, dtype=bool)
    dead[:, :100] = True
    dome, twilight = (
        np.where(dead, np.float32(0.0), flat / np.median(flat[~dead])) for flat in (dome, twilight)
    )
    master = master_flat(dome, twilight, combine_type=1, bad=dead)
    assert np.median(master[~dead]) == pytest.approx(1.0, abs=1e-3)
    truth = light(1e9, (200, 200))
    truth /= np.median(truth[~dead])
    # noise of 20 000 adu a pixel, 0.5 %, in 5000 pixels a strip, and 1 % where the filter mirrors
    strip = np.s_[:, 100:125]
    assert np.median(master[strip] / truth[strip]) == pytest.approx(1.0, abs=5e-3)


def test_flats_of_different_levels_give_one_of_median_one():
    bias = np.full((256, 256), 12.0, dtype=np.float32)
    frames = [light(level, seed=i) + bias for i, level in enumerate((8e3, 2e4, 3e4))]
    frames[1][40, 50] += 3000.0  # a star
    flat = combine_flats(frames, bias=bias, gain=GAIN, read_noise=NOISE)
    assert np.median(flat.image) == pytest.approx(1.0, abs=1e-6)
    assert flat.levels[1] / flat.levels[0] == pytest.approx(2.5, rel=0.01)
    # A value can be 5 sigma from a median that is itself off: 4.1 sigma of 196608 values
    assert 1 <= flat.outliers <= 40
    assert flat.image[40, 50] == pytest.approx(flat.image[40, 49], rel=0.05)


@pytest.mark.parametrize("levels", [(1e3, 3e4), (1e3, 3e4, 3e4), (2e3, 2e3, 3e4), (1e4, 4e4)])
def test_a_weak_flat_makes_the_mean_no_noisier(levels):
    shape = (400, 400)
    rng = np.random.default_rng(15)
    frames = [
        (rng.poisson(level * GAIN, shape) / GAIN + rng.normal(0.0, NOISE, shape)).astype("f4")
        for level in levels
    ]
    bias = np.zeros(shape, dtype=np.float32)
    flat = combine_flats(frames, bias=bias, gain=GAIN, read_noise=NOISE)
    best = sum(level**2 / (level / GAIN + NOISE**2) for level in levels) ** -0.5
    # the scatter of 160 000 pixels is known to 0.18 %
    assert flat.image.std(dtype=np.float64) == pytest.approx(best, rel=0.007)
    assert flat.outliers <= 5


def test_flats_of_one_level_have_their_plain_mean():
    frames = [light(2e4, seed=i) for i in range(4)]
    frames = [frame * (2e4 / np.median(frame)).astype(np.float32) for frame in frames]
    levels = [float(np.median(frame)) for frame in frames]
    flat = combine_flats(frames, bias=np.zeros_like(frames[0]), gain=GAIN, read_noise=NOISE)
    plain = np.mean([frame / level for frame, level in zip(frames, levels, strict=True)], axis=0)
    plain /= np.median(plain)
    assert (np.abs(flat.image / plain - 1.0) > 1e-6).sum() == flat.outliers < 40


@pytest.mark.parametrize("levels", [(2e4, 2e4), (2e4, 1e4), (5e3, 3e4), (3e4, 5e3)])
@pytest.mark.parametrize("star", [0.4, 3.0])
def test_a_star_in_one_of_two_flats_is_not_in_the_mean(levels, star):
    frames = [light(level, seed=20 + i) for i, level in enumerate(levels)]
    clean = combine_flats(frames, bias=np.zeros_like(frames[0]), gain=GAIN, read_noise=NOISE)
    spot = np.s_[100:103, 120:123]
    frames[1][spot] *= 1.0 + star
    flat = combine_flats(frames, bias=np.zeros_like(frames[0]), gain=GAIN, read_noise=NOISE)
    # noise of the weaker alone at 0.9 of its level: 1 / sqrt(4500 * 2) and the read noise
    worst = (1 / (0.9 * min(levels) * GAIN) + (NOISE / min(levels)) ** 2) ** 0.5
    assert flat.image[spot] / clean.image[spot] == pytest.approx(1.0, abs=4.0 * worst)
    assert flat.outliers == clean.outliers + 9


def test_a_single_flat_is_its_own_mean():
    bias = np.zeros((256, 256), dtype=np.float32)
    frame = light(2e4)
    flat = combine_flats([frame], bias=bias, gain=GAIN, read_noise=NOISE)
    assert np.allclose(flat.image, frame / np.median(frame), rtol=1e-6)


def test_a_flat_without_light_is_refused():
    bias = np.full((64, 64), 500.0, dtype=np.float32)
    with pytest.raises(UnprocessableError, match="expected light"):
        combine_flats([bias - 1.0], bias=bias, gain=GAIN, read_noise=NOISE)


def test_flats_of_another_shape_than_the_bias_are_refused():
    bias = np.zeros((64, 64), dtype=np.float32)
    with pytest.raises(UnprocessableError, match="expected equal shapes"):
        combine_flats([np.ones((32, 64), dtype=np.float32)], bias=bias, gain=1.0, read_noise=1.0)


@pytest.fixture
def truth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Small-scale response, large-scale response, and a lamp that is wrong on large scales."""
    rng = np.random.default_rng(6)
    y, x = np.indices((200, 200))
    small = 1.0 + rng.normal(0.0, 0.01, (200, 200))
    large = 1.0 - 0.1 * ((x - 100) ** 2 + (y - 100) ** 2) / 2e4
    lamp = 1.0 + 0.05 * (x - 100) / 100
    return small, large, lamp


def test_the_master_flat_takes_small_scales_from_the_dome_and_large_from_the_twilight(truth):
    small, large, lamp = truth
    noise = np.random.default_rng(7).normal(1.0, 0.02, small.shape)
    dome = (small * large * lamp).astype(np.float32)
    twilight = (small * large * noise).astype(np.float32)  # its pixels are noisy
    ratio = master_flat(dome, twilight) / (small * large)
    ratio /= np.median(ratio)
    # LP of 2 % noise with sigma 9: 0.02 / (2 sqrt(pi) 9) = 0.06 %; 5 of these, and at the very
    # edge the mirror turns the lamp's slope (0.05 %/px) into 0.8 * 9 px = 0.4 %
    assert np.abs(ratio[20:-20, 20:-20] - 1).max() < 0.004
    assert np.abs(ratio - 1).max() < 0.008
    assert np.std(dome / (small * large)) > 0.02  # what the twilight has repaired


def test_a_master_flat_of_one_kind_is_that_flat(truth):
    small, large, _ = truth
    flat = (small * large).astype(np.float32)
    for kind, flats in ((CombineType.DOME, (flat, None)), (CombineType.TWILIGHT, (None, flat))):
        assert np.allclose(master_flat(*flats, combine_type=kind), flat / np.median(flat))


def test_the_night_sky_gives_large_scales_or_the_whole_flat(truth):
    small, large, lamp = truth
    dome = (small * large * lamp).astype(np.float32)
    noise = np.random.default_rng(8).normal(1.0, 0.02, small.shape)
    sky = (small * large * noise).astype(np.float32)
    both = master_flat(dome, None, night_sky=sky, combine_type=CombineType.DOME_AND_NIGHT_SKY)
    assert np.array_equal(both, master_flat(dome, sky))
    alone = master_flat(None, None, night_sky=sky, combine_type=CombineType.NIGHT_SKY)
    assert np.allclose(alone, sky / np.median(sky))


def test_a_master_flat_whose_flats_are_missing_is_refused(truth):
    flat = truth[0].astype(np.float32)
    with pytest.raises(UnprocessableError, match="needs a twilight flat"):
        master_flat(flat, None)
    with pytest.raises(UnprocessableError, match="needs a dome flat"):
        master_flat(None, flat, combine_type=2)
    with pytest.raises(UnprocessableError, match="combine type 9: expected one of 1"):
        master_flat(flat, flat, combine_type=9)
    with pytest.raises(UnprocessableError, match="needs a night-sky flat"):
        master_flat(flat, flat, combine_type=4)
    with pytest.raises(UnprocessableError, match="expected equal shapes"):
        master_flat(flat, flat[:100])


def test_bad_pixels_of_a_flat_do_not_spoil_the_large_scales(truth):
    small, large, _ = truth
    flat = (small * large).astype(np.float32)
    bad = np.zeros(flat.shape, dtype=bool)
    bad[100, 100] = True
    spoilt = flat.copy()
    spoilt[bad] = 1e-4
    clean, other = master_flat(flat, flat), master_flat(spoilt, spoilt, bad=bad)
    assert np.abs(other[~bad] / clean[~bad] - 1).max() < 1e-3


@pytest.mark.parametrize("part", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("level", [0.0, 0.002])
def test_the_gain_does_not_know_of_pixels_without_light(part, level):
    rng = np.random.default_rng(11)
    mean = np.full((400, 400), 20000.0)
    mean[:, : round(400 * part)] *= level
    first, second = (
        (rng.poisson(mean * GAIN) / GAIN + rng.normal(0.0, 5.0, mean.shape)).astype(np.float32)
        for _ in range(2)
    )
    pair = pair_gain(first, second, read_noise=5.0)
    assert abs(pair.gain - GAIN) < 4.0 * pair.gain_error
    assert pair.gain_error < 0.01


def test_saturated_pixels_are_no_measure_of_the_gain():
    first, second = light(20000.0, seed=12), light(20000.0, seed=13)
    for flat in (first, second):
        flat[:, :13] = np.nan
    pair = pair_gain(first, second, read_noise=NOISE)
    assert abs(pair.gain - GAIN) < 4.0 * pair.gain_error


def test_the_gain_does_not_depend_on_level_difference_vignetting_or_outliers():
    first, second = light(20000.0, seed=8), light(23000.0, seed=9)
    first[10:13, 10:13] += 5000.0
    pair = pair_gain(first, second, read_noise=NOISE)
    assert pair.gain == pytest.approx(GAIN, abs=4 * pair.gain_error)
    assert pair.gain_error < 0.01 * GAIN


def test_low_levels_need_the_read_noise_taken_out():
    # 60 adu: photons 30 adu2, read noise 9 adu2 a frame
    pair = pair_gain(light(60.0, seed=10), light(60.0, seed=11), read_noise=NOISE)
    assert pair.gain == pytest.approx(GAIN, rel=0.03)  # sqrt(2/65536) * 39/30, 4 sigma


def test_flats_without_photon_noise_have_no_gain():
    same = np.full((64, 64), 1000.0, dtype=np.float32)
    with pytest.raises(UnprocessableError, match="well exposed"):
        pair_gain(same, same, read_noise=3.0)
    with pytest.raises(UnprocessableError, match="no valid pixel"):
        pair_gain(-same, same, read_noise=3.0)
    with pytest.raises(UnprocessableError, match="expected equal shapes"):
        pair_gain(same, same[:10], read_noise=3.0)


def test_the_mean_gain_knows_how_well_pairs_agree():
    pairs = [
        pair_gain(light(2e4, seed=i), light(2e4, seed=i + 1), read_noise=NOISE)
        for i in (20, 30, 40)
    ]
    gain, error = mean_gain(pairs)
    assert gain == pytest.approx(GAIN, abs=4 * error)
    with pytest.raises(UnprocessableError, match="at least two flats"):
        mean_gain([])


def test_linearity_is_the_largest_deviation_from_a_constant_rate():
    assert linearity([100, 200, 300], [1, 2, 3]) == pytest.approx(0.0)
    assert linearity([100, 200, 330], [1, 2, 3]) == pytest.approx(2 / 31, rel=1e-6)
    assert np.isnan(linearity([100, 101], [5, 5]))
