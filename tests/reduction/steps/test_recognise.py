"""Blind-enough recognition: wrong scale, turned and mirrored fields; and nothing by chance."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.astrometry import SolutionModel, solve
from reduction.steps.wcs import TanWcs, deproject
from tests.reduction.steps.test_astrometry import CENTRE, SCALE, SHAPE, field, worst


@pytest.mark.parametrize("factor", [0.92, 0.97, 1.04, 1.09])
def test_a_pixel_scale_that_is_some_percent_off_is_found(factor: float) -> None:
    made = field(angle=131.0, mirror=True, offset=0.05)
    found = solve(
        *made["sources"],
        **made["sky"],
        pixel_scale=SCALE * factor,
        pointing_error=0.1,
        rotation_known=False,
    )
    assert worst(found.wcs, made["truth"]) < 0.05
    assert found.wcs.pixel_scale == pytest.approx(SCALE, rel=1e-3)


def test_seven_bright_stars_among_fainter_sources_are_enough_for_a_turned_field() -> None:
    # as a 14-inch telescope's frame against Tycho-2: scale 7 percent off, one star in forty
    made = field(angle=-0.5, mirror=True, offset=0.03, stars=400)
    x, y, flux, _ = made["sources"]
    sky = made["sky"]
    there = np.column_stack(made["truth"].to_pixel(sky["ra"], sky["dec"]))
    on = ((there > 20) & (there < 1003)).all(axis=1)
    bright = np.argsort(np.where(on, sky["mag"], 99.0))[:9]
    outside = np.flatnonzero(~on)[:25]
    kept = np.concatenate((bright, outside))
    found = solve(
        *(x, y, flux, SHAPE),
        **{name: sky[name][kept] for name in ("ra", "dec", "mag")},
        pointing=CENTRE,
        pixel_scale=SCALE * 1.07,
        pointing_error=0.1,
        rotation_known=False,
    )
    assert found.n_ref >= 6
    assert worst(found.wcs, made["truth"]) < 0.5


def random_frame(rng: np.random.Generator, sources: int, stars: int) -> dict:
    ra, dec = deproject(*rng.uniform(-0.25, 0.25, (2, stars)), *CENTRE)
    x, y = rng.uniform(0, SHAPE[1], sources), rng.uniform(0, SHAPE[0], sources)
    return {
        "sources": (x, y, rng.pareto(1.5, sources), SHAPE),
        "sky": {"ra": ra, "dec": dec, "mag": rng.uniform(10, 18, stars), "pointing": CENTRE},
    }


@pytest.mark.parametrize(
    ("sources", "stars", "fields"), [(5, 3, 300), (20, 15, 60), (60, 60, 8), (300, 400, 1)]
)
@pytest.mark.parametrize("rotation_known", [True, False])
def test_random_fields_are_not_recognised(
    sources: int, stars: int, fields: int, *, rotation_known: bool
) -> None:
    # less than one of a thousand is promised: of 300 fields two would come up once in thirty
    # runs; python -m tests.benchmarks.recognition tries more
    rng = np.random.default_rng(sources + stars)
    wrong = 0
    for _ in range(fields):
        made = random_frame(rng, sources, stars)
        found = solve(
            *made["sources"],
            **made["sky"],
            pixel_scale=SCALE,
            pointing_error=0.1,
            rotation_known=rotation_known,
        )
        wrong += found.model is not SolutionModel.NOMINAL
    assert wrong <= fields // 300


def test_clustered_stars_of_another_field_are_not_recognised() -> None:
    # both sets crowd in their middles, as clusters do: chance is larger than for uniform fields
    rng = np.random.default_rng(11)
    for _ in range(2):
        made = random_frame(rng, 80, 200)
        x, y = rng.normal(512.0, 90.0, (2, 80))
        ra, dec = deproject(*rng.normal(0.0, 0.015, (2, 200)), *CENTRE)
        found = solve(
            *(x, y, made["sources"][2], SHAPE),
            **(made["sky"] | {"ra": ra, "dec": dec}),
            pixel_scale=SCALE,
            pointing_error=0.1,
            rotation_known=False,
        )
        assert found.model is SolutionModel.NOMINAL


@pytest.mark.parametrize("dec", [0.0, 69.0, 80.0, -85.0, 89.0])
def test_a_wide_frame_is_found_where_meridians_meet(dec: float) -> None:
    """Pixels of 5 arcsec, 0.4 degrees off: north at the guess is not north on the frame."""
    rng = np.random.default_rng(abs(int(dec)))
    size, scale = 650, 5.0
    middle, step, angle = (size - 1) / 2.0, scale / 3600.0, np.radians(30.0)
    c, s = step * np.cos(angle), step * np.sin(angle)
    truth = TanWcs(12.0, dec, middle, middle, ((-c, s), (s, c)))
    half = 0.5 * size * step + 0.75
    xi, eta = rng.uniform(-half, half, (2, int(200 * (2 * half / (size * step)) ** 2)))
    ra, dec_of = deproject(xi, eta, 12.0, dec)
    mag = 10.0 + 6.0 * np.sqrt(rng.random(len(ra)))
    x, y = truth.to_pixel(ra, dec_of)
    on = (x > 0) & (x < size) & (y > 0) & (y < size)
    pointing = deproject(0.3, 0.26, 12.0, dec)
    found = solve(
        x[on] + rng.normal(0.0, 0.05, on.sum()),
        y[on] + rng.normal(0.0, 0.05, on.sum()),
        10 ** (-0.4 * (mag[on] - 20.0)),
        (size, size),
        ra=ra,
        dec=dec_of,
        mag=mag,
        pointing=(float(pointing[0]), float(pointing[1])),
        pixel_scale=scale,
        pointing_error=0.6,
        rotation_known=False,
        tolerance=4.0,
    )
    assert found.n_ref > 50
    across = found.wcs.to_pixel(ra[on], dec_of[on])
    assert np.hypot(across[0] - x[on], across[1] - y[on]).max() < 0.2
