"""Combining regridded frames of a field: which ones, on which scale, and what is tabled."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reduction import coadd_widths, coadding
from reduction.coadd_bands import combine_bands
from reduction.coadding import CoaddedFrames, combine_frames
from reduction.fields import FieldSpec
from reduction.focal_plane import LIGHT_DTYPE
from reduction.frame_writing import write_images
from reduction.frames import StoredImages
from reduction.instruments.base import Section
from reduction.progenitor import Progenitor
from reduction.regridded_stars import STAR_DTYPE
from reduction.scratch import Scratch
from reduction.steps.coadd import CombineType
from reduction.steps.coadd_sources import detect_sources, measure_sources
from reduction.steps.deep import Deep
from reduction.strips import Strips, stripe_width
from reduction.target import Inputs
from reduction.targets.detection_frame import DetectionFrame
from reduction.targets.regridded import RegriddedFrame
from schemas.errors import FatalError, UnprocessableError
from tests.support.sky_frames import draw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIELD = FieldSpec("here", 150.0, 20.0, 0.01, pixel_scale=0.5, instruments=("a", "b"))
SHAPE = (60, 80)


CAMERA: Any = SimpleNamespace(bands={})


def inputs(field: FieldSpec | None = FIELD, scratch: Scratch | None = None) -> Inputs:
    return Inputs("Test", {}, instrument=CAMERA, chip="", filter="V", field=field, scratch=scratch)


def regridded(number: int, **facts: Any) -> Progenitor:
    """A frame whose every pixel is its number + 1 adu a second, 10 s long, of variance 1."""
    values = {
        "grid_x": 30 + 5 * number,
        "grid_y": 40,
        "grid_nx": SHAPE[1],
        "grid_ny": SHAPE[0],
        "band": "V",
        "exptime": 10.0,
        "zero_point": 25.0,
        "zero_point_err": 0.02,
        "flux_scale": 0.1,
        "aperture": 4.0,
        "effective_gain": 2.0,
        "seeing": 2.0,
        "pos_err": 0.05,
        "psf_difference": 0.01,
        "noise_factor": 0.8,
        "weight": 1.0,
        "good_fraction": 1.0,
        "photon_fraction": 1.0,
    } | facts
    values.setdefault("unit_weight", values["weight"])
    planes = {
        "IMAGE": np.full(SHAPE, 10.0 * (number + 1), np.float32),
        "WEIGHT": np.full(SHAPE, values["weight"], np.float32),
        "MASK": np.full(SHAPE, 0 if values["weight"] else 8, np.uint8),
    }
    raw = {"name": f"frame{number}", "mjd_obs": 60000.0 + number}
    return Progenitor(
        *(number, "RegriddedFrame", "Johnson V", values, planes),
        tables={"STARS": np.zeros(0, STAR_DTYPE), "ILLUMINATION": np.zeros(0, LIGHT_DTYPE)},
        raw=raw,
        instrument="ab"[number % 2],
        chip=f"ccd{number % 2}",
        night="2026-01-10",
    )


def combined(frames: Sequence[Progenitor], **options: Any) -> CoaddedFrames:
    settings = {"combine": CombineType.WEIGHTED, "clip": (4.0, 1.5), "zero_point": 25.0}
    return combine_frames(inputs(), frames, **(settings | options))


def test_frames_meet_on_the_scale_of_the_zero_point() -> None:
    # a magnitude more is a factor of 2.512 less per adu
    frames = [regridded(0), regridded(1, zero_point=26.0)]
    made = combined(frames)
    used = made.used
    assert used["flux_scale"] == pytest.approx([0.1, 0.1 * 10**-0.4])
    assert made.zero_point == 25.0
    middle = made.images["IMAGE"][30, 40]
    weights = 1 / used["flux_scale"] ** 2
    values = np.array([10.0, 20.0]) * used["flux_scale"]
    assert middle == pytest.approx((weights * values).sum() / weights.sum(), rel=1e-6)
    assert made.images["IMAGE"].shape == (60, 85)
    assert made.wcs.to_sky(0, 0) == pytest.approx(
        combined([regridded(0)]).wcs.to_sky(0, 0), abs=1e-9
    )


def test_frames_without_a_zero_point_are_left_out_where_others_have_one() -> None:
    without = regridded(1, zero_point=None, zero_point_err=None, flux_scale=None, aperture=None)
    made = combined([without, regridded(0)])
    assert made.tables["FRAMES"]["flux_scale"].tolist() == [0.0, 0.1]
    assert set(made.tables["MEMBERS"]["frame"]) == {1}
    alone = combined([without])
    assert alone.zero_point is None
    assert alone.zero_point_error() is None
    assert alone.images["IMAGE"][5, 5] == pytest.approx(2.0)
    assert np.isnan(alone.limiting_magnitude())


def test_a_zero_point_that_all_frames_share_is_no_better_for_many_of_them() -> None:
    assert combined([regridded(n) for n in range(20)]).zero_point_error() == pytest.approx(0.02)
    deep = regridded(1, zero_point_err=0.05, weight=3.0)
    mixed = combined([regridded(0), deep, regridded(2, zero_point_err=None)])
    assert mixed.zero_point_error() == pytest.approx((0.02 + 3 * 0.05) / 4)
    unknown = combined([regridded(0, zero_point_err=None)]).zero_point_error()
    assert unknown is not None
    assert np.isnan(unknown)


def test_sets_say_time_and_gain_of_their_pixels() -> None:
    made = combined([regridded(0), regridded(1), regridded(2)])
    sets = made.tables["SETS"]
    assert sets["pixels"].sum() == made.images["IMAGE"].size
    deepest = sets[sets["frames"] == 3]
    assert deepest["exptime"].tolist() == [30.0]
    # three frames of 2 e-/adu and 0.1 units/adu: 60 electrons a unit
    assert deepest["gain"] == pytest.approx(60.0)
    # of variance 1 adu^2 each
    assert deepest["weight"] == pytest.approx(300.0)
    assert made.median_of_sets("exptime") == 30.0


def test_each_detector_has_its_seeing() -> None:
    frames = [regridded(n, seeing=2.0 + n, psf_difference=None) for n in range(4)]
    frames.append(regridded(5, seeing=None))
    made = combined(frames).tables["DETECTORS"]
    assert made["chip"].tolist() == ["ccd0", "ccd1"]
    assert made["frames"].tolist() == [2, 3]
    assert made["seeing"].tolist() == [3.0, 4.0]
    assert made["seeing_best"].tolist() == [2.0, 3.0]
    assert made["seeing_worst"].tolist() == [4.0, 5.0]


def test_pieces_from_files_are_the_same_as_frames_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [regridded(number) for number in range(4)]
    whole = combined(frames, combine=CombineType.CLIPPED)
    monkeypatch.setattr(coadding, "_IN_MEMORY", 0)
    monkeypatch.setattr(coadding, "_ROOM", 0)
    monkeypatch.setattr(coadding, "_NARROWEST", 11)
    pieces = combined(frames, combine=CombineType.CLIPPED)
    for name, plane in whole.images.items():
        assert np.array_equal(plane, pieces.images[name], equal_nan=True)


def test_strips_are_read_once_and_no_more_of_them_are_kept_than_there_is_room_for() -> None:
    asked = []

    class Counted(dict[str, np.ndarray]):
        def __getitem__(self, name: str) -> np.ndarray:
            asked.append(name)
            return super().__getitem__(name)

    rng = np.random.default_rng(1)
    planes = Counted({name: rng.random((700, 90)) for name in ("IMAGE", "WEIGHT", "MASK")})
    frame = replace(regridded(0, grid_nx=90, grid_ny=700), images=planes)
    for limit, reads in ((10**9, 9), (1, 15)):  # the last one is there in any case
        strips = Strips(limit=limit)
        asked.clear()
        for part in (Section(0, 300, 5, 50), Section(250, 260, 0, 90), Section(500, 700, 40, 41)):
            found = strips.read(frame, part)
            for plane, name in zip(found, planes, strict=True):
                assert np.array_equal(plane, dict.__getitem__(planes, name)[part.slices])
        assert len(asked) == reads


def test_stripes_of_frames_in_files_are_the_same_as_the_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    planes: dict[str, Any] = {"IMAGE": rng.integers(0, 9, (300, 90)).astype(np.int32)}
    planes |= {"WEIGHT": planes["IMAGE"] + 1, "MASK": (planes["IMAGE"] > 5).astype(np.uint8)}
    write_images(tmp_path / "frame.fits", planes, {})
    frame = replace(
        regridded(0, grid_x=30, grid_nx=90, grid_ny=300),
        images=StoredImages(tmp_path / "frame.fits"),
    )
    with Strips((20, 50, 80, 110), margin=3) as strips:
        for left, right in ((0, 23), (17, 53), (47, 83), (77, 90)):  # on the frame, grown by 3
            for y0, y1 in ((0, 100), (200, 300)):
                found = strips.read(frame, Section(y0, y1, left, right))
                for plane, name in zip(found, planes, strict=True):
                    assert np.array_equal(plane, planes[name][y0:y1, left:right])


def test_stripes_are_as_wide_as_the_strips_that_are_kept_allow() -> None:
    boxes = [Section(0, 1000, x, x + 2000) for x in (0, 2000)] * 3
    assert stripe_width(boxes, limit=10**9) == 4000
    one = 3 * 512 * 9
    assert stripe_width(boxes, limit=1000 * one) == 1000
    assert stripe_width(boxes, limit=999 * one) == 800
    assert stripe_width(boxes, limit=1) == 256
    # frames one above the other are not needed at the same time
    apart = [Section(y, y + 1000, 0, 2000) for y in (0, 2000, 4000)]
    assert stripe_width(apart, limit=2000 * 512 * 9) == 2000


def test_planes_in_files_are_the_same_as_planes_in_memory(tmp_path: Path) -> None:
    frames = [regridded(number) for number in range(4)]
    settings: Any = {"combine": CombineType.CLIPPED, "clip": (4.0, 1.5), "zero_point": 25.0}
    in_memory, in_files = (
        combine_frames(inputs(scratch=scratch), frames, **settings)
        for scratch in (None, Scratch(tmp_path, limit=1))
    )
    for name, plane in in_memory.images.items():
        assert np.array_equal(plane, in_files.images[name], equal_nan=True)
        assert plane.dtype == in_files.images[name].dtype
        assert in_files.images[name].base is not None
    assert (in_memory.tables["SETS"] == in_files.tables["SETS"]).all()
    assert in_memory.limiting_magnitude() == in_files.limiting_magnitude()
    assert in_memory.coverage(FIELD) == in_files.coverage(FIELD)


def exposed(number: int, x0: int, *, gain: float, exptime: float) -> Progenitor:
    """A frame of stars of 4000 units a second, 40 pixels apart, with its photons' noise."""
    rng = np.random.default_rng(number)
    light = np.zeros((840, 820))
    y, x = (a.ravel() for a in np.meshgrid(*(np.arange(30.0, 800.0, 40.0),) * 2, indexing="ij"))
    draw(light, x, y, np.full(x.size, 4000.0 * exptime), fwhm=4.0)
    image = rng.poisson(light * gain) / gain + rng.normal(0.0, 3.0, light.shape)
    planes = {
        "IMAGE": image.astype(np.float32),
        "WEIGHT": np.full(light.shape, 1.0 / 9.0, np.float32),
        "MASK": np.zeros(light.shape, np.uint8),
    }
    place = {"grid_x": x0, "grid_y": 0, "grid_nx": 820, "grid_ny": 840}
    facts = {"effective_gain": gain, "exptime": exptime, "flux_scale": 1 / exptime}
    return replace(regridded(number, **place, **facts, weight=1.0 / 9.0), images=planes)


