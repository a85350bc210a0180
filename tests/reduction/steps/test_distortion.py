"""Distortions as TPV cards: read alike by wcslib, inverted exactly, carried by cutouts."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from reduction.steps.distortion import Distortion
from reduction.steps.polynomial import PixelPlane, is_significant, polynomial_wcs
from reduction.steps.wcs import TanWcs, deproject
from schemas.errors import UnprocessableError

BENT = Distortion(
    (1e-5, 1.0001, 2e-5, 3e-4, -2e-4, 1e-4, 8e-3, 1e-3, 8e-3, -2e-3),
    (2e-5, 3e-5, 0.9999, 1e-4, 2e-4, -3e-4, 1e-3, 7e-3, -1e-3, 8e-3),
)
PLACES = [(150.0, 2.0), (0.001, -0.002), (359.999, 45.0), (200.0, 89.8)]


def wcs(ra: float = 150.0, dec: float = 2.0) -> TanWcs:
    """A chip of 2144 x 4200 pixels, off the optical axis."""
    return TanWcs(ra, dec, -900.3, 511.0, ((-5.9e-5, 1e-7), (2e-7, 5.9e-5)), BENT)


def grid() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(0, 2143, 9), np.linspace(0, 4199, 9))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_astropy_reads_a_distortion_as_we_do(ra: float, dec: float) -> None:
    ours = wcs(ra, dec)
    theirs = WCS(Header(ours.to_cards()))
    x, y = grid()
    back = theirs.all_world2pix(*ours.to_sky(x, y), 0, tolerance=1e-9)
    assert np.hypot(back[0] - x, back[1] - y).max() < 1e-6
    back = ours.to_pixel(*theirs.all_pix2world(x, y, 0))
    assert np.hypot(back[0] - x, back[1] - y).max() < 1e-6


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_pixels_come_back_from_the_sky_exactly(ra: float, dec: float) -> None:
    x, y = grid()
    back = wcs(ra, dec).to_pixel(*wcs(ra, dec).to_sky(x, y))
    assert np.hypot(back[0] - x, back[1] - y).max() < 1e-6


def test_where_the_polynomial_folds_back_there_are_no_pixels() -> None:
    folding = Distortion((0, 1, 0, 0, 0, 0, -5.0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 0, 0, 0, -5.0))
    bent = replace(wcs(), distortion=folding)
    x, _ = bent.to_pixel([149.9, 148.0], [2.05, 2.0])
    assert np.isfinite(x[0])
    assert np.isnan(x[1])


def test_cards_of_a_distortion_come_back_through_a_header() -> None:
    header = Header.fromstring(Header(wcs().to_cards()).tostring())
    assert header["CTYPE1"] == "RA---TPV"
    assert TanWcs.from_cards(header) == wcs()


def test_tan_with_pv_is_read_as_scamp_means_it() -> None:
    cards = wcs().to_cards() | {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    assert TanWcs.from_cards(cards) == wcs()
    identity = Distortion.none().to_pv()
    assert TanWcs.from_cards(cards | identity).distortion is None


@pytest.mark.parametrize("keyword", ["PV1_3", "PV2_12"])
def test_terms_that_are_not_ours_are_refused_by_name(keyword: str) -> None:
    with pytest.raises(UnprocessableError, match=keyword):
        TanWcs.from_cards(wcs().to_cards() | {keyword: 0.1})
    assert TanWcs.from_cards(wcs().to_cards() | {keyword: 0.0}) == wcs()


def test_a_cutout_needs_its_reference_pixel_moved_and_nothing_else() -> None:
    cards = wcs().to_cards()
    cards["CRPIX1"] = float(cards["CRPIX1"]) - 700
    cards["CRPIX2"] = float(cards["CRPIX2"]) - 300
    part = WCS(Header(cards))
    ra, dec = wcs().to_sky(1000.0, 2000.0)
    x, y = part.all_world2pix(ra, dec, 0, tolerance=1e-9)
    assert (float(x), float(y)) == pytest.approx((300.0, 1700.0), abs=1e-6)


@pytest.mark.parametrize("terms", [3, 6, 10])
def test_a_polynomial_of_pixels_is_a_wcs_exactly(terms: int) -> None:
    rng = np.random.default_rng(1)
    plane = PixelPlane.of((4200, 2144))
    coefficients = rng.normal(0.0, 1e-4, (10, 2))
    coefficients[:3] = (0.4, -0.3), (-0.12, 0.001), (0.001, 0.12)
    points = np.column_stack(grid())
    found = polynomial_wcs(plane, coefficients[:terms], 150.0, 2.0)
    degree = {3: 1, 6: 2, 10: 3}[terms]
    meant = deproject(*(plane.terms(points, degree) @ coefficients[:terms]).T, 150.0, 2.0)
    back = found.to_pixel(*meant)
    assert np.hypot(back[0] - points[:, 0], back[1] - points[:, 1]).max() < 1e-6
    assert (found.distortion is None) == (terms == 3)


def test_a_richer_polynomial_is_taken_for_noise_once_in_a_thousand_frames() -> None:
    rng = np.random.default_rng(5)
    plane, stars, alarms = PixelPlane.of((1000, 1000)), 60, 0
    for _ in range(1000):
        points, noise = rng.uniform(0, 1000, (stars, 2)), rng.normal(0.0, 1.0, (stars, 2))
        plain, richer = (plane.fit(points, noise, np.ones(stars), d)[1] for d in (1, 3))
        alarms += is_significant(stars, (1, plain), (3, richer), per_term=3)
    assert alarms <= 6  # 1 expected; more than 6 in a ten-thousandth of runs


def test_a_richer_polynomial_needs_stars_enough() -> None:
    assert not is_significant(20, (1, 1e6), (3, 1.0), per_term=3)
    assert is_significant(40, (1, 1e6), (3, 1.0), per_term=3)
    assert is_significant(40, (1, 1.0), (3, 0.0), per_term=3)
