"""Sums along lines, and the lines that are brighter than their sides."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.clear_lines import clear_lines
from reduction.steps.line import Line
from reduction.steps.radon import STEP, line_sums, padded_height


@pytest.mark.parametrize("shape", [(48, 100), (77, 300), (262, 525), (333, 300), (525, 262)])
def test_of_each_lean_the_lines_hold_every_pixel_once(shape):
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    sums = line_sums(image)
    assert sums.shape == (padded_height(shape[0]) // STEP, padded_height(shape[0]) + shape[1])
    assert padded_height(shape[0]) >= shape[0]
    assert sums.sum(axis=1, dtype=float) == pytest.approx(image.sum(dtype=float), abs=0.01)


@pytest.mark.parametrize("shape", [(48, 100), (262, 525), (525, 262)])
@pytest.mark.parametrize("part", [0.0, 0.13, 0.5, 0.99])
def test_a_line_of_the_sums_is_straight_to_a_pixel(shape, part):
    ny, nx = shape
    height = padded_height(ny)
    t, x = int(part * (height // STEP - 1)), nx // 5
    y = np.arange(ny)
    at = x + STEP * t / (height - 1) * y
    image = np.zeros(shape, dtype=np.float32)
    inside = at < nx - 1.5
    for beside in (-1, 0, 1):
        image[y[inside], np.rint(at[inside]).astype(int) + beside] = 1.0
    assert line_sums(image)[t, height + x] > 0.99 * np.count_nonzero(inside)


def noisy(shape=(260, 300), seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def offset_from(line, shape):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return line.offset(x, y)


@pytest.mark.parametrize("degrees", range(2, 180, 11))
def test_a_line_fainter_than_the_noise_of_a_pixel_is_the_clearest(degrees):
    image, angle = noisy(seed=degrees), math.radians(degrees)
    line = Line(angle, 150.0 * math.cos(angle) + 120.0 * math.sin(angle))
    offset = np.abs(offset_from(line, image.shape))
    image[offset < 1.0] += 0.9
    found, clear = clear_lines(np.clip(image, -2.5, 2.5), 100.0, 5.5).best()
    assert clear > 7.0
    assert np.abs(offset_from(found, image.shape))[offset < 0.5].max() < 4.0


def test_noise_and_a_galaxy_have_no_clear_lines():
    image = noisy()
    assert clear_lines(image, 100.0, 5.5).best() is None
    y, x = np.mgrid[:260, :300]
    image += 3.0 * np.exp(-0.5 * ((x - 150.0) ** 2 + (y - 100.0) ** 2) / 25.0**2)
    assert clear_lines(np.clip(image, -2.5, 2.5), 100.0, 5.5).best() is None


def test_of_a_line_that_is_taken_out_nothing_is_left_and_another_stays():
    image = noisy()
    one, other = Line(0.5, 180.0), Line(1.9, 120.0)
    image[np.abs(offset_from(one, image.shape)) < 1.5] += 2.0
    image[np.abs(offset_from(other, image.shape)) < 1.5] += 1.2
    lines = clear_lines(np.clip(image, -2.5, 2.5), 100.0, 5.5)
    for line in (one, other):
        found, _ = lines.best()
        assert found.angle == pytest.approx(line.angle, abs=0.02)
        lines.take_out(found, 4.0, 5.5)
    assert lines.best() is None


def test_a_short_line_and_an_image_without_long_ones_have_none():
    image = noisy()
    image[np.abs(offset_from(Line(math.pi / 4, 50.0), image.shape)) < 1.5] += 2.5  # in a corner
    assert clear_lines(np.clip(image, -2.5, 2.5), 150.0, 5.5).best() is None
    assert clear_lines(image, 1000.0, 5.5).best() is None
    assert clear_lines(np.zeros((60, 60), dtype=np.float32), 30.0, 5.5).best() is None
