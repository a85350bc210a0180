"""The Python prompt of the archive, and the settings in words."""

from __future__ import annotations

__all__ = ["namespace", "open_prompt", "settings_lines"]

import code
import re
from typing import TYPE_CHECKING, Any

from reduction.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from schemas.settings import Settings

_BANNER = (
    "The archive, with all its classes. Try:\n"
    "    BiasFrame.get(date='2025-03-01', chip='ccd50', instrument='simulated')\n"
    "    [k.imstat.median for k in (BiasFrame.chip.name == 'ccd50')]"
)


def namespace(archive: Archive) -> dict[str, Any]:
    """Names that a prompt starts with: every class of the archive, and ``archive`` itself."""
    Archive.use(archive)
    return {**archive.registry.classes, "archive": archive}


def open_prompt(archive: Archive, text: str | None = None) -> None:
    """Open a prompt, or run a text.

    Parameters
    ----------
    archive
        The archive that the classes speak of.
    text
        Python to run instead of asking a person.
    """
    names = namespace(archive)
    if text is not None:
        exec(compile(text, "<prompt>", "exec"), names)  # noqa: S102  # the user's own text
        return
    code.interact(_BANNER, local=names, exitmsg="")


def settings_lines(settings: Settings) -> Iterator[str]:
    """The settings as a TOML file would say them, secrets hidden."""
    for section in type(settings).model_fields:
        yield f"[{section}]"
        model: BaseModel = getattr(settings, section)
        for name in type(model).model_fields:
            shown = re.sub(r"(password=|://[^:/@]*:)[^@\s&]+", r"\1***", str(getattr(model, name)))
            said = name in model.model_fields_set
            yield f"{name} = {shown!r}" + ("" if said else "  # default")
        yield ""
