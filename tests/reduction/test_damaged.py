"""Damaged files, full disks and recipes without memory: each ends what is its own."""

from __future__ import annotations

__all__: list[str] = []

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from reduction import frames
from reduction.damage import Held
from reduction.frame_writing import write_images
from reduction.frames import StoredImages, StoredTables, read_raw
from reduction.instruments.base import FrameKind
from reduction.operate import bump, find_target, targets_matching
from reduction.pixel_cache import PIXELS, PixelCache
from reduction.storage import checksum
from schemas.errors import StorageError, UnreadableError
from tests.support.toy import ToyBias, ToyImage, write_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reduction.archive import Archive

DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda whole: None,
    "empty": lambda whole: b"",
    "the first header alone": lambda whole: whole[:2880],
    "two blocks": lambda whole: whole[: 2 * 2880],
    "cut off in the pixels": lambda whole: whole[:-3000],
    "bytes altered": lambda whole: whole[:-2880] + bytes(b ^ 85 for b in whole[-2880:]),
    "another length": lambda whole: whole[:4000],
}


def damage(path: Path, how: str) -> bytes:
    """Damage a file, and give what it was."""
    whole = path.read_bytes()
    path.chmod(0o644)
    changed = DAMAGE[how](whole)
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    return whole


def published(archive: Archive) -> int:
    """Images that the archive answers with."""
    published = "SELECT product_id FROM vo.published"
    ours = f"class_name = 'ToyImage' AND product_id IN ({published})"
    with archive.transaction() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM vo.product WHERE {ours}")) or 0)


