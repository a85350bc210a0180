"""The sky of a frame, what is left without it, and inverse variances; widths of known stars."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.sky_subtraction import BackgroundSubtractionType, subtract_sky
from reduction.steps.star_widths import star_widths
from schemas.errors import UnprocessableError
from tests.support.sky_frames import draw

SHAPE = (500, 480)
#: A frame of whose noise the sky's is all.
ALL_SKY = {"gain": 8.0, "read_noise": 0.0}


def frame(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sloping sky through a flat that falls to 0.6, and its weight in any unit."""
    flat = np.broadcast_to(np.linspace(1.0, 0.6, SHAPE[1]), SHAPE)
    sky = 200.0 + 0.04 * np.arange(SHAPE[0])[:, None]
    image = sky + rng.normal(0.0, 5.0, SHAPE) / np.sqrt(flat)
    return image.astype(np.float32), (7.0 * flat).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "left"),
    [
        (BackgroundSubtractionType.NONE, 210.0),
        (BackgroundSubtractionType.CONSTANT, 0.0),
        (BackgroundSubtractionType.MESH, 0.0),
    ],
)
def test_the_sky_that_is_asked_for_is_taken_off(
    method: BackgroundSubtractionType, left: float
) -> None:
    image, weight = frame(np.random.default_rng(1))
    made = subtract_sky(image, weight, **ALL_SKY, method=method)
    # 2.4e5 pixels of 5 to 6.5 adu: a mode among them is good to a tenth
    assert np.median(made.image) == pytest.approx(left, abs=0.3)
    assert made.level == pytest.approx(210.0, abs=0.5)
    slope = np.median(made.image[-50:]) - np.median(made.image[:50])
    assert slope == pytest.approx(
        0.0 if method is BackgroundSubtractionType.MESH else 18.0, abs=0.6
    )


def test_weights_become_inverse_variances() -> None:
    image, weight = frame(np.random.default_rng(2))
    weight[100:110, 100:110] = 0.0
    image[300, 300] = np.nan
    made = subtract_sky(image, weight, **ALL_SKY, method=BackgroundSubtractionType.MESH)
    pulls = (made.image * np.sqrt(made.weight))[made.weight > 0]
    assert pulls.std() == pytest.approx(1.0, abs=0.02)
    assert made.weight[300, 300] == 0
    assert (made.weight[100:110, 100:110] == 0).all()
    assert made.rms == pytest.approx(5.6, abs=0.3)


@pytest.mark.parametrize("level", [30.0, 1000.0])
@pytest.mark.parametrize("stars", [0, 400])
def test_no_pedestal_is_left_and_weights_are_right_to_half_a_percent(
    level: float, stars: int
) -> None:
    rng = np.random.default_rng(11)
    light = np.full((768, 768), level)
    x, y = rng.uniform(10, 757, (2, stars))
    draw(light, x, y, 10.0 ** rng.uniform(2.5, 4.5, stars), fwhm=3.5)
    image = rng.poisson(light).astype(np.float32)
    made = subtract_sky(
        *(image, np.ones_like(image)),
        gain=1.0,
        read_noise=0.0,
        method=BackgroundSubtractionType.MESH,
    )
    between = light < 1.0001 * level
    # the mean of 3e5 pixels and more is good to 0.002 of their noise; the mode of photons was
    # 0.4 electrons off, whatever their number, and weights 3 % too large
    assert abs(made.image[between].mean()) < 0.01 * np.sqrt(level)
    assert np.median(made.weight) * level == pytest.approx(1.0, abs=0.007 if stars else 0.005)
    assert made.rms == pytest.approx(np.sqrt(level), rel=0.005)
    assert made.level == pytest.approx(level, abs=0.012 * np.sqrt(level))


def test_a_frame_under_one_source_keeps_the_sky_of_its_meshes() -> None:
    rng = np.random.default_rng(12)
    away = np.hypot(*(np.indices((300, 300)) - 150.0))
    image = 100.0 + 3000.0 * np.exp(-away / 60.0) + rng.normal(0.0, 2.0, away.shape)
    made = subtract_sky(
        *(image.astype(np.float32), np.ones(image.shape, np.float32)),
        **ALL_SKY,
        method=BackgroundSubtractionType.CONSTANT,
        box=64,
    )
    assert np.isfinite(made.image).all()
    assert (made.weight > 0).all()


