"""Stars of known flux put into real frames: what is measured of them, among all that is there."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import cKDTree

from reduction.detection import detect, signal_to_noise
from reduction.steps.background import estimate_background
from reduction.steps.photometry import isolated
from reduction.steps.psf import PsfModel, fit_psf
from reduction.target import Progenitor

if TYPE_CHECKING:
    from reduction.archive import Archive

pytestmark = [pytest.mark.science, pytest.mark.slow]

KINDS = ("flux_psf", "flux_aper")
RATIOS = (14.0, 45.0)
HALF = 24
PITCH = 64
#: Light of neighbours that are seen, in units of a known star's, within two radii of the circle.
ALONE = 0.02


def function_of(reduced: Progenitor, sources: np.ndarray) -> PsfModel:
    """Point spread function of a frame, from its bright stars that are alone."""
    good = (sources["flags"] == 0) & (signal_to_noise(sources, "flux_psf") > 50.0)
    good &= isolated(sources["x"], sources["y"], sources["flux"], radius=16.0)
    stars = sources[good & (np.abs(sources["spread"]) < 0.02)]
    image, bad = reduced.images["IMAGE"], reduced.images["WEIGHT"] == 0
    sky = estimate_background(image, mask=bad)
    pixels = np.where(bad, 0.0, image - sky.level).astype(np.float32)
    width = float(np.median(stars["psf_fwhm"]))
    return fit_psf(pixels, bad, stars["x"], stars["y"], fwhm=width)


def width(pulls: np.ndarray) -> float:
    """Standard deviation by the median deviation."""
    return float(1.4826 * np.median(np.abs(pulls - np.median(pulls))))


def inside(psf: PsfModel, radius: float) -> float:
    """Part of a star's light in a circle (radius in pixels)."""
    core2 = np.sqrt(psf.xx.middle * psf.yy.middle) / (4.0 * (2.0**psf.wings - 1.0))
    return float(1.0 - (1.0 + radius**2 / core2) ** (1.0 - 1.0 / psf.wings))


def with_stars(
    image: np.ndarray, psf: PsfModel, stars: tuple[np.ndarray, ...], gain: float, seed: int
) -> np.ndarray:
    """A frame with stars (x, y, flux in adu) and the noise of their photons."""
    x, y, flux = stars
    rng = np.random.default_rng(seed)
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    offsets = np.arange(-HALF, HALF + 1)
    dx = (column[:, None] + offsets - x[:, None]).astype(np.float32)[:, None, :]
    dy = (row[:, None] + offsets - y[:, None]).astype(np.float32)[:, :, None]
    light = psf.at(x, y, dx, dy) * flux[:, None, None]
    light += rng.normal(size=light.shape) * np.sqrt(np.maximum(light, 0.0) / gain)
    padded = np.pad(image, HALF)
    for i, j, star in zip(row, column, light, strict=True):
        padded[i : i + 2 * HALF + 1, j : j + 2 * HALF + 1] += star
    return padded[HALF:-HALF, HALF:-HALF]


def measured(
    reduced: Progenitor, sources: np.ndarray, radius: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stars put into a frame with those sources: what is found of them, their flux, and S/N.

    Those that have no neighbour who counts: how well the light of two is parted, and what a circle
    holds of a neighbour's, is another question than how noisy it is.
    """
    psf, gain = function_of(reduced, sources), reduced["effective_gain"]
    faint = signal_to_noise(sources, "flux_psf")
    one = float(np.median(sources["flux_psf_err"][(faint > 6.0) & (faint < 25.0)]))
    rng = np.random.default_rng(seed)
    grid = np.arange(PITCH * 3 // 4, 1024 - HALF, PITCH)
    x, y = (
        part.ravel() + rng.uniform(-0.4 * PITCH, 0.4 * PITCH, part.size)
        for part in np.meshgrid(grid, grid)
    )
    snr = rng.choice(RATIOS, len(x))
    flux = snr * one
    stars = x, y, flux / inside(psf, radius)
    image = with_stars(reduced.images["IMAGE"], psf, stars, gain, seed)
    known = replace(reduced, images={**reduced.images, "IMAGE": image})
    found = detect(known, threshold=3.0, aperture_radius=radius)
    places = np.column_stack((found["x"], found["y"]))
    apart, which = cKDTree(places).query(np.column_stack((x, y)))
    rows = found[which]
    alone = isolated(
        np.append(x, sources["x"]),
        np.append(y, sources["y"]),
        np.append(flux, np.nan_to_num(sources["flux_psf"])),
        radius=2.0 * radius,
        fraction=ALONE,
    )[: len(x)]
    good = alone & (apart < 1.5) & (rows["flags"] == 0)
    return rows[good], flux[good], snr[good]


def frames_of(archive: Archive, band: str) -> list[tuple[Progenitor, float]]:
    """Reduced frames of CAFOS in a band, and the radius of their aperture."""
    found = []
    for sources in archive.registry.classes["SourceList"].instrument.name == "cafos":
        if sources.filter.name[-1] == band:
            reduced = sources.catalog.reduced
            images = {name: np.array(reduced.images[name]) for name in ("IMAGE", "MASK", "WEIGHT")}
            gain = {"effective_gain": reduced.effective_gain}
            frame = Progenitor(1, "ReducedScienceFrame", sources.filter.name, gain, images)
            found.append((frame, sources.aperture_radius))
    return found


@pytest.mark.parametrize("band", ["B", "V"])
def test_errors_are_those_of_stars_put_into_real_frames(archive: Archive, band: str) -> None:
    found: dict[tuple[str, float], list[np.ndarray]] = {}
    for frame, radius in frames_of(archive, band):
        sources = detect(frame, threshold=3.0, aperture_radius=radius)
        for seed in range(2):
            rows, flux, snr = measured(frame, sources, radius, seed)
            for kind, ratio in product(KINDS, RATIOS):
                of, truth = rows[snr == ratio], flux[snr == ratio]
                pull = (of[kind] - truth) / of[kind + "_err"]
                miss = np.stack((of[kind] / truth - 1.0, pull - np.median(pull)))
                found.setdefault((kind, ratio), []).append(miss)
    for (kind, ratio), misses in found.items():
        bias, pull = np.concatenate(misses, axis=1)
        assert len(pull) > 600
        # Moffat's function has as much of its light in the circle as the frame's stars, within a
        # per cent; in the circle a median of so many is known to one
        assert abs(np.median(bias)) < 0.02, (kind, ratio)
        # known to 1.17 / sqrt(2 n), 0.03. Circles at places without a source, which their noise is
        # told at, hold more of neighbours' wings than those of stars that are alone
        assert (0.9 if kind == "flux_psf" else 0.82) < width(pull) < 1.1, (kind, ratio)