def deep_of(made: CoaddedFrames) -> Deep:
    """A coadd as its sources are measured on it."""
    planes = (made.images[name] for name in ("IMAGE", "WEIGHT", "MASK"))
    return Deep(*planes, made.median_of_sets("gain"), made.images["GAIN"])


def test_errors_are_right_on_frames_of_either_of_two_gains_and_exposure_times() -> None:
    # twenty columns are on all four; no star that is looked at reaches into them
    short = [exposed(n, 0, gain=0.5, exptime=10.0) for n in (0, 1)]
    long = [exposed(n, 800, gain=8.0, exptime=40.0) for n in (2, 3)]
    made = combined([*short, *long])
    assert len(made.tables["SETS"]) == 3
    deep = deep_of(made)
    found = detect_sources(deep, aperture_radius=8.0)
    rows = measure_sources(found, deep, aperture_radius=8.0).sources
    rows = rows[(rows["flux_aper"] > 3500.0) & ((rows["x"] < 780) | (rows["x"] > 840))]
    for side in (rows["x"] < 800, rows["x"] > 800):
        assert side.sum() > 350
        for name in ("flux_aper", "flux_psf"):
            pull = ((rows[name] - 4000.0) / rows[name + "_err"])[side]
            # some 380 stars: the deviation of their pulls is known to 3.6 %
            assert 0.9 < pull.std() < 1.1, name


