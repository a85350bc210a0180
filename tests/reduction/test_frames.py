"""Pixels through product files and the memory of what was read."""

from __future__ import annotations

__all__: list[str] = []

from pathlib import Path

import numpy as np
import pytest

from reduction.frame_writing import write_images
from reduction.frames import StoredImages, StoredTables, read_images, read_tables
from reduction.pixel_cache import PixelCache


def test_pixels_are_stored_to_a_sixteenth_of_the_noise_of_the_quiet_parts(tmp_path):
    rng = np.random.default_rng(11)
    image = rng.normal(500.0, 8.0, (600, 700)).astype(np.float32)
    image[:, :200] *= 3.0
    image[5, 5], image[6, 6] = np.nan, 0.0
    write_images(tmp_path / "a.fits", {"IMAGE": image}, {})
    error = read_images(tmp_path / "a.fits")["IMAGE"] - image
    assert np.isnan(error[5, 5])
    assert error[6, 6] == 0.0
    for part in (error[:, :200], error[:, 200:]):
        good = part[np.isfinite(part)]
        assert np.abs(good).max() <= 0.53 * 8.0 / 16  # half a step, and the noise's own error
        assert abs(good.mean()) < 0.01


def test_tiles_of_one_value_are_stored_as_they_are(tmp_path):
    image = np.full((512, 400), 7.25, np.float32)
    image[256:, :] = -3.0
    write_images(tmp_path / "a.fits", {"IMAGE": image}, {})
    assert np.array_equal(read_images(tmp_path / "a.fits")["IMAGE"], image)


def test_stored_images_are_what_the_whole_file_gives(tmp_path):
    rng = np.random.default_rng(12)
    path = tmp_path / "a.fits"
    images = {
        "IMAGE": rng.normal(size=(300, 280)).astype(np.float32),
        "MASK": rng.integers(0, 3, (300, 280)).astype(np.uint8),
    }
    table = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])
    write_images(path, images, {"OBJECT": ("x", "")}, {"ROWS": table})
    whole = read_images(path)
    for _ in range(2):  # from the file, and from memory
        stored = StoredImages(path)
        assert list(stored) == ["IMAGE", "MASK"]
        for name, pixels in whole.items():
            assert np.array_equal(stored[name], pixels)
            assert stored[name].dtype == images[name].dtype
            assert np.array_equal(stored.section(name, np.s_[5:9, 7:90]), pixels[5:9, 7:90])
            stored[name][...] = 0  # its owner's, and nobody else's
    assert list(StoredTables(path)) == ["ROWS"]


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i8"])
def test_integers_of_every_size_are_stored_without_loss(tmp_path, kind):
    path, bounds = tmp_path / "a.fits", np.iinfo(kind)
    image = np.array([[bounds.min, bounds.max, 7], [1, 2, 3]], dtype=kind)
    table = np.zeros(6, dtype=[("one", kind), ("three", kind, (3,))])
    table["one"], table["three"][:, 1] = image.ravel(), image.ravel()
    write_images(path, {"MAP": image}, {"OBJECT": ("x", "")}, {"ROWS": table})
    for stored in (read_images(path)["MAP"], StoredImages(path)["MAP"]):
        assert stored.dtype == image.dtype.newbyteorder("=")
        assert np.array_equal(stored, image)
    assert np.array_equal(StoredImages(path).section("MAP", np.s_[:1, 1:]), image[:1, 1:])
    rows = read_tables(path)["ROWS"]
    assert np.array_equal(rows["one"], table["one"])
    assert np.array_equal(rows["three"], table["three"])


def test_pixels_that_are_no_numbers_are_refused_by_name(tmp_path):
    for pixels in (np.ones((4, 4), bool), np.ones((4, 4), complex)):
        with pytest.raises(
            TypeError, match=r"image MAP has pixels of \w+: expected floats or int"
        ):
            write_images(tmp_path / "a.fits", {"MAP": pixels}, {})


def test_the_memory_of_pixels_forgets_what_was_not_used_for_longest():
    cache = PixelCache(1000)
    for name in "abc":
        cache.put(Path("f"), name, np.zeros(300, np.uint8))
    assert cache.get(Path("f"), "a") is not None
    cache.put(Path("f"), "d", np.ones(300, np.uint8))
    assert cache.get(Path("f"), "b") is None
    assert cache.get(Path("g"), "a") is None
    for name in "acd":
        assert cache.get(Path("f"), name) is not None
    cache.put(Path("f"), "big", np.zeros(600, np.uint8))  # would push out nearly all others
    assert cache.get(Path("f"), "big") is None


class Uncopied(np.ndarray):
    """Pixels that must not be copied."""

    def copy(self, order="C"):
        raise AssertionError(order)


def test_an_image_that_is_too_big_to_remember_is_not_copied():
    cache = PixelCache(1000)
    cache.put(Path("f"), "big", np.zeros(600, np.uint8).view(Uncopied), copy=True)
    small = np.zeros(300, np.uint8)
    cache.put(Path("f"), "small", small, copy=True)
    small[...] = 1
    assert not cache.get(Path("f"), "small").any()
