"""What holds for every camera: its headers are understood, broken ones refused by name."""

from __future__ import annotations

__all__: list[str] = []

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from astropy import units
from astropy.time import Time
from sqlalchemy import select

from reduction.archive import Archive
from reduction.operate import initialise, sync_recipes
from reduction.registry import Registry
from schemas.errors import IngestError
from schemas.tables import Product
from tests.support.samples import SAMPLES, Sample, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

    from reduction.instruments.base import FrameDescription, Instrument
    from schemas.settings import Settings

CAMERAS = Registry.load().instruments
EACH = [
    pytest.param(CAMERAS[name], sample, id=f"{name}-{sample.kind}")
    for name, samples in SAMPLES.items()
    for sample in samples
]
NONSENSE: tuple[Any, ...] = (None, "", "nonsense", -1e9, 0, 1e9, True)


def test_every_camera_has_sample_headers() -> None:
    assert set(SAMPLES) == set(CAMERAS)


@pytest.mark.parametrize(("camera", "sample"), EACH)
def test_a_sample_header_is_described(camera: Instrument, sample: Sample) -> None:
    headers = sample.headers()
    assert [name for name, c in CAMERAS.items() if any(map(c.recognises, headers))] == [
        camera.name
    ]
    (frame,) = camera.describe(headers)
    assert frame.kind.value == sample.kind
    assert_sound(camera, frame)


BY_MJD = [each for each in EACH if each.values[0].name in {"omegacam", "simulated"}]


@pytest.mark.parametrize(("camera", "sample"), BY_MJD)
def test_the_moment_is_that_of_mjd_obs_and_a_date_that_contradicts_it_is_refused(
    camera: Instrument, sample: Sample
) -> None:
    headers = sample.headers()
    start = Time(headers[0]["MJD-OBS"], format="mjd")
    for value in (start.isot, (start + 59 * units.s).isot, start.isot[:10]):
        headers[0]["DATE-OBS"] = value
        assert camera.describe(headers)[0].mjd_obs == start.mjd
    far = (start + 61 * units.s).isot, (start + 1 * units.day).isot, (start - 70 * units.min).isot
    for value in (*far, (start + 2.5 * units.day).isot[:10], "yesterday", "", 20250301, True):
        headers[0]["DATE-OBS"] = value
        with pytest.raises(IngestError) as refused:
            camera.describe(headers)
        assert f"keyword DATE-OBS: found {value!r}, expected" in refused.value.what
        assert f"of MJD-OBS ({start.mjd})" in refused.value.what
        assert start.isot[:19] in refused.value.what


def assert_sound(camera: Instrument, frame: FrameDescription) -> None:
    """Whatever a camera describes can be used without looking at headers again."""
    assert frame.chip in camera.chips
    calibration = frame.kind.value in {"RawBiasFrame", "RawDarkFrame"}
    assert (frame.filter == "") if calibration else (frame.filter in camera.bands)
    assert 0.0 <= frame.exptime < math.inf
    assert 40000.0 < frame.mjd_obs < 100000.0
    assert frame.science.shape[0] > 0
    assert frame.science.shape[1] > 0
    pointed = frame.kind.value == "RawScienceFrame"
    assert (frame.ra is not None) == (frame.dec is not None) == pointed
    if frame.ra is not None and frame.dec is not None:
        assert 0.0 <= frame.ra <= 360.0
        assert -90.0 <= frame.dec <= 90.0
        assert frame.airmass is None or frame.airmass >= 1.0


@pytest.mark.parametrize(("camera", "sample"), EACH)
def test_any_card_may_be_broken_and_the_frame_is_described_or_refused_by_keyword(
    camera: Instrument, sample: Sample
) -> None:
    for number, header in enumerate(sample.headers()):
        for keyword in [k for k in header if k != "NAXIS"]:
            for value in NONSENSE:
                headers = sample.headers()
                if value is None:
                    del headers[number][keyword]
                else:
                    headers[number][keyword] = value
                frames, refusal = attempt(camera, headers)
                for frame in frames:
                    assert_sound(camera, frame)
                assert frames or re.match("keyword .*: found .*, expected .", refusal)


def attempt(camera: Instrument, headers: list[Header]) -> tuple[list[FrameDescription], str]:
    """What a camera makes of headers: frames, or the sentence with which it refuses them."""
    try:
        return camera.describe(headers), ""
    except IngestError as error:
        return [], error.what


def test_a_frame_of_every_camera_comes_into_the_archive(
    settings: Settings, tmp_path: Path
) -> None:
    archive = Archive(settings)
    initialise(settings, archive.registry)
    sync_recipes(archive)
    written = {}
    for name, samples in SAMPLES.items():
        for sample in samples:
            path = write_sample(tmp_path / f"{name}-{sample.kind}.fits", sample)
            written[path.name] = (name, sample.kind)
    report = archive.ingest([tmp_path])
    assert report.refused == []
    with archive.transaction() as session:
        rows = session.scalars(select(Product).where(Product.recipe_version == "raw"))
        found = {row.attributes["name"]: (row.instrument, row.class_name) for row in rows}
    archive.close()
    assert found == written
