"""Combining frames on one grid: by hand, piece by piece, and where each pixel comes from."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace

import numpy as np
import pytest
import sep
from scipy.optimize import brentq

from reduction.instruments.base import Section
from reduction.steps import stack
from reduction.steps.coadd import Coadd, CombineType, Contribution, Tiling, coadd
from reduction.steps.nodes import Nodes
from reduction.steps.photons import Photons
from reduction.steps.star_widths import summed_width
from reduction.steps.weight import MaskBit
from schemas.errors import UnprocessableError
from tests.support.sky_frames import draw

BOX = Section(10, 50, 20, 90)
KNOWN = Photons(1.7, 2.0, 0.6)
COMPILED = pytest.mark.skipif(stack.KERNEL is None, reason="needs the compiled kernel")


def contribution(
    image: np.ndarray,
    weight: np.ndarray | float = 1.0,
    mask: np.ndarray | None = None,
    *,
    at: tuple[int, int] = (10, 20),
    scale: float = 1.0,
) -> Contribution:
    planes = (
        image.astype(np.float32),
        np.broadcast_to(np.float32(weight), image.shape).copy(),
        np.zeros(image.shape, np.uint8) if mask is None else mask,
    )
    box = Section(at[0], at[0] + image.shape[0], at[1], at[1] + image.shape[1])
    return Contribution(box, lambda part: tuple(p[part.slices] for p in planes), scale)  # type: ignore[arg-type,return-value]


def scattered(rng: np.random.Generator, n: int, photons: Photons = KNOWN) -> list[Contribution]:
    """Frames here and there with holes, their own noise and scales."""
    found = []
    for _ in range(n):
        shape = tuple(rng.integers(15, 35, 2))
        at = (int(rng.integers(5, 30)), int(rng.integers(15, 60)))
        mask = np.where(rng.random(shape) < 0.05, MaskBit.COSMIC, 0).astype(np.uint8)
        weight = np.where(mask, 0.0, rng.uniform(0.5, 2.0))
        made = contribution(
            rng.normal(10, 1, shape), weight, mask, at=at, scale=rng.uniform(0.5, 2)
        )
        nodes = Nodes(rng.uniform(0.8, 1.2, (5, 5)), 9) if len(found) % 2 else None
        found.append(replace(made, photons=photons, factor=nodes))
    return found


def test_the_mean_is_weighted_on_the_common_scale() -> None:
    one = contribution(np.full((40, 70), 10.0), 4.0, scale=2.0)
    two = contribution(np.full((40, 70), 14.0), 3.0)
    made = coadd([one, two], BOX, combine=CombineType.WEIGHTED)
    # scaled by 2, a weight of 4 is one of 1
    assert made.image == pytest.approx((20.0 * 1.0 + 14.0 * 3.0) / 4.0)
    assert made.weight == pytest.approx(4.0)
    assert (made.number == 2).all()
    assert (made.mask == 0).all()


@pytest.mark.parametrize("combine", list(CombineType))
def test_pieces_of_any_size_give_the_same_bits(combine: CombineType) -> None:
    frames = scattered(np.random.default_rng(1), 9)
    whole = coadd(frames, BOX, combine=combine)
    for tiling in (Tiling(7, 13), Tiling(40, 5), Tiling(1000, 1000), Tiling(9, 16, 21)):
        pieces = coadd(frames, BOX, combine=combine, tiling=tiling)
        for name in ("image", "weight", "mask", "number", "gain", "clipped", "origin", "members"):
            assert np.array_equal(
                getattr(whole, name), getattr(pieces, name), equal_nan=name == "image"
            )


@COMPILED
@pytest.mark.parametrize("combine", list(CombineType))
@pytest.mark.parametrize("frames", [1, 2, 3, 9, 20])
def test_the_compiled_and_the_numpy_way_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, combine: CombineType, frames: int
) -> None:
    given = scattered(np.random.default_rng(frames), frames)
    fast = coadd(given, BOX, combine=combine, clip_sigma=2.0, clip_fraction=0.02)
    monkeypatch.setattr(stack, "KERNEL", None)
    slow = coadd(given, BOX, combine=combine, clip_sigma=2.0, clip_fraction=0.02)
    assert combine is CombineType.WEIGHTED or frames < 9 or fast.clipped.sum() > 0
    for name in ("image", "weight", "mask", "number", "gain", "origin", "members", "clipped"):
        one, other = getattr(fast, name), getattr(slow, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=name == "image")


@COMPILED
def test_the_compiled_kernel_refuses_arrays_that_do_not_fit() -> None:
    shape, whole = (2, 3, 4), Section(0, 3, 0, 4)
    values, bits = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    sign, lost = np.ones(2, np.uint64), np.zeros(2, np.int64)
    photons = np.ones((2, 3))
    made = [np.zeros((3, 4), kind) for kind in ("f4", "f4", "u1", "i2", "f4", "i4", "i4")]
    edges = (whole.y0, whole.y1, whole.x0, whole.x1)
    stacks = (values, values.copy(), bits, np.ones(shape, np.float32))
    given = (*stacks, shape, edges, None, sign, photons, 1, *made, lost)
    assert stack.KERNEL.combine(*given) == 1
    assert stack.KERNEL.combine(*given[:3], values[:0], *given[4:]) == 1
    for place, wrong in (
        (3, values[:1]),
        (4, (2, 3, 5)),
        (5, (0, 4, 0, 4)),
        (7, sign[:1]),
        (8, photons[:1]),
        (12, made[2][:2]),
    ):
        with pytest.raises(ValueError, match="sizes"):
            stack.KERNEL.combine(*given[:place], wrong, *given[place + 1 :])


def test_origins_are_numbered_in_the_order_of_their_first_pixels() -> None:
    made = coadd(scattered(np.random.default_rng(8), 5), BOX, tiling=Tiling(9, 16, 21))
    found, first = np.unique(made.origin, return_index=True)
    assert (np.diff(first[found > 0]) > 0).all()
    assert np.array_equal(found, np.arange(len(found)))
    assert made.members["origin"].max() == found[-1]


def test_every_pixel_tells_which_frames_it_is_made_of() -> None:
    frames = scattered(np.random.default_rng(2), 12)
    made = coadd(frames, BOX, combine=CombineType.WEIGHTED, tiling=Tiling(16, 16))
    members: dict[int, set[int]] = {0: set()}
    for row in made.members:
        members.setdefault(int(row["origin"]), set()).add(int(row["frame"]))
    assert len(members) > 12
    assert len({frozenset(found) for found in members.values()}) == len(members)
    for y in range(0, 40, 3):
        for x in range(0, 70, 3):
            there = set()
            for number, frame in enumerate(frames):
                row, column = y + BOX.y0 - frame.box.y0, x + BOX.x0 - frame.box.x0
                if 0 <= row < frame.box.shape[0] and 0 <= column < frame.box.shape[1]:
                    _, weight, _ = frame.read(Section(row, row + 1, column, column + 1))
                    if weight[0, 0] > 0:
                        there.add(number)
            assert members[int(made.origin[y, x])] == there
            assert made.number[y, x] == len(there)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.02, 0.0])
def test_electrons_of_a_unit_are_those_of_frames_with_flats_of_their_own(share: float) -> None:
    rng = np.random.default_rng(4)
    gains, scales = (1.5, 4.0, 0.7), (0.1, 0.02, 0.5)
    flats = rng.uniform(0.2, 1.8, (3, 40, 70))
    unit = 0.25  # inverse variance where the flat is 1
    weights = unit * flats**2 / (share * flats + 1.0 - share)
    weights[1, 3, 4] = 0.0
    frames = [
        replace(contribution(flat, weight, scale=scale), photons=Photons(gain, unit, share))
        for flat, weight, scale, gain in zip(flats, weights, scales, gains, strict=True)
    ]
    made = coadd(frames, BOX, combine=CombineType.WEIGHTED)
    # a source of one unit: electrons on each frame, each of variance 1, and what the mean has
    weights /= np.square(scales)[:, None, None]
    electrons = flats * (np.array(gains) / scales)[:, None, None]
    variance = (weights**2 / electrons).sum(axis=0) / weights.sum(axis=0) ** 2
    assert made.gain == pytest.approx(1.0 / variance, rel=1e-5)
    # the second one's values were multiplied by what an illumination found
    nodes = Nodes(rng.uniform(0.7, 1.3, (3, 4)), 32)
    factor = nodes.piece(Section(0, 40, 0, 70))
    lit = contribution(flats[1] * factor, (weights[1] * scales[1] ** 2) / factor**2, scale=0.02)
    frames[1] = replace(lit, photons=frames[1].photons, factor=nodes)
    weights[1] /= factor**2
    electrons[1] /= factor
    variance = (weights**2 / electrons).sum(axis=0) / weights.sum(axis=0) ** 2
    made = coadd(frames, BOX, combine=CombineType.WEIGHTED, tiling=Tiling(9, 16))
    assert made.gain == pytest.approx(1.0 / variance, rel=1e-5)
    unknown = [frames[0], replace(frames[1], photons=Photons())]
    gain = coadd(unknown, BOX, combine=CombineType.WEIGHTED).gain
    assert gain[3, 4] > 0
    assert np.count_nonzero(gain) == 1


def test_outliers_are_left_out_of_three_or_more_and_counted() -> None:
    rng = np.random.default_rng(3)
    frames = [rng.normal(100.0, 1.0, (40, 70)) for _ in range(5)]
    frames[2][5:9, 5:60] += 500.0
    made = coadd([contribution(frame) for frame in frames], BOX)
    trail = made.image[5:9, 5:60]
    assert trail == pytest.approx(100.0, abs=5 * 0.5)
    assert (made.number[5:9, 5:60] == 4).all()
    assert made.clipped[2] == 4 * 55
    assert made.clipped.sum() == 4 * 55
    two = coadd([contribution(frame) for frame in frames[1:3]], BOX)
    assert two.image[5:9, 5:60].mean() > 300.0


def test_where_all_values_are_far_from_their_median_none_is_left_out() -> None:
    # two nights whose skies differ: half of the values above the median, half below
    frames = [contribution(np.full((40, 70), level)) for level in (-6.0, -6.0, 6.0, 6.0)]
    made = coadd(frames, BOX)
    assert (made.number == 4).all()
    assert made.weight == pytest.approx(4.0)
    assert (made.clipped == 0).all()
    five = coadd([*frames, contribution(np.full((40, 70), -6.0))], BOX)
    assert (five.number == 3).all()
    assert five.image == pytest.approx(-6.0)


def test_light_that_differs_with_the_seeing_is_kept() -> None:
    frames = [contribution(np.full((40, 70), level), 100.0) for level in (800, 1000, 1200)]
    made = coadd(frames, BOX, clip_fraction=0.3)
    assert (made.number == 3).all()
    strict = coadd(frames, BOX, clip_fraction=0.0)
    assert (strict.number == 1).all()


#: Fluxes of stars on noise of 1, in rows; 39 pixels apart.
FLUXES = np.repeat([0.0, 300.0, 1000.0, 3000.0, 1e4, 1e5], 8)
STAR_Y, STAR_X = (39.0 * (a + 0.5) for a in np.divmod(np.arange(len(FLUXES)), 8))
FIELD = Section(0, 234, 0, 312)


def exposures(widths: list[float], seed: int = 5) -> list[np.ndarray]:
    """Frames of the same stars, each with its own width (fwhm)."""
    rng = np.random.default_rng(seed)
    found = [rng.normal(0.0, 1.0, FIELD.shape) for _ in widths]
    for image, width in zip(found, widths, strict=True):
        draw(image, STAR_X, STAR_Y, FLUXES, fwhm=width)
    return found


@pytest.mark.parametrize(
    "widths", [[3.0, *[4.5] * 4], [3.0, 3.3, 3.6, 4.0, 4.5], [*[3.0] * 4, 4.5], [3.0, 4.0, 4.5]]
)
def test_fluxes_of_stars_do_not_depend_on_how_the_seeing_differs(widths: list[float]) -> None:
    frames = [contribution(frame, at=(0, 0)) for frame in exposures(widths)]
    fluxes = [
        sep.sum_circle(coadd(frames, FIELD, combine=how).image, STAR_X, STAR_Y, 12.0)[0]
        for how in (CombineType.CLIPPED, CombineType.WEIGHTED)
    ]
    for flux in np.unique(FLUXES[FLUXES > 0]):
        same = flux == FLUXES
        # eight stars on the same noise: only what was clipped makes a difference
        lost = np.mean((fluxes[0] - fluxes[1])[same]) / flux
        assert abs(lost) < 0.005, (flux, lost)


@pytest.mark.parametrize(("times", "share"), [(1.2, 0.0), (2.5, 1.0)])
def test_junk_is_left_out_on_a_star_if_it_outshines_it_and_on_the_sky_from_ten_sigma(
    times: float, share: float
) -> None:
    frames = exposures([3.5] * 5)
    stars = FLUXES >= 1000.0
    peak = FLUXES * 4 * np.log(2) / np.pi / 3.5**2
    x, y = np.rint(STAR_X).astype(int), np.rint(STAR_Y).astype(int)
    offset = np.random.default_rng(6).integers(-2, 3, (2, len(x)))
    hit = (y + offset[0], x + offset[1])
    frames[0][hit] += np.where(stars, times * peak, 0.0)
    # on the sky between the stars
    sky = (y[y < 200] + 20, x[y < 200] + 10)
    frames[0][sky] += 10.0
    made = coadd([contribution(frame, at=(0, 0)) for frame in frames], FIELD)
    assert (made.number[hit] < 5)[stars].mean() == share
    assert (made.number[sky] < 5).mean() > 0.95


def test_without_weight_there_is_a_value_and_the_reason() -> None:
    burnt = np.zeros((40, 70), np.uint8)
    burnt[3, 3] = MaskBit.SATURATED
    cold = burnt.copy()
    cold[3, 3], cold[4, 4] = MaskBit.COLD, MaskBit.COLD
    frames = [
        contribution(np.full((40, 70), 6.0), np.where(burnt, 0, 1), burnt),
        contribution(np.full((40, 70), 8.0), np.where(cold, 0, 1), cold),
    ]
    made = coadd(frames, BOX)
    assert made.weight[3, 3] == 0
    assert made.image[3, 3] == 7.0
    assert made.mask[3, 3] == MaskBit.SATURATED | MaskBit.COLD
    assert (made.image[4, 4], made.mask[4, 4], made.number[4, 4]) == (6.0, 0, 1)


def test_where_no_frame_is_there_is_nothing() -> None:
    made = coadd([contribution(np.ones((10, 10)))], BOX)
    assert np.isnan(made.image[20, 20])
    assert (made.weight[20, 20], made.number[20, 20], made.origin[20, 20]) == (0, 0, 0)
    assert made.mask[20, 20] == MaskBit.NON_NUMBER


def test_noise_of_the_mean_is_what_the_weights_say() -> None:
    rng = np.random.default_rng(4)
    deviations = rng.uniform(0.5, 3.0, 16)
    frames = [contribution(rng.normal(0, s, (40, 70)), 1 / s**2) for s in deviations]
    for combine in CombineType:
        made: Coadd = coadd(frames, BOX, combine=combine)
        # 2800 pixels: the rms is known to 1.3 %
        assert (made.image * np.sqrt(made.weight)).std() == pytest.approx(1.0, abs=0.05)
        whole = (1 / deviations**2).sum()
        # a value of 4 sigma is one in 16 000
        assert (made.weight > 0.999 * whole).mean() > 0.998


def test_no_frames_are_refused() -> None:
    with pytest.raises(UnprocessableError, match="no frame to combine"):
        coadd([], BOX)


def test_the_width_of_a_sum_is_that_of_half_of_its_light() -> None:
    widths, shares = [2.0, 3.0, 5.0], [1.0, 2.0, 1.0]
    sigma = np.array(widths) / 2.3548200450309493

    def light(radius: float) -> float:
        return float((np.array(shares) / 4 * (1 - np.exp(-0.5 * (radius / sigma) ** 2))).sum())

    expected = 2 * brentq(lambda r: light(r) - 0.5, 0, 10)
    assert summed_width(widths, shares) == pytest.approx(expected, rel=1e-6)
    assert summed_width([2.5, np.nan], [1.0, 5.0]) == 2.5
    assert np.isnan(summed_width([np.nan], [1.0]))


def test_frames_of_unknown_photons_make_no_plane_of_gains() -> None:
    frames = scattered(np.random.default_rng(5), 4, Photons())
    planes = [coadd(frames, BOX, combine=CombineType.WEIGHTED).gain]
    known = [*frames[:3], replace(frames[3], photons=Photons(2.0, 1.0, 1.0))]
    planes.append(coadd(known, BOX, combine=CombineType.WEIGHTED).gain)
    assert [plane.shape for plane in planes] == [BOX.shape] * 2
    assert not planes[0].any()
    assert planes[0].strides == (0, 0)
    assert planes[1].any()
