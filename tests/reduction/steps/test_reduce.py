"""Pixel maps, masks, weights, cosmic rays and reduction of a frame."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from scipy import ndimage

from reduction.instruments.base import Section
from reduction.steps.cosmic import find_cosmics
from reduction.steps.pixels import cold_pixels, hot_pixels
from reduction.steps.reduce import Limits, reduce_frame
from reduction.steps.weight import MaskBit, bit_mask, weight_image
from reduction.steps.windows import Windows
from schemas.errors import UnprocessableError

GAIN, NOISE = 2.0, 3.0


def test_hot_and_dark_pixels_and_bad_columns_are_found_on_a_bias_that_bends():
    rng = np.random.default_rng(1)
    y, x = np.indices((128, 160))
    # As Nickel's: up to 3 adu a pixel at the last columns.
    bias = rng.normal(0.0, 1.7, y.shape) + 0.05 * y - 40.0 * np.exp(-(160.0 - x) / 14.0)
    bias[17, 33] += 50.0
    bias[90, 10] -= 50.0
    bias[:, 60] += 5000.0
    bias[5, 5] = np.nan
    good = hot_pixels(bias.astype(np.float32))
    bad = good == 0
    assert bad[17, 33]
    assert bad[90, 10]
    assert bad[5, 5]
    assert bad[:, 60].all()
    # 5 sigma: 6e-7 of 20000 pixels; the steep edge may cost its last column
    assert bad.sum() <= 128 + 3 + 128


def test_cold_and_bright_pixels_are_found_on_a_vignetted_flat():
    rng = np.random.default_rng(2)
    y, x = np.indices((128, 128))
    flat = 1.0 - 0.3 * ((x - 64) ** 2 + (y - 64) ** 2) / 8192 + rng.normal(0, 0.005, y.shape)
    flat[30:33, 40] *= 0.8
    flat[100, 100] *= 1.2
    flat[7, 7] = 0.0
    flat[8, 8] = np.nan
    bad = cold_pixels(flat.astype(np.float32)) == 0
    expected = np.zeros_like(bad)
    expected[30:33, 40] = expected[100, 100] = expected[7, 7] = expected[8, 8] = True
    assert np.array_equal(bad, expected)


def test_maps_need_valid_pixels():
    nothing = np.full((64, 64), np.nan, dtype=np.float32)
    with pytest.raises(UnprocessableError, match="no valid pixel"):
        hot_pixels(nothing)
    with pytest.raises(UnprocessableError, match="no positive pixel"):
        cold_pixels(nothing)


def test_the_mask_says_why_and_the_weight_is_the_flat_of_good_pixels():
    image = np.zeros((1, 7), dtype=np.float32)
    image[0, 0] = np.nan
    pixel = np.eye(7, dtype=bool)[:, None, :]
    hot, cold = (1 - pixel[i].astype(np.uint8) for i in (2, 3))
    mask = bit_mask(image, hot=hot, cold=cold, saturated=pixel[1], cosmic=pixel[4])
    assert mask.dtype == np.uint8
    assert mask.tolist() == [
        [MaskBit.NON_NUMBER, MaskBit.SATURATED, MaskBit.HOT, MaskBit.COLD, MaskBit.COSMIC, 0, 0]
    ]
    mask[0, 6] = MaskBit.LINEARITY  # a doubt, no reason to reject
    flat = np.full((1, 7), 0.9, dtype=np.float32)
    flat[0, 5] = np.nan
    assert weight_image(flat, mask).tolist() == [[0, 0, 0, 0, 0, 0, np.float32(0.9)]]


def test_the_bits_are_those_of_darma():
    assert [bit.value for bit in MaskBit] == [1, 2, 4, 8, 16, 32, 64]


def test_windows_give_medians_of_valid_pixels_mirrored_at_edges():
    image = np.arange(25, dtype=np.float32).reshape(5, 5)
    image[2, 2] = np.nan
    windows = Windows(image, 2)
    y, x = np.array([2, 0, 2]), np.array([2, 0, 1])
    assert windows.median(y, x, 1).tolist()[1] == np.median([0, 0, 1, 0, 0, 1, 5, 5, 6])
    around = image[1:4, 1:4]
    assert windows.median(y, x, 1)[0] == np.sort(around[np.isfinite(around)])[3]
    lone = Windows(np.full((5, 5), np.nan, dtype=np.float32), 1)
    assert np.isnan(lone.median(np.array([2]), np.array([2]), 1))


def star_field(seed: int) -> np.ndarray:
    """Sky of 100 adu with a bright and a faint star of 3 pixels FWHM."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((120, 120))
    image = np.full(y.shape, 100.0)
    for y0, x0, peak in ((40.3, 50.6, 20000.0), (80.0, 30.0, 500.0)):
        image += peak * np.exp(-((y - y0) ** 2 + (x - x0) ** 2) / (2 * 1.27**2))
    electrons = rng.poisson(image * GAIN)
    return (electrons / GAIN + rng.normal(0.0, NOISE, y.shape)).astype(np.float32)


