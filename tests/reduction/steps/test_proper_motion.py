"""Stars that move: against astropy, and where nothing is known of them."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from reduction.steps.proper_motion import julian_year, moved


def test_stars_move_as_astropy_moves_them() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    ra[:2], dec[:2] = (359.9999, 12.0), (89.9999, -89.9999)
    pm_ra, pm_dec = rng.normal(0, 3000, (2, 200))
    epoch, later = Time(2000.0, format="jyear"), Time(2025.5, format="jyear")
    theirs = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        pm_ra_cosdec=pm_ra * u.mas / u.yr,
        pm_dec=pm_dec * u.mas / u.yr,
        distance=10 * u.pc,
        radial_velocity=0 * u.km / u.s,
        obstime=epoch,
    ).apply_space_motion(new_obstime=later)
    years = np.full(200, julian_year(later.mjd) - 2000.0)
    ours = SkyCoord(*moved(ra, dec, pm_ra, pm_dec, years), unit="deg")
    # the moments differ by leap seconds and TDB, a minute: a microarcsec
    assert ours.separation(theirs).to_value("mas").max() < 0.1


def test_stars_of_unknown_motion_or_epoch_stay_to_the_last_bit() -> None:
    ra, dec = np.array([10.1, 20.2, 30.3, 40.4]), np.array([1.1, -2.2, 3.3, -4.4])
    motion = np.array([np.nan, 100.0, 0.0, 100.0])
    years = np.array([25.0, np.nan, 25.0, 0.0])
    found = moved(ra, dec, motion, motion, years)
    assert found[0].tolist() == ra.tolist()
    assert found[1].tolist() == dec.tolist()
    assert julian_year(51544.5) == 2000.0
    assert julian_year(60676.0) == pytest.approx(2025.0, abs=0.01)