def short(number: int, flat: np.ndarray, light_of: np.ndarray | float = 1.0) -> Progenitor:
    """A frame of stars of 4000 units a second whose sky is dark: reading it is the noise.

    What the flat leaves of the stars' light, an illumination multiplies their values by.
    """
    rng, gain, read_noise, sky, exptime = np.random.default_rng(number), 1.5, 6.0, 0.5, 10.0
    light = np.zeros(flat.shape)
    y, x = (np.arange(20.0, size - 15.0, 40.0) for size in flat.shape)
    y, x = (a.ravel() for a in np.meshgrid(y, x, indexing="ij"))
    draw(light, x, y, np.full(x.size, 4000.0 * exptime), fwhm=4.0)
    seen = (light / light_of + sky) * flat
    adu = rng.poisson(seen * gain) / gain + rng.normal(0.0, read_noise, flat.shape)
    inverse = 1.0 / (sky / (gain * flat) + (read_noise / flat) ** 2) / light_of**2
    planes = {
        "IMAGE": ((adu / flat - sky) * light_of).astype(np.float32),
        "WEIGHT": inverse.astype(np.float32),
        "MASK": np.zeros(flat.shape, np.uint8),
    }
    place = {"grid_x": 0, "grid_y": 0, "grid_nx": flat.shape[1], "grid_ny": flat.shape[0]}
    facts = {"effective_gain": gain, "exptime": exptime, "flux_scale": 1 / exptime}
    unit = sky / gain + read_noise**2
    facts |= {"unit_weight": 1.0 / unit, "photon_fraction": sky / gain / unit}
    weight = float(np.median(inverse))
    made = replace(regridded(number, **place, **facts, weight=weight), images=planes)
    if isinstance(light_of, float):
        return made
    y, x = np.indices(flat.shape)[:, ::64, ::64]
    y, x = (np.pad(a, ((0, 1), (0, 1)), "reflect", reflect_type="odd") for a in (y, x))
    table = np.zeros(x.size, LIGHT_DTYPE)
    table["x"], table["y"] = x.ravel(), y.ravel()
    inside = np.minimum(y, flat.shape[0] - 1), np.minimum(x, flat.shape[1] - 1)
    table["factor"] = light_of[inside].ravel()
    return replace(made, tables=made.tables | {"ILLUMINATION": table})


