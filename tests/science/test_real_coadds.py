"""NGC 2420 in B and V: the frames of CAFOS as two coadds on one grid, and their sources."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import cKDTree

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.reference import load_reference
from reduction.rows import read_rows
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.light_curve_list import LightCurveList
from schemas.tables import Source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

FIELD = FieldSpec("NGC2420", 114.6015, 21.5725, 0.075, pixel_scale=0.5)
BANDS = ("B", "V")
#: Scatter of stars about the transformation from SDSS's bands, colour terms and all, mag.
OF_COLOURS = 0.03


@pytest.fixture(scope="module")
def coadds(real_sky: Archive) -> dict[str, CoaddedRegriddedFrame]:
    """Coadds by band."""
    Archive.use(real_sky)
    declare_field(real_sky, FIELD)
    return {band: CoaddedRegriddedFrame.get(field="NGC2420", filter=band) for band in BANDS}


@pytest.fixture(scope="module")
def measured(
    real_sky: Archive, coadds: dict[str, CoaddedRegriddedFrame], shared: Path
) -> dict[str, np.ndarray]:
    """Sources of both bands in the order of their numbers, and the nearest of SDSS."""
    path = shared / "data" / "reference_catalogues" / "sdss_daophot_NGC2420.csv.gz"
    catalogue = load_reference(path)
    cx, cy = catalogue.ra * np.cos(np.radians(FIELD.dec)) * 3600, catalogue.dec * 3600
    found: dict[str, np.ndarray] = {}
    for band in coadds:
        made = CoaddedSourceList.get(field="NGC2420", filter=band)
        rows = read_rows(real_sky, Source, made.object_id)
        if not found:
            x, y = rows["ra"] * np.cos(np.radians(FIELD.dec)) * 3600, rows["dec"] * 3600
            star = np.hypot(x[:, None] - cx, y[:, None] - cy).argmin(axis=1)
            found |= {"dx": x - cx[star], "dy": y - cy[star]}
        truth, _ = catalogue.band(band)
        found |= {band: rows["mag"], f"{band}err": rows["mag_err"], f"sdss{band}": truth[star]}
        found |= {f"{band}psf": rows["mag_psf"], f"{band}psferr": rows["mag_psf_err"]}
        found[f"flags{band}"] = rows["flags"]
    light = np.where(np.isfinite(truth), 10 ** (-0.4 * np.nan_to_num(truth, nan=99.0)), 0.0)
    near = np.hypot(cx[star][:, None] - cx, cy[star][:, None] - cy) < 8.0
    found["crowd"] = (light * near).sum(axis=1) / np.maximum(light[star], 1e-30) - 1.0
    found["good"] = (np.hypot(found["dx"], found["dy"]) < 1.0) & (found["crowd"] < 0.02)
    found["good"] &= (found["flagsV"] == 0) & (found["flagsB"] == 0)
    return found


def between(measured: dict[str, np.ndarray], low: float, high: float) -> np.ndarray:
    """Clean, isolated stars in a range of V."""
    return measured["good"] & (measured["sdssV"] > low) & (measured["sdssV"] < high)


def spread(values: np.ndarray) -> float:
    """Standard deviation by the median deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def test_all_frames_of_a_band_are_in_its_coadd_and_stars_as_wide_as_on_them(
    coadds: dict[str, CoaddedRegriddedFrame],
) -> None:
    assert (coadds["B"].n_frames, coadds["V"].n_frames) == (6, 5)
    assert (coadds["B"].exptime_total, coadds["V"].exptime_total) == (188.0, 186.0)
    for made in coadds.values():
        assert made.quality_flags == 0
        assert made.coverage > 0.98
        assert made.images["IMAGE"].shape == (1080, 1080)
        # nothing but the frames' own seeing: a tenth of an arcsec of bad astrometry adds 0.4 %
        assert abs(made.psf_difference) < 0.02
        assert made.psf_stars > 100
        # half a percent of the values is more than cosmic rays and satellites leave
        assert made.clipped < 0.005


