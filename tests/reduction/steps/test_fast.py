"""What is computed in blocks, networks and bands is what the plain way gives."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from scipy import ndimage

from reduction.instruments.base import Section
from reduction.steps.gaussian import gaussian
from reduction.steps.isr import correct_frame, saturated_pixels
from reduction.steps.network import median_of_planes
from reduction.steps.noise import tile_noise
from reduction.steps.order import median, moments, within
from reduction.steps.overscan import correct_overscan
from reduction.steps.statistics import median_level
from reduction.steps.windows import Windows
from schemas.errors import UnprocessableError

#: More values than the sample that a median is first sought in.
MANY = 400_001


def distributions() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    normal = rng.normal(1000.0, 7.0, MANY).astype(np.float32)
    skewed = normal.copy()
    skewed[rng.random(MANY) < 0.3] += 1e5
    return {
        "normal": normal,
        "even": normal[:-1],
        "whole": np.rint(normal),
        "skewed": skewed,
        "ordered": np.sort(normal),
        "columns": np.tile(rng.normal(size=2048), 256).astype(np.float32),
        "halves": np.where(np.arange(MANY) % 2, np.float32(1), np.float32(3)),
        "constant": np.full(MANY, 3.5, np.float32),
        "double": normal.astype(np.float64) / 3.0,
        "few": normal[:7],
    }


@pytest.mark.parametrize("name", distributions())
def test_medians_are_numpys_numbers(name):
    values = distributions()[name]
    assert median(values) == float(np.median(values))


@pytest.mark.parametrize("name", distributions())
def test_moments_are_those_in_double_precision(name):
    values = distributions()[name]
    mean, stdev = moments(values)
    exact = values.astype(np.float64)
    assert mean == pytest.approx(
        exact.mean(), abs=1e-7 * max(exact.std(), abs(exact).max() * 1e-1)
    )
    assert stdev == pytest.approx(exact.std(), rel=1e-6, abs=1e-6)


def test_moments_of_values_whose_squares_overflow_are_finite():
    values = np.array([1e30, -1e30, 2e30, 0.0], np.float32)
    mean, stdev = moments(values)
    assert mean == pytest.approx(5e29, rel=1e-6)
    assert stdev == pytest.approx(values.astype(float).std(), rel=1e-6)


def test_nothing_has_no_median_and_no_moments():
    nothing = np.full((4, 4), np.nan, np.float32)
    assert np.isnan(median_level(nothing))
    assert np.isnan(median(nothing[:0]))
    assert np.isnan(moments(nothing[:0])).all()


def test_values_near_a_centre_are_kept_in_their_order():
    values = distributions()["skewed"]
    near = np.abs(values - np.float32(1000.0)) <= 20.0
    assert np.array_equal(within(values, 1000.0, 20.0), values[near])
    assert np.array_equal(within(values[near], 1000.0, 20.0), values[near])


@pytest.mark.parametrize("count", [*range(1, 18), 31, 50])
def test_medians_of_planes_are_numpys_numbers(count):
    rng = np.random.default_rng(count)
    stack = rng.normal(size=(count, 30, 20)).astype(np.float32)
    stack[: count // 2] = np.rint(stack[: count // 2])
    expected = np.median(stack, axis=0)
    assert np.array_equal(median_of_planes(stack.copy()), expected.astype(np.float32))


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("sigma", [0.5, 1.5, 6.0, 30.0])
@pytest.mark.parametrize("shape", [(200, 131), (64, 70), (9, 300)])
def test_a_gaussian_is_scipys(shape, sigma, mirrored):
    image = np.random.default_rng(7).normal(1.0, 0.3, shape).astype(np.float32)
    mode = "reflect" if mirrored else "constant"
    expected = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode=mode, truncate=4.0)
    assert np.abs(gaussian(image, sigma, mirrored=mirrored) - expected).max() < 2e-6


def test_a_frame_is_corrected_as_by_one_operation_after_the_other():
    rng = np.random.default_rng(8)
    raw = rng.normal(1000.0, 5.0, (150, 230)).astype(np.uint16)
    science = Section(10, 140, 20, 200)
    bias = rng.normal(0.0, 1.0, science.shape).astype(np.float32)
    flat = rng.normal(1.0, 0.1, science.shape).astype(np.float32)
    flat[3, 4], flat[5, 6], flat[7, 8] = 0.0, -1.0, np.nan
    for method in range(9):
        image = correct_frame(raw, science, bias=bias, flat=flat, overscan_method=method)
        expected = correct_overscan(raw, science, method=method) - bias
        with np.errstate(divide="ignore"):
            expected = np.where(flat > 0, expected / flat, np.float32(np.nan))
        assert np.array_equal(image, expected, equal_nan=True)
    assert np.argwhere(np.isnan(image)).tolist() == [[3, 4], [5, 6], [7, 8]]
    with pytest.raises(UnprocessableError, match="bias of shape"):
        correct_frame(raw, science, bias=bias[1:], flat=flat)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_saturation_is_reached_not_passed(kind):
    raw = np.array([[1, 99, 100, 101, 65535]], kind)
    everything = Section(0, 1, 0, 5)
    found = saturated_pixels(raw, everything, saturation=99.5)
    assert found.tolist() == [[False, False, True, True, True]]
    assert saturated_pixels(raw, everything, saturation=100.0).tolist() == found.tolist()
    assert not saturated_pixels(raw, everything, saturation=np.inf).any()


def test_a_raw_frame_of_floats_with_holes_keeps_its_other_rows():
    raw = np.full((20, 40), 300.0, np.float32)
    raw[:, :30] += 5.0
    raw[4, 31] = np.nan
    raw[6, 30:] = np.nan
    image = correct_overscan(raw, Section(0, 20, 0, 30))
    assert np.isnan(image[6]).all()
    assert (np.delete(image, 6, axis=0) == 5.0).all()


@pytest.mark.parametrize("shape", [(30, 40), (5, 7)])
def test_windows_follow_what_is_put_into_their_image(shape):
    rng = np.random.default_rng(9)
    image = rng.normal(size=shape).astype(np.float32)
    windows = Windows(image.copy(), 4)
    y, x = np.array([0, 2, shape[0] - 1]), np.array([1, shape[1] - 2, 0])
    values = np.array([50.0, np.nan, -50.0], np.float32)
    windows.put(y, x, values)
    image[y, x] = values
    anew = Windows(image, 4)
    rows, columns = (index.ravel() for index in np.indices(shape))
    for half in range(5):
        assert np.array_equal(
            windows.values(rows, columns, half), anew.values(rows, columns, half), equal_nan=True
        )
    assert np.array_equal(windows.image, image, equal_nan=True)


def test_noise_is_seen_behind_a_slope_and_stars():
    rng = np.random.default_rng(10)
    y, x = np.indices((512, 600))
    image = rng.normal(0.0, 3.0, y.shape) + 0.5 * x + 0.001 * (y - 200.0) ** 2
    image[:256, :256] += 6.0 * rng.normal(size=(256, 256))
    image[300, 40:60] += 1e4
    image[256:, 512:] = np.nan
    noise = tile_noise(image.astype(np.float32))
    # 32 rows of 256 pixels a tile: 1.7 % of error of a median deviation.
    assert noise[0] == pytest.approx(np.hypot(3.0, 6.0), rel=0.08)
    assert noise[[1, 3, 4]] == pytest.approx(3.0, rel=0.08)
    assert np.isnan(noise[5])
