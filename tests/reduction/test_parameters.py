"""Process parameters cannot be set wrongly: each declares what it may be, each door checks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from reduction.declared import declared_parameters
from reduction.fields import FieldSpec, declare_field
from reduction.operate import check_settings, set_parameter
from reduction.parameters import (
    ChipConstant,
    check_defaults,
    check_parameters,
    parameter,
    resolve_parameters,
)
from reduction.pars import Pars
from reduction.registry import Registry
from reduction.target import ProcessTarget
from schemas.errors import MissingParameterError, ParameterError, SettingsError
from schemas.settings import ReductionSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.archive import Archive
    from reduction.declared import Declared

REGISTRY = Registry.load()
CLASSES = {n: c for n, c in sorted(REGISTRY.classes.items()) if hasattr(c, "Parameters")}
PARAMETERS = [
    pytest.param(name, item, id=f"{name}.{item.name}")
    for name, cls in CLASSES.items()
    for item in declared_parameters(cls.Parameters).values()
]
STEP = 0.5


def wrong_values(item: Declared) -> Iterator[Any]:
    """Values that a parameter cannot have: of another type, outside, not among the choices."""
    yield {"no": "value"}
    limits = item.limits
    if item.kind in (int, float):
        step = 1 if item.kind is int else STEP
        yield from ("1", True, float("nan"))
        yield from (limits.above, limits.below) if item.kind is float else ()
        yield from (low - step for low in (limits.at_least,) if low is not None)
        yield from (high + step for high in (limits.at_most,) if high is not None)
        yield from (max(limits.choices) + 1, 0.5) if limits.choices else ()
        yield from (4,) if limits.odd else ()
    if item.kind is bool:
        yield from (1, "true")
    if item.kind is str:
        yield from (5, True)
        yield from ("FOO", "") if limits.choices else ()


@pytest.mark.parametrize(("name", "item"), PARAMETERS)
def test_every_parameter_says_what_it_means_and_what_it_may_be(name: str, item: Declared) -> None:
    limits = item.limits
    assert 4 < len(limits.description) < 200
    assert "\n" not in limits.description
    if item.kind in (int, float):
        lower = limits.above is not None or limits.at_least is not None
        assert lower or limits.choices, f"{name}.{item.name} has no range"
    assert item.expected
    if item.kind is not bool and name != "DetectionFrame" and item.name != "SHAPE":
        assert item.range


@pytest.mark.parametrize("name", CLASSES)
def test_every_default_may_be_set(name: str) -> None:
    parameters = CLASSES[name].Parameters  # type: ignore[attr-defined]  # those with Parameters
    check_defaults(name, parameters)
    for camera in REGISTRY.instruments.values():
        for chip in camera.chips.values():
            for band in (None, *camera.bands.values()):
                resolve_parameters(name, parameters, camera.parameters.get(name, {}), chip, band)


@pytest.mark.parametrize(("name", "item"), PARAMETERS)
def test_settings_and_instruments_are_refused_with_values_outside(
    name: str, item: Declared
) -> None:
    camera = REGISTRY.instruments["nickel"]
    for wrong in wrong_values(item):
        if wrong is None:
            continue
        said = {name: {item.name: wrong}}
        settings = Settings(reduction=ReductionSettings(parameters={"nickel": said}))
        registry = replace(REGISTRY, instruments={"nickel": replace(camera, parameters=said)})
        for checked, where in (
            ((settings, REGISTRY), "reduction.parameters.nickel"),
            ((Settings(), registry), "the instrument nickel"),
        ):
            with pytest.raises(SettingsError) as caught:
                check_settings(*checked)
            assert str(caught.value).startswith(f"{where}: parameter {name}.{item.name}: ")
            assert item.expected in str(caught.value)


def doors(archive: Archive, name: str, item: Declared) -> Iterator[Any]:
    """All that take a value of a class's parameter, but settings and instruments."""
    key, cls = f"{name}.{item.name}", archive.registry.classes[name]
    parameters: Any = cls.Parameters  # type: ignore[attr-defined]  # those with Parameters
    yield lambda value: check_parameters(name, parameters, {item.name: value})
    if not issubclass(cls, ProcessTarget):
        return
    yield lambda value: archive.get(name, parameters={key: value})
    yield lambda value: Pars(name, parameters={key: value}, archive=archive)
    yield lambda value: set_parameter(
        archive, name, item.name, value, instrument="toy", why="a slip"
    )
    if cls.ANCHOR.per_field:
        spec = FieldSpec("deep", 10.0, 20.0, 0.05)
        yield lambda value: declare_field(
            archive, replace(spec, parameters={name: {item.name: value}})
        )


