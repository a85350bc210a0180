"""Detection and measurement of sources of known place and flux."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from photutils.aperture import CircularAperture, aperture_photometry

from reduction.steps.background import estimate_background, unusable
from reduction.steps.mended import mend
from reduction.steps.sources import SOURCE_DTYPE, SourceFlag, extract
from schemas.errors import UnprocessableError

GAIN = 2.0
READ_NOISE = 4.0
SKY = 300.0
FWHM = 4.0
SIGMA = FWHM / 2.3548


def scene(
    x: np.ndarray, y: np.ndarray, flux: np.ndarray, *, shape: tuple[int, int] = (256, 256)
) -> np.ndarray:
    """Gaussian stars on a flat sky, without noise."""
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, SKY)
    for x0, y0, f in zip(x, y, flux, strict=True):
        r2 = (xx - x0) ** 2 + (yy - y0) ** 2
        image += f / (2 * np.pi * SIGMA**2) * np.exp(-r2 / (2 * SIGMA**2))
    return image


def noisy(image: np.ndarray, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    electrons = generator.poisson(image * GAIN) / GAIN
    return (electrons + generator.normal(0.0, READ_NOISE, image.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stars 40 pixels apart at places between the pixels' centres, from 2000 to 2e5 adu."""
    gx, gy = np.meshgrid(np.arange(28, 240, 40), np.arange(28, 240, 40))
    generator = np.random.default_rng(5)
    x, y = (
        gx.ravel() + generator.uniform(-0.5, 0.5, 36),
        gy.ravel() + generator.uniform(-0.5, 0.5, 36),
    )
    return x, y, np.geomspace(2e5, 2e3, 36)


