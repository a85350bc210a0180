"""Positions on simulated frames of 0.2 arcsec a pixel: as good as they say, from pixels to sky."""

from __future__ import annotations

__all__: list[str] = []

from typing import NamedTuple

import numpy as np
import pytest

from reduction.steps.astrometry import Solution, solve
from reduction.steps.sources import extract
from tests.support.mosaic import SCALE, Camera, Sky
from tests.support.mosaic_files import GAIN, render

pytestmark = pytest.mark.science

CAMERA = Camera(chips=1, columns=1, shape=(900, 900), bend=2e-3)
SKY = Sky(half=0.03, stars=500, known=0.5, reference_error=0.01)
FRAMES = 3


class Seen(NamedTuple):
    """Stars of all frames."""

    dx: np.ndarray
    dy: np.ndarray
    pos_err: np.ndarray
    noise: np.ndarray
    dra: np.ndarray
    ddec: np.ndarray
    solutions: list[Solution]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Errors of lone stars, in pixels and on the sky (arcsec), with their signal to noise."""
    frames, truth, _ = SKY.observe(CAMERA, FRAMES, dither=10.0)
    parts, solutions = [], []
    for seed, (frame, wcs) in enumerate(zip(frames, truth, strict=True)):
        image = render(SKY, wcs, CAMERA.shape, seed)
        found = extract(image, gain=GAIN, aperture_radius=8.0)
        noise = found["flux"] / found["flux_err"]
        own = solve(
            *(found["x"], found["y"], found["flux"], image.shape),
            ra=SKY.cat_ra,
            dec=SKY.cat_dec,
            mag=SKY.mag[SKY.catalogue],
            pointing=(SKY.ra0, SKY.dec0),
            pixel_scale=SCALE,
            pointing_error=5.0 / 3600.0,
            nominal=frame.wcs,
            usable=(found["flags"] == 0) & (noise > 10.0),
            errors=found["pos_err"],
        )
        solutions.append(own)
        there = np.column_stack(wcs.to_pixel(SKY.ra, SKY.dec))
        apart = np.hypot(*(there[:, None] - there).transpose(2, 0, 1)) + 99.0 * np.eye(len(there))
        lone = apart.min(axis=1) > 25.0
        distance = np.hypot(found["x"][:, None] - there[:, 0], found["y"][:, None] - there[:, 1])
        star = distance.argmin(axis=1)
        good = (distance.min(axis=1) < 1.5) & lone[star] & (found["flags"] == 0)
        ra, dec = own.wcs.to_sky(found["x"], found["y"])
        parts.append(
            np.column_stack(
                (
                    found["x"] - there[star, 0],
                    found["y"] - there[star, 1],
                    found["pos_err"],
                    noise,
                    3600.0 * (ra - SKY.ra[star]) * np.cos(np.radians(dec)),
                    3600.0 * (dec - SKY.dec[star]),
                )
            )[good]
        )
    return Seen(*np.concatenate(parts).T, solutions)


@pytest.mark.parametrize(("low", "high"), [(5.0, 20.0), (20.0, 80.0), (80.0, 1e4)])
def test_errors_of_centroids_are_those_that_are_made(seen: Seen, low: float, high: float) -> None:
    part = (seen.noise >= low) & (seen.noise < high)
    pull = np.concatenate((seen.dx[part], seen.dy[part])) / np.tile(seen.pos_err[part], 2)
    pull = pull[np.abs(pull) < 5.0]
    assert len(pull) > 100
    # 0.9 to 1.1, and three times the 1 / sqrt(2 n) that so many pulls scatter by
    spare = 3.0 / np.sqrt(2.0 * len(pull))
    assert 0.9 - spare < np.std(pull) < 1.1 + spare
    assert abs(np.mean(pull)) < 4.0 / np.sqrt(len(pull))


def test_pulls_of_all_positions_have_a_sigma_of_one(seen: Seen) -> None:
    pull = np.concatenate((seen.dx, seen.dy)) / np.tile(seen.pos_err, 2)
    assert 0.9 < np.std(pull[np.abs(pull) < 5.0]) < 1.1


def test_a_single_frame_is_good_to_20_mas_at_a_signal_to_noise_of_50(seen: Seen) -> None:
    # a centroid at 50 is good to 0.03 pixel, 7 mas; the projection to some 5
    part = (seen.noise > 35.0) & (seen.noise < 70.0)
    assert part.sum() >= 20
    rms = np.sqrt(np.mean(np.square([seen.dra[part], seen.ddec[part]])))
    assert rms < 0.020
    assert all(found.n_ref > 30 for found in seen.solutions)
