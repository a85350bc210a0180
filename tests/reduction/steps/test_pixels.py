"""Pixels without light: they are bad, whatever their noise looks like."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.flat import master_flat
from reduction.steps.lit import lit_pixels
from reduction.steps.pixels import cold_pixels
from reduction.steps.reduce import Limits, reduce_frame
from reduction.steps.sources import extract

SHAPE = (160, 120)


def half_dead(seed: int = 0) -> np.ndarray:
    """Five flats of 20 000 adu, averaged; a left half that has read noise of 5 adu alone."""
    rng = np.random.default_rng(seed)
    flat = 1.0 + 0.01 * rng.normal(size=SHAPE)
    flat[:, :60] = 5.0 / np.sqrt(5.0) / 20000.0 * rng.normal(size=(SHAPE[0], 60))
    return flat.astype(np.float32)


def test_a_dead_half_with_read_noise_is_bad_and_the_other_is_not():
    good = cold_pixels(half_dead())
    assert not good[:, :60].any()
    assert good[:, 60:].mean() > 0.999


def test_a_frame_of_a_half_dead_chip_has_neither_pixels_nor_sources_there():
    rng = np.random.default_rng(1)
    flat = half_dead()
    cold = cold_pixels(flat)
    raw = 500.0 + 200.0 * np.maximum(flat, 0.0) + rng.normal(0.0, 5.0, SHAPE)
    frame = reduce_frame(
        raw.astype(np.float32),
        Section(0, SHAPE[0], 0, SHAPE[1]),
        bias=np.full(SHAPE, 500.0, np.float32),
        flat=master_flat(flat, flat.copy(), combine_type=1, bad=cold == 0),
        hot=np.ones(SHAPE, np.uint8),
        cold=cold,
        gain=2.0,
        read_noise=5.0,
        limits=Limits(60000.0),
        overscan_method=0,
    )
    assert (frame.mask[:, :60] != 0).all()
    sources = extract(frame.image, gain=2.0, mask=frame.mask != 0, response=frame.weight)
    assert not (sources["x"] < 59.0).any()


def test_vignetted_corners_below_a_tenth_are_bad_and_above_are_not():
    y, x = np.indices((400, 400))
    fall = np.clip(1.15 - (np.hypot(y - 199.5, x - 199.5) / 215.0) ** 4, 0.01, 1.0)
    good = cold_pixels(fall.astype(np.float32)) == 1
    assert not good[fall < 0.1].any()
    # a slope of the light is not a defect, where it is not too steep for the filter
    assert good[fall > 0.5].all()


@pytest.mark.parametrize("dead", [0.0, 0.3, 0.9])
def test_light_is_told_from_noise_however_much_of_the_chip_has_none(dead):
    rng = np.random.default_rng(2)
    light = rng.normal(1000.0, 10.0, (100, 100))
    edge = round(100 * dead)
    light[:, :edge] = rng.normal(0.0, 5.0, (100, edge))
    light[0, 0] = np.nan
    light[5, -3:] = 60000.0
    found = lit_pixels(light.astype(np.float32))
    assert not found[:, :edge].any()
    assert found[1:, edge:].all()
    assert not found[0, 0]


def test_nothing_is_lit_without_light():
    assert not lit_pixels(np.full((10, 10), -1.0, np.float32)).any()
    assert not lit_pixels(np.full((10, 10), np.nan, np.float32)).any()