def test_a_damaged_progenitor_that_cannot_be_made_again_withdraws_nothing_and_is_named(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ToyImage.get()
    bias = ToyBias.get()
    sql = "SELECT location FROM vo.file JOIN vo.product USING (file_id) WHERE product_id = :n"
    with archive.transaction() as session:
        location = str(session.scalar(text(sql), {"n": bias.object_id}))
        raw = next(iter(bias.raw_bias_frames)).object_id
        lost = archive.storage.path(str(session.scalar(text(sql), {"n": raw})))
    path = archive.storage.path(location)
    lost.unlink()
    monkeypatch.setattr(frames, "PIXELS", PixelCache(0))
    bump(archive, "ToyImage", why="better")
    for how in DAMAGE:
        whole = damage(path, how)
        with pytest.raises(UnreadableError) as caught:
            ToyImage.get()
        assert f"ToyBias object {bias.object_id} (toy, t1, 2020-01-01)" in str(caught.value), how
        assert location in str(caught.value), how
        assert published(archive) == 1, how
        assert find_target(archive, "ToyImage").state != "failed", how
        path.write_bytes(whole)
    assert ToyImage.get().level == pytest.approx(20.0)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    path = tmp_path / "product.fits"
    image = rng.normal(0, 3, (600, 600)).astype(np.float32)
    images: dict[str, np.ndarray[Any, Any]] = {
        "BIAS": image,
        "MASK": np.zeros((600, 600), np.uint8),
    }
    write_images(path, images, {}, {"SOURCES": np.zeros(100, [("x", "f8")])})
    return path


def test_whatever_is_wrong_with_a_products_file_it_cannot_be_read(product: Path) -> None:
    whole = bytearray(product.read_bytes())
    whole[30000:30200] = bytes(200)  # in the pixels, which are compressed
    product.write_bytes(whole)
    with pytest.raises(UnreadableError, match=r"BiasFrame object 7: its file .*product\.fits"):
        StoredImages(product, owner=Held("BiasFrame object 7: its file product.fits"))["BIAS"]
    with pytest.raises(UnreadableError, match=r"product\.fits: the product cannot be read"):
        StoredImages(product).section("BIAS", np.s_[:600, :600])
    assert len(StoredTables(product)["SOURCES"]) == 100
    with pytest.raises(KeyError, match="WEIGHT"):
        StoredImages(product)["WEIGHT"]


def test_what_is_altered_while_it_is_read_is_not_taken_for_right(
    product: Path, tmp_path: Path
) -> None:
    stored = tmp_path / f"{checksum(product)}.fits"
    whole = bytearray(product.read_bytes())
    altered = whole[:-3000] + bytes([whole[-3000] ^ 1]) + whole[-2999:]
    stored.write_bytes(whole)
    images = StoredImages(stored, owner=Held("BiasFrame object 7"), sure=True)
    sections = images.sections()
    assert sections.read("BIAS", np.s_[:9, :9]).shape == (9, 9)
    sections.close()
    sections = images.sections()
    sections.read("BIAS", np.s_[:9, :9])
    stored.write_bytes(altered)
    with pytest.raises(UnreadableError, match="BiasFrame object 7 cannot be read"):
        sections.close()
    # what others may have kept of it before is not taken, and nothing is kept of it
    PIXELS.forget(stored)
    with pytest.raises(UnreadableError, match="not as it was written"):
        images["MASK"]
    assert PIXELS.get(stored, "MASK") is None
    stored.write_bytes(whole)
    assert images["MASK"].shape == (600, 600)


def test_a_damaged_raw_frame_that_is_compressed_cannot_be_read(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 60000, (300, 300)).astype(np.uint16)
    path = tmp_path / "raw.fits.fz"
    packed = fits.CompImageHDU(data, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    whole = bytearray(path.read_bytes())
    middle = len(whole) * 2 // 3
    whole[middle : middle + 50] = bytes(50)
    path.write_bytes(whole)
    with pytest.raises(UnreadableError, match=r"raw\.fits\.fz: the pixels of HDU 1 cannot"):
        read_raw(path, 1)
    with pytest.raises(UnreadableError, match="RawBiasFrame object 3: its file"):
        StoredImages(path, 1, owner=Held("RawBiasFrame object 3: its file"))["RAW"]


def three_nights(archive: Archive, folder: Path) -> list[int]:
    """Ingest biases of three nights; their targets."""
    for night in ("2020-03-01", "2020-03-02", "2020-03-03"):
        for number in range(2):
            name = f"{night}-{number}"
            write_frame(folder, name, FrameKind.BIAS, 100, night=night, hour=number / 10)
    archive.ingest(sorted(folder.glob("2020-03*.fits")))
    return [target.target_id for target in targets_matching(archive, "ToyBias")]


def ending_in(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the biases of the first night end in an error."""
    own = ToyBias.compute

    def compute(self: Any, inputs: Any, parameters: Any) -> Any:
        if inputs.raw_bias_frames[0]["name"].startswith("2020-03-01"):
            raise error
        return own(self, inputs, parameters)

    monkeypatch.setattr(ToyBias, "compute", compute)


def states(archive: Archive) -> list[str]:
    found = targets_matching(archive, "ToyBias")
    return [target.state for target in sorted(found, key=lambda target: str(target.night))]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 32 GiB"), "more memory than there is .*32 GiB"),
        (FileNotFoundError(errno.ENOENT, "No such file", "table.csv"), "table.csv"),
    ],
)
def test_a_recipe_without_memory_or_file_fails_alone(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    numbers = three_nights(archive, tmp_path)
    ending_in(monkeypatch, error)
    outcomes = archive.make(numbers)
    assert states(archive) == ["failed", "fresh", "fresh"]
    (failed,) = (outcome for outcome in outcomes if outcome.message)
    assert failed.name in failed.message
    with pytest.raises(Exception, match=said):
        ToyBias.get(date="2020-03-01")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_full_disk_fails_no_recipe_and_the_night_goes_on(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    numbers = three_nights(archive, tmp_path)
    with monkeypatch.context() as full:
        ending_in(full, OSError(number, os.strerror(number)))
        with pytest.raises(StorageError, match=f"ToyBias cannot be made now: .*{number}"):
            archive.make(numbers)
        assert states(archive) == ["missing", "fresh", "fresh"]
    archive.make(numbers)
    assert states(archive) == ["fresh"] * 3
