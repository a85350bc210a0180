"""The Nickel's headers: what they say, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.frames import read_headers
from reduction.instruments.base import FrameKind, Section
from reduction.instruments.nickel import INSTRUMENT
from schemas.errors import IngestError
from tests.support.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header


@pytest.fixture
def header() -> Header:
    """Header of a science frame, as the camera writes it."""
    return SAMPLES["nickel"][0].headers()[0]


def test_science_frame_has_pointing_filter_overscan_and_nominal_wcs(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.kind is FrameKind.SCIENCE
    assert (frame.chip, frame.filter, frame.object) == ("1", "V", "PG1323-085")
    assert frame.science == Section(0, 1024, 0, 1024)
    assert frame.overscan == Section(0, 1024, 1024, 1056)
    assert frame.ra == pytest.approx(201.415125)
    assert frame.dec == pytest.approx(-8.8245833)
    assert frame.mjd_obs == pytest.approx(60443.18943426, abs=1e-7)
    assert frame.wcs["CRPIX1"] == 512.0
    assert frame.wcs["CTYPE1"] == "RA---TAN"


def test_night_begins_at_local_noon_not_at_midnight_utc(header: Header) -> None:
    nights = set()
    for moment in ("2024-05-12T20:10:00", "2024-05-13T04:00:00", "2024-05-13T20:00:00"):
        header["DATE-BEG"] = moment
        nights.add(INSTRUMENT.describe([header])[0].night)
    assert nights == {"2024-05-12"}
    header["DATE-BEG"] = "2024-05-13T20:10:00"
    assert INSTRUMENT.describe([header])[0].night == "2024-05-13"


def test_gain_index_is_not_taken_for_a_gain() -> None:
    assert INSTRUMENT.chips["1"].gain == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("name", "obstype", "exptime", "kind"),
    [
        ("bias", "DARK", 0, FrameKind.BIAS),
        ("dark", "DARK", 300, FrameKind.DARK),
        ("sky flat", "OBJECT", 4, FrameKind.TWILIGHT_FLAT),
        ("dome flat", "OBJECT", 4, FrameKind.DOME_FLAT),
        ("NGC_6205", "OBJECT", 60, FrameKind.SCIENCE),
    ],
)
def test_object_says_what_a_frame_is(
    header: Header, name: str, obstype: str, exptime: float, kind: FrameKind
) -> None:
    header["OBJECT"], header["OBSTYPE"], header["EXPTIME"] = name, obstype, exptime
    assert INSTRUMENT.describe([header])[0].kind is kind


def test_filter_of_a_bias_means_nothing(header: Header) -> None:
    header["OBJECT"], header["OBSTYPE"], header["EXPTIME"] = "bias", "DARK", 0
    header["FILTNAM"] = "B"
    (frame,) = INSTRUMENT.describe([header])
    assert frame.filter == ""
    assert frame.ra is None
    assert frame.wcs == {}


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("OBJECT", "bias", ("EXPTIME", "60", "0")),
        ("OBSTYPE", "DARK", ("OBSTYPE", "DARK", "OBJECT")),
        ("EXPTIME", 0, ("EXPTIME", "more than 0")),
        ("EXPTIME", -1, ("EXPTIME", "-1")),
        ("FILTNAM", "Open", ("FILTNAM", "Open", "B, V, R, I")),
        ("COVER", 16, ("COVER", "16", "32")),
        ("NAXIS1", 528, ("COVER", "528")),
        ("DATASEC", "[1:512,1:512]", ("DATASEC", "1024 x 1024")),
        ("DATASEC", "whole", ("DATASEC", "whole", "[1:1024,1:1024]")),
        ("DATE-BEG", "13/05/2024", ("DATE-BEG", "13/05/2024", "UTC")),
        ("RA", "201.4", ("RA", "201.4")),
        ("RA", "25:00:00", ("RA", "24 hours")),
        ("DEC", "-98:00:00", ("DEC", "90 degrees")),
        ("AIRMASS", 0.3, ("AIRMASS", "0.3")),
        ("CRVAL1", "east", ("CRVAL1", "east")),
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


@pytest.mark.parametrize("keyword", ["OBJECT", "OBSTYPE", "EXPTIME", "DATE-BEG", "DATASEC", "RA"])
def test_missing_card_is_refused_by_name(header: Header, keyword: str) -> None:
    del header[keyword]
    with pytest.raises(IngestError, match=f"keyword {keyword}: found None"):
        INSTRUMENT.describe([header])


def test_real_frames_are_what_their_list_says(shared: Path) -> None:
    folder = shared / "data" / "nickel_2024-05-13"
    kinds = {"bias": FrameKind.BIAS, "flat": FrameKind.TWILIGHT_FLAT}
    paths = sorted(folder.rglob("*.fz"))
    assert len(paths) == 19
    for path in paths:
        headers = read_headers(path)
        assert any(INSTRUMENT.recognises(header) for header in headers)
        (frame,) = INSTRUMENT.describe(headers)
        assert frame.hdu == 1
        assert frame.kind is kinds.get(path.parent.name, FrameKind.SCIENCE)
        assert frame.night == "2024-05-12"