def test_call_operator_and_field_are_refused_and_nothing_is_stored(archive: Archive) -> None:
    for name, item in (p.values for p in PARAMETERS):
        assert not isinstance(item, str)
        for door in doors(archive, str(name), item):  # type: ignore[arg-type]  # a Declared
            for wrong in wrong_values(item):  # type: ignore[arg-type]  # as above
                if wrong is None:
                    continue
                with pytest.raises(ParameterError) as caught:
                    door(wrong)
                assert f"{name}.{item.name}: found {wrong!r}, expected " in str(caught.value)  # type: ignore[union-attr]  # as above
                assert item.expected in str(caught.value)  # type: ignore[union-attr]  # as above
    with archive.transaction() as session:
        for table in ("vo.edit", "vo.field", "vo.product"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
        assert session.scalar(text("SELECT count(*) FROM vo.recipe WHERE overrides <> '{}'")) == 0


@dataclass(frozen=True)
class Mine:
    """As a user writes parameters: some declared, some not."""

    BARE: float = 1
    LIMITED: float = parameter(2, "a width", unit="pixel", above=0, at_most=9)
    KIND: str = parameter("a", "which", choices=("a", "b"))
    MAYBE: int | None = parameter(None, "or none", at_least=1)
    NEEDED: float = parameter(ChipConstant("gain"), "of the chip", above=0.0)


def test_sentences_say_what_would_be_right() -> None:
    for name, value, said in (
        ("BARE", "x", "a number"),
        ("LIMITED", 0, r"a number above 0 and up to 9 \(pixel\)"),
        ("KIND", "c", "one of a, b"),
        ("MAYBE", 0, "a whole number from 1 up, or null for none"),
    ):
        with pytest.raises(ParameterError, match=rf"Mine\.{name}: found .*, expected {said}$"):
            check_parameters("Mine", Mine, {name: value})
    assert check_parameters("Mine", Mine, {"MAYBE": None, "LIMITED": 9}) == {
        "MAYBE": None,
        "LIMITED": 9.0,
    }


def test_a_default_gives_the_key_that_the_same_value_gives() -> None:
    chip = REGISTRY.instruments["nickel"].chips["1"]
    whole = replace(chip, gain=2)
    by_default = resolve_parameters("Mine", Mine, {}, whole)
    said = {"BARE": 1.0, "LIMITED": 2.0, "NEEDED": 2.0}
    assert repr(by_default) == repr(resolve_parameters("Mine", Mine, said, chip))
    assert repr(by_default["BARE"]) == "1.0"
    assert repr(check_parameters("Mine", Mine, {"BARE": -0.0})) == "{'BARE': 0.0}"
    with pytest.raises(ParameterError, match=r"Mine\.NEEDED: found 0, expected a number above 0"):
        resolve_parameters("Mine", Mine, {}, replace(chip, gain=0))


def test_an_heir_that_says_another_default_keeps_the_range() -> None:
    @dataclass(frozen=True)
    class Heir(Mine):
        LIMITED: float = 3.0
        KIND: int = 7  # type: ignore[assignment]  # another type: another parameter

    assert (
        declared_parameters(Heir)["LIMITED"].limits == declared_parameters(Mine)["LIMITED"].limits
    )
    assert check_parameters("Heir", Heir, {"KIND": 8}) == {"KIND": 8}
    with pytest.raises(ParameterError, match="above 0 and up to 9"):
        check_parameters("Heir", Heir, {"LIMITED": 10.0})


def test_a_parameter_without_a_default_has_to_be_set() -> None:
    @dataclass(frozen=True)
    class Parameters:
        WIDTH: float

    chip = REGISTRY.instruments["nickel"].chips["1"]
    with pytest.raises(MissingParameterError, match=r"Own\.WIDTH is missing: expected a number"):
        resolve_parameters("Own", Parameters, {}, chip)
    assert resolve_parameters("Own", Parameters, {"WIDTH": 1}, chip) == {"WIDTH": 1.0}


def test_a_class_with_a_default_outside_its_own_range_stops_the_start() -> None:
    @dataclass(frozen=True)
    class Parameters:
        WIDTH: float = parameter(0.0, "a width", above=0.0)

    bias = REGISTRY.classes["BiasFrame"]
    odd = type("BiasFrame", (bias,), {"Parameters": Parameters, "__module__": bias.__module__})
    registry = replace(REGISTRY, classes={**REGISTRY.classes, "BiasFrame": odd})
    with pytest.raises(
        SettingsError, match=r"class BiasFrame: .*WIDTH: found 0.0, expected .*above"
    ):
        check_settings(Settings(), registry)
