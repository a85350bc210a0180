"""The detector's recipes: what they refuse, and when they flag what they made."""

from __future__ import annotations

__all__: list[str] = []

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
from reduction.targets.dome_flat import DomeFlatFrame
from reduction.targets.gain import GainLinearity
from reduction.targets.hot_pixels import HotPixelMap
from reduction.targets.master_flat import MasterFlatFrame
from reduction.targets.read_noise import ReadNoise
from reduction.targets.reduced import ReducedScienceFrame
from reduction.targets.twilight_flat import TwilightFlatFrame
from schemas.errors import ProgenitorMissingError, UnprocessableError
from tests.support.recipes import compute, raw_chips, resolved

if TYPE_CHECKING:
    from reduction.target import ProcessTarget

CHIP = "ccd50"
CLASSES = (
    ReadNoise, BiasFrame, HotPixelMap, GainLinearity, DomeFlatFrame, TwilightFlatFrame,
    ColdPixelMap, MasterFlatFrame, ReducedScienceFrame,
)  # fmt: skip


def make(cls: type[ProcessTarget], **slots: Any) -> tuple[Progenitor, Made, int]:
    return compute(cls, INSTRUMENT, CHIP, "V", **slots)


@pytest.fixture(scope="module")
def raws(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Progenitor]]:
    """Raw frames of one small chip by kind."""
    folder = tmp_path_factory.mktemp("night")
    config = SimulationConfig(chips=1, shape=(128, 128), nights=("2025-03-01",), n_science=1)
    simulate(folder, config=config)
    frames: dict[str, list[Progenitor]] = {}
    for frame in raw_chips(INSTRUMENT, sorted((folder / "raw").iterdir()), CHIP):
        frames.setdefault(frame.description.kind.name, []).append(frame.progenitor)
    return frames


@pytest.fixture(scope="module")
def made(raws: dict[str, list[Progenitor]]) -> dict[str, tuple[Progenitor, Made]]:
    """One product of every class, by class name."""
    slots: dict[str, Any] = {
        "raw_bias_frames": raws["BIAS"],
        "raw_dome_flats": raws["DOME_FLAT"],
        "raw_twilight_flats": raws["TWILIGHT_FLAT"],
        "raw": raws["SCIENCE"][0],
    }
    names = ("read_noise", "bias", "hot", "gain", "dome", "twilight", "cold", "flat", "reduced")
    products = {}
    for cls, name in zip(CLASSES, names, strict=True):
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
