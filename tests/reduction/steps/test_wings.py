"""Faint detections beside bright ones: stars stay, bumps of a wing go."""

from __future__ import annotations

__all__: list[str] = []

from typing import Any

import numpy as np
import pytest
import sep

from reduction.steps import wings
from reduction.steps.detect import detect
from reduction.steps.sources import extract
from reduction.steps.wings import beyond_wings
from tests.support.faint_stars import Counts, draw

AREA = 5


def near(found: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of the found source nearest to each place, pixels."""
    return np.asarray(np.hypot(found["x"][:, None] - x, found["y"][:, None] - y).min(axis=0))


def test_stars_of_ten_sigma_are_found_among_brighter_ones() -> None:
    counts = Counts(density=20.0, side=512)
    field = draw(counts, seed=1, probes=10.0, pitch=64)
    probes = field.x[field.probes], field.y[field.probes]
    bright = ~field.probes & (field.flux > 10.0 * counts.one)
    apart = np.hypot(*(a[field.probes][:, None] - a[bright] for a in (field.x, field.y)))
    # seven pixels beside a brighter star the two are one outline; farther off nothing hides them
    alone = apart.min(axis=1) > 7.0
    assert alone.sum() > 40
    assert (near(extract(field.image, gain=counts.gain), *probes) < 1.5)[alone].mean() > 0.95


def test_bumps_on_the_halo_of_a_star_are_none() -> None:
    side, noise = 300, 10.0
    y, x = np.mgrid[:side, :side] - 150.2
    # light that the air scatters falls with distance to the power of -11/3
    star = 1e6 * (1.0 + (x * x + y * y) / 4.0) ** (-11.0 / 6.0)
    rms = np.full(star.shape, noise, np.float32)
    before = after = 0
    for seed in range(8):
        bumpy = star + np.random.default_rng(seed).normal(0.0, noise, star.shape)
        found = detect(bumpy.astype(np.float32), 3.0, err=rms, minarea=AREA)
        left = beyond_wings(found, rms, threshold=3.0, min_area=AREA)
        apart = np.hypot(found["x"] - 150.2, found["y"] - 150.2)
        assert left[apart < 1.0].all()
        # where the halo has fallen to a tenth of the noise its bumps are noise's
        bumps = (apart > 1.0) & (apart < 80.0)
        before, after = before + bumps.sum(), after + (bumps & left).sum()
    assert before >= 10
    assert after <= before // 3


def test_a_source_alone_and_none_at_all_are_kept() -> None:
    counts = Counts(density=0.0, side=256)
    field = draw(counts, seed=3, probes=10.0, pitch=128)
    rms = np.full(field.image.shape, counts.noise, np.float32)
    found = detect(field.image - np.float32(counts.level), 3.0, err=rms, minarea=AREA)
    assert beyond_wings(found[:1], rms, threshold=3.0, min_area=AREA).tolist() == [True]
    assert beyond_wings(found[:0], rms, threshold=3.0, min_area=AREA).shape == (0,)


def test_masked_pixels_in_the_outline_of_a_star_cost_no_other() -> None:
    counts = Counts(density=0.0, side=256)
    field = draw(counts, seed=5, probes=40.0, pitch=64)
    probes = field.x[field.probes], field.y[field.probes]
    mask = np.zeros(field.image.shape, np.bool_)
    mask[np.rint(probes[1][::2]).astype(int) + 2, np.rint(probes[0][::2]).astype(int)] = True
    assert (near(extract(field.image, gain=counts.gain, mask=mask), *probes) < 1.5).all()


def test_seps_own_cleaning_loses_stars_that_a_brighter_one_is_far_from() -> None:
    """Why it is not used: thirty pixels beside a star of 100 sigma."""
    counts = Counts(density=0.0, side=256)
    field = draw(counts, seed=4, probes=10.0, pitch=300)
    light = field.image - np.float32(counts.level)
    rms = np.full(light.shape, counts.noise, np.float32)
    sigma = counts.fwhm / 2.3548
    y, x = np.mgrid[:256, :256]
    for at, snr in ((100, 10.0), (125, 100.0)):
        square = (x - at) ** 2 + (y - 128) ** 2
        peak = snr * counts.noise / np.sqrt(np.pi) / sigma
        light = light + np.float32(peak) * np.exp(-square / 2 / sigma**2).astype(np.float32)
    place = np.array([100.0]), np.array([128.0])
    settings: dict[str, Any] = {"err": rms, "minarea": AREA}
    assert near(sep.extract(light, 3.0, clean=True, **settings), *place)[0] > 10.0
    assert near(sep.extract(light, 3.0, clean=False, **settings), *place)[0] < 1.0
    ours = detect(light, 3.0, **settings)
    assert near(ours[beyond_wings(ours, rms, threshold=3.0, min_area=AREA)], *place)[0] < 1.0


def test_wings_are_told_as_well_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts(density=60.0, side=512)
    field = draw(counts, seed=6, probes=10.0)
    rms = np.full(field.image.shape, counts.noise, np.float32)
    found = detect(field.image - np.float32(counts.level), 3.0, err=rms, minarea=AREA)
    whole = beyond_wings(found, rms, threshold=3.0, min_area=AREA)
    assert 0 < whole.sum() < len(found)
    monkeypatch.setattr(wings, "_TOGETHER", 7)
    assert (beyond_wings(found, rms, threshold=3.0, min_area=AREA) == whole).all()
