"""The Python prompt of the archive."""

from __future__ import annotations

__all__ = ["namespace", "open_prompt"]

import code
import sys
from typing import Any

from reduction.archive import Archive
from reduction.collection.source_collection import SourceCollection
from reduction.pars import Pars
from schemas.errors import VOError

_BANNER = (
    "The archive, with all its classes. Try:\n"
    "    BiasFrame.get(date='2025-03-01', chip='ccd50', instrument='simulated')\n"
    "    [k.imstat.median for k in (BiasFrame.chip.name == 'ccd50')]"
)


class _Console(code.InteractiveConsole):
    """A prompt at which the archive's own errors are sentences, all others tracebacks."""

    def showtraceback(self) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, VOError):
            self.write(f"{type(error).__name__}: {error}\n")
        else:
            super().showtraceback()


def namespace(archive: Archive) -> dict[str, Any]:
    """Names that a prompt starts with: classes, collections, ``Pars``, and ``archive`` itself."""
    Archive.use(archive)
    return {
        **archive.registry.classes,
        "SourceCollection": SourceCollection,
        "Pars": Pars,
        "archive": archive,
    }


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
    _Console(names).interact(_BANNER, exitmsg="")
