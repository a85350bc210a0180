"""CAFOS's headers: what they say, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.frames import read_headers, read_raw
from reduction.instruments.base import FrameKind, Section
from reduction.instruments.cafos import INSTRUMENT
from schemas.errors import IngestError
from tests.support.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

SET_RA = "HIERARCH CAHA TEL POS SET RA"
KIND = "HIERARCH CAHA DET EXP TYPE"


@pytest.fixture
def header() -> Header:
    """Header of a science frame, as the camera writes it."""
    return SAMPLES["cafos"][0].headers()[0]


def test_pointing_is_the_preset_one_fifteen_times_too_large_in_ra(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.ra == pytest.approx(114.6)
    assert frame.dec == pytest.approx(21.57417)


def test_science_frame_has_neither_overscan_nor_wcs(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.kind is FrameKind.SCIENCE
    assert (frame.chip, frame.filter, frame.object) == ("CCD15", "JohnsonB", "NCG2420 B")
    assert frame.science == Section(0, 1024, 0, 1024)
    assert frame.overscan is None
    assert frame.wcs == {}
    assert not INSTRUMENT.rotation_known
    assert INSTRUMENT.bands[frame.filter].standard == "B"


def test_moment_is_that_of_date_obs_not_the_rounded_mjd(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.mjd_obs == pytest.approx(59301.96289352, abs=1e-8)
    assert frame.night == "2021-03-28"


def test_calibrations_hold_for_the_ten_days_until_the_science() -> None:
    for name in ("ReadNoise", "BiasFrame", "HotPixelMap", "DomeFlatFrame", "MasterFlatFrame"):
        assert INSTRUMENT.validity[name][1] >= 11.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [("[flat] dome B", FrameKind.DOME_FLAT), ("[flat] sky V", FrameKind.TWILIGHT_FLAT)],
)
def test_flats_are_told_apart_by_their_object(header: Header, name: str, kind: FrameKind) -> None:
    header["IMAGETYP"] = header[KIND] = "flat"
    header["OBJECT"] = name
    (frame,) = INSTRUMENT.describe([header])
    assert frame.kind is kind
    assert frame.ra is None


def test_filter_of_a_bias_means_nothing(header: Header) -> None:
    header["IMAGETYP"] = header[KIND] = "bias"
    header["EXPTIME"] = 0.0
    (frame,) = INSTRUMENT.describe([header])
    assert frame.kind is FrameKind.BIAS
    assert frame.filter == ""


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("IMAGETYP", "bias", ("IMAGETYP", "science")),
        ("EXPTIME", 0.0, ("EXPTIME", "more than 0")),
        ("INSFLNAM", "JohnsonV", ("INSFLNAM", "JohnsonV", "JohnsonB")),
        ("NAXIS1", 2048, ("NAXIS1", "2048", "1024")),
        ("NAXIS", 3, ("NAXIS", "3", "2")),
        ("HIERARCH CAHA DET CCD1 WIN1 NY", 512, ("WIN1 NY", "512", "1024")),
        ("CCDBINX", 2, ("CCDBINX", "2", "no binning")),
        ("CAMID", "CCD1", ("CAMID", "CCD1", "CCD15")),
        ("MJD-OBS", 59301.5, ("MJD-OBS", "59301.9629")),
        ("DATE-OBS", "2021-03-28", ("DATE-OBS", "UTC")),
        ("RA", 7.66, ("RA", "7.66", "114.6")),
        (SET_RA, 90000.0, ("SET RA", "5400")),
        ("AIRMASS", "high", ("AIRMASS", "high")),
    ],
)
def test_contradiction_is_refused_naming_keyword_found_and_expected(
    header: Header, keyword: str, value: object, words: tuple[str, ...]
) -> None:
    header[keyword] = value
    with pytest.raises(IngestError) as refused:
        INSTRUMENT.describe([header])
    for word in words:
        assert word in refused.value.what


@pytest.mark.parametrize("name", ["[flat] V", "flat"])
def test_flat_of_unknown_light_is_refused(header: Header, name: str) -> None:
    header["IMAGETYP"] = header[KIND] = "flat"
    header["OBJECT"] = name
    with pytest.raises(IngestError, match=r"OBJECT.*'dome' or 'sky'"):
        INSTRUMENT.describe([header])


def test_unknown_filter_and_kind_are_refused(header: Header) -> None:
    header["IMAGETYP"] = header[KIND] = "focus"
    with pytest.raises(IngestError, match="bias, flat or science"):
        INSTRUMENT.describe([header])
    header["IMAGETYP"] = header[KIND] = "science"
    header["INSFLNAM"] = header["HIERARCH CAHA INS FILT1 NAME"] = "JohnsonR"
    with pytest.raises(IngestError, match="JohnsonB, JohnsonV"):
        INSTRUMENT.describe([header])


def test_real_frames_are_what_their_list_says(shared: Path) -> None:
    folder = shared / "data" / "cafos_ngc2420_2021-03"
    kinds = {"bias": FrameKind.BIAS, "flat": FrameKind.DOME_FLAT, "science": FrameKind.SCIENCE}
    paths = sorted(folder.rglob("*.gz"))
    assert len(paths) == 15
    for path in paths:
        headers = read_headers(path)
        assert INSTRUMENT.recognises(headers[0])
        (frame,) = INSTRUMENT.describe(headers)
        assert frame.kind is kinds[path.parent.name]


def test_illegal_blank_does_not_disturb_the_pixels(shared: Path) -> None:
    folder = shared / "data" / "cafos_ngc2420_2021-03"
    pixels = read_raw(folder / "bias" / "uamA_0001.fits.gz", 0)
    assert pixels.shape == (1024, 1024)
    assert pixels.dtype.kind == "u"
    assert 600 < float(np.median(pixels)) < 700


def test_a_moment_in_a_leap_second_is_one(header: Header) -> None:
    moments = []
    header["MJD-OBS"] = 57754.0
    for text in ("2016-12-31T23:59:59.5", "2016-12-31T23:59:60.5", "2017-01-01T00:00:00.5"):
        header["DATE-OBS"] = text
        moments.append(INSTRUMENT.describe([header])[0].mjd_obs)
    assert moments[0] < moments[1] == pytest.approx(moments[2], abs=1e-9)