def test_cosmic_rays_are_found_and_stars_are_not():
    image = star_field(3)
    track = np.zeros(image.shape, dtype=bool)
    track[100, 60:70] = track[20, 20] = True
    image[track] += 300.0
    found = find_cosmics(image, gain=GAIN, read_noise=NOISE)
    assert found[track].all()
    assert not found[36:45, 46:56].any()
    assert not found[77:84, 27:34].any()
    assert (found & ~track).sum() <= 8  # neighbours that the growth takes along


def test_nothing_is_found_near_saturated_pixels_or_on_bad_ones():
    image = star_field(4)
    saturated = image > 10000.0
    hot = np.zeros(image.shape, dtype=bool)
    hot[60, 60] = True
    image[60, 60] = 4000.0
    image[10, 10] = np.nan
    found = find_cosmics(image, gain=GAIN, read_noise=NOISE, bad=hot, saturated=saturated)
    assert not found[57:64, 57:64].any()
    assert not found[36:45, 46:56].any()
    assert not found[8:13, 8:13].any()


def test_finding_cosmics_leaves_the_image_alone_and_is_repeatable():
    image = star_field(5)
    before = image.copy()
    first = find_cosmics(image, gain=GAIN, read_noise=NOISE)
    assert np.array_equal(image, before)
    assert np.array_equal(first, find_cosmics(image, gain=GAIN, read_noise=NOISE))


@pytest.mark.parametrize(("sky", "gain", "noise"), [(100.0, 1.0, 5.0), (20.0, 1.5, 6.0)])
def test_the_noise_of_pixels_with_little_light_is_no_cosmic_ray(
    sky: float, gain: float, noise: float
) -> None:
    rng = np.random.default_rng(6)
    flat = np.broadcast_to(np.linspace(1.0, 0.3, 400), (400, 400)).astype(np.float32).copy()
    flat[:, 300:] *= 0.6  # a step, as where a filter ends
    counts = rng.poisson(sky * gain * flat) / gain + rng.normal(0.0, noise, flat.shape)
    hits = np.zeros(flat.shape, dtype=bool)
    hits[20:380:40, 10:400:40] = True
    counts[hits] += 400.0
    image = (counts / flat).astype(np.float32)
    found = find_cosmics(image, gain=gain, read_noise=noise, response=flat)
    assert found[hits].all()
    around = ndimage.binary_dilation(hits, np.ones((3, 3)))
    # 4.5 sigma of Poisson's and the Laplacian's tails: some 3 in 10^5 where the flat is 1
    assert (found & ~around).sum() <= 15
    plain = find_cosmics(image, gain=gain, read_noise=noise)
    assert (plain & ~around).sum() > 500


@pytest.fixture
def frame() -> dict:
    """A raw frame of 64 x 64 science pixels with every defect, and its calibrations."""
    science = Section(2, 66, 8, 72)
    raw = np.full((70, 90), 300, dtype=np.uint16)
    raw[science.slices] += 1010
    raw[science.y0 + 10, science.x0 + 10] = 65000
    flat = np.full(science.shape, 2.0, dtype=np.float32)
    flat[20, 20] = 0.0
    hot, cold = (np.ones(science.shape, dtype=np.uint8) for _ in range(2))
    hot[30, 30] = cold[40, 40] = 0
    return {
        "raw": raw,
        "science": science,
        "flat": flat,
        "hot": hot,
        "cold": cold,
        "bias": np.full(science.shape, 10.0, dtype=np.float32),
        "gain": GAIN,
        "read_noise": NOISE,
        "limits": Limits(60000.0),
    }


