"""The settings in force, as the text of a settings file."""

from __future__ import annotations

__all__ = ["settings_lines"]

import datetime as dt
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from vo_service.home import Home

_SECRET = re.compile(r"(password=|://[^:/@]*:)[^@\s&]+")


def settings_lines(home: Home) -> Iterator[str]:
    """The settings in force for a data folder: TOML that ``VO_SETTINGS`` may name.

    Passwords are hidden. What nobody set stands in a comment, so that a file with these lines
    leaves it open as before: an engine or a database that is named is not started.

    Parameters
    ----------
    home
        The archive's folder.
    """
    yield f"# of the archive in {str(home.data)!r}"
    for section in type(home.asked).model_fields:
        yield f"[{section}]"
        model: BaseModel = getattr(home.asked, section)
        for name in type(model).model_fields:
            value = getattr(model, name)
            where = ""
            if name not in model.model_fields_set:
                value, where = _unsaid(home, f"{section}.{name}", value)
            plain = _toml(value)
            shown = _SECRET.sub(r"\1***", plain)
            hidden = "  # the password is hidden" if shown != plain else ""
            yield f"# {name} = {shown}  # {where}" if where else f"{name} = {shown}{hidden}"
        yield ""


def _unsaid(home: Home, name: str, value: object) -> tuple[object, str]:
    """What holds where a setting is not set, and why."""
    if name == "storage.root":
        return home.data / "files", "of the data folder"
    if name == "jobs.folder":
        return home.data / "jobs", "of the data folder"
    if name.startswith("database.") and name.endswith("_url") and home.cluster is not None:
        return value, f"a private database, in {str(home.data / 'postgres')!r}"
    if name == "engine.address":
        return value, "default; `vo-service serve` starts an engine of its own"
    return value, "default"


def _toml(value: object) -> str:
    """A value in TOML 1.0; what has no value is left out of tables."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict):
        pairs = (f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None)
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    text = str(value) if isinstance(value, Path) else value
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
