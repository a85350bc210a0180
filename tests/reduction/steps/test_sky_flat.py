"""Flats and fringes from frames of the sky."""

from __future__ import annotations

__all__: list[str] = []

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from reduction.instruments.base import Section
from reduction.night_sky import SkyFrames, sky_frames
from reduction.progenitor import Progenitor
from reduction.steps.fringe import fringe_pattern, fringe_scale, fringes_of
from reduction.steps.sky_flat import mask_sources, sky_flat
from schemas.errors import UnprocessableError

GAIN, NOISE, SHAPE = 2.0, 5.0, (256, 320)


def response(seed: int = 1) -> np.ndarray:
    """Vignetting of 15 % and a pixel response of 1 %."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    fall = 1.0 - 0.15 * ((x - 160) ** 2 + (y - 128) ** 2) / (160**2 + 128**2)
    flat = fall * (1.0 + rng.normal(0.0, 0.01, SHAPE))
    return flat / np.median(flat)


def fringes() -> np.ndarray:
    """Rings of 2 % and of 20 pixels from one to the next."""
    y, x = np.indices(SHAPE)
    rings = 0.02 * np.sin(np.hypot(x + 80, y - 300) * 2 * np.pi / 20.0)
    return rings - np.median(rings)


def sky(rng: np.random.Generator, level: float, stars: int = 60) -> np.ndarray:
    """Sky with stars that lie elsewhere in each frame, adu."""
    image = np.zeros(SHAPE)
    y, x = rng.integers(0, SHAPE[0], stars), rng.integers(0, SHAPE[1], stars)
    np.add.at(image, (y, x), 10.0 ** rng.uniform(2.5, 5.5, stars))
    return ndimage.gaussian_filter(image, 1.8) + level


def exposed(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    return (rng.poisson(light * GAIN) / GAIN + rng.normal(0, NOISE, SHAPE)).astype(np.float32)


def test_stars_are_masked_and_the_sky_is_left():
    rng = np.random.default_rng(3)
    light = sky(rng, 1000.0)
    mask = mask_sources(exposed(rng, light))
    noise = np.sqrt(1000 / GAIN + NOISE**2)
    assert mask[light > 1000 + 2 * noise].all()
    # what is not masked is hardly brightened by what is left of the stars
    assert (light[~mask] - 1000).mean() < 0.02 * noise
    assert mask.mean() < 0.4


def test_the_flat_of_the_night_sky_is_the_response():
    rng, true = np.random.default_rng(4), response()
    levels = (2000.0, 2600.0, 3000.0, 1800.0, 2200.0, 2400.0, 2500.0, 2100.0, 2800.0)
    frames = [exposed(rng, sky(rng, level) * true) for level in levels]
    found = sky_flat(frames, gain=GAIN, read_noise=NOISE)
    ratio = found.image / true - 1
    # photons of 9 frames at 2400 adu, a third of the pixels masked: 0.5 % ; clipping 5 %
    assert ratio.std() < 1.25 / np.sqrt(GAIN * sum(levels) * 0.75)
    smooth = ndimage.uniform_filter(ratio, 32)
    assert np.abs(smooth).max() < 2e-3
    assert smooth.std() < 5e-4
    assert found.levels == pytest.approx(levels, rel=2e-3)
    assert found.filled < 100  # pixels that two thirds of the frames show a star in


def test_what_no_frame_shows_is_filled_from_around_and_counted():
    rng, true = np.random.default_rng(5), response()
    frames = [exposed(rng, sky(rng, 2000.0, stars=0) * true) for _ in range(4)]
    y, x = np.indices(SHAPE)
    galaxy = 3000.0 * np.exp(-(np.hypot(y - 100, x - 100) ** 2) / (2 * 6.0**2))
    found = sky_flat(
        [frame + galaxy.astype("f4") for frame in frames], gain=GAIN, read_noise=NOISE
    )
    assert 1000 < found.filled < 5000
    assert np.abs(found.image / true - 1)[80:120, 80:120].max() < 0.08


@pytest.mark.parametrize("width", [4, 32])
def test_an_unlit_strip_does_not_change_the_columns_beside_it(width):
    rng, true = np.random.default_rng(8), response()
    true[:, :width] = 0.0
    frames = [exposed(rng, sky(rng, 2000.0, stars=20) * true) for _ in range(6)]
    found = sky_flat(frames, gain=GAIN, read_noise=NOISE)
    assert np.abs(found.image[:, :width]).max() < 0.05
    columns = np.median(found.image[:, width:] / true[:, width:], axis=0)
    # photons of 6 frames at 2000 adu: 0.6 % a pixel, 0.05 % in the median of a column
    assert np.abs(columns - np.median(columns)).max() < 5e-3


def test_frames_of_different_shapes_are_refused_by_shape():
    frames = [np.full(SHAPE, 1000.0, "f4"), np.full((100, 80), 1000.0, "f4")]
    with pytest.raises(UnprocessableError, match=r"shapes \[\(100, 80\), \(256, 320\)\]"):
        sky_flat(frames, gain=GAIN, read_noise=NOISE)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_windowed_frame_is_left_out_of_the_night_s_sky(*, with_bias):
    rng = np.random.default_rng(9)

    def raw(shape: tuple[int, int]) -> Progenitor:
        section = Section(0, shape[0], 0, shape[1])
        values = {"science": section, "overscan": None, "exptime": 10.0}
        pixels = rng.normal(1500.0, 20.0, shape).astype(np.float32)
        return Progenitor(1, "RawScienceFrame", "V", values, {"RAW": pixels})

    level = {"BIAS": np.full((60, 80), 500.0, np.float32)}
    bias = Progenitor(2, "BiasFrame", "", {"overscan_correction": 0}, level)
    slots = {
        "raw_science_frames": [raw((30, 40)), *(raw((60, 80)) for _ in range(4))],
        "bias": bias if with_bias else None,
        "dark": None,
    }
    inputs = SimpleNamespace(**slots)
    frames = sky_frames(inputs, SkyFrames())
    assert [frame.shape for frame in frames] == [(60, 80)] * 4


def test_a_dark_sky_gives_no_flat():
    rng = np.random.default_rng(6)
    dark = [rng.normal(-5, 1, SHAPE).astype("f4") for _ in range(3)]
    with pytest.raises(UnprocessableError, match="expected light"):
        sky_flat(dark, gain=GAIN, read_noise=NOISE)


def test_fringes_are_found_and_taken_out_of_another_frame():
    rng, true = np.random.default_rng(7), fringes()
    levels = (2000.0, 2600.0, 3000.0, 1800.0, 2200.0, 2400.0, 2500.0)
    frames, noise = [], []
    for level in levels:
        frames.append(exposed(rng, sky(rng, 0.0) + level * (1 + true)))
        noise.append(float(np.sqrt(level / GAIN + NOISE**2)))
    pattern, found = fringe_pattern(frames, noise=noise)
    assert found == pytest.approx(levels, rel=5e-3)
    residual = ndimage.uniform_filter(pattern - true, 5)
    # photon noise of 7 frames over 5 x 5 pixels: 0.11 %; the fringes are 1.4 % rms
    assert residual.std() < 0.1 * true.std()
    # A frame of another sky, whose fringes are weaker than its level says, with a slope.
    _, x = np.indices(SHAPE)
    other = exposed(rng, sky(rng, 1500.0) + 0.3 * x + 900.0 * true)
    scale = fringes_of(other, pattern)
    assert scale == pytest.approx(900.0, rel=0.03)
    left = ndimage.uniform_filter(other - scale * pattern - 1500.0 - 0.3 * x, 5)
    clean = ~mask_sources(other, growth=10)
    # the noise of 25 pixels, 5.5 adu, and a tenth of the fringes' 12.7 adu rms
    noise_left = np.sqrt(1500 / GAIN + 0.15 * 320 / GAIN + NOISE**2) / 5
    assert left[clean].std() < np.hypot(noise_left, 0.12 * 900.0 * true.std())


def test_no_fringes_are_taken_out_with_a_flat_pattern_or_without_sky():
    image = np.random.default_rng(8).normal(1000, 5, SHAPE).astype("f4")
    assert fringe_scale(image, np.zeros(SHAPE, dtype="f4")) == 0.0
    bad = np.ones(SHAPE, dtype=bool)
    bad[:2, :20] = False
    with pytest.raises(UnprocessableError, match="too few pixels"):
        fringe_scale(image, fringes().astype("f4"), bad=bad)
    with pytest.raises(UnprocessableError, match="a sky that is bright"):
        fringe_pattern([image - 2000.0], noise=[5.0])
    # a short exposure of a standard: its sky is as often below 0 as above
    assert fringes_of(image - 1000.5, fringes().astype("f4")) == 0.0
    assert fringes_of(np.full(SHAPE, np.nan, dtype="f4"), fringes().astype("f4")) == 0.0
