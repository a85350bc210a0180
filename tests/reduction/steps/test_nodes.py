"""Smooth planes from few values."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.nodes import Nodes, places_of_nodes


@pytest.mark.parametrize("shape", [(1, 1), (64, 65), (100, 130), (129, 128)])
def test_a_plane_of_straight_lines_is_known_everywhere(shape: tuple[int, int]) -> None:
    rows, columns = places_of_nodes(shape, 64)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    nodes = Nodes(1.0 + 0.003 * x - 0.002 * y, 64)
    y, x = np.indices(shape)
    expected = 1.0 + 0.003 * x - 0.002 * y
    found = nodes.piece(Section(0, shape[0], 0, shape[1]))
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_piece_has_the_bits_of_the_whole() -> None:
    nodes = Nodes(np.random.default_rng(1).uniform(0.8, 1.2, (4, 5)), 16)
    whole, part = nodes.piece(Section(0, 40, 0, 60)), Section(7, 33, 15, 50)
    assert np.array_equal(nodes.piece(part), whole[part.slices])
