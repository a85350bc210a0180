"""MicroObservatory's headers: what they say, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from reduction.frames import read_headers
from reduction.instruments.base import FrameKind, Section
from reduction.instruments.microobservatory import INSTRUMENT
from schemas.errors import IngestError
from tests.support.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header


@pytest.fixture
def header() -> Header:
    """Header of a frame, as the telescope writes it."""
    return SAMPLES["microobservatory"][0].headers()[0]


def test_moment_is_ut_although_date_obs_is_local_time_and_mjd_is_rounded(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    # 01:33:43.317 UT of MJD 58107
    assert frame.mjd_obs == pytest.approx(
        58107.0 + (1 * 3600 + 33 * 60 + 43.317) / 86400, abs=1e-8
    )
    assert frame.night == "2017-12-19"


def test_every_frame_is_a_science_frame_of_the_whole_chip(header: Header) -> None:
    (frame,) = INSTRUMENT.describe([header])
    assert (frame.kind, frame.chip, frame.filter) == (FrameKind.SCIENCE, "Cecilia", "Clear")
    assert frame.science == Section(0, 500, 0, 650)
    assert (frame.ra, frame.dec) == (31.312099, 46.769087)
    # altitude 62.6 degrees
    assert frame.airmass == pytest.approx(1.126, abs=0.001)
    assert "uncalibrated" in INSTRUMENT.corrections


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("DATE-OBS", "2017-12-19T18:33:43.317", ("DATE-OBS", "moment of UT-OBS")),
        ("MJD-OBS", 58107.2, ("MJD-OBS", "moment of UT-OBS")),
        ("UT-OBS", "01:33:43", ("UT-OBS", "01:33:43")),
        ("TELESCOP", "Ben", ("TELESCOP", "Ben", "Cecilia")),
        ("INSTRUME", "Finder", ("INSTRUME", "Finder", "Main")),
        ("FILTER", "Opaque", ("FILTER", "Opaque", "Clear")),
        ("IM_SCALE", 2.6, ("IM_SCALE", "2.6", "5.164")),
        ("NAXIS1", 1300, ("NAXIS1", "1300", "650 x 500")),
        ("TELALT", 5.0, ("TELALT", "15")),
        ("DEC", 146.8, ("DEC", "146.8", "90")),
        ("EXPTIME", 0.0, ("EXPTIME", "0")),
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


def test_real_frames_are_of_one_night_a_quarter_of_an_hour_apart(shared: Path) -> None:
    folder = shared / "data" / "microobservatory_hatp32_2017-12-20"
    frames = []
    for path in sorted(folder.rglob("*.fz")):
        headers = read_headers(path)
        assert any(INSTRUMENT.recognises(header) for header in headers)
        frames += INSTRUMENT.describe(headers)
    assert len(frames) == 29
    assert {frame.night for frame in frames} == {"2017-12-19"}
    steps = [b.mjd_obs - a.mjd_obs for a, b in pairwise(frames)]
    assert all(step * 1440 == pytest.approx(15, abs=1.0) for step in steps)
