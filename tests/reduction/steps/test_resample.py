"""Frames on a grid: what stays, what is left out, and that both ways of computing agree."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from reduction.instruments.base import Section
from reduction.steps import kernels
from reduction.steps.grid import covered, field_grid
from reduction.steps.kernels import Kernel, near_bad, prepared, value_weights
from reduction.steps.resample import Resampled, fill_bad, resample
from reduction.steps.wcs import TanWcs
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError
from tests.support.sky_frames import turned

SHAPE = (180, 150)
GRID, GRID_SHAPE = field_grid(150.0, 20.0, radius=0.013, pixel_scale=0.4)
COMPILED = pytest.mark.skipif(kernels.KERNEL is None, reason="needs the compiled kernel")


def regridded(
    image: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    wcs: TanWcs | None = None,
    kernel: Kernel = Kernel.SPLINE3,
    box: Section | None = None,
) -> Resampled:
    frame = wcs or turned(150.001, 20.0005, SHAPE, scale=0.42, angle=20.0)
    box = box or covered(frame, image.shape, GRID, GRID_SHAPE)
    assert box is not None
    weight = np.ones(image.shape, np.float32) if weight is None else weight
    mask = np.zeros(image.shape, np.uint8) if mask is None else mask
    return resample(
        image.astype(np.float32), weight, mask, frame=frame, grid=GRID, box=box, kernel=kernel
    )


def spotted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with bad pixels, single and in a column."""
    image = rng.normal(50.0, 5.0, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[rng.random(SHAPE) < 0.01] = MaskBit.COSMIC
    mask[40:90, 70] = MaskBit.COLD
    image[mask != 0] = 1e5
    return image, np.where(mask, 0.0, 0.04).astype(np.float32), mask


@COMPILED
@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("scale", [0.42, 0.21])
def test_the_compiled_and_the_numpy_way_give_the_same(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, scale: float
) -> None:
    image, weight, mask = spotted(np.random.default_rng(2))
    wcs = turned(150.001, 20.0005, SHAPE, scale=scale, angle=20.0)
    fast = regridded(image, weight=weight, mask=mask, wcs=wcs, kernel=kernel)
    monkeypatch.setattr(kernels, "KERNEL", None)
    slow = regridded(image, weight=weight, mask=mask, wcs=wcs, kernel=kernel)
    assert fast.image == pytest.approx(slow.image, rel=1e-6, abs=1e-4, nan_ok=True)
    assert np.array_equal(fast.weight, slow.weight)
    assert np.array_equal(fast.mask, slow.mask)


@COMPILED
def test_the_compiled_kernel_refuses_arrays_that_do_not_fit() -> None:
    image, small = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8)
    table, nodes = value_weights(Kernel.LANCZOS3), np.zeros((2, 2))
    area = np.ones((1, 4), np.float32)
    out = (image.copy(), image.copy(), small.copy(), (4, 4))
    how = (16.0, 1, 0.05, 1, False)
    for wrong in ((5, 4), (0, 4)):
        with pytest.raises(ValueError, match="sizes"):
            kernels.KERNEL.resample(
                *(image, image, small, small, small, table, table, wrong),
                *(nodes, nodes, area, area, (2, 2), *how, *out),
            )
        with pytest.raises(ValueError, match="sizes"):
            kernels.KERNEL.spline(image.copy(), wrong)


