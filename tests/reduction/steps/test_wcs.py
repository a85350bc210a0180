"""The gnomonic projection against astropy's, and what is said in FITS and DALI."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS

from reduction.steps.wcs import TanWcs, angular_distance, deproject, project
from schemas.errors import UnprocessableError

PLACES = [(114.6, 21.57), (0.001, -0.002), (359.999, 45.0), (200.0, 89.99), (10.0, -89.5)]


def turned(ra: float, dec: float, *, angle: float = 37.0, mirror: bool = False) -> TanWcs:
    c, s = np.cos(np.radians(angle)) * 1e-4, np.sin(np.radians(angle)) * 1e-4
    sign = 1.0 if mirror else -1.0
    return TanWcs(ra, dec, 511.5, 300.25, ((sign * c, -s), (sign * s, c)))


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("mirror", [False, True])
def test_pixels_and_sky_agree_with_astropy(ra: float, dec: float, *, mirror: bool) -> None:
    ours = turned(ra, dec, mirror=mirror)
    theirs = WCS(Header(ours.to_cards()))
    x, y = np.meshgrid(np.linspace(0, 1023, 7), np.linspace(0, 1023, 7))
    sky = theirs.pixel_to_world(x, y)
    mine = SkyCoord(*ours.to_sky(x, y), unit="deg")
    assert sky.separation(mine).arcsec.max() < 1e-6
    back = ours.to_pixel(*ours.to_sky(x, y))
    assert np.hypot(back[0] - x, back[1] - y).max() < 1e-6


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_projection_and_its_inverse_cancel(ra: float, dec: float) -> None:
    xi, eta = np.meshgrid(np.linspace(-2, 2, 5), np.linspace(-2, 2, 5))
    again = project(*deproject(xi, eta, ra, dec), ra, dec)
    assert again[0] == pytest.approx(xi, abs=1e-9)
    assert again[1] == pytest.approx(eta, abs=1e-9)


def test_the_far_side_of_the_sky_is_not_projected() -> None:
    xi, eta = project([180.0, 10.0], [0.0, 0.0], 0.0, 0.0)
    assert np.isnan(xi[0])
    assert np.isnan(eta[0])
    assert np.isfinite(xi[1])


def test_cards_are_read_back_as_written() -> None:
    wcs = turned(114.6, 21.57)
    assert TanWcs.from_cards(wcs.to_cards()) == wcs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"CTYPE1": "PIXEL"}, "RA---TAN"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "determinant 0"),
        ({"CRPIX1": None}, "CRPIX1"),
        ({"CUNIT1": "arcsec", "CUNIT2": "arcsec"}, "CUNIT1 is 'arcsec': expected 'deg'"),
        ({"LONPOLE": 90.0}, "LONPOLE is 90.0: expected 180.0"),
        ({"PV1_1": 0.0, "PV1_2": 90.0}, "PV1_1 and PV2_1"),
    ],
)
def test_cards_that_are_no_tan_system_are_refused(change: dict, words: str) -> None:
    cards = turned(114.6, 21.57).to_cards() | change
    cards = {name: value for name, value in cards.items() if value is not None}
    with pytest.raises(UnprocessableError, match=words):
        TanWcs.from_cards(cards)


def test_elements_of_the_matrix_that_are_left_out_are_0_as_in_fits() -> None:
    wcs = TanWcs(10.0, 20.0, 50.0, 40.0, ((-1e-4, 0.0), (0.0, 1e-4)))
    cards = wcs.to_cards()
    del cards["CD1_2"], cards["CD2_1"], cards["CUNIT1"], cards["CUNIT2"]
    assert TanWcs.from_cards(cards | {"LONPOLE": 180.0}) == wcs


@pytest.mark.standard("DALI-1.1", "3.3.7")
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("angle", [0.0, 89.0, 200.0])
def test_footprint_runs_counter_clockwise_seen_from_inside(angle: float, *, mirror: bool) -> None:
    corners = np.array(turned(114.6, 21.57, angle=angle, mirror=mirror).footprint((600, 1024)))
    xi, eta = project(*corners.reshape(4, 2).T, 114.6, 21.57)
    east_is_left = -xi
    area = np.sum(east_is_left * np.roll(eta, -1) - np.roll(east_is_left, -1) * eta)
    assert area > 0


def test_footprint_and_circle_hold_every_pixel() -> None:
    wcs = turned(359.99, 45.0)
    ra, dec, radius = wcs.circle((600, 1024))
    x, y = np.meshgrid([-0.5, 511.5, 1023.5], [-0.5, 299.5, 599.5])
    distance = angular_distance(*wcs.to_sky(x, y), ra, dec)
    assert distance.max() <= radius + 1e-12
    assert radius == pytest.approx(np.hypot(600, 1024) / 2 * 1e-4, rel=1e-4)
    assert wcs.pixel_scale == pytest.approx(0.36)


def test_angular_distance_is_exact_for_a_milliarcsec() -> None:
    assert angular_distance(10.0, 20.0, 10.0, 20.0 + 1e-3 / 3600) * 3600 == pytest.approx(1e-3)
    assert angular_distance(0.0, 90.0, 123.0, -90.0) == pytest.approx(180.0)
