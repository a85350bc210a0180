"""Positions and magnitudes of real frames through the whole chain, against catalogues."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.wcs import WCS

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.reference import load_reference
from reduction.scope import Scope
from reduction.targets.global_astrometric import GAstrometric
from reduction.targets.hot_pixels import HotPixelMap
from reduction.targets.reduced import ReducedScienceFrame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.target import DBObject

pytestmark = [pytest.mark.science, pytest.mark.slow]


def frames(archive: Archive, class_name: str, instrument: str) -> list[DBObject]:
    cls = archive.registry.classes[class_name]
    return list(cls.instrument.name == instrument)


def name_of(made: DBObject) -> str:
    return str(made.raw.name).partition(".")[0]


def rows(archive: Archive, sql: str) -> list[tuple]:
    with (
        archive.snapshot(Scope(classes=frozenset()), timeout_s=60.0) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchall()


def test_cafos_positions_agree_with_sdss_within_0_15_arcsec(archive: Archive) -> None:
    # others reach 0.14-0.16 arcsec with a plain TAN; the field reducer bends it by that much
    solved = frames(archive, "AstrometricParameters", "cafos")
    assert len(solved) == 11
    for made in solved:
        assert made.model in {"quadratic", "cubic"}, name_of(made)
        assert made.distortion.startswith("PV1_0="), name_of(made)
        assert made.n_ref >= 20, name_of(made)
        assert made.rms <= 0.15, name_of(made)
        short = made.raw.exptime < 3.0  # its stars are of S/N 10 to 20
        assert max(made.sigma_dra, made.sigma_ddec) <= (0.18 if short else 0.16), name_of(made)
        assert abs(made.mean_dra) <= 0.05
        assert abs(made.mean_ddec) <= 0.05
    long = [made for made in solved if made.raw.exptime == 60.0]
    assert np.median([made.rms for made in long]) <= 0.08


def test_cafos_looks_where_the_preset_pointing_says_turned_by_89_degrees(
    archive: Archive,
) -> None:
    for made in frames(archive, "AstrometricParameters", "cafos"):
        assert made.crval1 == pytest.approx(114.6015, abs=0.01)
        assert made.crval2 == pytest.approx(21.5725, abs=0.01)
        turn = np.degrees(np.arctan2(made.cd2_1, made.cd1_1))
        assert abs(turn) == pytest.approx(91.0, abs=1.0)
        scale = 3600.0 * abs(made.cd1_1 * made.cd2_2 - made.cd1_2 * made.cd2_1) ** 0.5
        assert scale == pytest.approx(0.526, rel=0.005)  # the field reducer changes it by that


def test_all_of_cafos_in_one_solution(archive: Archive) -> None:
    declare_field(archive, FieldSpec("ngc2420", 114.6015, 21.5725, 0.12, instruments=("cafos",)))
    field = GAstrometric.get(field="ngc2420")
    assert (field.n_frames, field.n_exposures, field.n_setups) == (11, 11, 2)
    assert field.n_ref >= 150
    assert field.rms <= 0.15
    # positions of one star on eleven exposures of 2 to 60 s, through the air of one night
    assert field.rms_overlap <= 0.1
    assert field.quality_flags == 0
    assert np.median(field.tables["SOLUTIONS"]["pos_err"]) <= 0.02


@pytest.mark.parametrize(("frame", "expected"), [("d1047", 22.74), ("d1083", 22.82)])
def test_nickel_zero_point_from_landolt_standards(
    archive: Archive, frame: str, expected: float
) -> None:
    (made,) = (
        m for m in frames(archive, "PhotometricParameters", "nickel") if name_of(m) == frame
    )
    assert made.aperture_radius == 12.0
    # what others measured is of the light that reached the ground
    ground = made.zero_point - made.extinction * made.airmass
    assert ground == pytest.approx(expected, abs=0.08)
    assert made.zero_point_err <= 0.08


def test_cafos_zero_points_differ_by_no_more_than_the_clouds(archive: Archive) -> None:
    # the transparency of that night varied by 0.1 to 0.4 mag (the data's own notes)
    made = [m for m in frames(archive, "PhotometricParameters", "cafos") if not m.quality_flags]
    for band in ("B", "V"):
        values = [m.zero_point for m in made if m.band == band]
        assert len(values) >= 4
        assert np.ptp(values) <= 0.5
    # a tenth of a magnitude of colour terms and flat field, a handful of stars in 2 seconds
    assert all(m.zero_point_err <= 0.1 for m in made)
    assert all(m.zero_point_err <= 0.02 for m in made if m.raw.exptime == 60.0)


def test_a_frame_without_standards_borrows_the_nights_zero_point(archive: Archive) -> None:
    (galaxy,) = (
        m for m in frames(archive, "CalibratedScienceFrame", "nickel") if name_of(m) == "d1048"
    )
    assert galaxy.photometric.raw.name != galaxy.raw.name
    assert galaxy.zero_point == galaxy.photometric.zero_point


def test_published_magnitudes_of_cafos_agree_with_sdss(archive: Archive, shared: Path) -> None:
    catalogue = load_reference(
        shared / "data" / "reference_catalogues" / "sdss_daophot_NGC2420.csv.gz"
    )
    table = np.array(
        rows(
            archive,
            "SELECT ra, dec, mag FROM archive.sources WHERE instrument_name = 'cafos' "
            "AND filter = 'JohnsonV' AND flags = 0 AND mag BETWEEN 13.5 AND 16",
        ),
        dtype=float,
    )
    mag, _ = catalogue.band("V")
    dx = (table[:, :1] - catalogue.ra) * np.cos(np.radians(21.57))
    distance = np.hypot(dx, table[:, 1:2] - catalogue.dec) * 3600.0
    nearest = distance.argmin(axis=1)
    matched = distance[np.arange(len(table)), nearest] < 1.0
    difference = (table[:, 2] - mag[nearest])[matched]
    difference = difference[np.isfinite(difference)]
    assert len(difference) > 100
    # colour terms and neighbours: a tenth of a magnitude for the bulk, none on the whole
    assert abs(np.median(difference)) < 0.05
    assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.15


def test_astropy_reads_the_published_wcs_as_we_do(archive: Archive) -> None:
    for made in frames(archive, "CalibratedScienceFrame", "cafos"):
        cards = {k: v[0] for k, v in made._record.cards.items()}
        wcs = WCS({k: v for k, v in cards.items() if k.startswith(("C", "WCS", "RADESYS"))})
        ra, dec = wcs.pixel_to_world_values(511.5, 511.5)
        assert float(ra) == pytest.approx(made.astrometric.crval1, abs=1e-9)
        assert float(dec) == pytest.approx(made.astrometric.crval2, abs=1e-9)


def test_every_science_frame_is_in_obscore(archive: Archive) -> None:
    found = rows(
        archive,
        "SELECT instrument_name, s_ra, s_dec, s_fov, s_region, t_max - t_min, t_exptime, "
        "s_xel1, obs_publisher_did FROM ivoa.obscore WHERE calib_level = 2",
    )
    assert len(found) == 3 + 11
    for _, ra, dec, fov, region, seconds, exptime, nx, did in found:
        corners = np.array(region).reshape(4, 2)
        offset = (corners - (ra, dec)) * (np.cos(np.radians(dec)), 1.0)
        assert np.hypot(*offset.T) == pytest.approx(fov / 2.0, rel=0.01)
        around = np.roll(offset, -1, axis=0)
        area = 0.5 * np.sum(offset[:, 0] * around[:, 1] - offset[:, 1] * around[:, 0])
        assert area < 0.0, "counter-clockwise seen from inside: east is to the left"
        assert seconds * 86400.0 == pytest.approx(exptime, abs=1e-3)
        assert nx == 1024
        assert did.startswith("ivo://")


def test_the_prompt_forms_of_a_query_work_on_real_frames(archive: Archive) -> None:
    hot = HotPixelMap.get(date="2024-05-13", chip="1", instrument="nickel")
    assert 0 < hot.count < 0.02 * 1024 * 1024
    q = (ReducedScienceFrame.chip.name == "1") & (ReducedScienceFrame.filter.name == "V")
    x = [k.imstat.stdev for k in q]
    y = [k.flat.imstat.stdev for k in q]
    assert len(x) == len(y) == 3
    assert all(0.0 < value < 0.1 for value in y)
    assert len(set(y)) == 1
