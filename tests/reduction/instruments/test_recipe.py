"""The camera of docs/howto/instrument.rst, followed to the letter: its file, and a night of it."""

from __future__ import annotations

__all__: list[str] = []

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from reduction.archive import Archive
from reduction.operate import initialise, sync_recipes
from schemas.settings import ReductionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import Settings

HOWTO = Path(__file__).resolve().parents[3] / "docs" / "howto"
SKY = 200.0
GAIN, READ_NOISE, LEVEL = 2.0, 4.0, 500.0


@pytest.fixture
def archive(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Archive]:
    """An archive whose settings name the page's example as a plugin."""
    page = (HOWTO / "instrument.rst").read_text(encoding="utf-8")
    example = re.search(r"literalinclude:: (\S+)", page)
    assert example is not None
    assert 'plugins = ["rooftop"]' in page
    shutil.copy(HOWTO / example.group(1), tmp_path / "rooftop.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    named = settings.model_copy(update={"reduction": ReductionSettings(plugins=("rooftop",))})
    opened = Archive(named)
    initialise(named, opened.registry)
    sync_recipes(opened)
    Archive.use(opened)
    yield opened
    opened.close()
    sys.modules.pop("rooftop", None)


def write(folder: Path, word: str, number: int, light: float, hour: int, **cards: object) -> None:
    """Write a raw frame whose pixels got ``light`` adu each."""
    rng = np.random.default_rng([hour, number])
    pixels = rng.normal(LEVEL, READ_NOISE, (128, 144))
    response = 1.0 + 0.1 * np.linspace(-1.0, 1.0, 128)
    pixels[:, :128] += rng.poisson(light * GAIN * response, (128, 128)) / GAIN
    hdu = fits.PrimaryHDU(np.rint(pixels).astype(np.uint16))
    known = {"INSTRUME": "ROOF-1", "IMAGETYP": word, "OBJECT": word}
    known["DATE-OBS"] = f"2025-03-01T{hour:02}:{number:02}:00"
    for keyword, value in (known | cards).items():
        hdu.header[keyword] = value
    hdu.writeto(folder / f"{word}{number}.fits")


def test_the_camera_of_the_page_reduces_a_night(archive: Archive, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(5):
        write(raw, "bias", number, 0.0, 18, EXPTIME=0.0)
    for number in range(4):
        write(raw, "flat", number, 2e4, 19, EXPTIME=5.0, FILTER="V")
    pointing = {"RA": "10:00:24.0", "DEC": "+02:12:00", "AIRMASS": 1.2}
    write(raw, "object", 1, SKY, 22, EXPTIME=60.0, FILTER="V", OBJECT="field", **pointing)
    write(raw, "object", 2, SKY, 22, EXPTIME=60.0, FILTER="red", OBJECT="field", **pointing)
    report = archive.ingest([raw])
    assert report.frames == 10
    assert report.refused == [
        ("object2.fits", "keyword FILTER: found 'red', expected one of V"),
    ]
    reduced = archive.get("ReducedScienceFrame", instrument="rooftop", date="2025-03-01")
    assert reduced.quality_flags == 0
    image = archive.images(reduced.object_id)["IMAGE"]
    good = archive.images(reduced.object_id)["MASK"] == 0
    # 16384 pixels of noise 10.8 adu, and a bias of 16 x 128 columns of overscan
    assert np.median(image[good]) == pytest.approx(SKY, abs=1.0)
    columns = np.nanmedian(np.where(good, image, np.nan), axis=0)
    assert abs(np.polyfit(np.arange(128), columns, 1)[0]) * 128 < 2.0
