"""Sources of combined images: detected on one, measured on another, with errors that hold."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reduction.steps.coadd_sources import Deep, detect_sources, measure_sources
from reduction.steps.source_fluxes import Frame, aperture_fluxes, point_source_fluxes
from reduction.steps.sources import SourceFlag
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError
from tests.support.sky_frames import draw

SHAPE = (420, 400)
GAIN = 1e5


def places(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(30.0, 380.0, 34.0)
    x, y = (a.ravel() for a in np.meshgrid(steps, steps))
    return x + rng.uniform(-6, 6, x.size), y + rng.uniform(-6, 6, x.size)


def deep(flux: np.ndarray, seed: int, *, noise: float = 1.0, shift: int = 0) -> Deep:
    """Stars on noise that neighbours share; deeper in the upper half."""
    rng = np.random.default_rng(seed)
    x, y = places(np.random.default_rng(0))
    smooth = gaussian_filter(rng.normal(0.0, 1.0, SHAPE), 0.6)
    # sums over large areas scatter as the unsmoothed: that is what weights say
    depth = np.where(np.arange(SHAPE[0])[:, None] < 210, noise, noise / 2)
    image = smooth * depth
    draw(image, x + shift, y, flux, fwhm=4.0)
    weight = np.broadcast_to(1.0 / depth**2, SHAPE).astype(np.float32).copy()
    return Deep(image.astype(np.float32), weight, np.zeros(SHAPE, np.uint8), GAIN)


def test_each_source_is_found_and_noise_that_is_shared_makes_none() -> None:
    flux = np.full(121, 150.0)
    found = detect_sources(deep(flux, 1), threshold=3.0, aperture_radius=6.0)
    x, y = places(np.random.default_rng(0))
    apart = np.hypot(found["x"][:, None] - x, found["y"][:, None] - y)
    assert (apart.min(axis=0) < 1.0).mean() > 0.95
    assert (apart.min(axis=1) > 3.0).sum() <= 2


def test_errors_of_measured_fluxes_hold_at_both_depths() -> None:
    flux = np.full(121, 200.0)
    sources = detect_sources(deep(flux, 2), threshold=3.0, aperture_radius=6.0)
    pulls = []
    for seed in range(3, 7):
        rows = measure_sources(sources, deep(flux, seed), aperture_radius=6.0)
        good = rows["flags"] == 0
        # a circle of 3 sigma and a half has 0.998 of the light
        pulls.append(((rows["flux_aper"] - 200.0) / rows["flux_aper_err"])[good])
    pull = np.concatenate(pulls)
    assert len(pull) > 400
    assert abs(pull.mean()) < 0.25
    assert 0.9 < pull.std() < 1.1


def test_another_band_is_measured_at_the_same_places_in_the_same_order() -> None:
    red = np.linspace(300.0, 3000.0, 121)
    blue = red[::-1].copy()
    sources = detect_sources(deep(red, 8), aperture_radius=8.0)
    rows = measure_sources(sources, deep(blue, 9, shift=-7), offset=(-7, 0), aperture_radius=8.0)
    assert len(rows) == len(sources)
    assert rows["x"] == pytest.approx(sources["x"] - 7)
    x, y = places(np.random.default_rng(0))
    star = np.hypot(sources["x"][:, None] - x, sources["y"][:, None] - y).argmin(axis=1)
    good = rows["flags"] == 0
    assert good.sum() > 100
    assert np.median((rows["flux_aper"] / blue[star])[good]) == pytest.approx(1.0, abs=0.01)
    assert np.median((rows["flux_psf"] / blue[star])[good]) == pytest.approx(1.0, abs=0.02)


def test_faint_fluxes_by_the_psf_at_given_places_are_the_truth() -> None:
    # every ninth is bright, for the function; the error of the others' flux is about 5.5
    flux = np.where(np.arange(121) % 9 == 0, 5000.0, 32.0)
    sources = detect_sources(deep(np.full(121, 3000.0), 14), aperture_radius=6.0)
    x, y = places(np.random.default_rng(0))
    star = np.hypot(sources["x"][:, None] - x, sources["y"][:, None] - y).argmin(axis=1)
    faint = (flux[star] < 100.0) & (y[star] < 200)

    def ratio(seed: int) -> np.ndarray:
        # the sky is known: what stars too faint to be left out add to it is not the question
        image, rows = deep(flux, seed), sources.copy()
        noise = (1.0 / np.sqrt(image.weight)).astype(np.float32)
        frame = Frame(image.image, image.weight == 0, noise, GAIN)
        aperture_fluxes(frame, rows, aperture_radius=6.0, lost_flag=0)
        point_source_fluxes(frame, rows, aperture_radius=6.0, forgiven=0, found_here=False)
        return np.asarray((rows["flux_psf"] / flux[star])[faint])

    given = np.array([ratio(seed) for seed in range(15, 29)])
    scatter = given.std()
    assert 0.13 < scatter < 0.25
    # some 700 of them: the mean is known to 0.7 %, and the correction is 3 %
    assert given.mean() == pytest.approx(1.0, abs=3 * scatter / np.sqrt(given.size))
    image = deep(flux, 15)
    here, elsewhere = (
        measure_sources(sources, image, aperture_radius=6.0, found_here=found_here)["flux_psf"]
        for found_here in (True, False)
    )
    less = ((elsewhere - here) / flux[star])[faint]
    assert np.mean(less) == pytest.approx(scatter**2, rel=0.4)


def test_what_lies_beyond_or_on_nothing_has_no_flux_and_says_so() -> None:
    flux = np.full(121, 1000.0)
    sources = detect_sources(deep(flux, 10), aperture_radius=6.0)
    image = deep(flux, 11)
    image.image[:, 300:], image.weight[:, 300:] = np.nan, 0.0
    rows = measure_sources(sources, image, offset=(0, -100), aperture_radius=6.0)
    lost = (rows["y"] < -0.5) | (rows["x"] > 300)
    assert lost.any()
    assert np.isnan(rows["flux_aper"][lost]).all()
    assert (rows["flags"][lost] & SourceFlag.NO_FLUX).all()


def test_burnt_and_made_up_pixels_are_flagged() -> None:
    flux = np.full(121, 1000.0)
    clean = deep(flux, 12)
    sources = detect_sources(clean, aperture_radius=6.0)
    x, y = np.rint(sources["x"]).astype(int), np.rint(sources["y"]).astype(int)
    weight, mask = clean.weight.copy(), clean.mask.copy()
    weight[y[0], x[0]], mask[y[0], x[0]] = 0.0, MaskBit.SATURATED
    weight[y[1] - 1 : y[1] + 2, x[1]], mask[y[1] - 1 : y[1] + 2, x[1]] = 0.0, MaskBit.COLD
    spoilt = replace(clean, weight=weight, mask=mask)
    rows = measure_sources(sources, spoilt, aperture_radius=6.0)
    assert rows["flags"][0] == SourceFlag.SATURATED
    assert rows["flags"][1] == SourceFlag.MASKED
    # a burnt core has its value still
    assert rows["flux_aper"][0] == pytest.approx(1000.0, rel=0.1)


def test_an_image_without_weight_is_refused() -> None:
    nothing = replace(deep(np.ones(121), 13), weight=np.zeros(SHAPE, np.float32))
    with pytest.raises(UnprocessableError):
        detect_sources(nothing)
