"""The tree of process parameters, and where each value comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from reduction.archive import Archive
from reduction.operate import check_settings, find_target, set_parameter
from reduction.parameters import check_parameters
from reduction.pars import Pars, check_overrides
from reduction.registry import Registry
from reduction.targets.bias import BiasFrame
from schemas.errors import NotFoundError, ParameterError, SettingsError
from schemas.settings import ReductionSettings, Settings
from tests.support.toy import ToyBias

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", ["5", True, float("nan"), float("inf"), None, [5.0]])
def test_what_is_no_number_is_refused_for_a_float(value: object) -> None:
    with pytest.raises(
        ParameterError, match=r"BiasFrame\.SIGMA_CLIP: found .*, expected a number above 0"
    ):
        check_parameters("BiasFrame", BiasFrame.Parameters, {"SIGMA_CLIP": value})


@pytest.mark.parametrize("value", ["6", 6.5, 6.0, True])
def test_what_is_no_whole_number_is_refused_for_an_int(value: object) -> None:
    with pytest.raises(ParameterError, match="expected one of 0, 1, 2"):
        check_parameters("BiasFrame", BiasFrame.Parameters, {"OVERSCAN_CORRECTION": value})


def test_a_whole_number_becomes_a_float_so_that_both_give_one_key() -> None:
    checked = check_parameters("BiasFrame", BiasFrame.Parameters, {"SIGMA_CLIP": 5})
    assert repr(checked) == "{'SIGMA_CLIP': 5.0}"


def test_types_beyond_numbers_are_known_too() -> None:
    @dataclass(frozen=True)
    class Parameters:
        NAME: str = "a"
        EDGES: tuple[float, ...] = (1.0,)
        LIMIT: float | None = None

    values = {"NAME": "b", "EDGES": [1, 2.5], "LIMIT": None}
    checked = check_parameters("Mine", Parameters, values)
    assert checked == {"NAME": "b", "EDGES": [1.0, 2.5], "LIMIT": None}
    with pytest.raises(ParameterError, match=r"Mine\.EDGES"):
        check_parameters("Mine", Parameters, {"EDGES": ["1"]})


def test_an_unknown_name_is_answered_with_those_that_look_like_it() -> None:
    with pytest.raises(ParameterError, match=r"expected SIGMA_CLIP$"):
        check_parameters("BiasFrame", BiasFrame.Parameters, {"sigmaclip": 5.0})


def test_settings_with_unknown_names_or_wrong_types_stop_the_start() -> None:
    registry = Registry.load()
    for owner, by_class, words in (
        ("nikel", {"BiasFrame": {}}, r"parameters\.nikel: .* expected nickel"),
        ("nickel", {"BiasFrmae": {}}, r"BiasFrmae: .* expected BiasFrame"),
        ("*", {"BiasFrame": {"SIGMA_CLP": 1.0}}, "expected SIGMA_CLIP"),
        ("*", {"BiasFrame": {"SIGMA_CLIP": "1"}}, "expected a number above 0"),
    ):
        settings = Settings(reduction=ReductionSettings(parameters={owner: by_class}))
        with pytest.raises(SettingsError, match=words):
            check_settings(settings, registry)


def test_an_operator_cannot_set_a_parameter_to_another_type(archive: Archive, night: Path) -> None:
    ToyBias.get()
    with pytest.raises(ParameterError, match="found '5', expected a number from -100 to"):
        set_parameter(archive, "ToyBias", "OFFSET", "5", instrument="toy", why="a slip")
    assert find_target(archive, "ToyBias").state == "fresh"


def test_the_tree_holds_all_that_a_class_is_made_from_once(archive: Archive) -> None:
    pars = Pars("ToyCatalogue", instrument="toy")
    made = [name for name in pars if not name.startswith("Raw")]
    assert made == ["ToyBias.process_params.OFFSET", "ToyBias.process_params.MAXIMUM_LEVEL"]
    assert len(set(pars)) == len(list(pars))
    assert pars["ToyBias.process_params.OFFSET"] == pars["ToyBias.OFFSET"] == 0.0
    text = str(pars)
    assert text.count("OFFSET = 0.0") == 1
    assert "ToyImage (image)" in text
    assert "see above" in text
    with pytest.raises(KeyError, match=r"expected ToyBias\.process_params\.OFFSET"):
        pars["ToyBias.OFSET"]


def test_each_value_says_where_it_comes_from(archive: Archive) -> None:
    settings = archive.settings.model_copy(
        update={
            "reduction": ReductionSettings(
                plugins=archive.settings.reduction.plugins,
                parameters={"*": {"ToyBias": {"OFFSET": 1}}, "toy": {"ToyBias": {"OFFSET": 2}}},
            )
        }
    )
    camera = archive.registry.instruments["toy"]
    camera = replace(camera, parameters={"ToyBias": {"OFFSET": 0.5}})
    archive.registry = replace(archive.registry, instruments={"toy": camera})
    archive.settings = settings
    set_parameter(archive, "ToyBias", "OFFSET", 3, instrument="toy", why="a try")
    pars = Pars("ToyBias", instrument="toy", parameters={"ToyBias.OFFSET": 4}, archive=archive)
    setting = pars.settings["ToyBias.process_params.OFFSET"]
    assert [(x.origin, x.value) for x in setting.layers] == [
        ("default", 0.0),
        ("instrument toy", 0.5),
        ("settings for all instruments", 1.0),
        ("settings for toy", 2.0),
        ("operator", 3.0),
        ("call", 4.0),
    ]
    assert (setting.value, setting.origin, setting.type) == (4.0, "call", "float")
    assert Pars("ToyBias", archive=archive)["ToyBias.OFFSET"] == 1.0


def test_a_constant_of_the_chip_has_a_value_where_the_chip_is_known(archive: Archive) -> None:
    key = "ReducedScienceFrame.process_params.GAIN"
    pars = Pars("ReducedScienceFrame", instrument="nickel", chip="1")
    assert pars[key] == 1.8
    assert pars.settings[key].origin == "the chip's gain"
    assert Pars("ReducedScienceFrame", instrument="nickel")[key] is None


def test_words_that_mean_nothing_are_refused(archive: Archive) -> None:
    with pytest.raises(NotFoundError, match="no instrument 'nikel', expected nickel"):
        Pars("BiasFrame", instrument="nikel")
    with pytest.raises(NotFoundError, match="no target class"):
        Pars("BiasFrames")
    with pytest.raises(ParameterError, match="expected BiasFrame: HotPixelMap is made from these"):
        check_overrides(archive.registry, "HotPixelMap", {"BiasFrmae.SIGMA_CLIP": 5.0})
    with pytest.raises(ParameterError, match="GainLinearity"):
        check_overrides(archive.registry, "HotPixelMap", {"GainLinearity.MINIMUM_GAIN": 5.0})
    with pytest.raises(ParameterError, match="a key such as"):
        check_overrides(archive.registry, "HotPixelMap", {"SIGMA_CLIP": 5.0})
