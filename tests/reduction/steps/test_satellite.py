"""Trails across a frame: what is found, and what it is not confused with."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.hough import HoughTransform, Line
from reduction.steps.satellite import find_satellites

NOISE = 10.0


def empty(shape: tuple[int, int] = (512, 512), seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(300.0, NOISE, shape).astype(np.float32)


def offset_from(line: Line, shape: tuple[int, int]) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return line.offset(xx, yy)


@pytest.mark.parametrize("degrees", [3.0, 30.0, 45.0, 88.0, 120.0, 176.0])
def test_a_trail_is_masked_from_edge_to_edge_with_its_place_and_brightness(degrees):
    image, angle = empty(), math.radians(degrees)
    true = Line(angle, 256.0 * (math.cos(angle) + math.sin(angle)) + 20.0)
    offset = offset_from(true, image.shape)
    image += 30.0 * np.exp(-0.5 * (offset / 2.0) ** 2).astype(np.float32)
    found, trails = find_satellites(image)
    assert len(trails) == 1
    assert found[np.abs(offset) < 3.0].all()
    assert not found[np.abs(offset) > 9.0].any()
    line = trails[0].line
    assert abs(offset_from(line, image.shape)[np.abs(offset) < 0.5]).max() < 1.0
    # the median of 7 pixels' width of a Gaussian of 30 adu
    assert 15.0 < trails[0].brightness < 30.0


def test_two_trails_are_two():
    image = empty()
    for angle in (0.5, 2.0):
        line = Line(angle, 250.0 * (math.cos(angle) + math.sin(angle)))
        image += np.where(np.abs(offset_from(line, image.shape)) < 2.0, np.float32(40.0), 0.0)
    assert len(find_satellites(image)[1]) == 2


def test_a_bad_column_and_a_bleeding_one_are_no_trails():
    image = empty()
    image[:, 100] += 50.0
    image[100:, 300:303] = 65000.0
    image[100:, 299] += 500.0
    assert find_satellites(image, saturated=image > 60000.0)[1] == []


def test_a_short_line_is_not_looked_at():
    image = empty()
    line = Line(math.pi / 4, 120.0)
    image += np.where(np.abs(offset_from(line, image.shape)) < 2.0, np.float32(60.0), 0.0)
    assert find_satellites(image)[1] == []
    assert len(find_satellites(image, hough_threshold=200.0)[1]) in (0, 1)


def test_frames_without_pixels_to_look_at_have_no_trails():
    assert find_satellites(np.full((300, 300), np.nan, dtype=np.float32))[1] == []
    assert find_satellites(np.zeros((20, 300), dtype=np.float32))[1] == []
    assert find_satellites(np.zeros((300, 300), dtype=np.float32))[1] == []


def test_bad_pixels_do_not_hide_a_trail_and_the_image_is_left_alone():
    image = empty()
    line = Line(1.0, 350.0)
    offset = offset_from(line, image.shape)
    image += np.where(np.abs(offset) < 2.0, np.float32(40.0), 0.0)
    image[200:260] = np.nan
    bad = np.zeros(image.shape, dtype=bool)
    bad[:, 300:320] = True
    before = image.copy()
    found, trails = find_satellites(image, bad=bad)
    assert len(trails) == 1
    assert found[np.abs(offset) < 1.5].mean() > 0.98
    assert np.array_equal(before, image, equal_nan=True)


def test_the_line_with_most_points_is_found_and_can_be_taken_out():
    rng = np.random.default_rng(2)
    x, y = (rng.uniform(0, n, 400).astype(np.float32) for n in (300, 200))
    along = np.arange(0, 200, 2, dtype=np.float32)
    on_x, on_y = 40.0 + 0.5 * along, along
    hough = HoughTransform(np.concatenate([x, on_x]), np.concatenate([y, on_y]), (200, 300))
    line, excess = hough.best()
    assert excess > 10.0
    assert np.abs(line.offset(on_x, on_y)).max() < 2.5
    hough.take_out(on_x, on_y)
    assert hough.best()[1] < 5.5


def test_a_line_in_a_binned_image_is_the_same_in_the_frame():
    line = Line(0.7, 40.0)
    x = np.float32(10.0)
    y = np.float32((40.0 - 10.0 * math.cos(0.7)) / math.sin(0.7))
    assert line.scaled(4).offset(4 * x + 1.5, 4 * y + 1.5) == pytest.approx(0.0, abs=1e-4)
