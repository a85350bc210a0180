"""NGC 2420 in B and V: the frames of CAFOS as two coadds on one grid, and their sources."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.reference import load_reference
from reduction.rows import read_rows
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from schemas.tables import Source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

FIELD = FieldSpec("NGC2420", 114.6015, 21.5725, 0.075, pixel_scale=0.5)
BANDS = ("B", "V")


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
    catalogue = load_reference(
        shared / "data" / "reference_catalogues" / "sdss_daophot_NGC2420.csv.gz"
    )
    found = {}
    for band in BANDS:
        made = CoaddedSourceList.get(field="NGC2420", filter=band)
        rows = read_rows(real_sky, Source, made.object_id)
        if band == "B":
            dx = (rows["ra"][:, None] - catalogue.ra) * np.cos(np.radians(FIELD.dec)) * 3600
            dy = (rows["dec"][:, None] - catalogue.dec) * 3600
            star = np.hypot(dx, dy).argmin(axis=1)
            each = np.arange(len(star))
            found |= {"dx": dx[each, star], "dy": dy[each, star]}
        truth, _ = catalogue.band(band)
        if band == "V":
            away = np.hypot(dx[:, star], 0) if False else None
            cx, cy = catalogue.ra * np.cos(np.radians(FIELD.dec)) * 3600, catalogue.dec * 3600
            flux = np.where(np.isfinite(truth), 10 ** (-0.4 * truth), 0)
            apart = np.hypot(cx[star][:, None] - cx, cy[star][:, None] - cy)
            found["crowd"] = (flux * (apart < 7)).sum(axis=1) / flux[star] - 1
        found |= {band: rows["mag"], f"{band}err": rows["mag_err"], f"sdss{band}": truth[star]}
        found[f"flags{band}"] = rows["flags"]
    return found


def test_all_frames_of_a_band_are_in_its_coadd(
    coadds: dict[str, CoaddedRegriddedFrame],
) -> None:
    assert (coadds["B"].n_frames, coadds["V"].n_frames) == (6, 5)
    assert (coadds["B"].exptime_total, coadds["V"].exptime_total) == (188.0, 186.0)
    for made in coadds.values():
        print({a.name: getattr(made, a.name) for a in type(made).ATTRIBUTES})
        print(made.tables["FRAMES"][["exptime", "seeing", "zero_point", "weight", "clipped"]])
        assert made.quality_flags == 0
        assert made.coverage > 0.98
        assert made.images["IMAGE"].shape == (1080, 1080)
        assert 1.5 < made.seeing < 3.0


def test_positions_of_the_coadd_agree_with_sdss(measured: dict[str, np.ndarray]) -> None:
    good = (np.hypot(measured["dx"], measured["dy"]) < 1.0) & (measured["flagsV"] == 0)
    good &= (measured["sdssV"] > 13) & (measured["sdssV"] < 17)
    print(
        good.sum(),
        np.median(measured["dx"][good]),
        np.median(measured["dy"][good]),
        1.48 * np.median(np.abs(measured["dx"][good])),
        1.48 * np.median(np.abs(measured["dy"][good])),
    )
    assert good.sum() > 60


def test_magnitudes_and_colours_agree_with_sdss(measured: dict[str, np.ndarray]) -> None:
    near = np.hypot(measured["dx"], measured["dy"]) < 1.0
    near &= (measured["flagsV"] == 0) & (measured["flagsB"] == 0)
    near &= measured["crowd"] < 0.02
    for low, high in ((12, 14), (14, 15), (15, 16), (16, 17), (17, 18), (18, 19), (19, 21)):
        some = near & (measured["sdssV"] > low) & (measured["sdssV"] < high)
        for band in BANDS:
            offset = (measured[band] - measured[f"sdss{band}"])[some]
            offset = offset[np.isfinite(offset)]
            if not len(offset): continue
            print(
                band,
                low,
                some.sum(),
                np.nanmedian(offset),
                1.48 * np.nanmedian(np.abs(offset - np.nanmedian(offset))),
                np.nanmedian(measured[f"{band}err"][some]),
            )
    colour = measured["B"] - measured["V"] - (measured["sdssB"] - measured["sdssV"])
    some = near & (measured["sdssV"] > 13) & (measured["sdssV"] < 16)
    print(
        "colour",
        np.nanmedian(colour[some]),
        1.48 * np.nanmedian(np.abs(colour[some] - np.nanmedian(colour[some]))),
    )
