"""Fluxes of faint stars where most stars are too faint to be detected."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.stats import norm

from reduction.steps.sources import extract
from tests.support.faint_stars import Counts, Field, draw

pytestmark = [pytest.mark.science, pytest.mark.slow]

RADIUS = 12.0

#: At 0.2 arcsec a pixel the first four have 1e5 stars of S/N 5 in a square degree, with the probes
#: and those that show the point spread function. Counts from flat to those of the bulge, seeing
#: from 2.2 to 5.5 pixels.
FIELDS = [
    Counts(slope=0.2, density=12.0),
    Counts(slope=0.6, density=12.0),
    Counts(slope=0.3, density=12.0, fwhm=5.5),
    Counts(slope=0.45, density=12.0, fwhm=2.2),
    Counts(slope=0.3, density=40.0),
]


def named(counts: Counts) -> str:
    return f"{counts.slope}-{counts.density:.0f}-{counts.fwhm}"


def measured(
    counts: Counts, snr: float, frames: int
) -> tuple[list[Field], np.ndarray, np.ndarray]:
    """Frames with probes; the source at each probe, and whether it is one."""
    fields = [draw(counts, seed=seed, probes=snr) for seed in range(frames)]
    rows, found = [], []
    for field in fields:
        sources = extract(field.image, gain=counts.gain, aperture_radius=RADIUS)
        probes = np.column_stack((field.x[field.probes], field.y[field.probes]))
        apart, which = cKDTree(np.column_stack((sources["x"], sources["y"]))).query(probes)
        rows.append(sources[which])
        found.append(apart < 1.5)
    return fields, np.concatenate(rows), np.concatenate(found)


def alone(field: Field, radius: float) -> np.ndarray:
    """Probes that no other star of S/N 5 is near."""
    bright = ~field.probes & (field.flux > 5.0 * field.counts.one)
    places = np.column_stack((field.x, field.y))
    apart, _ = cKDTree(places[bright]).query(places[field.probes])
    return np.asarray(apart > radius)


def middle(miss: np.ndarray, noise: float) -> tuple[float, float]:
    """Median of fluxes with their noise, and how well it is known.

    Their own noise was taken off, and every noise of the kind is put on: what is left of it in a
    median of a hundred stars would hide a per cent.
    """
    every = noise * norm.ppf((np.arange(99) + 0.5) / 99)
    known = 1.4826 * np.median(np.abs(miss - np.median(miss))) / math.sqrt(len(miss))
    return float(np.median(miss[:, None] + every)), float(known)


@pytest.mark.parametrize("counts", FIELDS, ids=named)
def test_fluxes_of_ten_sigma_by_the_function_are_unbiased_behind_stars_unseen(counts: Counts):
    fields, rows, found = measured(counts, 10.0, 2)
    # a tenth is within two widths of a brighter one at 5.5 pixels: one source with it
    assert found.mean() > (0.85 if counts.fwhm > 5.0 or counts.density > 20.0 else 0.92)
    truth = 10.0 * counts.one * counts.inside(RADIUS)
    noise = np.concatenate([field.by_function() for field in fields]) * counts.inside(RADIUS)
    good = found & ((rows["flags"] & ~1) == 0)
    miss = (rows["flux_psf"] - noise - truth)[good] / truth
    bias, known = middle(miss, 0.1)
    assert abs(bias) < 0.01 + 1.5 * known
    pull = (rows["flux_psf"] - truth)[good] / rows["flux_psf_err"][good]
    # stars unseen are in the noise of sums over the sky, and so in the error; a width by the
    # median deviation is known to 1.2 / sqrt(2 n)
    width = 1.4826 * np.median(np.abs(pull - np.median(pull)))
    assert width == pytest.approx(1.0, abs=0.1 + 1.5 * 1.2 / math.sqrt(2.0 * len(pull)))


@pytest.mark.parametrize("counts", FIELDS, ids=named)
def test_fluxes_of_ten_sigma_in_a_circle_are_unbiased_behind_stars_unseen(counts: Counts):
    snr = 10.0 * math.sqrt(math.pi) * RADIUS * counts.noise / counts.one
    fields, rows, found = measured(counts, snr, 2)
    truth = snr * counts.one * counts.inside(RADIUS)
    noise = np.concatenate([field.in_circles(RADIUS) for field in fields])
    good = found & (rows["flags"] == 0)
    # neighbours that are seen are in the circle and not in the sky
    good &= np.concatenate([alone(field, RADIUS + counts.fwhm) for field in fields])
    bias, known = middle((rows["flux_aper"] - noise - truth)[good] / truth, 0.1)
    assert good.sum() > 60
    assert abs(bias) < 0.01 + 1.5 * known


def test_where_stars_are_confused_the_error_says_so():
    """Unseen stars are noise to the others: where they are many, errors are larger by theirs."""
    few, many = (Counts(slope=0.6, density=density) for density in (1.0, 40.0))
    ratio = []
    for counts in (few, many):
        _, rows, found = measured(counts, 10.0, 1)
        good = found & (rows["flags"] == 0)
        ratio.append(np.median(rows["flux_psf_err"][good]) / counts.one)
    # at 40 stars of S/N 5 those of S/N 0.3 to 5 scatter by 0.45 of the noise
    assert ratio[1] > 1.05 * ratio[0]
