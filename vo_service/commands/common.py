"""What commands share: the archive's folder, progress, words about outcomes."""

from __future__ import annotations

__all__ = [
    "CONSOLE",
    "MESSAGES",
    "are_suspect",
    "counted",
    "home_of",
    "opened",
    "progress_bar",
    "say_outcomes",
    "without_name",
]

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import click

    from reduction.archive import Archive
    from reduction.outcomes import Outcome
    from vo_service.home import Home

CONSOLE = Console(highlight=False, soft_wrap=True)
"""Where answers go."""
MESSAGES = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where progress and complaints go."""

_FAILURES_SHOWN: Final = 5
_MESSAGE_LENGTH: Final = 300


def home_of(context: click.Context) -> Home:
    """The archive's folder that the command line names."""
    from vo_service.home import Home

    folder: Path = context.find_root().obj
    return Home(folder)


@contextmanager
def opened(context: click.Context, *, new: bool = False) -> Iterator[Archive]:
    """The archive of that folder, closed afterwards; made where there is none if ``new``.

    The database is brought to what the code says where that was not done before.
    """
    from vo_service.opening import open_archive

    home = home_of(context)
    if not new:
        home.require()
    archive = open_archive(home, anew=new)
    try:
        yield archive
    finally:
        archive.close()


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on the terminal; call what it gives with the name of each thing done."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=MESSAGES, transient=not MESSAGES.is_terminal) as progress:
        task = progress.add_task(title, total=total, now="")
        yield lambda name: progress.update(task, advance=1, now=name)


def counted(number: int, thing: str) -> str:
    """How many of a thing, such as "1 target" and "2 targets"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def are_suspect(number: int) -> str:
    """What an edit made suspect, as the end of a sentence."""
    return f"{counted(number, 'target')} {'is' if number == 1 else 'are'} suspect"


def without_name(text: str, name: str) -> str:
    """A sentence that begins with the name of what it is about, after that name."""
    return text.removeprefix(f"{name}: ")


def say_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Say what became of the steps of a making."""
    counted = Counter(str(outcome.kind) for outcome in outcomes)
    said = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))
    CONSOLE.print(said or "nothing was stale")
    failed = [outcome for outcome in outcomes if outcome.message]
    for outcome in failed[:_FAILURES_SHOWN]:
        text = without_name(outcome.message, outcome.name)
        shown = text if len(text) <= _MESSAGE_LENGTH else text[:_MESSAGE_LENGTH] + "..."
        CONSOLE.print(f"  {outcome.name}: {shown}", markup=False)
    if len(failed) > _FAILURES_SHOWN:
        CONSOLE.print(f"  and {len(failed) - _FAILURES_SHOWN} more: see `vo-service why`")
