"""Images that are stored strip by strip are those that are stored as a whole."""

from __future__ import annotations

__all__: list[str] = []

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from reduction import large_images
from reduction.frame_writing import write_images
from reduction.frames import StoredImages, read_images, read_tables
from reduction.keys import content_hash
from reduction.make import make_target
from reduction.operate import find_target
from reduction.outcomes import OutcomeKind
from reduction.scratch import Scratch

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

#: Cards that say when something was written, and the hashes that follow from it.
PASSING = {"CHECKSUM", "DATASUM", "DATE"}


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    """Noise with holes, a tile without any; whole numbers of all kinds; neither side in tiles."""
    rng = np.random.default_rng(3)
    image = rng.normal(0.0, 3.0, (1333, 700)).astype(np.float32)
    image[600:640, 30:300] = np.nan
    image[1024:1280, 256:512] = 7.25
    image[:256, :256] = np.nan
    weight = np.where(rng.random(image.shape) < 0.1, 0, 0.04).astype(np.float32)
    return {
        "IMAGE": image,
        "WEIGHT": weight,
        "EXACT": rng.normal(0.0, np.linspace(0.5, 40.0, 700), image.shape),
        "MASK": rng.integers(0, 3, image.shape).astype(np.uint8),
        "NUMBER": rng.integers(-3, 90, image.shape).astype(np.int16),
        "ORIGIN": np.repeat(np.arange(1333, dtype=np.int32)[:, None], 700, axis=1),
        "SMALL": np.ones((20, 20), np.int16),
    }


def stored(path: Path, images: dict[str, np.ndarray]) -> None:
    table = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])
    write_images(path, images, {"OBJECT": ("field", "its name")}, {"ROWS": table})


def raw(path: Path, hdu: fits.BinTableHDU) -> bytes:
    """Rows and heap of a table."""
    start = hdu.fileinfo()["datLoc"]
    size = hdu.header["NAXIS1"] * hdu.header["NAXIS2"] + hdu.header["PCOUNT"]
    return path.read_bytes()[start : start + size]


def test_strips_make_the_bytes_that_the_whole_does(
    tmp_path: Path, images: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path / "whole.fits", images)
    expected = read_images(tmp_path / "whole.fits")
    monkeypatch.setattr(large_images, "_WHOLE", 1000)
    monkeypatch.setattr(large_images, "_STRIP", 512 * 700)
    stored(tmp_path / "strips.fits", images)
    with (
        fits.open(tmp_path / "whole.fits", disable_image_compression=True) as one,
        fits.open(tmp_path / "strips.fits", disable_image_compression=True) as other,
    ):
        assert [hdu.name for hdu in one] == [hdu.name for hdu in other]
        for a, b in zip(one[1:], other[1:], strict=True):
            assert raw(tmp_path / "whole.fits", a) == raw(tmp_path / "strips.fits", b), a.name
            left, right = ({*h.header} - PASSING for h in (a, b))
            assert left == right
            assert all(a.header[key] == b.header[key] for key in left)
    found = read_images(tmp_path / "strips.fits", Scratch(tmp_path, limit=1))
    for name, pixels in expected.items():
        assert found[name].dtype == pixels.dtype
        assert np.array_equal(found[name], pixels, equal_nan=pixels.dtype.kind == "f")
    assert content_hash(found, {}) == content_hash(expected, {})
    kept = StoredImages(tmp_path / "strips.fits", scratch=Scratch(tmp_path, limit=1))
    assert np.array_equal(kept["ORIGIN"], images["ORIGIN"])
    part = np.s_[500:530, 200:300]
    assert np.array_equal(kept.section("WEIGHT", part), expected["WEIGHT"][part])
    assert len(read_tables(tmp_path / "strips.fits")["ROWS"]) == 3


def test_what_is_stored_in_strips_has_right_checksums_and_its_cards(
    tmp_path: Path, images: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_images, "_WHOLE", 1000)
    monkeypatch.setattr(large_images, "_STRIP", 512 * 700)
    stored(tmp_path / "a.fits", images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
            hdus.verify("exception")
            assert hdus[1].header["OBJECT"] == "field"
        with fits.open(tmp_path / "a.fits", disable_image_compression=True) as hdus:
            assert all("CHECKSUM" in hdu.header for hdu in hdus)


def test_what_fits_has_no_number_for_is_refused_once_and_for_all(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_images, "_WHOLE", 10)
    monkeypatch.setattr(large_images, "_LARGEST", 10)
    number = find_target(archive, "ToyBias").target_id
    outcome = make_target(archive, number)
    assert outcome.kind is OutcomeKind.FAILED
    said = r"ToyBias/.*: the image [A-Z]+ takes more than 10 bytes compressed"
    assert re.search(said, outcome.message)
    computed = work_log.read_text()
    assert re.search(said, make_target(archive, number).message)
    assert work_log.read_text() == computed
