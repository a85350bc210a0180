"""Sources of combined images: detected on one, measured on another, with errors that hold."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reduction.detection import star_fwhm, star_half_light
from reduction.instruments.base import Section
from reduction.steps import coadd_sources
from reduction.steps.coadd_sources import detect_sources, measure_sources
from reduction.steps.correlated_noise import circle
from reduction.steps.deep import Deep
from reduction.steps.source_fluxes import Frame, aperture_fluxes, point_source_fluxes
from reduction.steps.sources import SourceFlag
from reduction.steps.tiles import tiles_of
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError
from tests.support.sky_frames import draw

SHAPE = (420, 400)
GAIN = 1e5
BLANK = np.zeros(SHAPE, np.uint8)


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
        rows = measure_sources(sources, deep(flux, seed), aperture_radius=6.0).sources
        good = rows["flags"] == 0
        # a circle of 3 sigma and a half has 0.998 of the light
        pulls.append(((rows["flux_aper"] - 200.0) / rows["flux_aper_err"])[good])
    pull = np.concatenate(pulls)
    assert len(pull) > 400
    assert abs(pull.mean()) < 0.25
    assert 0.9 < pull.std() < 1.1


def test_noise_in_the_aperture_is_that_of_sums_over_the_sky() -> None:
    rng = np.random.default_rng(61)
    shape = (720, 720)
    y, x = (a.ravel() for a in np.mgrid[40:700:80, 40:700:80].astype(float))
    light = np.zeros(shape)
    draw(light, x, y, np.full(x.size, 3000.0), fwhm=4.0)
    white = rng.normal(0.0, 1.0, shape)
    # what a flat field leaves: the weights do not know it
    common = gaussian_filter(rng.normal(0.0, 1.0, shape), 3.0)
    common *= 0.3 / common.std()
    found = {}
    for name, noise in (("white", white), ("common", white + common)):
        weight = np.ones(shape, np.float32)
        image = Deep((light + noise).astype(np.float32), weight, np.zeros(shape, np.uint8), 1e6)
        sources = detect_sources(image, threshold=3.0, aperture_radius=6.0)
        found[name] = measure_sources(sources, image, aperture_radius=6.0).sky_noise
    kernel = circle(6.0)
    spread_out = gaussian_filter(np.pad(kernel, 20), 3.0)
    scale = 0.09 / (gaussian_filter(np.pad([[1.0]], 20), 3.0) ** 2).sum()
    # sums at some thousand places: their scatter is known to 2 or 3 %
    assert found["white"] == pytest.approx(np.sqrt(kernel.sum()), rel=0.08)
    more = np.sqrt(kernel.sum() + scale * (spread_out**2).sum())
    assert more > 2.0 * found["white"]
    assert found["common"] == pytest.approx(more, rel=0.08)


def test_another_band_is_measured_at_the_same_places_in_the_same_order() -> None:
    red = np.linspace(300.0, 3000.0, 121)
    blue = red[::-1].copy()
    sources = detect_sources(deep(red, 8), aperture_radius=8.0)
    rows = measure_sources(
        sources, deep(blue, 9, shift=-7), offset=(-7, 0), aperture_radius=8.0
    ).sources
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
        measure_sources(sources, image, aperture_radius=6.0, found_here=found_here).sources[
            "flux_psf"
        ]
        for found_here in (True, False)
    )
    less = ((elsewhere - here) / flux[star])[faint]
    assert np.mean(less) == pytest.approx(scatter**2, rel=0.4)


def test_widths_are_those_of_the_band_not_of_where_sources_were_detected() -> None:
    x, y = places(np.random.default_rng(0))
    sharp, blurred = np.zeros(SHAPE), np.zeros(SHAPE)
    draw(sharp, x, y, np.full(121, 4000.0), fwhm=3.5)
    draw(blurred, x, y, np.full(121, 4000.0), fwhm=6.0)
    noise = np.random.default_rng(71).normal(0.0, 1.0, SHAPE)
    images = [
        Deep((light + noise).astype(np.float32), np.ones(SHAPE, np.float32), BLANK, GAIN)
        for light in (sharp, blurred)
    ]
    sources = detect_sources(images[0], aperture_radius=8.0)
    for image, fwhm in zip(images, (3.5, 6.0), strict=True):
        rows = measure_sources(sources, image, aperture_radius=8.0).sources
        assert star_fwhm(rows) == pytest.approx(fwhm, rel=0.02)
        # a Gaussian's; within three rms, cut off, are 0.99 of its light
        assert 2.0 * star_half_light(rows) == pytest.approx(fwhm, rel=0.06)


def test_what_lies_beyond_or_on_nothing_has_no_flux_and_says_so() -> None:
    flux = np.full(121, 1000.0)
    sources = detect_sources(deep(flux, 10), aperture_radius=6.0)
    image = deep(flux, 11)
    image.image[:, 300:], image.weight[:, 300:] = np.nan, 0.0
    rows = measure_sources(sources, image, offset=(0, -100), aperture_radius=6.0).sources
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
    rows = measure_sources(sources, spoilt, aperture_radius=6.0).sources
    assert rows["flags"][0] == SourceFlag.SATURATED
    assert rows["flags"][1] == SourceFlag.MASKED
    # a burnt core has its value still
    assert rows["flux_aper"][0] == pytest.approx(1000.0, rel=0.1)


def test_an_image_without_weight_is_refused() -> None:
    nothing = replace(deep(np.ones(121), 13), weight=np.zeros(SHAPE, np.float32))
    with pytest.raises(UnprocessableError):
        detect_sources(nothing)


def large_sky(seed: int) -> Deep:
    """Stars of all brightnesses and pairs of them, some on the seams of the tiles below."""
    rng = np.random.default_rng(seed)
    shape = (900, 1100)
    x, y = rng.uniform(10, 1090, 500), rng.uniform(10, 890, 500)
    x[:40], y[40:80] = rng.choice((319.5, 640.2, 959.7), 40), rng.choice((319.5, 639.6), 40)
    x[80:120], y[80:120] = x[:40] + 5.0, y[:40] + 3.0
    image = gaussian_filter(rng.normal(0.0, 1.0, shape), 0.6)
    image += 0.3 * np.sin(np.arange(shape[1]) / 200.0)
    draw(image, x, y, 10.0 ** rng.uniform(2.0, 4.5, 500), fwhm=4.0)
    weight = np.ones(shape, np.float32)
    weight[:, 700:] = 0.5
    weight[200:230, 300:340] = 0.0
    image[200:230, 300:340] = np.nan
    mask = np.where(weight > 0, 0, int(MaskBit.NON_NUMBER)).astype(np.uint8)
    return Deep(image.astype(np.float32), weight, mask, GAIN)


def test_tiles_give_the_sources_of_the_whole_each_once_and_those_on_seams_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = large_sky(31)
    whole = detect_sources(image, aperture_radius=8.0)
    measured = measure_sources(whole, image, aperture_radius=8.0).sources
    tiles = partial(tiles_of, whole=1000, side=320, overlap=256)
    assert len(tiles(image.image.shape, mesh=64)) == 12
    monkeypatch.setattr(coadd_sources, "tiles_of", tiles)
    parts = detect_sources(image, aperture_radius=8.0)
    apart = np.hypot(parts["x"][:, None] - whole["x"], parts["y"][:, None] - whole["y"])
    # a source at the very threshold may be found with one sky and not with the other, and of two
    # that touch, which are parted by lot, each one's width leaves out the other's pixels
    assert (apart.min(axis=0) < 0.05).mean() > 0.99
    assert (apart.min(axis=1) < 0.05).mean() > 0.99
    assert abs(len(parts) - len(whole)) <= 2
    assert np.sort(apart, axis=1)[:, 1].min() > 1.0
    assert (np.diff(parts["flux"]) <= 0).all()
    again = measure_sources(whole, image, aperture_radius=8.0).sources
    assert (again["flags"] == measured["flags"]).mean() > 0.995
    for name, floor, known in (("flux_aper", 0.0, 0.08), ("flux_psf", 0.005, 0.1)):
        error = np.hypot(measured[name + "_err"], floor * measured[name])
        off = (again[name] - measured[name]) / error
        # the sky's spline; and a function that each tile fits to some fifty stars of its own,
        # which is good to half a percent
        assert np.median(np.abs(off)) < 0.1
        assert np.percentile(np.abs(off), 95) < 0.5
        # how pixels share noise is measured in each tile, by a few hundred circles of sky in
        # these; by how much the function is wrong, by the scatter of the tile's own stars
        ratio = again[name + "_err"] / measured[name + "_err"]
        assert np.median(ratio) == pytest.approx(1.0, abs=known)


def test_tiles_without_weight_have_no_sources_and_those_given_there_no_flux(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = large_sky(32)
    sources = detect_sources(image, aperture_radius=8.0)
    image.weight[:640, :640] = 0.0
    tiles = partial(tiles_of, whole=1000, side=320, overlap=64)
    monkeypatch.setattr(coadd_sources, "tiles_of", tiles)
    found = detect_sources(image, aperture_radius=8.0)
    assert not ((found["x"] < 630) & (found["y"] < 630)).any()
    rows = measure_sources(sources, image, aperture_radius=8.0).sources
    lost = (rows["x"] < 250) & (rows["y"] < 250)
    assert lost.sum() > 10
    assert np.isnan(rows["flux_aper"][lost]).all()
    assert ((rows["flags"][lost] & int(SourceFlag.NO_FLUX)) != 0).all()
    assert np.isfinite(rows["flux_aper"][rows["x"] > 700]).mean() > 0.99
    image.weight[:] = 0.0
    with pytest.raises(UnprocessableError, match="no pixel"):
        detect_sources(image)


def two_gains(seed: int) -> tuple[Deep, np.ndarray, np.ndarray]:
    """Bright stars, the left half on frames of 0.5 electrons a unit, the right on ones of 8."""
    rng = np.random.default_rng(seed)
    shape, gains = (840, 1600), np.array([0.0, 0.5, 8.0])
    steps = [np.arange(30.0, size - 25.0, 40.0) for size in shape]
    y, x = (a.ravel() for a in np.meshgrid(*steps, indexing="ij"))
    light = np.zeros(shape)
    draw(light, x, y, np.full(x.size, 4e4), fwhm=4.0)
    origin = np.where(np.arange(shape[1]) < shape[1] // 2, 1, 2).astype(np.int32)
    origin = np.broadcast_to(origin, shape).copy()
    gain = gains[origin]
    image = rng.poisson(light * gain) / gain + rng.normal(0.0, 2.0, shape)
    weight = np.full(shape, 0.25, np.float32)
    image = Deep(
        image.astype(np.float32), weight, np.zeros(shape, np.uint8), 0.5, gain.astype(np.float32)
    )
    return image, x, y


def test_photon_errors_are_those_of_the_frames_that_a_source_is_on() -> None:
    image, x, y = two_gains(51)
    one = replace(image, gains=None)
    sources = detect_sources(image, aperture_radius=8.0)
    apart = np.hypot(sources["x"][:, None] - x, sources["y"][:, None] - y)
    sources, star = sources[apart.min(axis=1) < 1.0], apart.argmin(axis=1)[apart.min(axis=1) < 1.0]
    left = x[star] < 780
    assert min(left.sum(), (x[star] > 820).sum()) > 350
    for name, true in (("flux_aper", 4e4), ("flux_psf", 4e4)):
        for side in (left, x[star] > 820):
            rows = measure_sources(sources, image, aperture_radius=8.0).sources[side]
            pull = (rows[name] - true) / rows[name + "_err"]
            # some 380 stars: the deviation of their pulls is known to 3.6 %
            assert 0.9 < pull.std() < 1.1, name
    # with one gain for all, the right half's errors were four times too large
    wrong = measure_sources(sources, one, aperture_radius=8.0).sources[~left]
    assert ((wrong["flux_aper"] - 4e4) / wrong["flux_aper_err"]).std() < 0.4
    part = image.part(Section(10, 20, 795, 805))
    assert part.response is not None
    assert part.response[0].tolist() == [1.0] * 5 + [16.0] * 5


def test_photon_errors_are_right_where_the_flat_is_low() -> None:
    """A flat that falls to a quarter from left to right."""
    image, x, y = two_gains(52)
    rng = np.random.default_rng(53)
    shape = image.image.shape
    flat = np.linspace(1.6, 0.4, shape[1], dtype=np.float32) * np.ones((shape[0], 1), np.float32)
    light = np.zeros(shape)
    draw(light, x, y, np.full(x.size, 4e4), fwhm=4.0)
    adu = rng.poisson(light * flat) / flat + rng.normal(0.0, 2.0, shape) / np.sqrt(flat)
    deep = Deep(adu.astype(np.float32), 0.25 * flat, image.mask, 1.0, flat)
    found = detect_sources(deep, aperture_radius=8.0)
    rows = measure_sources(found, deep, aperture_radius=8.0).sources
    rows = rows[rows["flux_aper"] > 3e4]
    for side in (rows["x"] < 500, rows["x"] > 1100):
        assert side.sum() > 200
        for name in ("flux_aper", "flux_psf"):
            pull = ((rows[name] - 4e4) / rows[name + "_err"])[side]
            # some 250 stars: the deviation is known to 4.5 %; with one gain for all they were 0.7
            # to the left and 1.5 to the right
            assert 0.87 < pull.std() < 1.13, name
