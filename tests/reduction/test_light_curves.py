"""Which fluxes light curves are made of, and what of them is kept."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.light_curves import SEEN_DTYPE, Curves, FluxKind, levelled
from reduction.steps.ensemble_terms import Orders

STARS, FRAMES = 240, 25


def observations(
    *,
    sky: float,
    flat: float,
    seed: int = 0,
    level: np.ndarray | None = None,
    clouds: np.ndarray | None = None,
) -> np.ndarray:
    """Stars of 8 magnitudes, faint ones noisier in the aperture, bright ones by the psf.

    ``sky`` is the aperture's noise at magnitude 18, ``flat`` the error of every psf flux.
    """
    random = np.random.default_rng(seed)
    level = np.linspace(10.0, 18.0, STARS) if level is None else level
    clouds = random.normal(0.0, 0.1, FRAMES) if clouds is None else clouds
    star, frame = (grid.ravel() for grid in np.mgrid[: len(level), : len(clouds)])
    seen = np.zeros(len(star), SEEN_DTYPE)
    seen["association"], seen["list"] = star, frame
    seen["ra"], seen["dec"] = random.uniform(10.0, 10.2, (2, len(level)))[:, star]
    seen["x"], seen["y"] = random.uniform(0.0, 1000.0, (2, len(star)))
    seen["mjd"] = frame
    cloud = clouds[frame]
    fainter = 10 ** (0.4 * (level[star] - 18.0))
    for kind, noise, floor in (("aperture", sky, 0.003), ("psf", 0.5 * sky, flat)):
        error = np.hypot(noise * fainter, floor)
        seen[kind] = level[star] - 25.0 + cloud + random.normal(0.0, error)
        seen[kind + "_err"] = error
    seen["mag"] = seen["aperture"] + 25.0
    return seen


def curves(seen: np.ndarray, kind: FluxKind = FluxKind.BEST) -> Curves | None:
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
        chosen += bool(found.by_psf.any())
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


@pytest.mark.parametrize("bright", [1, 2])
def test_the_brightest_star_varies_against_fainter_ones_that_are_better_by_the_psf(
    bright: int,
) -> None:
    level = np.concatenate((np.linspace(12.0, 12.3, bright), np.linspace(16.5, 18.0, 60)))
    seen = observations(sky=0.3, flat=0.02, level=level)
    shape = 0.5 * np.sin(np.arange(FRAMES))
    for name in ("mag", "aperture", "psf"):
        seen[name][seen["association"] == 0] += shape
    found = curves(seen)
    assert found is not None
    assert found.by_psf.tolist() == [False] * bright + [True] * 60
    mag = found.found.mag.reshape(-1, FRAMES)
    assert mag[0].std() == pytest.approx(shape.std(), rel=0.05)
    assert found.found.constant.tolist() == [False] + [True] * (bright - 1 + 60)
    # sixty stars of 0.06 to 0.15 mag tell an offset to 0.011 mag or somewhat worse
    assert np.nanmedian(found.found.mag_err.reshape(mag.shape)[0]) < 0.05


def seen_in_gaps() -> tuple[np.ndarray, np.ndarray]:
    """Forty bright stars on thirty frames, sixty faint ones on the twelve without clouds."""
    random = np.random.default_rng(3)
    clouds = np.concatenate((random.uniform(1.0, 1.5, 18), random.normal(0.0, 0.02, 12)))
    clouds = random.permutation(clouds)
    level = np.concatenate((np.linspace(12.0, 14.5, 40), np.linspace(16.5, 18.0, 60)))
    seen = observations(sky=0.3, flat=0.02, level=level, clouds=clouds)
    seen["mag"] -= clouds[seen["list"]]
    return seen[(seen["association"] < 40) | (clouds[seen["list"]] < 0.5)], level


def assert_at(found: Curves, level: np.ndarray) -> None:
    """See that all frames have offsets, and all stars their magnitudes."""
    assert np.isfinite(found.found.offset).all()
    rest = found.found.mag + found.level[found.found.part[found.seen["list"]]]
    rest -= level[found.seen["association"]]
    bright = found.seen["association"] < 40
    assert np.median(rest[bright]) == pytest.approx(0.0, abs=0.01)
    assert np.median(rest[~bright]) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("kind", list(FluxKind))
def test_faint_stars_seen_between_clouds_are_at_the_level_of_bright_ones(kind: FluxKind) -> None:
    seen, level = seen_in_gaps()
    found = curves(seen, kind)
    assert found is not None
    assert found.by_psf.any() == (kind is not FluxKind.APERTURE)
    assert_at(found, level)


def test_levels_of_both_kinds_are_told_by_frames_that_both_have() -> None:
    seen, level = seen_in_gaps()
    frames = np.bincount(seen["list"]) == 40
    seen["psf"][frames[seen["list"]]] = np.nan  # as where clouds leave none to tell the psf by
    found = curves(seen)
    assert found is not None
    assert found.by_psf.tolist() == [False] * 40 + [True] * 60
    assert_at(found, level)


def test_few_stars_do_not_tell_which_fluxes_are_better() -> None:
    for few in (2, 9):
        level = np.concatenate((np.linspace(10.0, 12.0, 40), np.linspace(17.5, 18.0, few)))
        for part in (level, level[-few:]):
            for seed in range(3):
                found = curves(observations(sky=0.5, flat=0.01, level=part, seed=seed))
                assert found is not None
                assert not found.by_psf.any()


def test_a_star_by_the_psf_keeps_frames_on_which_its_aperture_has_no_light() -> None:
    seen = observations(sky=0.3, flat=0.02)
    faint = (seen["association"] == STARS - 1) & (seen["list"] < FRAMES // 2)
    for name in ("aperture", "aperture_err", "mag"):
        seen[name][faint] = np.nan
    found = curves(seen)
    assert found is not None
    mine = found.star == np.searchsorted(found.stars, STARS - 1)
    assert found.by_psf[-1]
    assert mine.sum() == FRAMES
    assert np.isfinite(found.found.mag[mine]).all()
    # a star by the aperture has none there
    seen["psf"][seen["association"] == STARS - 1] = np.nan
    found = curves(seen)
    assert found is not None
    assert (found.star == np.searchsorted(found.stars, STARS - 1)).sum() == FRAMES - FRAMES // 2
