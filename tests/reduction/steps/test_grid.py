"""The grid of a field, and where its pixels lie on frames."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.steps.distortion import Distortion
from reduction.steps.grid import Mapping, covered, field_grid, part_of
from reduction.steps.wcs import TanWcs
from schemas.errors import UnprocessableError
from tests.support.sky_frames import turned

SHAPE = (1200, 900)


def distorted(angle: float) -> TanWcs:
    """A camera whose corners are 4 pixels from where a linear projection has them."""
    plain = turned(150.0, 20.0, SHAPE, scale=0.5, angle=angle)
    cubic = 4.0 / 750.0**3 / (0.5 / 3600.0) ** 2
    pv = Distortion.none().to_pv()
    pv |= {"PV1_7": cubic, "PV1_9": cubic, "PV2_7": cubic, "PV2_9": cubic}
    return replace(plain, distortion=Distortion.from_pv(pv))


def test_the_grid_is_a_square_around_the_centre_north_up_and_east_left() -> None:
    grid, shape = field_grid(150.0, 20.0, radius=0.1, pixel_scale=0.4)
    assert shape == (1800, 1800)
    assert grid.pixel_scale == pytest.approx(0.4)
    assert grid.to_sky(899.5, 899.5) == (pytest.approx(150.0), pytest.approx(20.0))
    ra, dec = grid.to_sky([899.5, 0.0], [1799.0, 899.5])
    assert dec[0] > 20.09
    assert ra[1] > 150.1


@pytest.mark.parametrize(("radius", "scale"), [(0.0, 0.4), (0.1, 0.0), (10.0, 0.1), (-1, 0.4)])
def test_a_grid_that_cannot_be_is_refused(radius: float, scale: float) -> None:
    with pytest.raises(UnprocessableError, match="is no grid"):
        field_grid(150.0, 20.0, radius=radius, pixel_scale=scale)


@pytest.mark.parametrize("angle", [0.0, 30.0, 89.0])
def test_pixels_between_the_nodes_are_right_to_a_hundredth(angle: float) -> None:
    frame = distorted(angle)
    grid, shape = field_grid(150.02, 20.01, radius=0.12, pixel_scale=0.4)
    box = covered(frame, SHAPE, grid, shape)
    assert box is not None
    mapping = Mapping.of(frame, grid, box)
    rng = np.random.default_rng(1)
    row, column = rng.uniform(0, box.shape[0] - 1, 999), rng.uniform(0, box.shape[1] - 1, 999)
    exact = frame.to_pixel(*grid.to_sky(column + box.x0, row + box.y0))
    near = np.hypot(exact[0] - SHAPE[1] / 2, exact[1] - SHAPE[0] / 2) < 800
    x, y = mapping.at(row, column)
    # a cubic distortion of 4 pixels at 750: curvature 6 x 4 / 750^2, over nodes 16 x 0.8 apart
    assert np.hypot(x - exact[0], y - exact[1])[near].max() < 0.002
    h = 0.5
    right, left = (
        frame.to_pixel(*grid.to_sky(column + box.x0 + d, row + box.y0)) for d in (h, -h)
    )
    above, below = (
        frame.to_pixel(*grid.to_sky(column + box.x0, row + box.y0 + d)) for d in (h, -h)
    )
    area = (right[0] - left[0]) * (above[1] - below[1]) - (right[1] - left[1]) * (
        above[0] - below[0]
    )
    # one-sided differences at the outermost nodes see a slope of the distortion's curvature
    assert np.abs(mapping.areas(row, column) / np.abs(area) - 1)[near].max() < 1e-3


def test_the_covered_part_has_all_pixels_of_the_frame_and_hardly_more() -> None:
    frame = distorted(30.0)
    grid, shape = field_grid(150.0, 20.0, radius=0.15, pixel_scale=0.4)
    box = covered(frame, SHAPE, grid, shape)
    assert box is not None
    row, column = np.mgrid[0 : shape[0] : 5, 0 : shape[1] : 5]
    x, y = frame.to_pixel(*grid.to_sky(column, row))
    inside = (x > -0.5) & (y > -0.5) & (x < SHAPE[1] - 0.5) & (y < SHAPE[0] - 0.5)
    assert row[inside].min() >= box.y0
    assert row[inside].max() < box.y1
    assert column[inside].min() >= box.x0
    assert column[inside].max() < box.x1
    assert row[inside].min() - box.y0 < 10
    assert box.x1 - column[inside].max() < 10


def test_a_frame_elsewhere_covers_nothing_and_one_across_the_edge_a_part() -> None:
    grid, shape = field_grid(150.0, 20.0, radius=0.05, pixel_scale=0.4)
    for ra in (151.0, 330.0):
        assert covered(turned(ra, 20.0, SHAPE, scale=0.5), SHAPE, grid, shape) is None
    east = turned(150.1, 20.0, SHAPE, scale=0.5)
    box = covered(east, SHAPE, grid, shape)
    assert box is not None
    assert (box.x0, box.y0, box.y1) == (0, 0, 900)
    assert 0 < box.x1 < 900


def test_a_part_of_a_grid_has_the_same_sky() -> None:
    grid, _ = field_grid(150.0, 20.0, radius=0.05, pixel_scale=0.4)
    part = part_of(grid, x0=100, y0=40)
    assert part.to_sky(0.0, 0.0) == grid.to_sky(100.0, 40.0)


def test_a_narrow_part_is_mapped_too() -> None:
    frame = turned(150.0, 20.0, SHAPE, scale=0.5, angle=10.0)
    grid, _ = field_grid(150.0, 20.0, radius=0.05, pixel_scale=0.4)
    mapping = Mapping.of(frame, grid, Section(10, 11, 20, 23))
    x, y = mapping.at(np.array([0]), np.array([2]))
    exact = frame.to_pixel(*grid.to_sky(22.0, 10.0))
    assert (x[0], y[0]) == (pytest.approx(exact[0], abs=1e-4), pytest.approx(exact[1], abs=1e-4))
