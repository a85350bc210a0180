"""Planes that are in files: what is computed of them, and what becomes of the files."""

from __future__ import annotations

__all__: list[str] = []

import gc
import mmap
from pathlib import Path

import numpy as np
import pytest

from reduction.keys import content_hash
from reduction.scratch import Scratch
from reduction.steps import blocks
from reduction.steps.blocks import copied, count_positive, positive_median, release, row_blocks
from reduction.steps.tiles import tiles_of
from schemas.errors import StorageError


def resident() -> int:
    """Bytes of this process's files that are in its memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssFile"))


def files(folder: Path) -> int:
    """How many of a folder this process has in its memory."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return sum(str(folder) in line for line in maps)


@pytest.mark.parametrize("count", [1, 2, 1001, 40_000])
@pytest.mark.parametrize("seed", range(3))
def test_the_median_of_a_plane_in_pieces_is_numpys_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, count: int, seed: int
) -> None:
    monkeypatch.setattr(blocks, "_FEW", 0)
    rng = np.random.default_rng(seed)
    plane = rng.lognormal(0.0, 8.0, (5, count)).astype(np.float32)
    plane[rng.random(plane.shape) < 0.3] = 0.0
    plane[0, 0] = np.nan if count > 1 else 3.0
    assert positive_median(plane) == float(np.median(plane[plane > 0]))
    assert count_positive(plane) == (plane > 0).sum()
    assert np.isnan(positive_median(np.zeros((4, 4), np.float32)))


def test_a_large_plane_is_in_a_file_that_ends_with_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "new", limit=1000)
    plane = scratch.full((300, 4096), np.nan, np.float32)
    assert np.isnan(plane).all()
    assert list((tmp_path / "new").iterdir()) == []
    release(plane)
    plane[7] = 3.0
    release(plane)
    assert (plane[7] == 3.0).all()
    assert np.isnan(plane[8]).all()
    part = copied(plane, slice(6, 9), slice(10, 12))
    assert part[1].tolist() == [3.0, 3.0]
    assert part.base is None
    assert files(tmp_path) == 1
    del plane
    gc.collect()
    assert files(tmp_path) == 0
    assert isinstance(scratch.full((3, 3), 0, np.uint8), np.ndarray)


def test_pages_that_were_looked_at_are_given_back(tmp_path: Path) -> None:
    plane = Scratch(tmp_path, limit=1).full((64, 1 << 20), 1, np.uint8)
    before, most = resident(), 0
    for rows in row_blocks(plane):
        assert plane[rows].all()
        most = max(most, resident())
    # 64 MB in blocks of 4: the whole would be 64, a block and what else there is a few
    assert most - before < 16 * mmap.PAGESIZE * 256
    assert content_hash({"A": plane}, {}) == content_hash({"A": np.ones_like(plane)}, {})
    assert resident() - before < 4 * mmap.PAGESIZE * 256


def test_a_disk_that_is_full_is_said_in_a_sentence(tmp_path: Path) -> None:
    size = 1 << 60  # more than any disk has
    with pytest.raises(StorageError, match=f"no room on the disk for a plane of {size} bytes"):
        Scratch(tmp_path, limit=1).full((size,), 0, np.uint8)


@pytest.mark.parametrize("shape", [(100, 100), (1000, 130), (517, 911)])
def test_tiles_have_each_pixel_once_and_begin_with_meshes(shape: tuple[int, int]) -> None:
    seen = np.zeros(shape, int)
    for tile in tiles_of(shape, mesh=16, whole=10_000, side=200, overlap=50):
        seen[tile.inner.slices] += 1
        around = tile.outer
        assert around.y0 % 16 == around.x0 % 16 == 0
        assert max(tile.inner.shape) <= 208
        assert tile.inner.y0 - around.y0 in (0, 64)
        assert around.x1 == min(tile.inner.x1 + 64, shape[1]) or around.shape == shape
    assert (seen == 1).all()
    x, y = np.random.default_rng(0).uniform(-3, max(shape) + 3, (2, 400))
    tiles = tiles_of(shape, mesh=16, whole=10_000, side=200, overlap=50)
    assert (sum(tile.owns(x, y).astype(int) for tile in tiles) == 1).all()
