"""What the classes that detect sources ask of them."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.detection import (
    aperture_fraction,
    detect,
    is_clean,
    signal_to_noise,
    star_fwhm,
    star_half_light,
)
from reduction.steps.sources import SOURCE_DTYPE, SourceFlag
from reduction.steps.weight import MaskBit
from reduction.target import Progenitor


def reduced(mask: np.ndarray, image: np.ndarray) -> Progenitor:
    images = {"IMAGE": image, "WEIGHT": np.ones_like(image), "MASK": mask}
    return Progenitor(1, "ReducedScienceFrame", "V", {"effective_gain": 2.0}, images)


@pytest.fixture
def image() -> np.ndarray:
    generator = np.random.default_rng(4)
    yy, xx = np.mgrid[:128, :128]
    star = 2e3 * np.exp(-((xx - 60.0) ** 2 + (yy - 64.0) ** 2) / 8.0)
    return (100.0 + star + generator.normal(0.0, 5.0, star.shape)).astype(np.float32)


def test_saturated_pixels_flag_a_star_and_cosmics_are_no_stars(image: np.ndarray) -> None:
    mask = np.zeros(image.shape, np.uint8)
    mask[64, 60] = MaskBit.SATURATED
    image[20:24, 20:24] = 9000.0
    mask[20:24, 20:24] = MaskBit.COSMIC
    (star,) = detect(reduced(mask, image), threshold=5.0, aperture_radius=10.0)
    assert star["flags"] == SourceFlag.SATURATED
    assert star["x"] == pytest.approx(60.0, abs=0.05)


def test_errors_of_fluxes_are_true_where_the_flat_is_low() -> None:
    # stars whose photons are most of the noise, on a frame that is vignetted towards the right
    rng = np.random.default_rng(7)
    gain, flux, size = 2.0, 2e4, 640
    flat = np.linspace(1.0, 0.25, size, dtype=np.float32) * np.ones((size, 1), np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(*[np.arange(20.0, size, 40.0)] * 2))
    yy, xx = np.mgrid[-15:16, -15:16]
    star = np.exp(-(xx**2 + yy**2) / 2 / 1.8**2) / (2 * np.pi * 1.8**2)
    light = np.full((size, size), 50.0)
    for row, column in zip(y.astype(int), x.astype(int), strict=True):
        light[row - 15 : row + 16, column - 15 : column + 16] += flux * star
    image = (rng.poisson(light * flat * gain) / gain / flat).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    progenitor = reduced(mask, image)
    progenitor.images["WEIGHT"] = flat
    found = detect(progenitor, threshold=5.0, aperture_radius=8.0)
    assert len(found) == len(x)
    nearest = np.hypot(found["x"][:, None] - x, found["y"][:, None] - y).argmin(axis=1)
    dark = flat[0, x[nearest].astype(int)] < 0.5
    for part in (dark, ~dark):
        for name in ("flux", "flux_aper", "flux_psf"):
            off = found[name] - np.median(found[name])
            pull = (off / found[name + "_err"])[part]
            # scatter of some 100 pulls is known to 7 %; by the gain where the flat is 1, 1.5
            assert np.std(pull) == pytest.approx(1.0, abs=0.2), name
        for name, true in (("x", x), ("y", y)):
            pull = ((found[name] - true[nearest]) / found["pos_err"])[part]
            assert np.std(pull) == pytest.approx(1.0, abs=0.2), name


def test_deblending_alone_leaves_a_source_clean() -> None:
    sources = np.zeros(3, SOURCE_DTYPE)
    sources["flags"] = [SourceFlag.MERGED, SourceFlag.MASKED, SourceFlag.SATURATED]
    assert is_clean(sources).tolist() == [True, False, False]
    assert is_clean(sources, masked=True).tolist() == [True, True, False]


def test_unknown_flux_has_no_signal() -> None:
    sources = np.zeros(3, SOURCE_DTYPE)
    sources["flux"], sources["flux_err"] = [10.0, np.nan, 10.0], [2.0, 1.0, 0.0]
    assert signal_to_noise(sources).tolist() == [5.0, 0.0, 0.0]


def four_sources() -> np.ndarray:
    """Three bright ones, of which one is a star, and one too faint to count."""
    sources = np.zeros(4, SOURCE_DTYPE)
    sources["flux"], sources["flux_err"] = [1e4, 9e3, 8e3, 10.0], 10.0
    sources["half_light_radius"] = [4.5, 10.0, 2.0, 0.5]
    sources["psf_fwhm"] = np.nan
    return sources


def test_half_of_a_stars_light_is_within_the_radius_of_the_narrow_bright_ones() -> None:
    sources = four_sources()
    assert star_half_light(sources) == 2.0
    assert math.isnan(star_half_light(sources[3:]))
    assert math.isnan(star_half_light(sources[:0]))


def test_the_seeing_is_the_fitted_functions_and_a_moffats_where_none_was_fitted() -> None:
    sources = four_sources()
    # of beta 4: half of its light is within r where (1 + r^2 / a^2)^-3 is a half, and half of its
    # maximum is where (1 + r^2 / a^2)^-4 is
    moffat = 2.0 * 2.0 * math.sqrt((2 ** (1 / 4) - 1) / (2 ** (1 / 3) - 1))
    assert star_fwhm(sources) == pytest.approx(moffat)
    assert math.isnan(star_fwhm(sources[3:]))
    assert math.isnan(star_fwhm(sources[:0]))
    sources["psf_fwhm"] = [3.4, 3.5, 3.6, np.nan]
    assert star_fwhm(sources) == 3.5


def test_a_circle_of_the_half_light_radius_holds_half_of_the_light() -> None:
    assert aperture_fraction(2.5, 2.5) == 0.5
    assert aperture_fraction(3.5, 2.5) < 0.5 < aperture_fraction(2.0, 2.5)
    assert aperture_fraction(2.0, 12.0) == pytest.approx(1.0)
    assert math.isnan(aperture_fraction(math.nan, 2.5))
