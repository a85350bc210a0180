"""OmegaCAM's headers: what they say, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from reduction.frames import read_headers, read_raw
from reduction.instruments.base import FrameKind, Section
from reduction.instruments.omegacam import CHIP_NAMES, INSTRUMENT
from reduction.simulate import SimulationConfig, Truth, simulate
from schemas.errors import IngestError
from tests.support.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = SimulationConfig(
    instrument="omegacam",
    nights=("2025-03-01",),
    chips=1,
    n_bias=1,
    n_dome=0,
    n_twilight=0,
    n_science=1,
    pointing_error=0.0,
)


@pytest.fixture
def headers() -> list[Header]:
    """Headers of a science exposure, as the camera writes them."""
    primary, chip = SAMPLES["omegacam"][0].headers()
    found = [primary]
    for name in CHIP_NAMES:
        found.append(chip.copy())
        found[-1]["EXTNAME"] = name
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A bias and a science exposure of one chip."""
    folder = tmp_path_factory.mktemp("omegacam")
    return folder / "raw", simulate(folder, config=CONFIG, keep_chips=False)


def test_thirty_two_chips_under_esos_names_in_the_order_of_the_extensions(headers) -> None:
    frames = INSTRUMENT.describe(headers)
    names = [frame.chip for frame in frames]
    assert [int(name[9:]) for name in names[:8]] == [65, 66, 67, 68, 73, 74, 75, 76]
    assert [int(name[9:]) for name in names[16:20]] == [69, 70, 71, 72]
    assert sorted(names) == sorted(INSTRUMENT.chips) == [f"ESO_CCD_#{n}" for n in range(65, 97)]
    assert [frame.hdu for frame in frames] == list(range(1, 33))
    (first, *_) = frames
    assert (first.kind, first.filter) == (FrameKind.SCIENCE, "r_SDSS")
    assert first.airmass == pytest.approx(1.25)
    assert first.night == "2011-12-27"
    assert INSTRUMENT.bands[first.filter].standard == "r"


def test_dark_rows_are_above_in_the_lower_half_and_below_in_the_upper(headers) -> None:
    # as measured on a real flat: extensions 1-8 and 17-24, 9-16 and 25-32
    for number, frame in enumerate(INSTRUMENT.describe(headers), start=1):
        lower = number <= 8 or 17 <= number <= 24
        y0, y1 = (0, 4100) if lower else (100, 4200)
        assert frame.science == Section(y0, y1, 48, 2096)
        assert frame.overscan == Section(y0, y1, 2096, 2144)


def test_chips_lie_side_by_side_in_the_nominal_mosaic_with_east_to_the_right(headers) -> None:
    corners = {}
    for frame in INSTRUMENT.describe(headers):
        wcs = WCS(dict(frame.wcs))
        assert wcs.wcs.cd[0, 0] > 0
        x, y = wcs.wcs.crpix
        corners[frame.chip] = (-x, 2048 - x, -y, 4100 - y)
    places = list(corners.values())
    for i, (left, right, low, high) in enumerate(places):
        for other in places[:i]:
            beside = right <= other[0] or left >= other[1]
            above = high <= other[2] or low >= other[3]
            assert beside or above
    # about the optical axis to a hundred pixels, and a degree wide
    assert abs(min(p[0] for p in places) + max(p[1] for p in places)) < 100
    assert abs(min(p[2] for p in places) + max(p[3] for p in places)) < 100
    assert (max(p[1] for p in places) - min(p[0] for p in places)) * 0.214 / 3600 == pytest.approx(
        1.0, abs=0.03
    )
    assert corners["ESO_CCD_#65"][0] < corners["ESO_CCD_#72"][0]
    assert corners["ESO_CCD_#65"][2] < corners["ESO_CCD_#89"][2]


def test_pointing_is_that_of_the_chip_not_of_the_mosaic(headers) -> None:
    frames = {frame.chip: frame for frame in INSTRUMENT.describe(headers)}
    corner = frames["ESO_CCD_#65"]
    assert corner.ra == pytest.approx(129.0 - 7503 * 0.214 / 3600, abs=0.001)
    assert corner.dec == pytest.approx(-0.5 - 6512 * 0.214 / 3600, abs=0.001)