@COMPILED
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (3, 40), (33, 7), (180, 150)])
def test_splines_have_scipys_coefficients(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).normal(50.0, 5.0, shape).astype(np.float32)
    expected = ndimage.spline_filter(image, order=3, output=np.float32, mode="mirror")
    assert prepared(image.copy(), Kernel.SPLINE3) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_near_a_bad_pixel_is_where_the_kernel_reaches_it(share: float) -> None:
    bad = np.random.default_rng(6).random((40, 31)) < share
    expected = np.zeros_like(bad)
    for y, x in np.argwhere(bad):
        # the kernel of a position within pixel i is on i - 2 ... i + 3
        expected[max(y - 3, 0) : y + 3, max(x - 3, 0) : x + 3] = True
    assert np.array_equal(near_bad(bad), expected)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_weights_of_a_value_sum_to_one(kernel: Kernel) -> None:
    # splines reach on for ever: what is beyond six pixels is 0.268^3 of the nearest's
    assert value_weights(kernel, 16).sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    assert value_weights(kernel)[0] == pytest.approx([0, 0, 1, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("scale", [0.42, 0.8, 0.15])
def test_an_even_surface_keeps_its_brightness(kernel: Kernel, scale: float) -> None:
    # per area: 100 adu in a frame pixel of scale^2 are as many in 0.4^2, whatever lies between
    wcs = turned(150.0, 20.0, SHAPE, scale=scale, angle=33.0)
    made = regridded(np.full(SHAPE, 100.0), wcs=wcs, kernel=kernel)
    expected = 100.0 * (0.4 / scale) ** 2
    good = made.weight > 0
    assert good.sum() > 500
    assert made.image[good] == pytest.approx(expected, rel=1e-6)
    assert made.weight[good] == pytest.approx((scale / 0.4) ** 2, rel=1e-6)


def test_a_shift_by_whole_pixels_moves_the_pixels_themselves() -> None:
    image = np.random.default_rng(3).normal(50.0, 5.0, SHAPE)
    wcs = replace(GRID, x0=GRID.x0 - 30.0, y0=GRID.y0 - 20.0)
    made = regridded(image, wcs=wcs)
    inner = made.image[3:-3, 3:-3]
    assert inner == pytest.approx(image[3:-3, 3:-3].astype(np.float32), abs=2e-4)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=COMPILED), False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 3), (3, 2), (24, 30)])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.01, -0.01), (0.3, 0.45), (-0.4, -0.2)])
def test_splines_end_at_the_edge_as_scipys_do(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int],
    shift: tuple[float, float],
    *,
    compiled: bool,
) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "KERNEL", None)
    image = np.random.default_rng(6).normal(0.0, 5.0, shape).astype(np.float32)
    x, y = np.arange(shape[1]) + shift[0], np.arange(shape[0])[:, None] + shift[1]
    wcs = replace(GRID, x0=shift[0], y0=shift[1])
    made = resample(
        *(image, np.ones(shape, np.float32), np.zeros(shape, np.uint8)),
        frame=wcs,
        grid=replace(GRID, x0=0.0, y0=0.0),
        box=Section(0, shape[0], 0, shape[1]),
    )
    places = np.broadcast_arrays(y, x)
    expected = ndimage.map_coordinates(image.astype(np.float64), places, order=3, mode="mirror")
    inside = np.isfinite(made.image)
    assert inside.mean() > 0.3
    # the table of phases is good to 1e-6 of 5 sigma
    assert made.image[inside] == pytest.approx(expected[inside], abs=2e-4)


def test_bad_pixels_leave_holes_that_say_why_and_do_not_ring() -> None:
    image, weight, mask = spotted(np.random.default_rng(4))
    made = regridded(image, weight=weight, mask=mask)
    assert np.array_equal(made.mask != 0, made.weight == 0)
    assert made.image[made.weight > 0].max() < 50.0 + 6 * 5.0
    said = made.mask[made.weight == 0]
    assert {MaskBit.COSMIC, MaskBit.COLD} <= set(np.unique(said))
    clean = regridded(np.full(SHAPE, 50.0), weight=weight, mask=mask)
    assert clean.image[clean.weight > 0] == pytest.approx(50.0 * (0.4 / 0.42) ** 2, rel=1e-5)
    lost = (made.weight == 0).mean() - (regridded(image).weight == 0).mean()
    assert lost < 5.5 * (mask != 0).mean()


def test_saturated_pixels_keep_their_value_without_weight() -> None:
    image, mask = np.full(SHAPE, 10.0), np.zeros(SHAPE, np.uint8)
    image[80:90, 70:80], mask[80:90, 70:80] = 6e4, MaskBit.SATURATED
    made = regridded(image, weight=np.where(mask, 0, 1).astype(np.float32), mask=mask)
    burnt = made.mask == MaskBit.SATURATED
    assert made.image[burnt].max() > 5e4
    assert (made.weight[burnt] == 0).all()
    rest = made.image[made.weight > 0]
    # a twentieth of a value may be of weightless pixels
    assert rest.max() < 0.06 * 6e4


