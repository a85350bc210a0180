"""Trails across a frame: what is found, and what it is not confused with."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.line import Line
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


def test_the_fainter_of_two_trails_side_by_side_is_found_once_the_brighter_is():
    image = empty((800, 800), seed=16)
    line = Line(math.radians(95.7), 380.0)
    for distance, peak in ((380.0, 30.0), (400.0, 11.0)):
        offset = offset_from(Line(line.angle, distance), image.shape)
        image += (peak * NOISE * np.exp(-0.5 * (offset / 3.0) ** 2)).astype(np.float32)
    found, trails = find_satellites(image)
    assert len(trails) == 2
    assert found[np.abs(offset_from(line, image.shape) - 20.0) < 4.0].all()


def test_two_trails_side_by_side_are_each_as_wide_as_they_are():
    image = empty((800, 800), seed=17)
    line, harm = Line(math.radians(44.0), 600.0), np.zeros((800, 800), dtype=bool)
    for distance, peak in ((600.0, 50.0), (617.0, 30.0)):
        offset = offset_from(Line(line.angle, distance), image.shape)
        light = peak * NOISE * np.exp(-0.5 * (offset / 2.2) ** 2)
        image += light.astype(np.float32)
        harm |= light > NOISE
    found, trails = find_satellites(image)
    assert len(trails) == 2
    assert found[harm].mean() > 0.99


def partial(image: np.ndarray, line: Line, start: float, end: float, peak: float) -> np.ndarray:
    """Add a trail from one x to another; where its light is."""
    offset = offset_from(line, image.shape)
    x = np.arange(image.shape[1])[None, :]
    light = peak * np.exp(-0.5 * (offset / 1.8) ** 2) * ((x >= start) & (x < end))
    image += light.astype(np.float32)
    return light


def test_a_trail_that_begins_and_ends_in_the_frame_is_masked_between_its_ends():
    image = empty((700, 800), seed=4)
    line = Line(math.radians(70.0), 500.0)
    light = partial(image, line, 150.0, 600.0, 60.0)
    found, trails = find_satellites(image)
    assert len(trails) == 1
    assert found[light > NOISE].mean() > 0.97
    assert trails[0].length == pytest.approx(450.0 / math.sin(math.radians(70.0)), abs=16.0)
    low, high = trails[0].part
    assert (low, high) == (pytest.approx(150.0, abs=8.0), pytest.approx(600.0, abs=8.0))


def test_light_that_falls_from_the_middle_or_from_an_edge_is_no_trail():
    image = empty((700, 800), seed=5)
    y, x = np.mgrid[:700, :800].astype(np.float32)
    across = np.abs(y - 0.3 * x - 100.0) / math.hypot(1.0, 0.3)
    galaxy = image + 400.0 * np.exp(-np.abs(x - 400.0) / 60.0 - across / 3.0)
    assert find_satellites(galaxy)[1] == []
    spike = image + 900.0 / (1 + (x + 30.0) / 40.0) ** 2 * np.exp(-0.5 * (across / 1.8) ** 2)
    assert find_satellites(spike)[1] == []


def test_a_trail_along_a_column_is_wider_than_a_column():
    image = empty((700, 800), seed=6)
    offset = np.arange(800)[None, :] - 300.4
    image += (80.0 * np.exp(-0.5 * (offset / 1.8) ** 2)).astype(np.float32)
    image[:, 500:502] += 80.0
    found, trails = find_satellites(image)
    assert len(trails) == 1
    assert found[:, 299:302].all()
    assert not found[:, 490:].any()


def crowd(
    rng: np.random.Generator, shape: tuple[int, int], number: int, sigma: float
) -> np.ndarray:
    """Light of round stars of 1 to 30 times the noise at random places."""
    y0, x0 = rng.uniform(0, shape[0], number), rng.uniform(0, shape[1], number)
    reach, image = int(4 * sigma) + 1, np.zeros(shape, dtype=np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for row, column, peak in zip(y0, x0, NOISE * rng.pareto(0.8, number) + NOISE, strict=True):
        part = np.s_[
            max(int(row) - reach, 0) : int(row) + reach,
            max(int(column) - reach, 0) : int(column) + reach,
        ]
        radius2 = (y[part] - row) ** 2 + (x[part] - column) ** 2
        image[part] += min(peak, 30 * NOISE) * np.exp(-0.5 * radius2 / sigma**2)
    return image


def test_a_faint_trail_is_seen_between_stars_that_cover_a_fifth_of_it():
    rng = np.random.default_rng(11)
    stars = crowd(rng, (800, 800), 4000, 2.5)
    image = empty((800, 800), seed=11) + stars
    line = Line(math.radians(63.0), 520.0)
    offset = offset_from(line, image.shape)
    assert (stars[np.abs(offset) < 2.0] > NOISE).mean() > 0.2
    assert find_satellites(image)[1] == []
    image += (2.0 * NOISE * np.exp(-0.5 * (offset / 2.3) ** 2)).astype(np.float32)
    found, trails = find_satellites(image)
    assert len(trails) == 1
    assert found[np.abs(offset) < 2.0].mean() > 0.95
    assert not found[np.abs(offset) > 9.0].any()


def test_what_tumbles_is_masked_where_it_is_dark_too():
    image = empty((800, 800), seed=12)
    line = Line(math.radians(70.0), 480.0)
    offset = offset_from(line, image.shape)
    along = np.mgrid[:800, :800][1].astype(np.float32)
    bright = 0.15 + 0.85 * (0.5 + 0.5 * np.cos(2 * np.pi * along / 450.0)) ** 2
    image += (6.0 * NOISE * bright * np.exp(-0.5 * (offset / 1.8) ** 2)).astype(np.float32)
    found, trails = find_satellites(image)
    assert len(trails) == 1
    assert found[np.abs(offset) < 1.5].mean() > 0.98


@pytest.mark.parametrize("away", [10.0, 16.3])
@pytest.mark.parametrize("turned", [False, True])
def test_an_upright_trail_beside_an_edge_is_told_from_the_edge(away, turned):
    image = empty((700, 800), seed=13)
    off = np.arange(800)[None, ::-1]
    image += (20.0 * NOISE * np.exp(-off / 1.5)).astype(np.float32)
    image[:, -40:-38] += 5.0 * NOISE
    assert find_satellites(image.T.copy() if turned else image)[1] == []
    image += (4.0 * NOISE * np.exp(-0.5 * ((off - away) / 1.2) ** 2)).astype(np.float32)
    found, trails = find_satellites(image.T.copy() if turned else image)
    found = found.T if turned else found
    assert len(trails) == 1
    assert found[:, np.abs(off[0] - away) < 1.5].all()
    assert not found[:, -41:-37].any()


@pytest.mark.parametrize("turned", [False, True])
def test_a_wide_trail_that_runs_along_an_edge_is_told_from_a_bright_band(turned):
    image = empty((700, 800), seed=18)
    image[:, -14:] += 6.0 * NOISE
    assert find_satellites(image.T.copy() if turned else image)[1] == []
    image = empty((700, 800), seed=18)
    offset = offset_from(Line(0.0065, 786.0), image.shape)
    image += (9.0 * NOISE * np.exp(-0.5 * (offset / 3.0) ** 2)).astype(np.float32)
    found, trails = find_satellites(image.T.copy() if turned else image)
    assert len(trails) == 1
    assert (found.T if turned else found)[np.abs(offset) < 5.0].mean() > 0.98


def test_an_even_trail_beside_a_bright_star_is_no_spike():
    image = empty((800, 800), seed=19)
    line = Line(math.radians(54.0), 560.0)
    offset = offset_from(line, image.shape)
    y, x = np.mgrid[:800, :800].astype(np.float32)
    y0, x0 = (560.0 * f(line.angle) + 9.0 for f in (math.sin, math.cos))
    image += 3000.0 * NOISE / (1 + ((y - y0) ** 2 + (x - x0) ** 2) / 5.0**2) ** 2
    image += (4.0 * NOISE * np.exp(-0.5 * (offset / 3.0) ** 2)).astype(np.float32)
    found, trails = find_satellites(image, saturated=image > 100.0 * NOISE * 6.0)
    assert len(trails) == 1
    assert found[np.abs(offset) < 3.0].mean() > 0.95


def test_two_columns_side_by_side_are_no_trail():
    image = empty((700, 800), seed=14)
    image[:, 300:302] += 5.0 * NOISE
    image[:, 307:309] += 3.0 * NOISE
    assert find_satellites(image)[1] == []


def test_a_trail_along_a_row_goes_on_through_a_saturated_star():
    image = empty((700, 800), seed=15)
    y, x = np.mgrid[:700, :800].astype(np.float32)
    image += 4e5 * np.exp(-0.5 * ((y - 352.0) ** 2 + (x - 400.0) ** 2) / 1.5**2)
    image += 8.0 * NOISE * np.exp(-0.5 * ((y - 350.0) / 1.2) ** 2)
    found, trails = find_satellites(image, saturated=image > 60000.0)
    assert len(trails) == 1
    assert found[349:352].mean() > 0.95


def test_a_step_between_amplifiers_and_the_glow_of_an_edge_are_no_trails():
    image = empty((700, 800), seed=7)
    image[:, 400:] += 25.0
    image[:, 790:] += 60.0
    assert find_satellites(image)[1] == []


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


def test_a_line_in_a_binned_image_is_the_same_in_the_frame():
    line = Line(0.7, 40.0)
    x = np.float32(10.0)
    y = np.float32((40.0 - 10.0 * math.cos(0.7)) / math.sin(0.7))
    assert line.scaled(4).offset(4 * x + 1.5, 4 * y + 1.5) == pytest.approx(0.0, abs=1e-4)
