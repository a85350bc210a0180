"""Crowds: widths, places and flags of stars that have neighbours."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.neighbours import light_of_neighbours
from reduction.steps.psf import PsfModel
from reduction.steps.sources import SourceFlag, extract
from reduction.steps.surface import Surface

SHAPE = (500, 500)
FWHM = 2.3
RADIUS = 2.5


def round_psf(fwhm: float, wings: float) -> PsfModel:
    square, none = Surface.constant(fwhm**2, SHAPE), Surface.constant(0.0, SHAPE)
    return PsfModel(wings, square, none, square, 100)


def image_of(x: np.ndarray, y: np.ndarray, flux: np.ndarray, psf: PsfModel) -> np.ndarray:
    """Stars without noise, each in a square of 41 pixels."""
    image = np.zeros(SHAPE)
    for x0, y0, light in zip(x, y, flux, strict=True):
        rows = np.arange(max(int(y0) - 20, 0), min(int(y0) + 21, SHAPE[0]))
        columns = np.arange(max(int(x0) - 20, 0), min(int(x0) + 21, SHAPE[1]))
        dx = (columns - x0).astype(np.float32)[None, None, :]
        dy = (rows - y0).astype(np.float32)[None, :, None]
        part = psf.at(np.array([x0]), np.array([y0]), dx, dy)[0]
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += light * part
    return image


@pytest.fixture(scope="module")
def crowd() -> dict[str, np.ndarray]:
    """Stars two pixels wide, one in 250 pixels, as MicroObservatory's; and what is found."""
    rng = np.random.default_rng(11)
    count = 1000
    x, y = rng.uniform(5.0, 495.0, (2, count))
    flux = 300.0 * rng.uniform(0.002, 1.0, count) ** -0.8
    image = image_of(x, y, flux, round_psf(FWHM, 0.25))
    gain, sky = 40.0, 350.0
    image = (rng.poisson((image + 30.0) * gain) / gain + sky).astype(np.float32)
    found = extract(image, gain=gain, aperture_radius=RADIUS)
    apart = np.hypot(found["x"][:, None] - x, found["y"][:, None] - y)
    star = apart.argmin(axis=1)
    near = np.hypot(x[star][:, None] - x, y[star][:, None] - y)
    share = np.where((near > 0) & (near < 12.0), flux, 0.0).sum(axis=1) / flux[star]
    return {
        "found": found,
        "x": x[star],
        "y": y[star],
        "flux": flux[star],
        "near": np.where(near > 0, near, np.inf).min(axis=1),
        "crowded": share > 1.0,
    }


def test_part_of_a_star_in_a_circle_beside_it_is_that_of_its_pixels() -> None:
    for wings in (0.05, 0.3):
        psf = round_psf(3.0, wings)
        x, y = np.array([100.0, 104.0, 300.0]), np.array([100.0, 101.0, 300.0])
        flux = np.array([1000.0, 500.0, 700.0])
        light = light_of_neighbours(x, y, flux, psf=psf, radius=4.0)
        fine = np.arange(-4.0, 4.0, 0.05) + 0.025
        dx, dy = np.meshgrid(fine, fine)
        inside = np.hypot(dx, dy) <= 4.0
        width2 = 9.0 / (4.0 * (2.0**wings - 1.0))
        square = (dx - 4.0) ** 2 + (dy - 1.0) ** 2
        norm = (1.0 / wings - 1.0) / np.pi / width2
        part = (norm * (1.0 + square / width2) ** (-1.0 / wings))[inside].sum() * 0.05**2
        assert light == pytest.approx([500.0 * part, 1000.0 * part, 0.0], rel=0.01, abs=1e-6)


def test_light_of_a_star_alone_is_its_own() -> None:
    one = np.array([50.0])
    assert light_of_neighbours(one, one, one, psf=round_psf(3.0, 0.2), radius=4.0).tolist() == [0]


def test_widths_and_places_of_stars_do_not_follow_their_neighbours(crowd: dict) -> None:
    found = crowd["found"]
    assert len(found) > 500
    bright = (crowd["flux"] > 600.0) & (crowd["near"] > 4.0)
    crowded = bright & crowd["crowded"]
    assert crowded.sum() > 20
    # with the neighbours' light in them the median was 2.7 times as wide, and with windows of that
    # size a third of all centroids was lost, a fifth of the bright ones
    width = np.median(found["half_light_radius"][bright])
    assert np.median(found["half_light_radius"][crowded]) == pytest.approx(width, rel=0.1)
    assert np.percentile(found["half_light_radius"][bright], 90) < 1.2 * width
    lost = (found["flags"] & SourceFlag.NO_CENTROID) > 0
    assert lost.mean() < 0.02
    miss = np.hypot(found["x"] - crowd["x"], found["y"] - crowd["y"])
    assert np.percentile(miss[bright], 90) < 0.1


def test_merged_are_those_whose_flux_is_wrong_by_their_neighbours_light(crowd: dict) -> None:
    found = crowd["found"]
    merged = (found["flags"] & SourceFlag.MERGED) > 0
    other = (found["flags"] & ~int(SourceFlag.MERGED)) == 0
    alone = other & ~merged & (crowd["near"] > 12.0) & (crowd["flux"] > 3000.0)
    inside = np.median(found["flux_aper"][alone] / crowd["flux"][alone])
    excess = found["flux_aper"] / (inside * crowd["flux"]) - 1.0
    error = found["flux_aper_err"] / found["flux_aper"]
    # a source is what detection makes of stars it cannot part: those within two widths apart
    parted = other & (crowd["near"] > 2.0 * FWHM)
    assert (parted & merged).sum() < 0.1 * parted.sum()
    clean = parted & ~merged & (crowd["flux"] > 600.0)
    assert clean.sum() > 100
    assert (excess[clean] > 0.03 + 3.0 * error[clean]).mean() < 0.05
    assert np.median(excess[other & merged]) > 0.03


def test_flags_do_not_depend_on_outlines_that_touch() -> None:
    """Two stars whose outlines are one, far enough apart to leave each other's circle alone."""
    psf = round_psf(3.0, 0.25)
    x, y = np.array([200.0, 214.0]), np.array([250.3, 250.0])
    rng = np.random.default_rng(2)
    clean = image_of(x, y, np.array([4e5, 4e5]), psf)
    image = (clean + 300.0 + rng.normal(0.0, 3.0, SHAPE)).astype(np.float32)
    flags = extract(image, gain=2.0, aperture_radius=4.0)[:2]["flags"]
    assert flags.tolist() == [0, 0]
    near = image_of(np.array([200.0, 206.0]), y, np.array([4e5, 4e5]), psf)
    image = (near + 300.0 + rng.normal(0.0, 3.0, SHAPE)).astype(np.float32)
    flags = extract(image, gain=2.0, aperture_radius=4.0)[:2]["flags"]
    assert flags.tolist() == [int(SourceFlag.MERGED)] * 2