def test_positions_of_the_coadd_agree_with_sdss(measured: dict[str, np.ndarray]) -> None:
    # single frames reach 0.14 to 0.16 arcsec, fifteen years of proper motion included
    some = between(measured, 13.0, 17.0)
    assert some.sum() > 40
    for name in ("dx", "dy"):
        assert abs(np.median(measured[name][some])) < 0.05
        assert spread(measured[name][some]) < 0.17


def test_magnitudes_and_colours_agree_with_sdss(measured: dict[str, np.ndarray]) -> None:
    # the transformation from g and r is good to 0.03 mag, zero points to 0.01
    some = between(measured, 13.0, 15.5)
    assert some.sum() > 15
    offset = {band: (measured[band] - measured[f"sdss{band}"])[some] for band in BANDS}
    for difference in offset.values():
        assert abs(np.median(difference)) < 0.03
        assert spread(difference) < 0.08
    colour = offset["B"] - offset["V"]
    assert abs(np.median(colour)) < 0.03
    assert spread(colour) < 0.08


def test_errors_of_fluxes_hold_what_the_frames_have_in_common(
    measured: dict[str, np.ndarray],
) -> None:
    # two biases, one flat a filter and the structure of a moonlit sky are the same in all frames,
    # which hardly move: what they leave is not in the weights, but in sums over the sky around
    for band in BANDS:
        for kind in ("", "psf"):
            pulls = []
            for low, high in ((15.0, 16.0), (16.0, 17.0)):
                some = between(measured, low, high)
                miss = (measured[band + kind] - measured[f"sdss{band}"])[some]
                error = np.hypot(measured[f"{band}{kind}err"][some], OF_COLOURS)
                pulls.append((miss - np.median(miss)) / error)
            # some 80 stars: known to 0.13
            assert 0.75 < spread(np.concatenate(pulls)) < 1.2, (band, kind)


@pytest.mark.parametrize("band", BANDS)
def test_single_frames_light_curves_and_coadd_tell_the_same_magnitudes(
    real_sky: Archive, coadds: dict[str, CoaddedRegriddedFrame], band: str
) -> None:
    Archive.use(real_sky)
    curves = LightCurveList.get(field="NGC2420", filter=band)
    deep = read_rows(
        real_sky, Source, CoaddedSourceList.get(field="NGC2420", filter=band).object_id
    )
    deep = deep[(deep["flags"] == 0) & (deep["mag"] < 14.5)]
    stars, points = curves.tables["STARS"], curves.rows
    mean = {
        star: np.median(points["mag"][points["association"] == star])
        for star in stars["association"]
    }
    singles = [read_rows(real_sky, Source, one.object_id) for one in curves.source_lists]
    place = np.column_stack((deep["ra"] * np.cos(np.radians(FIELD.dec)), deep["dec"])) * 3600.0

    def nearest(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = np.column_stack((table["ra"] * np.cos(np.radians(FIELD.dec)), table["dec"]))
        apart, which = cKDTree(there * 3600.0).query(place)
        return apart < 0.7, which

    same, which = nearest(stars)
    curve = np.where(same, [mean[star] for star in stars["association"][which]], np.nan)
    single = np.full((len(singles), len(deep)), np.nan)
    for row, table in zip(single, singles, strict=True):
        same, which = nearest(table)
        row[same] = table["mag"][which[same]]
    seen = np.isfinite(curve) & (np.isfinite(single).sum(axis=0) >= 3)
    assert seen.sum() > 20
    for found in (curve[seen], np.nanmedian(single[:, seen], axis=0)):
        off = found - deep["mag"][seen]
        # zero points of a hundred stars each are good to 0.005; the seeing of 2.2 to 2.8 arcsec
        # lets more or less of a crowded cluster's light over the edge of the aperture
        assert abs(np.median(off)) < 0.015
        assert spread(off) < 0.03
