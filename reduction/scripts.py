"""Users' scripts: Python that declares targets or replaces steps, kept by the hash of its text.

A script is kept before it is run, and runs only where the settings and an operator allow it. What
it makes says its hash in ``recipe_version``, so that the code of a product can be had for ever.
"""

from __future__ import annotations

__all__ = [
    "LoadedScript",
    "add_script",
    "allow_script",
    "find_script",
    "load_script",
    "run_source",
    "scripts_of",
]

import ast
import hashlib
import importlib
import linecache
import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.parameters import check_defaults, near_names
from reduction.recorded import account, enter_edit, reason
from reduction.script_guard import import_makers, left_alone
from reduction.target import DBObject, ProcessTarget
from schemas.errors import AuthorizationError, NotFoundError, ParameterError
from schemas.recipe_tables import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reduction.archive import Archive
    from reduction.registry import Registry

_LONGEST: Final = 1_000_000
_SHORTEST_HASH: Final = 6
_HASH: Final = re.compile(r"[0-9a-f]{6,64}")
_STEPS: Final = "STEPS = {'BiasFrame': {'combine_biases': function}}"
#: Scripts that ran to their end in this process, and who runs one, by hash.
_RUN: Final[dict[str, ModuleType]] = {}
_RUNNING: Final[dict[str, threading.RLock]] = {}


@dataclass(frozen=True, slots=True)
class LoadedScript:
    """A script that was run: what it declares.

    Attributes
    ----------
    sha256
        Hash of its text.
    classes
        Its classes of targets by name; one of a name that there is takes its place.
    steps
        Replacements of functions, by class and by the function's name: bare for one of the
        class's own module ("combine_biases"), else with its module
        ("reduction.combined_flat.combine_flats").
    """

    sha256: str
    classes: Mapping[str, type[ProcessTarget]]
    steps: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)

    @property
    def touched(self) -> frozenset[str]:
        """Names of the classes that are made by its code."""
        return frozenset(self.classes) | frozenset(self.steps)


def add_script(archive: Archive, path: Path, *, why: str, who: str = "") -> Script:
    """Keep the text of a script; it is read, not run.

    Returns
    -------
    Script
        The row; that of before where the same text is kept already.

    Raises
    ------
    ParameterError
        If it is no Python, no text in UTF-8, or longer than a million bytes, and says the line;
        or if the reason is blank.
    """
    source, digest = _read(path)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f"{path.name}, line {getattr(error, 'lineno', None) or 1}"
        raise ParameterError(
            "script", where, f"Python: {str(error) or 'nested too deeply'}"
        ) from error
    row = {
        "sha256": digest,
        "name": path.name,
        "source": source,
        "declares": _declared(tree),
        "who": who or account(),
        "why": reason(why),
    }
    with archive.transaction() as session:
        session.execute(upsert(Script).values(row).on_conflict_do_nothing())
        return session.get_one(Script, digest)


def _read(path: Path) -> tuple[str, str]:
    """Text and hash of a file."""
    try:
        data = path.read_bytes()
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParameterError("script", path.name, "text in UTF-8") from error
    except OSError as error:
        raise ParameterError("script", str(path), f"a file: {error!r}") from error
    if len(data) > _LONGEST:
        raise ParameterError("script", f"{len(data)} bytes", f"at most {_LONGEST} bytes")
    return source, hashlib.sha256(data).hexdigest()


