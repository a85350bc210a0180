"""Finding and fitting fields of known place, orientation and scale."""

from __future__ import annotations

__all__: list[str] = []

import math

import numpy as np
import pytest

from reduction.steps.astrometry import SolutionModel, solve
from reduction.steps.matching import find_rotation, find_shift, match_nearest
from reduction.steps.wcs import TanWcs, deproject

SHAPE = (1024, 1024)
SCALE = 0.526
CENTRE = (114.6, 21.57)


def field(
    *,
    angle: float = 0.0,
    mirror: bool = False,
    stars: int = 300,
    offset: float = 0.0,
    noise: float = 0.05,
    seed: int = 3,
    scale: float = SCALE,
) -> dict:
    """A catalogue, and the sources that a frame in some orientation shows of it."""
    generator = np.random.default_rng(seed)
    half = 0.15
    ra, dec = deproject(*generator.uniform(-half, half, (2, stars)), *CENTRE)
    mag = generator.uniform(12.0, 18.0, stars)
    step = scale / 3600.0
    c, s = step * math.cos(math.radians(angle)), step * math.sin(math.radians(angle))
    sign = 1.0 if mirror else -1.0
    truth = TanWcs(
        CENTRE[0] + offset, CENTRE[1] - offset, 511.5, 511.5, ((sign * c, -s), (sign * s, c))
    )
    x, y = truth.to_pixel(ra, dec)
    seen = (x > 0) & (x < SHAPE[1]) & (y > 0) & (y < SHAPE[0]) & (generator.random(stars) < 0.8)
    x, y = x[seen], y[seen]
    x, y = x + generator.normal(0, noise, len(x)), y + generator.normal(0, noise, len(y))
    flux = 10 ** (-0.4 * (mag[seen] + generator.normal(0, 0.2, len(x))))
    extra = max(3, len(x) // 3)
    x = np.append(x, generator.uniform(0, SHAPE[1], extra))
    y = np.append(y, generator.uniform(0, SHAPE[0], extra))
    flux = np.append(flux, generator.choice(flux, extra))
    return {
        "truth": truth,
        "sources": (x, y, flux, SHAPE),
        "sky": {"ra": ra, "dec": dec, "mag": mag, "pointing": CENTRE},
    }


def worst(found: TanWcs, truth: TanWcs) -> float:
    """Largest distance between two projections over the frame, arcsec."""
    x, y = np.meshgrid([0.0, 511.5, 1023.0], [0.0, 511.5, 1023.0])
    there = truth.to_pixel(*found.to_sky(x, y))
    return float(np.hypot(there[0] - x, there[1] - y).max()) * SCALE


@pytest.mark.parametrize("angle", [0.0, 89.0, 180.0, 271.3])
@pytest.mark.parametrize("mirror", [False, True])
def test_field_of_unknown_orientation_and_parity_is_found(angle: float, *, mirror: bool) -> None:
    made = field(angle=angle, mirror=mirror, offset=0.03)
    found = solve(
        *made["sources"], **made["sky"], pixel_scale=0.53, pointing_error=0.1, rotation_known=False
    )
    assert found.model is SolutionModel.AFFINE
    # noise of 0.05 pixel over some 60 stars: 3 parameters each, at the corner about 0.02 pixel
    assert worst(found.wcs, made["truth"]) < 0.05
    assert found.rms == pytest.approx(0.05 * SCALE, rel=0.3)
    assert found.sigma_dra == pytest.approx(found.sigma_ddec, rel=0.5)


def test_shifted_field_is_found_from_the_nominal_projection() -> None:
    made = field(angle=2.3, offset=30.0 / 3600.0)
    truth = made["truth"]
    nominal = TanWcs(*CENTRE, truth.x0, truth.y0, truth.cd)
    found = solve(
        *made["sources"],
        **made["sky"],
        pixel_scale=SCALE,
        pointing_error=60.0 / 3600.0,
        nominal=nominal,
    )
    assert found.model is SolutionModel.AFFINE
    assert worst(found.wcs, truth) < 0.05


def test_nominal_projection_that_is_turned_wrongly_is_overruled_by_many_stars() -> None:
    made = field(angle=120.0)
    found = solve(*made["sources"], **made["sky"], pixel_scale=SCALE, pointing_error=0.02)
    assert worst(found.wcs, made["truth"]) < 0.05


@pytest.mark.parametrize(
    ("stars", "model"),
    [(2, SolutionModel.SHIFT), (4, SolutionModel.SIMILARITY), (8, SolutionModel.AFFINE)],
)
def test_few_stars_allow_few_parameters(stars: int, model: SolutionModel) -> None:
    made = field(stars=400, offset=20.0 / 3600.0)
    x, y, flux, _ = made["sources"]
    truth, sky = made["truth"], made["sky"]
    there = np.column_stack(truth.to_pixel(sky["ra"], sky["dec"]))
    matched = match_nearest(np.column_stack((x, y)), there, 0.5)
    brightest = np.argsort(sky["mag"][matched[1]])[:stars]
    few = matched[1][brightest]
    own = matched[0][brightest]
    other = np.setdiff1d(np.arange(len(x)), matched[0])[:5]
    used = np.concatenate((own, other))
    nominal = TanWcs(*CENTRE, truth.x0, truth.y0, truth.cd)
    found = solve(
        *(x[used], y[used], flux[used], SHAPE),
        **{name: sky[name][few] for name in ("ra", "dec", "mag")},
        pointing=CENTRE,
        pixel_scale=SCALE,
        pointing_error=60.0 / 3600.0,
        nominal=nominal,
    )
    assert found.model is model
    assert found.n_ref == stars
    assert worst(found.wcs, truth) < 0.5


def test_lone_star_is_not_taken_for_a_field() -> None:
    made = field()
    first = {name: made["sky"][name][:1] for name in ("ra", "dec", "mag")}
    found = solve(
        *made["sources"], **first, pointing=CENTRE, pixel_scale=SCALE, pointing_error=0.02
    )
    assert found.model is SolutionModel.NOMINAL


def test_a_star_and_its_doubles_are_not_taken_for_a_field() -> None:
    # a source that is split in six, a star that six joined catalogues have
    found = solve(
        *(np.full(6, 50.0), np.full(6, 50.0), np.ones(6), (100, 100)),
        ra=np.full(6, 10.0),
        dec=np.zeros(6),
        mag=np.ones(6),
        pointing=(10.0, 0.0),
        pixel_scale=1.0,
        pointing_error=0.1,
    )
    assert (found.model, found.n_ref) == (SolutionModel.NOMINAL, 0)
    assert (found.wcs.ra0, found.wcs.dec0) == (10.0, 0.0)


def test_without_stars_the_guess_stands_and_residuals_are_unknown() -> None:
    made = field()
    nothing = np.empty(0)
    found = solve(
        *made["sources"],
        ra=nothing,
        dec=nothing,
        mag=nothing,
        pointing=CENTRE,
        pixel_scale=SCALE,
        pointing_error=0.02,
    )
    assert found.model is SolutionModel.NOMINAL
    assert found.n_ref == 0
    assert math.isnan(found.rms)
    assert (found.wcs.ra0, found.wcs.dec0) == CENTRE


def test_stars_of_another_field_are_not_matched() -> None:
    made, other = field(), field(seed=8)
    for rotation_known in (True, False):
        found = solve(
            *made["sources"],
            **other["sky"],
            pixel_scale=SCALE,
            pointing_error=0.02,
            rotation_known=rotation_known,
        )
        assert found.model is SolutionModel.NOMINAL


def test_sources_that_are_not_usable_do_not_spoil_the_fit() -> None:
    made = field()
    x, y, flux, _ = made["sources"]
    usable = np.ones(len(x), bool)
    usable[::3] = False
    bent = x.copy()
    bent[::3] += 1.0
    known = solve(
        bent, y, flux, SHAPE, **made["sky"], pixel_scale=SCALE, pointing_error=0.02, usable=usable
    )
    assert worst(known.wcs, made["truth"]) < 0.05
    assert usable[known.sources].all()


def test_the_same_twice() -> None:
    made = field(angle=89.0)
    first, second = (
        solve(
            *made["sources"],
            **made["sky"],
            pixel_scale=SCALE,
            pointing_error=0.1,
            rotation_known=False,
        )
        for _ in range(2)
    )
    assert first.wcs == second.wcs


def test_field_across_ra_zero_is_solved() -> None:
    made = field()
    truth, sky = made["truth"], made["sky"]
    moved = TanWcs(0.001, truth.dec0, truth.x0, truth.y0, truth.cd)
    ra = np.mod(sky["ra"] - truth.ra0 + 0.001, 360.0)
    found = solve(
        *made["sources"],
        ra=ra,
        dec=sky["dec"],
        mag=sky["mag"],
        pointing=(0.0, CENTRE[1]),
        pixel_scale=SCALE,
        pointing_error=0.02,
    )
    assert found.model is SolutionModel.AFFINE
    assert abs(found.mean_dra) < 0.05
    assert worst(found.wcs, moved) < 0.05


def test_nearest_neighbours_are_mutual() -> None:
    points = np.array([[0.0, 0.0], [0.4, 0.0], [9.0, 9.0]])
    others = np.array([[0.3, 0.0], [5.0, 5.0]])
    here, there = match_nearest(points, others, 1.0)
    assert (here.tolist(), there.tolist()) == ([1], [0])
    assert len(match_nearest(points, np.empty((0, 2)), 1.0)[0]) == 0


def test_without_neighbours_there_is_neither_shift_nor_turn() -> None:
    far = np.array([[100.0, 100.0]])
    assert find_shift(np.zeros((1, 2)), far, reach=1.0, tolerance=0.1).matches == 0
    assert find_rotation(np.zeros((1, 2)), far, reach=1.0, tolerance=0.1).matches == 0
