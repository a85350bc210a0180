"""What instruments say of classes is true of the classes."""

from __future__ import annotations

import pytest

from reduction.parameters import default_parameters
from reduction.registry import Registry

REGISTRY = Registry.load()


@pytest.mark.parametrize("camera", REGISTRY.instruments.values(), ids=lambda c: c.name)
def test_parameters_and_validity_of_a_camera_name_what_there_is(camera):
    for name, overrides in camera.parameters.items():
        known = default_parameters(REGISTRY.classes[name].Parameters)
        assert overrides.keys() <= known.keys(), name
        for parameter, value in overrides.items():
            default = known[parameter]
            if isinstance(default, int | float):
                assert isinstance(value, int | float), (name, parameter)
    assert camera.validity.keys() <= REGISTRY.classes.keys()


def test_every_correction_that_a_camera_asks_for_is_one_that_a_class_offers():
    offered = {
        slot.when.removeprefix("!")
        for cls in REGISTRY.targets()
        for slot in cls.SLOTS.values()
        if slot.when
    }
    for camera in REGISTRY.instruments.values():
        asked = camera.corrections.union(*(b.corrections for b in camera.bands.values()))
        assert asked <= offered, camera.name
