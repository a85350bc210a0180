"""Stars move on straight lines: as simulated, as astropy says, and as the catalogue's examples."""

from __future__ import annotations

import math

import astropy.units as u
import numpy as np
import psycopg2
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

AU = 4.740470463533349  # km/s for one au a Julian year (IAU 2012 B2)
MAS = math.radians(1) / 3_600_000

EXAMPLES = [
    (
        (125, 300, -428.8, 52.51),
        (
            *(7.6040614046279735, 11.793270382827929, 125.01993165584682),
            *(300.09877325973605, -428.934593565712, 52.50880381775256),
        ),
    ),
    ((125, None, None, None), (7.606083572, 11.79044105, 125, None, None, None)),
    (
        (None, 300, -428.8, 52.51),
        (
            *(7.604061727024453, 11.79326993174991, None),
            *(300.0030911918108, -428.79783514643105, 52.51),
        ),
    ),
    ((125, 21, None, None), (7.606083572, 11.79044105, 125, None, None, None)),
    (
        (125, 300, -428.8, None),
        (
            *(7.604061727024712, 11.793269931749549, 124.9999997730655),
            *(300.0030911152833, -428.79783503705033, None),
        ),
    ),
]


def propagated(connection, *arguments):
    with connection.cursor() as cursor:
        cursor.execute("SELECT vo.epoch_prop(%s, %s, %s, %s, %s, %s, %s, %s, true)", arguments)
        return cursor.fetchone()[0]


@pytest.mark.parametrize(("given", "wanted"), EXAMPLES)
def test_the_examples_of_the_catalogue_come_out(stars, given, wanted):
    found = propagated(stars, 7.606083572, 11.79044105, *given, 2016.0, 1992.25)
    for value, expected in zip(found, wanted, strict=True):
        if expected is None:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(expected, rel=1e-9)


def drawn(count):
    random = np.random.default_rng(8)
    return np.column_stack(
        [
            random.uniform(0, 360, count),
            np.degrees(np.arcsin(random.uniform(-1, 1, count))),
            10 ** random.uniform(-1, 2.7, count),
            random.normal(0, 1500, count),
            random.normal(0, 1500, count),
            random.normal(0, 80, count),
        ]
    )


def test_a_star_is_where_a_straight_line_through_space_takes_it(stars):
    for ra, dec, parallax, pmra, pmdec, velocity in drawn(200).tolist():
        years = 137.25
        lon, lat = math.radians(ra), math.radians(dec)
        outward = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        east = np.array([-np.sin(lon), np.cos(lon), 0])
        north = np.cross(outward, east)
        distance = 1 / (parallax * MAS)  # au
        moves = velocity / AU * outward + distance * MAS * (pmra * east + pmdec * north)
        end = distance * outward + moves * years
        far = np.linalg.norm(end)
        wanted_ra = math.degrees(math.atan2(end[1], end[0])) % 360
        wanted_dec = math.degrees(math.asin(end[2] / far))
        out = end / far
        east = np.array([-out[1], out[0], 0]) / math.hypot(out[0], out[1])
        wanted = [
            *(wanted_ra, wanted_dec, 1 / far / MAS, moves @ east / far / MAS),
            *(moves @ np.cross(out, east) / far / MAS, moves @ out * AU),
        ]
        found = propagated(stars, ra, dec, parallax, pmra, pmdec, velocity, 2016.0, 2016.0 + years)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-8)


def test_astropy_puts_the_stars_at_the_same_places(stars):
    rows = drawn(100)
    rows[:, 2] += 20  # speeds that erfa's routine believes
    start = SkyCoord(
        ra=rows[:, 0] * u.deg,
        dec=rows[:, 1] * u.deg,
        distance=(1000 / rows[:, 2]) * u.pc,
        pm_ra_cosdec=rows[:, 3] * u.mas / u.yr,
        pm_dec=rows[:, 4] * u.mas / u.yr,
        radial_velocity=rows[:, 5] * u.km / u.s,
        obstime=Time(2016.0, format="jyear"),
    )
    wanted = start.apply_space_motion(new_obstime=Time(2000.0, format="jyear"))
    found = np.array([propagated(stars, *row, 2016.0, 2000.0) for row in rows.tolist()])
    there = SkyCoord(ra=found[:, 0] * u.deg, dec=found[:, 1] * u.deg)
    # astropy's routine allows for the light's time of travel, we do not (catalogue 2.2.1)
    assert there.separation(SkyCoord(wanted.ra, wanted.dec)).mas.max() < 30
    assert np.median(there.separation(SkyCoord(wanted.ra, wanted.dec)).mas) < 1


def test_there_and_back_again_is_where_it_began(stars):
    for row in drawn(50).tolist():
        there = propagated(stars, *row, 2016.0, 1900.0)
        assert propagated(stars, *there, 1900.0, 2016.0) == pytest.approx(row, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("missing", [0, 1, 6, 7])
def test_a_position_or_an_epoch_without_value_is_an_error(stars, missing):
    arguments = [10.0, 20.0, 5.0, 1.0, 2.0, 3.0, 2016.0, 2000.0]
    arguments[missing] = None
    with pytest.raises(psycopg2.DataError, match="IS NOT NULL"):
        propagated(stars, *arguments)
