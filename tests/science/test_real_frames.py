"""What a remote astronomer gets of the real frames: TAP, SIA and SODA by pyvo, over HTTP."""

from __future__ import annotations

__all__: list[str] = []

import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pytest
import pyvo
import requests
from astropy.io import fits
from astropy.wcs import WCS

from tests.support.asking import records
from tests.support.serving import served_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.archive import Archive

pytestmark = [pytest.mark.science, pytest.mark.slow]

NGC2420 = (114.6015, 21.5725)
SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "colour_magnitude.py"


@pytest.fixture(scope="module")
def url(real_sky: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a server in front of the real frames."""
    with served_archive(real_sky, tmp_path_factory.mktemp("web")) as base:
        yield base


def test_tap_tells_the_read_noise_of_both_cameras(url: str) -> None:
    rows = records(url, "SELECT instrument, read_noise FROM archive.read_noise")
    found = {row["instrument"]: row["read_noise"] for row in rows}
    assert found["nickel"] == pytest.approx(5.8, rel=0.05)
    assert found["cafos"] == pytest.approx(10.5, rel=0.05)


@pytest.mark.parametrize(("file", "expected"), [("d1047", 22.74), ("d1083", 22.82)])
def test_tap_tells_the_zero_points_of_the_standard_fields(
    url: str, file: str, expected: float
) -> None:
    (row,) = records(
        url,
        "SELECT p.zero_point - p.extinction * p.airmass AS ground "
        "FROM archive.photometric_parameters AS p "
        "JOIN archive.ancestors AS a ON a.object_id = p.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        f"WHERE r.class_name = 'RawScienceFrame' AND r.file_name LIKE '{file}%'",
    )
    assert row["ground"] == pytest.approx(expected, abs=0.08)


def test_tap_tells_that_cafos_is_placed_within_0_15_arcsec(url: str) -> None:
    rows = records(
        url,
        "SELECT rms, n_ref FROM archive.astrometric_parameters WHERE instrument = 'cafos'",
    )
    assert len(rows) == 11
    assert max(row["rms"] for row in rows) <= 0.15
    assert min(row["n_ref"] for row in rows) >= 20


def test_the_script_of_the_guide_draws_the_cluster_over_tap(url: str, tmp_path: Path) -> None:
    picture = tmp_path / "ngc2420.png"
    subprocess.run(  # the guide's own script
        [sys.executable, SCRIPT, f"{url}/tap", picture],
        check=True,
        timeout=120,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    pixels = plt.imread(picture)
    drawn = (pixels[..., :3] < 0.2).all(axis=-1)
    # frame, ticks and words cover 1 %, some three hundred points another
    assert drawn.mean() > 0.012


def test_the_clusters_turn_off_and_red_clump_are_where_they_are_known_to_be(url: str) -> None:
    query = re.search(r'QUERY = """(.*?)"""', SCRIPT.read_text(), re.DOTALL)
    assert query is not None
    rows = records(url, query.group(1))
    v = np.array([row["v"] for row in rows], dtype=float)
    colour = np.array([row["b_v"] for row in rows], dtype=float)
    clump = (v > 12.4) & (v < 12.9) & (colour > 0.7)
    # Anthony-Twarog et al. 1990, AJ 99, 1504: V = 12.6, B - V = 1.0; without colour terms 0.1 less
    assert clump.sum() >= 10
    assert np.median(v[clump]) == pytest.approx(12.6, abs=0.1)
    assert np.median(colour[clump]) == pytest.approx(1.0, abs=0.12)
    turn_off = (v > 14.5) & (v < 15.5) & (colour < 0.7)
    assert turn_off.sum() >= 100
    # the bluest stars on the main sequence, and nothing bluer but stragglers
    assert np.median(colour[turn_off]) == pytest.approx(0.45, abs=0.05)
    assert np.percentile(colour[turn_off], 2) > 0.25


def test_colours_of_the_cluster_agree_with_those_of_sdss(url: str) -> None:
    rows = records(
        url,
        "SELECT AVG(b.mag) AS b, AVG(v.mag) AS v, MIN(r.mag_b) AS ref_b, MIN(r.mag_v) AS ref_v "
        "FROM archive.reference_stars AS r "
        "JOIN archive.sources AS v ON DISTANCE(v.ra, v.dec, r.ra, r.dec) < 0.7 / 3600 "
        "JOIN archive.sources AS b ON DISTANCE(b.ra, b.dec, r.ra, r.dec) < 0.7 / 3600 "
        "WHERE v.filter = 'JohnsonV' AND b.filter = 'JohnsonB' AND v.flags = 0 AND b.flags = 0 "
        "AND v.mag_err < 0.04 AND b.mag_err < 0.04 AND r.mag_v < 16 "
        "AND r.mag_b IS NOT NULL AND r.mag_v IS NOT NULL GROUP BY r.object_id, r.name",
    )
    difference = np.array([row["b"] - row["v"] - row["ref_b"] + row["ref_v"] for row in rows])
    assert len(difference) >= 30
    # zero points are SDSS's, so the median is near nothing; each star's colour has two errors of
    # up to 0.04 over the root of its frames, 0.02 of the transformation, its neighbours' light
    assert abs(np.median(difference)) < 0.02
    assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.06


def test_a_cone_finds_each_bright_star_on_every_frame_of_its_band(url: str) -> None:
    rows = records(
        url,
        "SELECT ra, dec, mag, filter FROM archive.sources WHERE instrument_name = 'cafos' "
        f"AND 1 = CONTAINS(POINT(ra, dec), CIRCLE({NGC2420[0]}, {NGC2420[1]}, 0.05)) "
        "AND mag < 14.5 AND flags = 0 AND chip = 'CCD15'",  # single frames, no coadds
    )
    assert {row["filter"] for row in rows} == {"JohnsonB", "JohnsonV"}
    bright = [row for row in rows if row["filter"] == "JohnsonV"]
    first = min(bright, key=lambda row: row["mag"])
    again = [
        row
        for row in bright
        if np.hypot((row["ra"] - first["ra"]) * 0.93, row["dec"] - first["dec"]) < 1 / 3600
    ]
    assert len(again) >= 2
    assert np.ptp([row["mag"] for row in again]) < 0.2


def test_sia_finds_the_frames_and_soda_cuts_out_the_star_where_the_catalogue_has_it(
    url: str,
) -> None:
    found = pyvo.dal.SIA2Service(f"{url}/sia2/query").search(pos=(*NGC2420, 0.01))
    images = [image for image in found if image["calib_level"] == 2]  # others are coadds
    assert len(images) == 11
    image = next(i for i in images if i["t_exptime"] == 60)
    did = str(image["obs_publisher_did"])
    rows = records(
        url,
        "SELECT TOP 1 ra, dec, flux FROM archive.sources WHERE flags = 0 "
        f"AND obs_publisher_did = '{did}' ORDER BY flux DESC",
    )
    ra, dec = rows[0]["ra"], rows[0]["dec"]
    answer = requests.get(
        f"{url}/soda/sync", params={"ID": did, "CIRCLE": f"{ra} {dec} 0.003"}, timeout=60
    )
    assert answer.status_code == 200
    with fits.open(BytesIO(answer.content)) as hdus:
        image_hdu = next(h for h in hdus if h.data is not None)
        data, wcs = np.nan_to_num(image_hdu.data), WCS(image_hdu.header)
    y, x = np.unravel_index(np.argmax(data), data.shape)
    star_x, star_y = wcs.all_world2pix(ra, dec, 0)
    assert np.hypot(x - star_x, y - star_y) < 2.5
    assert 35 < data.shape[0] < 60


def test_the_lineage_of_a_published_image_ends_at_raw_frames(url: str) -> None:
    rows = records(
        url,
        "SELECT a.ancestor_class, COUNT(*) AS n FROM archive.calibrated_science_frame AS c "
        "JOIN archive.ancestors AS a ON a.object_id = c.object_id "
        "WHERE c.instrument = 'nickel' GROUP BY a.ancestor_class",
    )
    found = {str(row["ancestor_class"]): int(row["n"]) for row in rows}
    assert found["RawBiasFrame"] == 30
    assert found["RawTwilightFlatFrame"] == 9
    assert {"BiasFrame", "MasterFlatFrame", "ReducedScienceFrame"} <= found.keys()