@pytest.mark.parametrize(
    ("word", "exptime", "kind"),
    [
        ("BIAS", 0.0, FrameKind.BIAS),
        ("BIAS,READNOISE", 0.0, FrameKind.BIAS),
        ("DARK", 3600.0, FrameKind.DARK),
        ("FLAT,DOME", 3.0, FrameKind.DOME_FLAT),
        ("FLAT,SKY", 3.0, FrameKind.TWILIGHT_FLAT),
        ("STD,ZEROPOINT", 3.0, FrameKind.SCIENCE),
    ],
)
def test_dpr_type_says_what_a_frame_is(headers, word: str, exptime: float, kind: FrameKind):
    headers[0]["ESO DPR TYPE"], headers[0]["EXPTIME"] = word, exptime
    for frame in INSTRUMENT.describe(headers):
        assert frame.kind is kind
        assert bool(frame.wcs) == (kind is FrameKind.SCIENCE)
        assert bool(frame.filter) == (kind not in {FrameKind.BIAS, FrameKind.DARK})


def test_a_file_of_one_chip_is_read_whether_in_an_extension_or_in_the_primary_hdu(headers) -> None:
    (alone,) = INSTRUMENT.describe([headers[0], headers[7]])
    assert (alone.chip, alone.hdu) == ("ESO_CCD_#75", 1)
    merged = headers[0].copy()
    merged.update(headers[7])
    (again,) = INSTRUMENT.describe([merged])
    assert (again.chip, again.hdu) == ("ESO_CCD_#75", 0)
    assert (again.ra, again.dec, again.wcs) == (alone.ra, alone.dec, alone.wcs)


def own_wcs(header: Header, **changes: float) -> None:
    """Give an extension a WCS of its own, turned by ten degrees, in raw pixels."""
    turn, scale = np.radians(10.0), 0.214 / 3600
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 129.01, "CRVAL2": -0.49}
    cards |= {"CRPIX1": 8000.0, "CRPIX2": 8500.0}
    cards |= {"CD1_1": scale * np.cos(turn), "CD1_2": -scale * np.sin(turn)}
    cards |= {"CD2_1": scale * np.sin(turn), "CD2_2": scale * np.cos(turn)}
    for keyword, value in (cards | changes).items():
        header[keyword] = value


def test_an_extensions_own_wcs_is_taken_and_counts_from_the_raw_frames_corner(headers) -> None:
    own_wcs(headers[9])
    (frame,) = INSTRUMENT.describe([headers[0], headers[9]])
    assert frame.wcs["CRPIX1"] == 7952.0
    assert frame.wcs["CRPIX2"] == 8400.0
    assert frame.wcs["CD2_1"] > 0
    assert frame.wcs["CRVAL1"] == 129.01


