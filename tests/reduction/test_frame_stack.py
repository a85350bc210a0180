"""Frames that are combined: as many as a night has, in little memory."""

from __future__ import annotations

__all__: list[str] = []

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.frame_stack import FrameStack
from reduction.scratch import Scratch
from reduction.steps.combine import combine_biases
from reduction.steps.dark import dark_current
from reduction.steps.flat import combine_flats
from reduction.steps.read_noise import read_noise

if TYPE_CHECKING:
    from pathlib import Path


def stacked(frames: list[np.ndarray], folder: Path, limit: int) -> list[np.ndarray]:
    stack = FrameStack(Scratch(folder), len(frames), limit=limit)
    for frame in frames:
        stack.add(frame.copy())
    return stack.frames


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(12)
    return [rng.normal(3000.0, 20.0, (300, 200)).astype(np.float32) for _ in range(6)]


def test_frames_in_a_file_give_the_very_same_product(frames, tmp_path):
    bias = np.full(frames[0].shape, 500.0, np.float32)
    for way in (
        lambda given: [combine_biases(given, read_noise=20.0)],
        lambda given: [combine_flats(given, bias=bias, gain=6.0, read_noise=4.0).image],
        lambda given: [dark_current(given, [60.0] * 6, gain=6.0, read_noise=4.0).rate],
        lambda given: [read_noise(given).read_noise, read_noise(given).mean_diff],
    ):
        memory, filed = (stacked(frames, tmp_path, limit) for limit in (1 << 40, 1))
        assert memory[0].base is None
        assert filed[0].base is not None
        for one, other in zip(way(memory), way(filed), strict=True):
            np.testing.assert_array_equal(one, other)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_shape_is_left_to_what_combines_them(frames, tmp_path):
    stack = FrameStack(Scratch(tmp_path), 2, limit=1)
    stack.add(frames[0])
    stack.add(frames[0][:10])
    assert [frame.shape for frame in stack.frames] == [frames[0].shape, (10, 200)]


def test_memory_does_not_grow_with_the_frames_of_a_night(tmp_path):
    """Thirty flats of 17 MB: 500 MB, and normalised as much again, if they were all held."""
    outcome = subprocess.run(
        [sys.executable, "-c", dedent(_NIGHT), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, worst = map(float, outcome.stdout.split())
    assert grown < 250e6
    assert worst < 0.12  # 577 / 10000 / sqrt(30) is 0.0105, times 6, and twice that for the tails


_NIGHT = """
    import resource
    import sys
    from pathlib import Path

    import numpy as np

    from reduction.frame_stack import FrameStack
    from reduction.scratch import Scratch
    from reduction.steps.flat import combine_flats

    def most():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    shape, count = (4096, 1024), 30
    rng = np.random.default_rng(3)
    bias = np.zeros(shape, np.float32)
    rng.uniform(9000.0, 11000.0, shape)
    before = most()
    stack = FrameStack(Scratch(Path(sys.argv[1])), count, limit=1)
    for _ in range(count):
        stack.add(rng.uniform(9000.0, 11000.0, shape).astype(np.float32))
    flat = combine_flats(stack.frames, bias=bias, gain=1.0, read_noise=5.0)
    print(most() - before, np.abs(flat.image - 1.0).max())
"""