def test_beyond_the_frame_there_is_no_value_and_no_weight() -> None:
    made = regridded(np.full(SHAPE, 5.0), box=Section(0, GRID_SHAPE[0], 0, GRID_SHAPE[1]))
    beyond = np.isnan(made.image)
    assert beyond.any()
    assert (made.weight[beyond] == 0).all()
    assert (made.mask[beyond] == MaskBit.NON_NUMBER).all()


class Cut:
    """A projection that has no inverse on one side of a frame, from some columns beyond it on."""

    def __init__(self, wcs: TanWcs, least: float) -> None:
        self.wcs, self.least = wcs, least
        self.to_sky = wcs.to_sky

    def to_pixel(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = self.wcs.to_pixel(ra, dec)
        return np.where(x < self.least, np.nan, x), np.where(x < self.least, np.nan, y)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=COMPILED), False])
def test_where_the_projection_has_no_inverse_beyond_the_frame_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, *, compiled: bool
) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "KERNEL", None)
    image, weight, mask = spotted(np.random.default_rng(7))
    wcs = turned(150.001, 20.0005, SHAPE, scale=0.42, angle=20.0)
    box = covered(wcs, SHAPE, GRID, GRID_SHAPE)
    whole = regridded(image, weight=weight, mask=mask, wcs=wcs, box=box)
    # nodes are 16 grid pixels apart, and places next to a lost one have no size: two cells
    cut = regridded(image, weight=weight, mask=mask, wcs=Cut(wcs, -50.0), box=box)  # type: ignore[arg-type]
    for name in ("image", "weight", "mask"):
        one, other = getattr(whole, name), getattr(cut, name)
        assert np.array_equal(one, other, equal_nan=name == "image")
    with pytest.raises(UnprocessableError, match="has no pixels"):
        regridded(image, wcs=Cut(wcs, 1e6), box=box)  # type: ignore[arg-type]


def test_pixels_without_a_value_are_bad_even_with_weight() -> None:
    image = np.full(SHAPE, 5.0)
    image[60:63, 60:63] = np.nan
    made = regridded(image)
    inner = np.isfinite(made.image)
    assert (made.mask[inner & (made.weight == 0)] == MaskBit.NON_NUMBER).all()
    assert made.image[made.weight > 0] == pytest.approx(5.0 * (0.4 / 0.42) ** 2, rel=1e-5)


@pytest.mark.parametrize(("kernel", "scale"), [(k, s) for k in Kernel for s in (0.42, 0.2, 0.13)])
def test_the_noise_of_pixels_is_what_is_said_of_it(kernel: Kernel, scale: float) -> None:
    rng = np.random.default_rng(5)
    shape = (900, 900) if scale < 0.3 else (440, 440)
    wcs = turned(150.0, 20.0, shape, scale=scale, angle=31.0)
    box = Section(0, GRID_SHAPE[0], 0, GRID_SHAPE[1])
    image = rng.normal(0.0, 5.0, shape)
    weight = np.full(shape, 0.04, np.float32)
    made = regridded(image, weight=weight, wcs=wcs, kernel=kernel, box=box)
    pulls = (made.image * np.sqrt(made.weight))[made.weight > 0]
    # 5e4 pixels: the rms is known to 0.5 %; sub-pixels' own correlation is a model to 2 %
    assert pulls.std() == pytest.approx(made.noise_factor, rel=0.03)


def test_filling_takes_the_neighbours_mean_and_the_median_where_there_is_none() -> None:
    image = np.arange(100.0).reshape(10, 10)
    bad = np.zeros((10, 10), np.bool_)
    bad[5, 5] = True
    assert fill_bad(image, bad)[5, 5] == pytest.approx(55.0, abs=1e-3)
    bad[:, :8] = True
    filled = fill_bad(np.where(bad, np.nan, image), bad)
    assert np.isfinite(filled).all()
    assert filled[0, 0] == np.median(image[:, 8:])
    assert (fill_bad(np.full((4, 4), np.nan), np.ones((4, 4), np.bool_)) == 0).all()


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(UnprocessableError, match="expected equal"):
        regridded(np.zeros(SHAPE), weight=np.ones((3, 3), np.float32))