def test_a_frame_is_trimmed_debiased_and_divided_by_the_flat(frame):
    reduced = reduce_frame(**frame)
    good = reduced.mask == 0
    assert good.sum() == 64 * 64 - 4
    assert np.all(reduced.image[good] == 500.0)
    assert np.all(reduced.weight[good] == 2.0)
    assert not reduced.weight[~good].any()
    assert reduced.mask[10, 10] == MaskBit.SATURATED
    assert reduced.mask[30, 30] == MaskBit.HOT
    assert reduced.mask[40, 40] == MaskBit.COLD
    assert reduced.mask[20, 20] == MaskBit.NON_NUMBER
    assert np.isnan(reduced.image[20, 20])


def test_cosmic_rays_are_looked_for_unless_told_otherwise(frame):
    frame["raw"][50, 50] += 3000
    y, x = 50 - frame["science"].y0, 50 - frame["science"].x0
    assert reduce_frame(**frame).mask[y, x] == MaskBit.COSMIC
    frame["limits"] = Limits(60000.0, cosmic=0.0)
    assert reduce_frame(**frame).mask[y, x] == 0


def test_a_frame_is_looked_at_with_the_noise_that_its_flat_leaves() -> None:
    rng, science = np.random.default_rng(9), Section(0, 300, 0, 300)
    flat = np.broadcast_to(np.linspace(1.0, 0.3, 300), science.shape).astype(np.float32)
    electrons = rng.poisson(20.0 * GAIN * flat) / GAIN + rng.normal(0.0, 6.0, flat.shape)
    good = np.ones(science.shape, dtype=np.uint8)
    reduced = reduce_frame(
        np.round(1000.0 + electrons).astype(np.uint16),
        science,
        bias=np.full(science.shape, 1000.0, dtype=np.float32),
        flat=flat,
        hot=good,
        cold=good,
        gain=GAIN,
        read_noise=6.0,
        limits=Limits(60000.0, trail=0.0),
        overscan_method=0,
    )
    # some 3 in 10^5 by chance; 2 % of all and 15 % of the last columns with the noise of flat 1
    assert (reduced.mask != 0).sum() <= 15


def test_dead_pixels_beside_saturated_ones_are_masked_with_them(frame):
    y, x = 10 + frame["science"].y0, 10 + frame["science"].x0
    frame["raw"][y, x + 1 : x + 4] = 0
    frame["raw"][y + 20, x] = 0
    mask = reduce_frame(**frame).mask
    assert (mask[10, 10:14] == MaskBit.SATURATED).all()
    assert mask[30, 10] & MaskBit.SATURATED == 0


def test_a_satellite_is_masked_and_loses_its_weight(frame):
    large = np.pad(frame["raw"], ((0, 400), (0, 400)), mode="edge")
    science = Section(0, 440, 8, 448)
    rng = np.random.default_rng(1)
    raw = (rng.normal(1300.0, 5.0, large.shape)).astype(np.uint16)
    y, x = np.indices(raw.shape)
    raw[np.abs(y - 0.5 * x - 100) < 3] += 60
    shape = science.shape
    good = np.ones(shape, dtype=np.uint8)
    reduced = reduce_frame(
        raw,
        science,
        bias=np.full(shape, 10.0, dtype=np.float32),
        flat=np.ones(shape, dtype=np.float32),
        hot=good,
        cold=good,
        gain=GAIN,
        read_noise=NOISE,
        limits=Limits(60000.0),
        overscan_method=0,
    )
    assert len(reduced.trails) == 1
    trail = (reduced.mask & MaskBit.SATELLITE) > 0
    assert 440 * 4 < trail.sum() < 440 * 20
    assert not reduced.weight[trail].any()


def test_calibrations_of_another_shape_are_refused_by_name(frame):
    frame["flat"] = frame["flat"][:-1]
    with pytest.raises(UnprocessableError, match=r"flat of shape \(63, 64\)"):
        reduce_frame(**frame)
