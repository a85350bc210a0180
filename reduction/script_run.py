"""Making a target by a user's script, in a process of its own with limits."""

from __future__ import annotations

__all__ = ["run_apart", "script_label"]

import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from reduction.progenitor import Progenitor
from reduction.script_answer import read_answer, read_failure
from reduction.script_process import ORDER, Order
from schemas import errors
from schemas.errors import ReductionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from reduction.target import Inputs, Made, ProcessTarget
    from schemas.recipe_tables import Script
    from schemas.settings import ReductionSettings

_LOG = logging.getLogger(__name__)
_SAID: Final = 2000
_PRINTED: Final = "printed.txt"
_PRINTED_MOST: Final = 10_000_000
_LOOK_S: Final = 0.02


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
    return partial(_run, script, settings, composite=composite)


def _run(
    script: Script,
    settings: ReductionSettings,
    recipe: ProcessTarget,
    inputs: Inputs,
    parameters: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
    *,
    composite: bool,
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
    with tempfile.TemporaryDirectory(prefix="vo-script-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / ORDER).write_bytes(pickle.dumps(order))
        said = _wait(folder, settings.script_s)
        failure = read_failure(folder)
        if failure is not None or said:
            _fail(script, failure, said)
        answer = read_answer(folder)
    return answer.made, answer.quality_flags, answer.compare_flags


def _detached(inputs: Inputs, name: str) -> object:
    """What a slot holds, without what only this process can read."""
    held = getattr(inputs, name)
    if isinstance(held, list):
        return [_alone(item) for item in held]
    return _alone(held)


def _alone(item: object) -> object:
    if isinstance(item, Progenitor) and item.read_rows is not None:
        return replace(item, read_rows=_Held(item.rows))
    return item


def _wait(folder: Path, seconds: float) -> str:
    """Run the process to its end, and end what it started; why it ended badly, or empty."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with (folder / _PRINTED).open("a+b") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "reduction.script_process", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            in_time = _ended(process.pid, seconds, printed)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        printed.seek(max(printed.seek(0, os.SEEK_END) - _SAID, 0))
        said = printed.read(_SAID).decode("utf-8", errors="replace")
    if said:
        _LOG.info("a script said: %s", said)
    if not in_time:
        return f"it took more than {seconds:g} s"
    return "" if status == 0 else f"its process ended with status {status}"


def _ended(pid: int, seconds: float, printed: IO[bytes]) -> bool:
    """Wait until a process has ended; whether it did so in time.

    It is left a zombie, which keeps the number of its group from being anybody else's.
    """
    end = time.monotonic() + seconds
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > end:
            return False
        if os.fstat(printed.fileno()).st_size > _PRINTED_MOST:
            os.killpg(pid, signal.SIGSTOP)  # nothing is printed meanwhile
            _cut(printed)
            os.killpg(pid, signal.SIGCONT)
        time.sleep(_LOOK_S)
    return True


def _cut(printed: IO[bytes]) -> None:
    """Leave the end alone of what was printed; more is written at its end, wherever that is."""
    printed.seek(-_SAID, os.SEEK_END)
    last = printed.read()[-_SAID:]
    printed.truncate(0)
    printed.write(last)
    printed.flush()


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
    raise ReductionError(f"{script_label(script)}: {message}")


def script_label(script: Script) -> str:
    """A script as messages name it."""
    return f"script {script.sha256[:12]} ({script.name})"
