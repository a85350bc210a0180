"""The Python prompt of the archive."""

from __future__ import annotations

__all__ = ["namespace", "open_prompt"]

import code
import errno
import linecache
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

from reduction.archive import Archive
from reduction.collection.source_collection import SourceCollection
from reduction.pars import Pars
from schemas.errors import VOError

if TYPE_CHECKING:
    from types import TracebackType

_BANNER = (
    "The archive, with all its classes. Try:\n"
    "    BiasFrame.get(date='2025-03-01', chip='ccd50', instrument='simulated')\n"
    "    [k.imstat.median for k in (BiasFrame.chip.name == 'ccd50')]"
)


#: What tracebacks call a text that is run.
_TEXT: Final = "<prompt>"


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

    Raises
    ------
    VOError
        What the archive has to say of the text.
    SystemExit
        If the text ends with another error; its traceback was printed, from the text's line on.
    """
    names = namespace(archive)
    if text is None:
        _Console(names).interact(_BANNER, exitmsg="")
    else:
        _run(text, names)


def _run(text: str, names: dict[str, Any]) -> None:
    """Run a text; see :func:`open_prompt`."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415  # there already

    # its lines are shown in tracebacks
    lines = f"{text}\n".splitlines(keepends=True)
    linecache.cache[_TEXT] = (len(text), None, lines, _TEXT)
    try:
        exec(compile(text, _TEXT, "exec"), names)  # noqa: S102  # the user's own text
    except (VOError, OperationalError):  # the archive's own, and a database that is gone
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # whoever read the output has seen enough
        said = traceback.TracebackException(type(error), error, _users(error.__traceback__))
        sys.stderr.write("".join(said.format()))
        raise SystemExit(1) from None


def _users(frames: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the text; None where its text is no Python.

    It ends there, too, where the text asked for an attribute that is not there.
    """
    while frames is not None and frames.tb_frame.f_code.co_filename != _TEXT:
        frames = frames.tb_next
    last = frames
    while last is not None and last.tb_next is not None:
        if last.tb_next.tb_frame.f_code.co_name == "__getattr__":
            last.tb_next = None
            break
        last = last.tb_next
    return frames
