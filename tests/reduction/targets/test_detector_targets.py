"""The detector's recipes: what they refuse, and when they flag what they made."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reduction.attributes import Attribute
from reduction.instruments.simulated import INSTRUMENT
from reduction.make import flat_attributes
from reduction.simulate import SimulationConfig, simulate
from reduction.steps.flat import CombineType
from reduction.target import Made, Progenitor
from reduction.targets.bias import BiasFrame
from reduction.targets.cold_pixels import ColdPixelMap
from reduction.targets.cosmic_rays import CosmicMap
from reduction.targets.dark import DarkCurrent
from reduction.targets.dome_flat import DomeFlatFrame
from reduction.targets.fringe import FringeFrame
from reduction.targets.gain import GainLinearity
from reduction.targets.hot_pixels import HotPixelMap
from reduction.targets.master_flat import MasterFlatFrame
from reduction.targets.night_sky_flat import NightSkyFlatFrame
from reduction.targets.read_noise import ReadNoise
from reduction.targets.reduced import ReducedScienceFrame
from reduction.targets.satellites import SatelliteMap
from reduction.targets.saturated_pixels import SaturatedPixelMap
from reduction.targets.twilight_flat import TwilightFlatFrame
from reduction.targets.weight import WeightFrame
from schemas.errors import ProgenitorMissingError, UnprocessableError
from tests.support.recipes import compute, raw_chips, resolved

if TYPE_CHECKING:
    from reduction.target import ProcessTarget

CHIP = "ccd50"
CLASSES = (
    ReadNoise, BiasFrame, DarkCurrent, HotPixelMap, GainLinearity, DomeFlatFrame,
    TwilightFlatFrame, NightSkyFlatFrame, ColdPixelMap, MasterFlatFrame, FringeFrame,
    ReducedScienceFrame, SaturatedPixelMap, CosmicMap, SatelliteMap, WeightFrame,
)  # fmt: skip
NAMES = (
    "read_noise", "bias", "dark", "hot", "gain", "dome", "twilight", "night_sky", "cold", "flat",
    "fringe", "reduced", "saturated", "cosmic", "satellite", "weight",
)  # fmt: skip


def make(cls: type[ProcessTarget], **slots: Any) -> tuple[Progenitor, Made, int]:
    return compute(cls, INSTRUMENT, CHIP, "V", **slots)


@pytest.fixture(scope="module")
def raws(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Progenitor]]:
    """Raw frames of one small chip by kind."""
    folder = tmp_path_factory.mktemp("night")
    config = SimulationConfig(
        chips=1,
        shape=(128, 128),
        nights=("2025-03-01",),
        n_science=4,
        science_exptime=600.0,
        dither=30.0,
    )
    simulate(folder, config=config)
    frames: dict[str, list[Progenitor]] = {}
    for frame in raw_chips(INSTRUMENT, sorted((folder / "raw").iterdir()), CHIP):
        frames.setdefault(frame.description.kind.name, []).append(frame.progenitor)
    # The simulated camera has no dark current: its biases are darks of a minute.
    minute = {"exptime": 60.0}
    frames["DARK"] = [
        replace(raw, class_name="RawDarkFrame", attributes={**raw.attributes, **minute})
        for raw in frames["BIAS"]
    ]
    return frames


@pytest.fixture(scope="module")
def made(raws: dict[str, list[Progenitor]]) -> dict[str, tuple[Progenitor, Made]]:
    """One product of every class, by class name."""
    slots: dict[str, Any] = {
        "raw_bias_frames": raws["BIAS"],
        "raw_dome_flats": raws["DOME_FLAT"],
        "raw_twilight_flats": raws["TWILIGHT_FLAT"],
        "raw": raws["SCIENCE"][0],
        "raw_science_frames": raws["SCIENCE"],
        "raw_dark_frames": raws["DARK"],
    }
    products = {}
    for cls, name in zip(CLASSES, NAMES, strict=True):
        given = {key: value for key, value in slots.items() if key in cls.SLOTS}
        product, result, flags = make(cls, **given)
        assert flags == 0
        slots[name] = product
        products[cls.__name__] = (product, result)
    return products


@pytest.mark.parametrize("cls", CLASSES)
def test_exactly_what_is_declared_is_computed(made, cls):
    product, result = made[cls.__name__]
    assert flat_attributes(cls(), result).keys() == {a.name for a in cls.ATTRIBUTES}
    shapes = {image.shape for image in product.images.values()}
    assert shapes <= {(128, 128)}
    assert all(image.dtype in (np.float32, np.uint8) for image in product.images.values())


@pytest.mark.parametrize("cls", CLASSES)
def test_every_attribute_says_what_it_is(cls):
    for attribute in cls.ATTRIBUTES:
        assert isinstance(attribute, Attribute)
        assert attribute.description
        assert attribute.ucd


def verify(cls: type[ProcessTarget], previous: dict[str, Any] | None, **attributes: Any) -> Any:
    parameters = resolved(cls, INSTRUMENT, CHIP)
    made = Made(attributes=attributes)
    compared = 0 if previous is None else cls().compare(made, previous, parameters)
    return cls.Flags(cls().verify(made, parameters) | compared)


def test_a_read_noise_is_flagged_for_its_size_its_change_and_drifting_biases():
    good = {"read_noise": 5.0, "mean_diff": 0.1}
    assert verify(ReadNoise, None, **good) == 0
    assert verify(ReadNoise, {"read_noise": 5.5}, **good) == 0
    assert verify(ReadNoise, {"read_noise": None}, **good) == 0
    assert (
        verify(ReadNoise, {"read_noise": 2.0}, **good)
        == ReadNoise.Flags.READ_NOISE_DIFFERS_FROM_PREVIOUS
    )
    bad = verify(ReadNoise, None, read_noise=30.0, mean_diff=-50.0)
    assert bad == ReadNoise.Flags.READ_NOISE_TOO_LARGE | ReadNoise.Flags.BIASES_DIFFER


def test_a_bias_is_flagged_for_level_scatter_change_and_slope():
    good = {"level": 1.0, "scatter": 2.0, "flatness": 3.0, "subwin_stdev": 9.0}
    assert verify(BiasFrame, None, **good) == 0
    assert verify(BiasFrame, {"scatter": 2.5}, **good) == 0
    bad = verify(
        BiasFrame, {"scatter": 2.0}, level=-20.0, scatter=30.0, flatness=1e6, subwin_stdev=1e6
    )
    assert bad == sum(BiasFrame.Flags)


def test_without_overscan_correction_a_bias_may_have_any_level():
    parameters = resolved(BiasFrame, INSTRUMENT, CHIP, OVERSCAN_CORRECTION=0)
    made = Made(attributes={"level": 660.0, "scatter": 2.0, "flatness": 3.0, "subwin_stdev": 9.0})
    assert BiasFrame().verify(made, parameters) == 0


@pytest.mark.parametrize("cls", [HotPixelMap, ColdPixelMap])
def test_a_map_is_flagged_for_its_count_and_its_change(cls):
    assert verify(cls, {"count": 100}, count=200) == 0
    assert verify(cls, {"count": 100}, count=200_000) == sum(cls.Flags)


def test_a_gain_is_flagged_outside_its_limits_and_for_its_change():
    assert verify(GainLinearity, {"gain": 2.0}, gain=2.1) == 0
    assert verify(GainLinearity, None, gain=0.01) == GainLinearity.Flags.GAIN_TOO_SMALL
    assert (
        verify(GainLinearity, {"gain": 2.0}, gain=40.0)
        == GainLinearity.Flags.GAIN_TOO_LARGE | GainLinearity.Flags.GAIN_DIFFERS_FROM_PREVIOUS
    )


@pytest.mark.parametrize("cls", [DomeFlatFrame, TwilightFlatFrame])
def test_a_flat_is_flagged_for_its_slope_and_what_was_rejected(made, cls):
    attributes = dict(made[cls.__name__][1].attributes)
    assert verify(cls, {"flatness": attributes["flatness"]}, **attributes) == 0
    attributes |= {"flatness": 1.5, "outliers": 10**6}
    assert verify(cls, {"flatness": 0.1}, **attributes) == sum(cls.Flags)


def test_a_master_flat_is_flagged_for_its_change():
    assert verify(MasterFlatFrame, {"flatness": 0.1}, flatness=0.2) == 0
    assert verify(MasterFlatFrame, {"flatness": 0.1}, flatness=0.5) == 1


def test_a_reduced_frame_is_flagged_if_hardly_a_pixel_is_good():
    assert verify(ReducedScienceFrame, None, good_fraction=0.9) == 0
    assert verify(ReducedScienceFrame, None, good_fraction=0.3) == 1


def test_frames_take_the_overscan_method_of_their_bias(raws, made):
    products = {name: product for name, (product, _) in made.items()}
    bias = products["BiasFrame"]
    attributes = {**bias.attributes, "overscan_correction": 0}
    raised = {"BIAS": bias.images["BIAS"] + np.float32(300.0)}
    other = Progenitor(1, "BiasFrame", "", attributes, raised)
    slots = {
        "raw": raws["SCIENCE"][0], "flat": products["MasterFlatFrame"],
        "hot": products["HotPixelMap"], "cold": products["ColdPixelMap"],
        "read_noise": products["ReadNoise"], "gain": products["GainLinearity"],
    }  # fmt: skip
    with_overscan, _, _ = make(ReducedScienceFrame, bias=bias, **slots)
    without, _, _ = make(ReducedScienceFrame, bias=other, **slots)
    difference = without.images["IMAGE"] - with_overscan.images["IMAGE"]
    assert abs(np.nanmedian(difference)) < 5.0  # the amplifier's drift about its level of 300


def test_the_master_flat_makes_the_best_of_what_there_is(made):
    slots = {"hot": made["HotPixelMap"][0], "cold": made["ColdPixelMap"][0]}
    dome, twilight = made["DomeFlatFrame"][0], made["TwilightFlatFrame"][0]
    for flats, kind in (
        ({"dome": dome, "twilight": twilight}, CombineType.DOME_AND_TWILIGHT),
        ({"dome": dome}, CombineType.DOME),
        ({"twilight": twilight}, CombineType.TWILIGHT),
    ):
        assert make(MasterFlatFrame, **flats, **slots)[0]["combine_type"] == kind
    with pytest.raises(
        ProgenitorMissingError, match="needs a DomeFlatFrame, TwilightFlatFrame or NightSky"
    ):
        make(MasterFlatFrame, **slots)


def test_cold_pixels_come_from_the_twilight_flat_where_there_is_no_dome_flat(made):
    cold, _, _ = make(ColdPixelMap, twilight=made["TwilightFlatFrame"][0])
    assert cold["count"] > 0
    with pytest.raises(
        ProgenitorMissingError, match="needs a DomeFlatFrame, TwilightFlatFrame or NightSky"
    ):
        make(ColdPixelMap)


def test_a_gain_without_pairs_says_what_it_found(raws, made):
    slots = {
        "bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0],
        "hot": made["HotPixelMap"][0],
    }  # fmt: skip
    with pytest.raises(ProgenitorMissingError, match="found 1 dome and 0 twilight flats"):
        make(GainLinearity, raw_dome_flats=raws["DOME_FLAT"][:1], raw_twilight_flats=[], **slots)
    twilight, _, _ = make(
        GainLinearity, raw_dome_flats=[], raw_twilight_flats=raws["TWILIGHT_FLAT"], **slots
    )
    assert twilight["pairs"] == len(raws["TWILIGHT_FLAT"]) - 1
    assert twilight["nonlinearity"] is not None
    assert np.isnan(twilight["nonlinearity"])


def test_saturated_columns_of_flats_do_not_change_the_gain(raws, made):
    slots = {
        "bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0],
        "hot": made["HotPixelMap"][0], "raw_twilight_flats": [],
    }  # fmt: skip
    full = []
    for flat in raws["DOME_FLAT"]:
        pixels = flat.images["RAW"].copy()
        rows, columns = flat["science"].slices
        pixels[rows, columns.start : columns.start + 13] = 65535
        full.append(replace(flat, images={"RAW": pixels}))
    clean, _, _ = make(GainLinearity, raw_dome_flats=raws["DOME_FLAT"], **slots)
    spoilt, _, _ = make(GainLinearity, raw_dome_flats=full, **slots)
    assert spoilt["gain"] == pytest.approx(clean["gain"], abs=2.0 * clean["gain_error"])


def test_flats_of_unusable_level_are_left_out_and_named_if_none_is_left(raws, made):
    slots = {
        "bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0],
        "hot": made["HotPixelMap"][0], "gain": None,
    }  # fmt: skip
    flats = raws["DOME_FLAT"]
    dark = raws["BIAS"][:1]
    product, _, _ = make(DomeFlatFrame, raw_dome_flats=[*flats, *dark], **slots)
    assert product["frames_used"] == len(flats)
    with pytest.raises(UnprocessableError, match="adu above the bias: expected 1000 to 60000"):
        make(DomeFlatFrame, raw_dome_flats=dark, **slots)


def verdicts(cls: type[ProcessTarget], previous: dict[str, Any], **attributes: Any) -> Any:
    """Flags of both looks at an object."""
    parameters, made = resolved(cls, INSTRUMENT, CHIP), Made(attributes=attributes)
    return cls.Flags(cls().verify(made, parameters) | cls().compare(made, previous, parameters))


@pytest.mark.parametrize(
    ("cls", "good", "bad"),
    [
        (
            DarkCurrent,
            {"bulk": -0.01, "bulk_err": 0.005, "stray_light": 5.0},
            {"bulk": -9.0, "bulk_err": 0.005, "stray_light": 900.0},
        ),
        (
            NightSkyFlatFrame,
            {"flatness": 0.2, "filled_fraction": 0.1},
            {"flatness": 1.4, "filled_fraction": 0.5},
        ),
        (FringeFrame, {"amplitude": 0.01}, {"amplitude": 0.5}),
        (SaturatedPixelMap, {"count": 100}, {"count": 2_000_000}),
        (CosmicMap, {"events": 100}, {"events": 90_000}),
        (SatelliteMap, {"trails": 1}, {"trails": 9}),
        (WeightFrame, {"good_fraction": 0.95}, {"good_fraction": 0.3}),
    ],
)
def test_what_is_beyond_its_limits_or_has_changed_is_flagged(cls, good, bad):
    assert verdicts(cls, good, **good) == 0
    assert verdicts(cls, good, **bad) == sum(cls.Flags)
    assert all(flag.sentence for flag in cls.Flags)


def test_the_maps_of_a_frame_are_the_planes_of_its_mask(made):
    mask, weight = (made["ReducedScienceFrame"][0].images[name] for name in ("MASK", "WEIGHT"))
    for cls, bit in ((SaturatedPixelMap, 2), (SatelliteMap, 16), (CosmicMap, 32)):
        product = made[cls.__name__][0]
        assert np.array_equal(product.images["MAP"] == 0, (mask & bit) > 0)
        assert product["count"] == np.count_nonzero(mask & bit)
    assert made["CosmicMap"][0]["events"] > 0
    assert np.array_equal(made["WeightFrame"][0].images["WEIGHT"], weight)


def test_a_frame_says_what_was_done_to_it(made, raws):
    reduced = made["ReducedScienceFrame"][0]
    assert reduced["corrections"] == "overscan 6, bias, dark, flat, fringe"
    assert reduced["scale_factor"] is not None
    bare, _, _ = make(ReducedScienceFrame, raw=raws["SCIENCE"][0])
    assert bare["corrections"] == "none"
    assert bare["noise"] == INSTRUMENT.chips[CHIP].read_noise
    assert bare["effective_gain"] == INSTRUMENT.chips[CHIP].gain
    science = raws["SCIENCE"][0]["science"]
    raw = raws["SCIENCE"][0].images["RAW"][science.slices]
    assert np.array_equal(bare.images["IMAGE"], raw.astype(np.float32))


def test_a_frame_without_sky_is_reduced_without_fringes(made, raws):
    fringe = made["FringeFrame"][0]
    raw = raws["SCIENCE"][0]
    black = replace(raw, images={"RAW": np.zeros_like(raw.images["RAW"])})
    reduced, _, _ = make(ReducedScienceFrame, raw=black, fringe=fringe)
    assert reduced["scale_factor"] == 0.0
    assert reduced["corrections"] == "none"


def test_the_dark_current_is_taken_out_in_proportion_to_the_exposure_time(made, raws):
    slots = {name: made[cls.__name__][0] for cls, name in zip(CLASSES, NAMES, strict=True)}
    given = {name: slots[name] for name in ("bias", "flat", "hot", "cold", "read_noise", "gain")}
    rate = np.full((128, 128), 0.5, dtype=np.float32)
    rate[5, 5] = np.nan
    dark = replace(slots["dark"], images={"DARK": rate})
    raw = raws["SCIENCE"][0]
    without, _, _ = make(ReducedScienceFrame, raw=raw, **given)
    with_it, _, _ = make(ReducedScienceFrame, raw=raw, dark=dark, **given)
    difference = (without.images["IMAGE"] - with_it.images["IMAGE"]) * slots["flat"].images["FLAT"]
    assert np.nanmedian(difference) == pytest.approx(0.5 * raw["exptime"], rel=1e-3)
    assert difference[5, 5] == pytest.approx(0.0, abs=1e-2)  # nothing is known there


def test_pixels_with_a_large_dark_current_are_hot(made):
    dark = made["DarkCurrent"][0]
    rate = np.zeros((128, 128), dtype=np.float32)
    rate[60, 60], rate[61, 61] = 30.0, np.nan
    warm = replace(dark, images={"DARK": rate}, attributes={**dark.attributes, "bulk": 0.0})
    hot, _, _ = make(HotPixelMap, bias=made["BiasFrame"][0], dark=warm)
    assert hot["dark_count"] == 2
    assert hot.images["MAP"][60, 60] == hot.images["MAP"][61, 61] == 0


def test_the_night_sky_serves_where_there_is_no_other_flat(made):
    slots = {"hot": made["HotPixelMap"][0], "cold": made["ColdPixelMap"][0]}
    sky = made["NightSkyFlatFrame"][0]
    assert make(MasterFlatFrame, night_sky=sky, **slots)[0]["combine_type"] == 5
    dome = made["DomeFlatFrame"][0]
    assert make(MasterFlatFrame, dome=dome, sky=sky, **slots)[0]["combine_type"] == 4
    assert make(ColdPixelMap, night_sky=sky)[0]["count"] > 0


def test_too_few_frames_of_a_bright_sky_make_no_flat(raws, made):
    slots = {
        "bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0],
        "hot": made["HotPixelMap"][0],
    }  # fmt: skip
    frames = [*raws["SCIENCE"][:2], raws["BIAS"][0]]
    with pytest.raises(ProgenitorMissingError, match="3 science frames with a sky of 200"):
        make(NightSkyFlatFrame, raw_science_frames=frames, **slots)


def test_no_more_frames_than_memory_allows_make_a_flat(raws, made):
    slots = {
        "bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0],
        "hot": made["HotPixelMap"][0], "raw_science_frames": 5 * raws["SCIENCE"],
    }  # fmt: skip
    assert make(NightSkyFlatFrame, **slots)[0]["frames_used"] == 12


def test_a_filter_without_fringes_has_no_fringe_frame():
    with pytest.raises(ProgenitorMissingError, match="does not ask for the correction"):
        make(FringeFrame, raw_science_frames=[])


def test_darks_that_are_too_short_are_left_out_and_named_if_none_is_left(raws, made):
    slots = {"bias": made["BiasFrame"][0], "read_noise": made["ReadNoise"][0]}
    with pytest.raises(ProgenitorMissingError, match="a dark of 1 s or more"):
        make(DarkCurrent, raw_dark_frames=raws["BIAS"], **slots)


def test_a_bias_of_another_overscan_method_than_its_read_noise_is_refused(raws, made):
    noise = made["ReadNoise"][0]
    other = replace(noise, attributes={**noise.attributes, "overscan_correction": 2})
    with pytest.raises(UnprocessableError, match=r"set ReadNoise\.OVERSCAN_CORRECTION, too"):
        make(BiasFrame, raw_bias_frames=raws["BIAS"], read_noise=other)
