"""What the code of this process makes of a class for a camera, in one hash.

The archive keeps it for each recipe. A process whose own is another has other code, another
plugin or another description of the camera than the one that wrote it, and may not say of a
target that it is right.
"""

from __future__ import annotations

__all__ = ["fingerprint", "is_current"]

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reduction.fields import FieldSpec
from reduction.keys import canonical_json, hash_of
from reduction.parameters import (
    BandConstant,
    ChipConstant,
    check_parameters,
    default_parameters,
    stored_values,
)
from schemas.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reduction.instruments.base import Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget
    from schemas.recipe_tables import Recipe


def fingerprint(
    cls: type[ProcessTarget], camera: Instrument | None, overlay: Mapping[str, Any]
) -> str:
    """Hash of what a class declares, of what it is set to, and of the camera.

    How long calibrations hold is no part of it: that changes what is selected, not how it is made.

    Parameters
    ----------
    cls
        The class.
    camera
        None for several together.
    overlay
        Process parameters that camera and settings set.
    """
    defaults: dict[str, Any] = {}
    for name, value in default_parameters(cls.Parameters).items():
        marks = {ChipConstant: "from_chip", BandConstant: "from_band"}
        mark = marks.get(type(value))
        defaults[name] = {mark: value.name} if mark else value
    declared: list[Any] = [defaults, dict(overlay), cls.ANCHOR.value, list(cls.ANCHOR_CLASSES)]
    declared += [f"{cls.__module__}.{cls.__qualname__}", _slots(cls)]
    if cls.ANCHOR.per_field:
        declared.append(list(FieldSpec.IDENTITY))
    if camera is None:
        return hash_of(declared)
    # the hash of one list more; a mosaic's facts are long, and those of all classes
    parts = [*map(canonical_json, declared), camera.described()]
    return hashlib.sha256(f"[{','.join(parts)}]".encode("ascii")).hexdigest()


def _slots(cls: type[ProcessTarget]) -> list[dict[str, Any]]:
    """What a class says of its inputs, in the order in which they are looked at."""
    return [
        asdict(slot) | {"kind": slot.kind.value, "classes": list(slot.classes)}
        for slot in cls.SLOTS.values()
    ]


def is_current(registry: Registry, cls: type[ProcessTarget], recipe: Recipe) -> bool:
    """Whether this process would write down a recipe as the archive has it."""
    camera = registry.instruments.get(recipe.instrument)
    said = stored_values(recipe.parameters) or {}
    key = (cls, cls.Parameters, recipe.instrument, canonical_json(said))
    known = registry.fingerprints.get(key)
    if known is None or known[0] is not camera:
        try:  # JSON does not tell 5 from 5.0
            overlay = check_parameters(cls.__name__, cls.Parameters, said)
        except ParameterError:
            return False
        known = registry.fingerprints[key] = camera, fingerprint(cls, camera, overlay)
    return known[1] == recipe.fingerprint
