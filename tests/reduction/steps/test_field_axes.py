"""Coordinates in which a field is flat, at the poles and at RA 0 as anywhere."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction.steps.field_axes import FieldAxes
from reduction.steps.mosaic import FrameSources
from reduction.steps.polynomial import PixelPlane, polynomial_wcs

SHAPE = (300, 400)
POLES = [(0.0, 0.0), (359.9, -20.0), (123.0, 89.9), (10.0, -89.95)]


def wcs_at(ra: float, dec: float, *, bends: bool = True):
    found = np.zeros((10 if bends else 3, 2))
    found[1:3] = (-0.05, 0.01), (0.01, 0.05)
    if bends:
        found[3:] = np.random.default_rng(1).normal(0.0, 1e-4, (7, 2))
    return polynomial_wcs(PixelPlane.of(SHAPE), found, ra, dec)


def axes_at(ra: float, dec: float) -> FieldAxes:
    """Axes of a field of two frames a little apart from each other."""
    none = np.empty(0)
    frames = [
        FrameSources(none, none, none, SHAPE, wcs_at(ra, d), exposure=f"{d}", camera="", chip="")
        for d in (dec - 0.02, dec + 0.02)
    ]
    return FieldAxes.of(frames)


@pytest.mark.parametrize(("ra", "dec"), POLES)
def test_a_fields_middle_is_at_180_and_0_and_north_is_north(ra: float, dec: float) -> None:
    axes = axes_at(ra, dec)
    middle = axes.to_field(np.array([ra]), np.array([dec]))
    np.testing.assert_allclose(np.concatenate(middle), (180.0, 0.0), atol=1e-3)
    np.testing.assert_allclose(axes.matrix @ axes.matrix.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(axes.matrix) == pytest.approx(1.0), "a turn, no mirror"
    north = axes.to_field(np.array([ra]), np.array([dec + 0.01]))
    assert north[1][0] - middle[1][0] == pytest.approx(0.01, abs=1e-6)
    east = axes.to_field(np.array([ra + 0.01 / np.cos(np.radians(dec))]), np.array([dec]))
    assert east[0][0] - middle[0][0] == pytest.approx(0.01, rel=0.01)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(POLES), st.floats(0.0, 359.99), st.floats(-89.9, 89.9))
def test_there_and_back_is_where_it_was_and_angles_stay(place, ra, dec) -> None:
    axes = axes_at(*place)
    sky = np.array([ra, place[0]]), np.array([dec, place[1]])
    field = axes.to_field(*sky)
    before, after = (SkyCoord(*both, unit="deg") for both in (sky, field))
    assert before[0].separation(before[1]).deg == pytest.approx(
        after[0].separation(after[1]).deg, abs=1e-9
    )
    back = SkyCoord(*axes.to_sky(*field), unit="deg")
    assert back.separation(before).deg.max() < 1e-10


@pytest.mark.parametrize("bends", [True, False])
@pytest.mark.parametrize(("ra", "dec"), POLES)
def test_a_frames_solution_is_carried_over_and_back_exactly(ra, dec, bends) -> None:
    axes, wcs = axes_at(ra, dec), wcs_at(ra, dec, bends=bends)
    x, y = np.array([0.0, 399.0, 120.5, 10.0]), np.array([0.0, 299.0, 44.0, 250.0])
    carried = axes.of_field(wcs, SHAPE)
    here = SkyCoord(*carried.to_sky(x, y), unit="deg")
    there = SkyCoord(*axes.to_field(*wcs.to_sky(x, y)), unit="deg")
    # a micro-arcsecond
    assert here.separation(there).deg.max() < 3e-10
    again = axes.of_sky(carried, SHAPE)
    back = SkyCoord(*again.to_sky(x, y), unit="deg")
    assert back.separation(SkyCoord(*wcs.to_sky(x, y), unit="deg")).deg.max() < 3e-10
