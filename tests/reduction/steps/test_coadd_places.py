"""Errors of places on grids finer than the frames, whose pixels share noise."""

from __future__ import annotations

__all__: list[str] = []

from functools import partial

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.coadd import Contribution, coadd
from reduction.steps.coadd_sources import detect_sources
from reduction.steps.deep import Deep
from reduction.steps.resample import Resampled, resample
from reduction.steps.wcs import TanWcs
from tests.support.sky_frames import draw

SIDE, NOISE, FWHM, FRAMES = 560, 10.0, 3.0, 2
STEP = 1.0 / 3600.0


def planes(frame: Resampled, box: Section) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return frame.image[box.slices], frame.weight[box.slices], frame.mask[box.slices]


def system(middle: float, step: float, shift: tuple[float, float] = (0.0, 0.0)) -> TanWcs:
    return TanWcs(10.0, 0.0, middle + shift[0], middle + shift[1], ((-step, 0.0), (0.0, step)))


def pulls(finer: float, low: float, high: float) -> np.ndarray:
    """Errors of stars' places, over what is said, at such signal to noise on the coadd."""
    rng = np.random.default_rng(round(10 * finer + low))
    x, y = (a.ravel() for a in np.mgrid[25.0 : SIDE - 25 : 22, 25.0 : SIDE - 25 : 22])
    x, y = x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, x.size)
    # the noise of a flux by the best weights is that of 4 pi sigma^2 pixels
    one = NOISE * np.sqrt(4.0 * np.pi / FRAMES) * FWHM / 2.3548
    flux = one * rng.uniform(low, high, x.size)
    size = int((SIDE - 20) * finer)
    grid, box, parts = system(size / 2, STEP / finer), Section(0, size, 0, size), []
    for _ in range(FRAMES):
        shift = tuple(rng.uniform(-0.5, 0.5, 2))
        image = rng.normal(0.0, NOISE, (SIDE, SIDE))
        draw(image, x + shift[0], y + shift[1], flux, fwhm=FWHM)
        weight = np.full(image.shape, NOISE**-2, np.float32)
        made = resample(
            *(image.astype(np.float32), weight, np.zeros(image.shape, np.uint8)),
            frame=system(SIDE / 2, STEP, shift),
            grid=grid,
            box=box,
        )
        parts.append(Contribution(box, partial(planes, made)))
    made = coadd(parts, box)
    deep = Deep(made.image, made.weight, made.mask, gain=1e6)
    found = detect_sources(deep, aperture_radius=2.0 * FWHM * finer, box=int(64 * finer))
    found = found[found["flags"] == 0]
    there = np.column_stack(grid.to_pixel(*system(SIDE / 2, STEP).to_sky(x, y)))
    apart = np.hypot(found["x"][:, None] - there[:, 0], found["y"][:, None] - there[:, 1])
    star = apart.argmin(axis=1)
    near = apart.min(axis=1) < 2.0 * finer
    off = np.concatenate((found["x"] - there[star, 0], found["y"] - there[star, 1]))
    return (off / np.tile(found["pos_err"], 2))[np.tile(near, 2)]


@pytest.mark.parametrize("finer", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("low", "high"), [(12.0, 25.0), (25.0, 80.0)])
def test_errors_of_places_are_those_that_are_made(finer: float, low: float, high: float) -> None:
    pull = pulls(finer, low, high)
    assert len(pull) > 900
    pull = pull[np.abs(pull) < 5.0]
    # so many pulls scatter by 2.2 %; with the noise of independent pixels they were 1.1 to 3.4
    assert 0.9 < np.std(pull) < 1.1
    assert abs(np.mean(pull)) < 4.0 / np.sqrt(len(pull))