def pair(found: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The found source nearest to each place."""
    distance = np.hypot(found["x"][:, None] - x, found["y"][:, None] - y)
    assert (distance.min(axis=0) < 1.5).all(), "a star was not found"
    return found[distance.argmin(axis=0)]


def test_positions_and_fluxes_are_recovered_within_the_stated_errors(grid: tuple) -> None:
    x, y, flux = grid
    found = pair(extract(noisy(scene(x, y, flux)), gain=GAIN), x, y)
    # mean of n pulls is 0 +- 1/sqrt(n), their scatter 1 +- 1/sqrt(2 n); the sky's own error adds
    for measured, truth, error in (
        (found["x"], x, found["pos_err"]),
        (found["y"], y, found["pos_err"]),
        (found["flux_aper"], flux, found["flux_aper_err"]),
    ):
        pull = (measured - truth) / error
        assert abs(np.mean(pull)) < 4.0 / np.sqrt(len(x))
        assert 0.6 < np.std(pull) < 1.6


def test_fixed_aperture_agrees_with_photutils(grid: tuple) -> None:
    x, y, flux = grid
    image = noisy(scene(x, y, flux))
    sky = estimate_background(image)
    found = extract(image, gain=GAIN, background=sky, aperture_radius=12.0)
    places = np.column_stack((found["x"], found["y"]))
    table = aperture_photometry(image - sky.level, CircularAperture(places, r=12.0))
    # sep divides edge pixels into 5 x 5, photutils is exact
    assert found["flux_aper"] == pytest.approx(np.array(table["aperture_sum"]), rel=5e-3, abs=30)


def test_shape_of_a_round_star(grid: tuple) -> None:
    x, y, flux = grid
    found = pair(extract(noisy(scene(x, y, flux)), gain=GAIN), x, y)[:20]
    assert 2.0 * np.median(found["half_light_radius"]) == pytest.approx(FWHM, rel=0.05)
    assert np.median(found["elongation"]) == pytest.approx(1.0, abs=0.05)
    assert (found["flags"] == 0).all()


def test_sources_come_brightest_first_and_the_same_twice(grid: tuple) -> None:
    image = noisy(scene(*grid))
    first, second = extract(image, gain=GAIN), extract(image.copy(), gain=GAIN)
    assert first.dtype == SOURCE_DTYPE
    assert (np.diff(first["flux"]) <= 0).all()
    assert first.tobytes() == second.tobytes()


def test_empty_sky_has_no_sources() -> None:
    found = extract(noisy(np.full((128, 128), SKY)), gain=GAIN, threshold=5.0)
    assert len(found) == 0
    assert found.dtype == SOURCE_DTYPE


def test_noise_alone_gives_few_sources() -> None:
    found = extract(noisy(np.full((512, 512), SKY)), gain=GAIN)
    assert len(found) <= 10


def test_flags_say_what_is_wrong() -> None:
    x, y = np.array([60.0, 128.0, 200.0, 3.0]), np.array([60.0, 128.0, 200.0, 128.0])
    image = noisy(scene(x, y, np.full(4, 5e4)))
    mask, saturated = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    mask[59:62, 59:62] = True
    saturated[128, 128] = True
    found = pair(extract(image, gain=GAIN, mask=mask, saturated=saturated), x, y)
    flags = [SourceFlag(int(flag)) for flag in found["flags"]]
    assert SourceFlag.MASKED in flags[0]
    assert flags[1] == SourceFlag.SATURATED
    assert flags[2] == SourceFlag(0)
    assert SourceFlag.TRUNCATED in flags[3]


def test_bad_pixel_in_the_wing_costs_neither_star_nor_flux() -> None:
    x, y = np.array([60.3]), np.array([59.8])
    clean = noisy(scene(x, y, np.array([5e4])))
    broken, mask = clean.copy(), np.zeros(clean.shape, bool)
    mask[60:62, 68] = True
    broken[mask] = 60000.0
    before = pair(extract(clean, gain=GAIN), x, y)[0]
    after = pair(extract(broken, gain=GAIN, mask=mask), x, y)[0]
    assert after["flags"] == 0
    assert after["flux_aper"] == pytest.approx(before["flux_aper"], rel=1e-3)
    assert after["x"] == pytest.approx(before["x"], abs=0.01)


def spoilt(rows: range, away: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of flux and place of sources beside bad pixels, over what is said."""
    x, y = (a.ravel() for a in np.mgrid[28:490:33, 28:490:33].astype(float))
    generator = np.random.default_rng(9 + away)
    x, y = x + generator.uniform(-0.5, 0.5, x.size), y + generator.uniform(-0.5, 0.5, x.size)
    image = noisy(scene(x, y, np.full(x.size, 2e4), shape=(512, 512)))
    mask = np.zeros(image.shape, dtype=bool)
    spoil = np.arange(x.size) % 3 > 0  # others show the point spread function
    column = np.rint(x).astype(int) + away
    for row in rows:
        mask[np.rint(y).astype(int)[spoil] + row, column[spoil]] = True
    found = pair(extract(image, gain=GAIN, mask=mask, aperture_radius=9.0), x, y)[spoil]
    clean = (found["flags"] & ~int(SourceFlag.MASKED)) == 0
    flux = (found["flux_aper"] - 2e4) / found["flux_aper_err"]
    place = np.concatenate((found["x"] - x[spoil], found["y"] - y[spoil]))
    return flux[clean], (place / np.tile(found["pos_err"], 2))[np.tile(clean, 2)]


@pytest.mark.parametrize("rows", [range(1), range(-12, 13)])
@pytest.mark.parametrize("away", [1, 2, 4, 5])
def test_errors_of_flux_and_place_know_of_mended_pixels(rows: range, away: int) -> None:
    flux, place = spoilt(rows, away)
    assert len(flux) > 100
    # a Gaussian star, steeper than any in the sky, is what a guess is most wrong for
    for pull in (flux, place):
        assert np.sqrt(np.mean(pull**2)) < 2.0
        assert (np.abs(pull) < 3.0).mean() > 0.95


def test_nan_pixels_are_left_out() -> None:
    x, y = np.array([60.3]), np.array([59.8])
    image = noisy(scene(x, y, np.array([5e4])))
    image[150:160, 150:160] = np.nan
    found = extract(image, gain=GAIN)
    assert np.isfinite(found["flux_aper"]).all()
    assert len(found) == 1


def test_mended_pixel_is_the_mean_of_its_neighbours() -> None:
    pixels = np.full((21, 21), 7.0, np.float32)
    bad = np.zeros(pixels.shape, bool)
    bad[10, 10] = True
    pixels[bad] = 1e6
    assert mend(pixels, bad) == pytest.approx(np.full((21, 21), 7.0), rel=1e-5)
    assert mend(pixels, np.zeros_like(bad)) is pixels


def test_background_follows_a_gradient_under_stars(grid: tuple) -> None:
    x, y, flux = grid
    yy, _ = np.mgrid[:256, :256]
    ramp = 0.2 * yy
    sky = estimate_background(noisy(scene(x, y, flux) + ramp), box=64)
    noise = np.sqrt((SKY + 25.0) / GAIN + READ_NOISE**2)
    assert np.abs(sky.level - SKY - ramp)[32:-32, 32:-32].max() < noise
    assert sky.global_rms == pytest.approx(noise, rel=0.1)


def test_background_of_a_frame_without_pixels_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="no usable pixel"):
        estimate_background(np.full((32, 32), np.nan, np.float32))


def test_mask_and_nan_both_make_a_pixel_unusable() -> None:
    image = np.array([[1.0, np.nan], [np.inf, 2.0]])
    mask = np.array([[True, False], [False, False]])
    assert unusable(image, mask).tolist() == [[True, True], [True, False]]
    assert mask.tolist() == [[True, False], [False, False]]


def test_one_bad_pixel_masks_no_source_that_is_far_from_it() -> None:
    image = noisy(np.full((256, 256), SKY))
    mask = np.zeros(image.shape, bool)
    mask[3, 3] = True
    found = extract(image, gain=GAIN, mask=mask, threshold=1.6, min_area=3)
    far = np.hypot(found["x"] - 3.0, found["y"] - 3.0) > 30.0
    # noise alone: the circle holds less than the sky around half of what stands out
    assert (found["flux_aper"][far] < 0.0).sum() > 5
    assert not (found["flags"][far] & SourceFlag.MASKED).any()
