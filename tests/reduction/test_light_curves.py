"""Which fluxes light curves are made of, and what of them is kept."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.light_curves import SEEN_DTYPE, FluxKind, levelled
from reduction.steps.ensemble_terms import Orders

STARS, FRAMES = 240, 25


def observations(*, sky: float, flat: float, seed: int = 0) -> np.ndarray:
    """Stars of 8 magnitudes, faint ones noisier in the aperture, bright ones by the psf.

    ``sky`` is the aperture's noise at magnitude 18, ``flat`` the error of every psf flux.
    """
    random = np.random.default_rng(seed)
    star, frame = (grid.ravel() for grid in np.mgrid[:STARS, :FRAMES])
    seen = np.zeros(len(star), SEEN_DTYPE)
    level = np.linspace(10.0, 18.0, STARS)
    seen["association"], seen["list"] = star, frame
    seen["ra"], seen["dec"] = random.uniform(10.0, 10.2, (2, STARS))[:, star]
    seen["x"], seen["y"] = random.uniform(0.0, 1000.0, (2, len(star)))
    seen["mjd"] = frame
    cloud = random.normal(0.0, 0.1, FRAMES)[frame]
    fainter = 10 ** (0.4 * (level[star] - 18.0))
    for kind, noise, floor in (("aperture", sky, 0.003), ("psf", 0.5 * sky, flat)):
        error = np.hypot(noise * fainter, floor)
        seen[kind] = level[star] - 25.0 + cloud + random.normal(0.0, error)
        seen[kind + "_err"] = error
    seen["mag"] = seen["aperture"] + 25.0
    return seen


def curves(seen: np.ndarray, kind: FluxKind = FluxKind.BEST):
    return levelled(seen, kind, highest=Orders(), floor=None, sigma_clip=4.0, min_epochs=2)


def test_faint_stars_have_psf_fluxes_and_bright_ones_the_apertures_where_that_is_better() -> None:
    seen = observations(sky=0.3, flat=0.02)
    found = curves(seen)
    assert found is not None
    # aperture and psf scatter alike where 0.3 f and (0.15 f)^2 + 0.02^2 meet: f = 0.077, 15.2 mag
    assert found.psf_from == pytest.approx(15.2 - 25.0, abs=0.7)
    mag = np.linspace(10.0, 18.0, STARS) - 25.0
    assert found.by_psf[mag > found.psf_from + 0.2].all()
    assert not found.by_psf[mag < found.psf_from - 0.2].any()
    table = found.found.mag.reshape(STARS, FRAMES)
    assert np.median(table[-20:].std(axis=1)) < 0.17
    assert np.median(table[:20].std(axis=1)) < 0.004
    # levels of both kinds are those of the calibrated magnitudes
    assert found.zero_point == pytest.approx(25.0, abs=0.05)


def test_where_fluxes_by_the_psf_are_not_better_all_are_the_apertures() -> None:
    seen = observations(sky=0.02, flat=0.05)
    found = curves(seen)
    assert found is not None
    assert not found.by_psf.any()
    assert np.isnan(found.psf_from)
    # of the same noise: chance does not choose
    chosen = 0
    for seed in range(10):
        seen = observations(sky=0.1, flat=0.003, seed=seed)
        seen["psf"] = seen["aperture"] + np.random.default_rng(seed).normal(0, 1e-4, len(seen))
        seen["psf_err"] = seen["aperture_err"]
        found = curves(seen)
        assert found is not None
        chosen += found.by_psf.any()
    assert chosen == 0


def test_the_kind_of_flux_can_be_told() -> None:
    seen = observations(sky=0.3, flat=0.02)
    for kind, by_psf in ((FluxKind.APERTURE, False), (FluxKind.PSF, True)):
        found = curves(seen, kind)
        assert found is not None
        assert (found.by_psf == by_psf).all()
    seen["psf"][seen["association"] == 3] = np.nan
    found = curves(seen, FluxKind.PSF)
    assert found is not None
    assert 3 not in found.stars
    best = curves(seen)
    assert best is not None
    assert 3 in best.stars


def test_a_star_on_one_frame_has_no_light_curve() -> None:
    seen = observations(sky=0.1, flat=0.01)
    alone = seen[(seen["association"] == 0) & (seen["list"] == 0)]
    assert curves(alone) is None
    found = curves(np.concatenate((seen[seen["association"] > 0], alone)))
    assert found is not None
    assert 0 not in found.stars