@pytest.mark.parametrize(
    ("hdu", "keyword", "value", "words"),
    [
        (0, "ESO DPR TYPE", "FLAT,LAMP", ("ESO DPR TYPE", "FLAT,LAMP", "FLAT,DOME")),
        (0, "ESO DPR TYPE", "BIAS", ("EXPTIME", "360", "0")),
        (0, "ESO DPR TECH", "SPECTRUM", ("ESO DPR TECH", "SPECTRUM", "IMAGE")),
        (0, "EXPTIME", -1.0, ("EXPTIME", "-1")),
        (0, "EXPTIME", 0.0, ("EXPTIME", "more than 0")),
        (0, "ESO INS FILT1 NAME", "NB_659", ("FILT1 NAME", "NB_659", "r_SDSS")),
        (0, "ESO DET CHIPS", 31, ("ESO DET CHIPS", "31", "32")),
        (0, "ESO DET CHIPS", 33, ("ESO DET CHIPS", "33", "1 to 32")),
        (0, "DEC", -91.0, ("DEC", "-91", "-90 to 90")),
        (0, "RA", "08:36:00", ("RA", "08:36:00")),
        (0, "MJD-OBS", 0.0, ("MJD-OBS", "40000")),
        (0, "ESO TEL AIRM END", 0.5, ("AIRM END", "0.5")),
        (3, "EXTNAME", "ESO_CCD_#64", ("EXTNAME", "#64", "ESO_CCD_#65 to ESO_CCD_#96")),
        (3, "EXTNAME", "ESO_CCD_#65", ("EXTNAME", "different chip")),
        (3, "NAXIS1", 1072, ("NAXIS1", "1072", "2144 x 4200")),
        (3, "NAXIS2", 4100, ("NAXIS2", "4100", "2144 x 4200")),
        (3, "ESO DET OUT1 OVSCX", 50, ("OVSCX", "50", "96 dark pixels")),
        (3, "ESO DET WIN1 BINX", 2, ("BINX", "2", "no binning")),
    ],
)
def test_contradiction_is_refused_naming_keyword_found_and_expected(
    headers, hdu: int, keyword: str, value: object, words: tuple[str, ...]
) -> None:
    headers[hdu][f"HIERARCH {keyword}" if " " in keyword else keyword] = value
    with pytest.raises(IngestError) as refused:
        INSTRUMENT.describe(headers)
    for word in words:
        assert word in refused.value.what


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CD1_1": 1e-3}, ("CD1_1", "0.214")),
        ({"CD1_1": 0.0, "CD2_1": 0.0}, ("CD1_1", "0.214")),
        ({"CRVAL1": 229.0}, ("CRVAL1", "229", "RA 129")),
        ({"CRVAL2": 12.0}, ("CRVAL2", "12", "DEC -0.5")),
        ({"CRPIX1": "left"}, ("CRPIX1", "left")),
    ],
)
def test_a_wcs_that_cannot_be_is_refused(headers, changes, words: tuple[str, ...]) -> None:
    own_wcs(headers[1], **changes)
    with pytest.raises(IngestError) as refused:
        INSTRUMENT.describe(headers[:2])
    for word in words:
        assert word in refused.value.what


def test_simulated_frames_are_described_as_they_were_made(run) -> None:
    folder, truth = run
    bias, science = sorted(folder.iterdir())
    assert bias.name == "OMEGA.2025-03-01T20:00:00.000.fits"
    for path in (bias, science):
        headers = read_headers(path)
        assert INSTRUMENT.recognises(headers[0])
        frames = INSTRUMENT.describe(headers)
        assert [frame.chip for frame in frames] == ["ESO_CCD_#65"]
        assert read_raw(path, 1).shape == (4200, 2144)
        assert {frame.night for frame in frames} == {"2025-03-01"}
    (exposure,) = truth.exposures.values()
    for frame in frames:
        true, read = WCS(dict(exposure.wcs[frame.chip])), WCS(dict(frame.wcs))
        x, y = np.array([0.0, 2047.0]), np.array([0.0, 4099.0])
        assert np.allclose(true.all_pix2world(x, y, 0), read.all_pix2world(x, y, 0), atol=1e-8)
        # the nominal place of the adapter holds to a tenth of the pointing error it allows
        header = headers[frame.hdu]
        del header["CD1_1"]
        (nominal,) = INSTRUMENT.describe([headers[0], header])
        assert (nominal.ra, nominal.dec) == pytest.approx((frame.ra, frame.dec), abs=0.001)


def test_the_light_of_a_simulated_frame_is_in_its_science_section(run) -> None:
    folder, _truth = run
    path = max(folder.iterdir())
    raw = read_raw(path, 1).astype(np.float32)
    (frame,) = INSTRUMENT.describe(read_headers(path))
    dark = np.median(raw[frame.overscan.slices])
    assert np.median(raw[frame.science.slices]) > dark + 30
    assert abs(np.median(raw[4100:, :]) - dark) < 5
    assert abs(np.median(raw[:, :48]) - dark) < 5
