"""Making a target by a user's script, in a process of its own with limits."""

from __future__ import annotations

__all__ = ["run_apart"]

import logging
import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reduction.progenitor import Progenitor
from reduction.script_answer import read_answer, read_failure
from reduction.script_process import ORDER, Order
from schemas import errors
from schemas.errors import ReductionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from reduction.target import Inputs, Made, ProcessTarget
    from schemas.settings import ReductionSettings
    from schemas.tables import Script

_LOG = logging.getLogger(__name__)
_SAID: Final = 2000


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows of a progenitor that were read for a process without a database."""

    rows: np.ndarray[Any, Any]

    def __call__(self) -> np.ndarray[Any, Any]:
        return self.rows


def run_apart(
    script: Script, settings: ReductionSettings, *, composite: bool
) -> Callable[..., tuple[Made, int, int]]:
    """What runs a recipe of a script, as :func:`reduction.make.run_recipe` runs others.

    Parameters
    ----------
    script
        Its row.
    settings
        Limits of time and memory, and the operator's plugins.
    composite
        Whether the target is of a whole field; see :meth:`reduction.registry.Registry.camera`.
    """
    return partial(_run, script, settings, composite)


def _run(
    script: Script,
    settings: ReductionSettings,
    composite: bool,  # noqa: FBT001  # bound above
    recipe: ProcessTarget,
    inputs: Inputs,
    parameters: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
) -> tuple[Made, int, int]:
    order = Order(
        source=script.source,
        sha256=script.sha256,
        class_name=type(recipe).__name__,
        parameters=dict(parameters),
        slots={name: _detached(inputs, name) for name in type(recipe).SLOTS},
        instrument=inputs.instrument.name,
        composite=composite,
        chip=inputs.chip,
        filter=inputs.filter,
        field=inputs.field,
        previous=previous,
        plugins=settings.plugins,
        seconds=settings.script_s,
        bytes=settings.script_bytes,
    )
    with tempfile.TemporaryDirectory(prefix="vo-script-") as name:
        folder = Path(name)
        (folder / ORDER).write_bytes(pickle.dumps(order))
        said = _wait(folder, settings.script_s)
        failure = read_failure(folder)
        if failure is not None or said:
            _fail(script, failure, said)
        answer = read_answer(folder)
    return answer.made, answer.quality_flags, answer.compare_flags


def _detached(inputs: Inputs, name: str) -> Any:  # noqa: ANN401  # what a slot holds
    """What a slot holds, without what only this process can read."""
    held = getattr(inputs, name)
    if isinstance(held, list):
        return [_alone(item) for item in held]
    return _alone(held)


def _alone(item: Any) -> Any:  # noqa: ANN401  # a progenitor, reference stars, or None
    if isinstance(item, Progenitor) and item.read_rows is not None:
        return replace(item, read_rows=_Held(item.rows))
    return item


def _wait(folder: Path, seconds: float) -> str:
    """Run the process to its end; why it ended badly, empty where it did not."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "reduction.script_process", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {seconds:g} s"
    if done.stderr:
        _LOG.info("a script said: %s", done.stderr[-_SAID:])
    return "" if done.returncode == 0 else f"its process ended with status {done.returncode}"


def _fail(script: Script, failure: tuple[str, str] | None, said: str) -> None:
    """Say what a script failed of.

    Raises
    ------
    ReductionError
        With the script's own sentence where it gave one.
    """
    kind, message = failure or ("", said)
    known = getattr(errors, kind, None) if kind else None
    if isinstance(known, type) and issubclass(known, ReductionError):
        raise known(message)
    raise ReductionError(f"script {script.sha256[:12]} ({script.name}): {message}")
