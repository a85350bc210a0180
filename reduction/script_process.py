"""The process in which a script makes one target: ``python -m reduction.script_process FOLDER``.

It reads the order that its parent left in the folder, takes its limits upon itself, runs the
script, and leaves the answer. It has no settings, no database and no connection of the service;
it is a process of the same user all the same, and no prison.
"""

from __future__ import annotations

__all__ = ["Order", "main"]

import pickle
import resource
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reduction.make import flat_attributes
from reduction.registry import Registry
from reduction.script_answer import Answer, write_answer, write_failure
from reduction.scripts import LoadedScript, place_of, run_source
from reduction.target import Inputs
from schemas.errors import VOError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reduction.fields import FieldSpec
    from reduction.target import ProcessTarget

ORDER: Final = "order.pickle"


@dataclass(frozen=True, slots=True)
class Order:
    """What a script is to make, and with what.

    Attributes
    ----------
    source, sha256
        The script's text and its hash.
    class_name, parameters
        What is made, and its process parameters.
    slots
        Its inputs, by slot.
    instrument, composite, chip, filter, field
        Its context; see :class:`reduction.target.Inputs`.
    previous
        Attributes of the published version, None where there is none.
    plugins
        Modules that the operator's settings name.
    seconds, bytes
        What the process may use: time; memory, and as much again for each file that it writes.
    """

    source: str
    sha256: str
    class_name: str
    parameters: Mapping[str, Any]
    slots: Mapping[str, Any]
    instrument: str
    composite: bool
    chip: str
    filter: str
    field: FieldSpec | None
    previous: Mapping[str, Any] | None
    plugins: tuple[str, ...]
    seconds: float
    bytes: int


def main() -> None:
    """Do what the order in the folder says; what goes wrong is left there as a sentence."""
    folder = Path(sys.argv[1])
    order: Order = pickle.loads((folder / ORDER).read_bytes())  # noqa: S301  # the parent's own
    _limit(order)
    try:
        write_answer(folder, _answer(order))
    except VOError as error:
        write_failure(folder, type(error).__name__, str(error))
    except MemoryError:
        write_failure(folder, "", f"it took more than {order.bytes} bytes of memory")
    except Exception as error:  # noqa: BLE001  # the edge of a process
        traceback.print_exc()
        write_failure(folder, "", f"{_place(error, order.sha256)}{error!r}")


def _limit(order: Order) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, order.bytes),
        (resource.RLIMIT_CPU, int(order.seconds) + 1),
        (resource.RLIMIT_FSIZE, order.bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
    signal.alarm(int(order.seconds) + 2)  # where the parent is gone and cannot end it


def _answer(order: Order) -> Answer:
    registry = Registry.load(order.plugins)
    script = run_source(order.source, order.sha256, registry)
    registry = replace(registry, classes={**registry.classes, **script.classes})
    cls = registry.target(order.class_name)
    _replace_steps(script, cls)
    inputs = Inputs(
        order.class_name,
        order.slots,
        instrument=registry.camera(order.instrument, composite=order.composite),
        chip=order.chip,
        filter=order.filter,
        field=order.field,
    )
    recipe = cls()
    parameters = recipe.Parameters(**order.parameters)
    made = recipe.compute(inputs, parameters)
    flags = int(recipe.verify(made, parameters))
    previous = order.previous
    compared = 0 if previous is None else int(recipe.compare(made, previous, parameters))
    made.attributes = flat_attributes(recipe, made)
    return Answer(made, flags, compared)


def _replace_steps(script: LoadedScript, cls: type[ProcessTarget]) -> None:
    """Put a script's functions in the place of those that the class calls."""
    for step, function in script.steps.get(cls.__name__, {}).items():
        module, name = place_of(cls, step)
        setattr(module, name, function)


def _place(error: Exception, sha256: str) -> str:
    """The last line of the script that an error came through, as "line 12: "."""
    name = f"<script {sha256[:12]}>"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
    return f"line {lines[-1]}: " if lines else ""


if __name__ == "__main__":
    main()
