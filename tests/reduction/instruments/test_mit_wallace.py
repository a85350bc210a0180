"""The Wallace Observatory's headers: what they say, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.frames import read_headers
from reduction.instruments.base import FrameKind, Section
from reduction.instruments.mit_wallace import INSTRUMENT
from schemas.errors import IngestError
from tests.support.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header


@pytest.fixture
def header() -> Header:
    """Header of a light frame, as the camera writes it."""
    return SAMPLES["mit_wallace"][0].headers()[0]


def test_light_frame_has_the_mounts_pointing_and_neither_overscan_nor_wcs(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.ra == pytest.approx((4 + 12 / 60 + 12.276 / 3600) * 15)
    assert frame.dec == pytest.approx(22 + 53 / 60 + 1.76 / 3600)
    assert (frame.chip, frame.filter) == ("STL-1001E", "Open")
    assert frame.science == Section(0, 1024, 0, 1024)
    assert (frame.overscan, frame.wcs) == (None, {})
    assert not INSTRUMENT.rotation_known


def test_an_evening_of_local_time_is_the_night_although_it_is_the_next_day_in_utc(header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert frame.night == "2018-10-12"
    assert frame.mjd_obs == pytest.approx(58404.08768144, abs=1e-7)


def test_unfiltered_light_meets_no_filtered_frame_by_its_band() -> None:
    assert INSTRUMENT.bands["Open"].standard not in {"U", "B", "V", "R", "I", "g", "r", "i"}


def test_a_calibration_without_object_is_taken(header: Header) -> None:
    header["IMAGETYP"], header["PICTTYPE"], header["EXPTIME"] = "Bias Frame", 2, 0.0
    del header["OBJECT"]
    (frame,) = INSTRUMENT.describe([header])
    assert frame.kind is FrameKind.BIAS
    assert (frame.filter, frame.ra) == ("", None)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("IMAGETYP", "Flat Field", ("IMAGETYP", "Flat Field", "Light Frame")),
        ("PICTTYPE", 3, ("PICTTYPE", "3", "1, since IMAGETYP says Light Frame")),
        ("EXPTIME", 0.0, ("EXPTIME", "more than 0")),
        ("EGAIN", 1.0, ("EGAIN", "1.0", "2.07")),
        ("XBINNING", 2, ("XBINNING", "2", "no binning")),
        ("NAXIS1", 512, ("NAXIS1", "512", "1024")),
        ("FILTER", "V", ("FILTER", "'V'", "Open")),
        ("OBJCTRA", "24 12 12.276", ("OBJCTRA", "24 hours")),
        ("OBJCTDEC", "+92 53 01.76", ("OBJCTDEC", "90 degrees")),
        ("AIRMASS", -1.0, ("AIRMASS", "-1")),
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


def test_real_frames_are_what_their_list_says(shared: Path) -> None:
    folder = shared / "data" / "mit_wallace_2713_2018-10"
    kinds = {"bias": FrameKind.BIAS, "dark": FrameKind.DARK, "science": FrameKind.SCIENCE}
    counts: dict[tuple[str, FrameKind], int] = {}
    for path in sorted(folder.rglob("*.fz")):
        headers = read_headers(path)
        assert any(INSTRUMENT.recognises(header) for header in headers)
        (frame,) = INSTRUMENT.describe(headers)
        assert frame.kind is kinds[path.parent.name]
        assert frame.hdu == 1
        counts[frame.night, frame.kind] = counts.get((frame.night, frame.kind), 0) + 1
    assert counts == {
        ("2018-10-12", FrameKind.BIAS): 10,
        ("2018-10-12", FrameKind.DARK): 5,
        ("2018-10-12", FrameKind.SCIENCE): 7,
        ("2018-10-17", FrameKind.BIAS): 10,
        ("2018-10-17", FrameKind.DARK): 8,
        ("2018-10-17", FrameKind.SCIENCE): 7,
    }