def test_photons_of_bright_stars_count_right_where_flats_differ_and_reading_is_the_noise() -> None:
    # on half of the frames the flat is low to the right, on the others to the left
    shape = (600, 1200)
    falling = np.where(np.arange(shape[1]) < 600, 1.7, 0.3) * np.ones((shape[0], 1))
    pulls: dict[str, list[np.ndarray]] = {"left": [], "right": []}
    for seed in (0, 20, 40, 60):
        flats = (falling, falling[:, ::-1]) * 2
        made = combined([short(seed + n, flat) for n, flat in enumerate(flats)])
        deep = deep_of(made)
        found = detect_sources(deep, aperture_radius=8.0)
        rows = measure_sources(found, deep, aperture_radius=8.0).sources
        rows = rows[rows["flux_aper"] > 3500.0]
        pull = (rows["flux_aper"] - 4000.0) / rows["flux_aper_err"]
        for place, part in zip(pulls, np.arange(2) * 600.0, strict=True):
            pulls[place].append(pull[(rows["x"] >= part) & (rows["x"] < part + 600)])
    for place, parts in pulls.items():
        pull = np.concatenate(parts)
        assert len(pull) > 800
        # errors right within 5 %: the deviation of 900 pulls is known to 2.4 %. With electrons in
        # proportion to weights it was 1.20
        assert pull.std() == pytest.approx(1.0, abs=0.05 + 0.024), place


def test_photons_of_bright_stars_count_right_where_an_illumination_lit_them() -> None:
    # the flat is too high at the left by 40 %, too low at the right by as much
    shape = (600, 1200)
    bowl = np.linspace(1.4, 0.6, shape[1]) * np.ones((shape[0], 1))
    pulls: dict[str, list[np.ndarray]] = {"left": [], "right": []}
    for seed in (100, 120):
        made = combined([short(seed + n, np.ones(shape), bowl) for n in range(3)])
        deep = deep_of(made)
        # 15 electrons of a unit of 1/s on each frame of 10 s, and less where values were raised
        expected = 3 * 15.0 / bowl
        assert deep.gains == pytest.approx(expected, rel=0.01)
        found = detect_sources(deep, aperture_radius=8.0)
        rows = measure_sources(found, deep, aperture_radius=8.0).sources
        rows = rows[rows["flux_aper"] > 3000.0]
        pull = (rows["flux_aper"] - 4000.0) / rows["flux_aper_err"]
        pulls["left"].append(pull[rows["x"] < 400])
        pulls["right"].append(pull[rows["x"] >= 800])
    for place, parts in pulls.items():
        pull = np.concatenate(parts)
        assert len(pull) > 250
        # the deviation of 280 pulls is known to 4.2 %
        assert pull.std() == pytest.approx(1.0, abs=0.05 + 0.042), place