def _declared(tree: ast.Module) -> list[str]:
    """Names of classes, and of classes whose steps are replaced, as the text says them."""
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == "STEPS" for t in node.targets)
            and isinstance(node.value, ast.Dict)
        ):
            names += [
                f"step of {key.value}"
                for key in node.value.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
    return names


def scripts_of(archive: Archive) -> Sequence[Script]:
    """All scripts that are kept, oldest first."""
    with archive.transaction() as session:
        return session.scalars(select(Script).order_by(Script.added, Script.sha256)).all()


def find_script(archive: Archive, name: str | Path) -> Script:
    """Find a script by its hash, by six or more digits that the hash begins with, or by its file.

    Raises
    ------
    NotFoundError
        If there is none, or more than one.
    """
    digits, path = str(name).lower(), Path(name)
    if not _HASH.fullmatch(digits):
        if not path.is_file():
            message = (
                f"there is no script {str(name)!r}: expected {_SHORTEST_HASH} or more digits of a "
                "hash that `vo-service script list` shows, or a file"
            )
            raise NotFoundError(message)
        digits = _read(path)[1]
    with archive.transaction() as session:
        found = session.scalars(
            select(Script).where(Script.sha256.startswith(digits)).limit(2)
        ).all()
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(f"several scripts have a hash that begins with {digits}: say more")
    message = f"the archive keeps no script {digits[:12]}: `vo-service script add FILE` keeps one"
    raise NotFoundError(message)


def allow_script(
    archive: Archive, sha256: str, *, why: str, who: str = "", allowed: bool = True
) -> None:
    """Let a script run, or no longer; recorded for ever.

    Raises
    ------
    NotFoundError
        If there is no such script.
    """
    known = find_script(archive, sha256)
    with archive.transaction() as session:
        row = session.get_one(Script, known.sha256)
        values = (str(row.allowed).lower(), str(allowed).lower())
        enter_edit(session, f"script {row.sha256}", "allowed", values, who=who, why=why)
        row.allowed = allowed


def load_script(archive: Archive, name: str | Path) -> LoadedScript:
    """Run a script for what it declares, if that is allowed.

    Raises
    ------
    NotFoundError
        If there is no such script.
    AuthorizationError
        If the settings allow no scripts, or no operator has allowed this one.
    ParameterError
        If it fails, declares nothing, or replaces a step that there is not; says where.
    """
    row = find_script(archive, name)
    short = row.sha256[:12]
    if archive.settings.reduction.scripts == "off":
        message = (
            f"script {short} ({row.name}) is not run: the setting reduction.scripts is 'off', "
            "expected 'allowed'"
        )
        raise AuthorizationError(message)
    if not row.allowed:
        message = (
            f"script {short} ({row.name}) is not run: an operator has to read it and allow it, "
            f"`vo-service script allow {short}`"
        )
        raise AuthorizationError(message)
    import_makers()
    return run_source(row.source, row.sha256, archive.registry)


def run_source(source: str, sha256: str, registry: Registry) -> LoadedScript:
    """Run the text of a script, once in a process, and see what it declares.

    Raises
    ------
    ParameterError
        See :func:`load_script`.
    """
    with _RUNNING.setdefault(sha256, threading.RLock()):
        if sha256 not in _RUN:
            _RUN[sha256] = _executed(source, sha256, registry)
    return _looked_at(_RUN[sha256], sha256, registry)


def _executed(source: str, sha256: str, registry: Registry) -> ModuleType:
    """The module of a script, after running it.

    It is in ``sys.modules`` while it runs, because dataclasses look there for the module of their
    class; nobody takes it from there.
    """
    name, file_name = f"vo_script_{sha256}", f"<script {sha256[:12]}>"
    module = ModuleType(name)
    linecache.cache[file_name] = (len(source), None, source.splitlines(True), file_name)
    sys.modules[name] = module
    try:
        with left_alone(registry):
            exec(compile(source, file_name, "exec"), module.__dict__)  # noqa: S102  # an operator allowed it
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, ParameterError):
            raise
        if isinstance(error, (Exception, SystemExit)):
            raise ParameterError("script", repr(error), "Python that runs") from error
        raise
    return module


def _looked_at(module: ModuleType, sha256: str, registry: Registry) -> LoadedScript:
    classes = {
        value.__name__: value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ProcessTarget)
        and value.__module__ == module.__name__
    }
    steps = getattr(module, "STEPS", {})
    if not _is_steps(steps):
        raise ParameterError("script STEPS", steps, _STEPS)
    for name, own in classes.items():
        check_defaults(name, own.Parameters)
    script = LoadedScript(sha256, classes, steps)
    if not script.touched:
        raise ParameterError("script", "nothing", f"a class of targets, or {_STEPS}")
    for name, replaced in steps.items():
        cls: type[DBObject] | None = classes.get(name) or registry.classes.get(name)
        if cls is None:
            raise ParameterError("script STEPS", name, near_names(name, registry.classes))
        for step in replaced:
            place_of(cls, step)
    return script


def _is_steps(steps: object) -> bool:
    """Whether it says by class and by name which functions to put in a place."""
    return isinstance(steps, dict) and all(
        isinstance(name, str)
        and isinstance(replaced, dict)
        and all(isinstance(n, str) and callable(f) for n, f in replaced.items())
        for name, replaced in steps.items()
    )


def place_of(cls: type[DBObject], step: str) -> tuple[ModuleType, str]:
    """Module and name of a function that a step of a class is called by.

    Raises
    ------
    ParameterError
        If there is no such function; names those that the module has.
    """
    module_name, _, name = step.rpartition(".")
    if not module_name:
        published = next(c for c in cls.__mro__ if not c.__module__.startswith("vo_script_"))
        module_name = published.__module__
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ParameterError("script STEPS", step, "a function of a module") from error
    if not callable(getattr(module, name, None)):
        steps = sorted(_steps_of(module))
        near = near_names(name, steps)
        if steps and not near.startswith("one of"):
            near += f", one of the steps {', '.join(steps)}"
        raise ParameterError("script STEPS", f"{cls.__name__}: {step}", near)
    return module, name


def _steps_of(module: ModuleType) -> set[str]:
    """Names of functions that a module's own functions and methods call by their name."""
    own = [value for value in vars(module).values() if _is_of(value, module)]
    methods = [m for value in own if isinstance(value, type) for m in vars(value).values()]
    unwrapped = [getattr(f, "__func__", getattr(f, "fget", f)) for f in (*own, *methods)]
    codes = [f.__code__ for f in unwrapped if isinstance(f, FunctionType)]
    called: set[str] = set()
    while codes:
        code = codes.pop()
        called |= set(code.co_names)
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return {
        name
        for name in called & vars(module).keys()
        if callable(getattr(module, name)) and not isinstance(getattr(module, name), type)
    }


def _is_of(value: object, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__