@pytest.mark.parametrize(("level", "read_noise"), [(20.0, 6.0), (400.0, 6.0), (0.0, 6.0)])
def test_weights_are_inverse_variances_where_reading_makes_noise(
    level: float, read_noise: float
) -> None:
    rng, gain = np.random.default_rng(4), 1.5
    flat = np.broadcast_to(np.linspace(1.0, 0.4, 640), (512, 640)).astype(np.float32)
    counts = rng.poisson(level * gain * flat) / gain + rng.normal(0.0, read_noise, flat.shape)
    image = (counts / flat).astype(np.float32)
    made = subtract_sky(
        *(image, flat),
        gain=gain,
        read_noise=read_noise,
        method=BackgroundSubtractionType.CONSTANT,
    )
    # from a weight follows the flat: reduction.steps.photons
    share = made.photon_fraction
    assert share == pytest.approx(
        level / gain / (level / gain + read_noise**2), rel=0.05, abs=1e-3
    )
    expected = made.unit_weight * flat**2 / (share * flat + 1.0 - share)
    assert made.weight == pytest.approx(expected, rel=1e-4)
    for part in np.array_split(np.arange(640), 5):
        pulls = (image[:, part] - level) * np.sqrt(made.weight[:, part])
        # 65000 pixels: 0.3 %; the rest is the flat's change over the meshes' 128 columns
        assert pulls.std() == pytest.approx(1.0, abs=0.03)


def test_frames_without_weight_or_noise_are_refused() -> None:
    image, weight = frame(np.random.default_rng(3))
    with pytest.raises(UnprocessableError, match="no pixel has weight"):
        subtract_sky(image, 0 * weight, **ALL_SKY, method=BackgroundSubtractionType.MESH)
    with pytest.raises(UnprocessableError, match="no noise"):
        subtract_sky(0 * image, weight, **ALL_SKY, method=BackgroundSubtractionType.MESH)


def test_widths_do_not_depend_on_what_was_expected() -> None:
    image = np.zeros((200, 200))
    x, y = np.array([40.3, 100.0, 160.6]), np.array([60.0, 120.4, 80.0])
    for px, py, fwhm in zip(x, y, (3.0, 4.0, 6.0), strict=True):
        draw(image, np.array([px]), np.array([py]), np.array([1e4]), fwhm=fwhm)
    weight = np.ones(image.shape, np.float32)
    pixels = image.astype(np.float32)
    for expected in (3.0, 4.0, 6.0):
        widths = star_widths(pixels, weight, x, y, expected=expected)
        # pixels widen a star of 3 pixels by 3 %, circles of whole fifths of them by as much
        assert widths == pytest.approx([3.08, 4.06, 6.04], rel=0.03)


def test_stars_at_the_edge_or_on_bad_pixels_have_no_width() -> None:
    image = np.zeros((100, 100))
    x, y = np.array([3.0, 50.0, 70.0]), np.array([50.0, 50.0, 80.0])
    draw(image, x, y, np.full(3, 1e4), fwhm=4.0)
    weight = np.ones(image.shape, np.float32)
    weight[51, 52] = 0.0
    widths = star_widths(image.astype(np.float32), weight, x, y, expected=4.0)
    assert np.isfinite(widths).tolist() == [False, False, True]
    none = star_widths(image.astype(np.float32), weight, x[:0], y[:0], expected=4.0)
    assert none.shape == (0,)


@pytest.mark.parametrize("mean", [0.03, 0.3, 0.5])
@pytest.mark.parametrize("sigma", [0.2, 0.3, 0.6])
def test_whole_numbers_of_little_noise_have_the_weight_of_their_scatter_and_step(
    mean: float, sigma: float
) -> None:
    numbers = np.rint(np.random.default_rng(5).normal(100.0 + mean, sigma, (512, 512)))
    image = numbers.astype(np.float32)
    made = subtract_sky(
        image,
        np.ones_like(image),
        gain=1.0,
        read_noise=0.0,
        method=BackgroundSubtractionType.MESH,
    )
    # a fifth of a step at least; few pixels of another number are taken for sources
    assert 0.8 * max(image.std(), 0.2) < made.rms < 1.1 * max(image.std(), 0.21)
    assert made.level == pytest.approx(image.mean(), abs=0.03)