def test_coverage_is_that_of_the_fields_circle() -> None:
    made = combined([regridded(0)])
    circle = np.pi * (0.01 * 3600 / 0.5) ** 2
    # the frame lies within the circle's square, and within the circle but for its corners
    assert made.coverage(FIELD) == pytest.approx(60 * 80 / circle, rel=0.05)


def test_bands_are_clipped_each_for_itself_and_added() -> None:
    red = [regridded(n, band="R") for n in (9, 9, 9)]
    blue = [regridded(n, band="B") for n in (0, 0, 0)]
    made = combine_bands(
        *(inputs(), [*red, *blue]),
        combine=CombineType.CLIPPED,
        clip=(4.0, 1.5),
        zero_point=25.0,
    )
    assert (made.bands, made.n_frames) == (("B", "R"), 6)
    both = made.image[30, 60]
    assert both == pytest.approx((1.0 + 10.0) / 2)
    assert made.gain == pytest.approx(120.0)


def test_a_band_without_weight_has_no_part_and_the_others_are_detected_on() -> None:
    settings = {"combine": CombineType.CLIPPED, "clip": (4.0, 1.5), "zero_point": 25.0}
    dark = [regridded(n, band="B", weight=0.0) for n in (0, 0)]
    made = combine_bands(inputs(), [*dark, regridded(9, band="R")], **settings)
    assert (made.bands, made.n_frames) == (("R",), 1)
    assert np.nanmax(made.image[made.weight > 0]) == pytest.approx(10.0)
    with pytest.raises(UnprocessableError, match="no pixel of field here"):
        combine_bands(inputs(), dark, **settings)


def test_a_band_to_detect_on_that_no_frame_has_is_refused_by_name() -> None:
    frames = [regridded(0), regridded(1, band="R")]
    given = Inputs("DetectionFrame", {"regridded": frames}, instrument=CAMERA, chip="", filter="V")
    with pytest.raises(UnprocessableError, match=r"BAND is 'B'.* it has R, V"):
        DetectionFrame().compute(given, DetectionFrame.Parameters(BAND="B"))


def test_frames_without_weight_and_classes_without_field_are_refused() -> None:
    with pytest.raises(UnprocessableError, match="no pixel of field here"):
        combined([regridded(0, weight=0.0)])
    with pytest.raises(UnprocessableError, match="no pixel of field here"):
        combined([regridded(0, exptime=0.0, zero_point=None, flux_scale=None)])
    with pytest.raises(FatalError, match="no field"):
        combine_frames(
            *(inputs(None), [regridded(0)]),
            combine=CombineType.WEIGHTED,
            clip=(4.0, 1.5),
            zero_point=25.0,
        )


def test_a_frame_without_exposure_time_is_refused_by_name() -> None:
    raw = Progenitor(1, "RawScienceFrame", "V", {"name": "bias.fits", "exptime": 0.0}, {})
    given = Inputs(
        "RegriddedFrame", {"raw": raw}, instrument=inputs().instrument, chip="a", filter="V"
    )
    with pytest.raises(UnprocessableError, match=r"bias\.fits: found an exposure time of 0 s"):
        RegriddedFrame().compute(given, RegriddedFrame.Parameters())


def test_stars_that_a_function_is_fitted_to_are_of_all_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[np.ndarray] = []

    def fitted(pixels: Any, bad: Any, x: np.ndarray, y: np.ndarray, **_: Any) -> Any:
        chosen.append(x)
        return SimpleNamespace(fwhm=lambda x, y: np.full(len(x), 3.0), n_stars=len(x))

    monkeypatch.setattr(coadd_widths, "fit_psf", fitted)
    image = np.ones((40, 2000), np.float32)
    for number, most in ((300, 120), (50, 50)):
        # a frame's stars one after the other, those of the next farther on the right
        x = np.linspace(5.0, 1995.0, number)
        coadd_widths._fitted(image, image, x, np.full(number, 20.0), expected=3.0)
        assert len(np.unique(chosen[-1])) == len(chosen[-1]) == most
        assert np.ptp(chosen[-1]) == pytest.approx(1990.0)
