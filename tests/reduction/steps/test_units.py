"""Sources are the same in any unit: counts, Jansky and maggies."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.coadd_sources import detect_sources, measure_sources
from reduction.steps.deep import Deep
from reduction.steps.points import Frame, heights
from reduction.steps.sky_flat import mask_sources
from reduction.steps.sources import extract
from tests.support.sky_frames import draw

SHAPE = (300, 320)
FLUXES = ("flux", "flux_aper", "flux_psf")
#: Units that a count is of, at a zero point of 25 mag: REFERENCE_ZERO_POINT of 50, 8.9 and 0.
UNITS = [10.0 ** (0.4 * (zero - 25.0)) for zero in (50.0, 8.9, 0.0)]


def counts() -> np.ndarray:
    """Stars of a signal to noise of 10 to 500, and a line, on noise of 3 counts."""
    image = np.random.default_rng(4).normal(0.0, 3.0, SHAPE)
    y, x = (a.ravel() for a in np.mgrid[20.0:290:36, 20.0:310:36])
    draw(image, x + 0.3, y - 0.2, np.geomspace(150.0, 8000.0, x.size), fwhm=3.5)
    return image


def same(found: np.ndarray, expected: np.ndarray, unit: float) -> None:
    assert len(found) == len(expected) > 50
    assert (found["flags"] == expected["flags"]).all()
    for name in ("x", "y", "pos_err", "half_light_radius", "spread", "psf_fwhm"):
        assert found[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-3), name
    for name in (*FLUXES, *(name + "_err" for name in FLUXES)):
        scale = expected[name] * unit
        error = expected["flux_psf_err"] * unit
        assert ((found[name] - scale) / error) == pytest.approx(0.0, abs=0.01), name


def deep(unit: float) -> Deep:
    image = (counts() * unit).astype(np.float32)
    weight = np.full(SHAPE, (3.0 * unit) ** -2, np.float32)
    weight[100:103, 150] = 0.0
    return Deep(image, weight, np.zeros(SHAPE, np.uint8), gain=2.0 / unit)


@pytest.mark.parametrize("unit", UNITS)
def test_a_coadd_has_the_same_sources_in_any_unit(unit: float) -> None:
    found, expected = (detect_sources(deep(one), aperture_radius=7.0) for one in (unit, 1.0))
    same(found, expected, unit)
    rows = measure_sources(found, deep(unit), aperture_radius=7.0)
    theirs = measure_sources(expected, deep(1.0), aperture_radius=7.0)
    same(rows.sources, theirs.sources, unit)
    assert rows.sky_noise == pytest.approx(theirs.sky_noise * unit, rel=1e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_a_frame_has_the_same_sources_in_any_unit(unit: float) -> None:
    image = counts() + 500.0
    found, expected = (
        extract((image * one).astype(np.float32), gain=2.0 / one, aperture_radius=7.0)
        for one in (unit, 1.0)
    )
    same(found, expected, unit)
    masks = [mask_sources((image * one).astype(np.float32)) for one in (unit, 1.0)]
    assert masks[1].any()
    assert (masks[0] == masks[1]).mean() > 0.999


@pytest.mark.parametrize("unit", UNITS)
def test_points_of_a_line_stand_out_in_any_unit(unit: float) -> None:
    image = counts() + 500.0
    image[np.arange(300), np.arange(300)] += 30.0
    found, expected = (
        heights(Frame((image * one).astype(np.float32), None, None), 1, 4.0) for one in (unit, 1.0)
    )
    assert (expected[np.arange(300), np.arange(300)] > 3.9).mean() > 0.9
    assert found == pytest.approx(expected, abs=0.02)
