"""Commands about targets: what is stale, why, make it, and what people may change."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from typing import TYPE_CHECKING

import click
from rich.table import Table

from vo_service.commands.common import (
    CONSOLE,
    choosing,
    home_of,
    opened,
    progress_bar,
    say_outcomes,
)
from vo_service.state import StateFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.archive import Archive
    from schemas.tables import Target

_WHY = click.option("--why", required=True, help="The reason, kept with the change.")
_WHO = click.option("--who", default="", help="Who changes it; you, by default.")


def _chosen(archive: Archive, class_name: str, words: dict[str, str | None]) -> Sequence[Target]:
    """Targets that a command's options choose."""
    from reduction.operate import targets_matching  # noqa: PLC0415  # --help stays fast

    night = words.pop("night")
    found = targets_matching(archive, class_name, **words)
    chosen = [target for target in found if night is None or str(target.night) == night]
    if not chosen:
        message = (
            f"there is no {class_name} of that kind; `vo-service status` counts what there is"
        )
        raise click.ClickException(message)
    return chosen


@click.command()
@choosing
@click.pass_context
def plan(context: click.Context, /, class_name: str, **words: str | None) -> None:
    """Show what would have to be made, in which order; make nothing.

    CLASS is a class of targets such as BiasFrame or SourceList.
    """
    with opened(context) as archive:
        chosen = _chosen(archive, class_name, words)
        steps = archive.plan([target.target_id for target in chosen])
    for number, step in enumerate(steps.steps, 1):
        CONSOLE.print(f"{number:4d}  {step.name}  ({step.cost_s:.1f} s)")
        for reason in step.reasons:
            CONSOLE.print(f"        {reason.kind}: {reason.text}")
    CONSOLE.print(
        f"{len(steps.steps)} steps for {len(chosen)} targets, about {steps.cost_s:.0f} s of work"
    )


@click.command()
@choosing
@click.pass_context
def why(context: click.Context, /, class_name: str, **words: str | None) -> None:
    """Say of each target whether it is right, and if not, for which reasons; make nothing."""
    with opened(context) as archive:
        for target in _chosen(archive, class_name, words):
            verdict = archive.why(target.target_id)
            CONSOLE.print(f"{target.identity}: {verdict.kind}")
            for reason in verdict.reasons:
                CONSOLE.print(f"    {reason.kind}: {reason.text}")


@click.command()
@choosing
@click.pass_context
def make(context: click.Context, /, class_name: str, **words: str | None) -> None:
    """Make targets now, with everything they need before.

    What is right already is left alone. Ends with status 1 if something cannot be made.
    """
    with opened(context) as archive:
        numbers = [target.target_id for target in _chosen(archive, class_name, words)]
        total = len(archive.plan(numbers).steps)
        with progress_bar("making", total) as done:
            outcomes = archive.make(numbers, progress=lambda outcome: done(outcome.name))
    say_outcomes(outcomes)
    if any(outcome.kind == "failed" for outcome in outcomes):
        context.exit(1)


@click.command()
@click.argument("object_id", type=int)
@click.option("--undo", is_flag=True, help="Declare it valid again.")
@_WHY
@_WHO
@click.pass_context
def invalidate(context: click.Context, object_id: int, why: str, who: str, *, undo: bool) -> None:
    """Declare a raw frame or a product bad.

    What was made from it will be remade without it when somebody asks. OBJECT_ID is its number in
    archive.products.
    """
    from reduction.operate import edit  # noqa: PLC0415  # --help stays fast

    with opened(context) as archive:
        value = 1 if undo else 0
        number = edit(archive, object_id, "is_valid", value, why=why, who=who)
    CONSOLE.print(f"object {object_id}: is_valid = {value}; {number} targets are suspect")


@click.command("set-validity")
@click.argument("object_id", type=int)
@click.option("--from", "start", type=float, help="First moment, MJD.")
@click.option("--to", "end", type=float, help="Last moment, MJD.")
@_WHY
@_WHO
@click.pass_context
def set_validity(
    context: click.Context,
    object_id: int,
    start: float | None,
    end: float | None,
    why: str,
    who: str,
) -> None:
    """Change for which moments a calibration holds."""
    from reduction.operate import edit  # noqa: PLC0415  # --help stays fast

    if start is None and end is None:
        message = "nothing to change: expected --from, --to or both"
        raise click.UsageError(message)
    number = 0
    with opened(context) as archive:
        for field, value in (("timestamp_start", start), ("timestamp_end", end)):
            if value is not None:
                number += edit(archive, object_id, field, value, why=why, who=who)
    CONSOLE.print(f"object {object_id}: validity changed; {number} targets are suspect")


@click.command()
@click.argument("class_name", metavar="CLASS")
@_WHY
@_WHO
@click.pass_context
def bump(context: click.Context, class_name: str, why: str, who: str) -> None:
    """Declare a recipe improved: all that it made is outdated."""
    from reduction.operate import bump  # noqa: PLC0415  # --help stays fast

    with opened(context) as archive:
        number = bump(archive, class_name, why=why, who=who)
    CONSOLE.print(f"{class_name}: {number} targets are suspect")


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Say who runs, and how the targets are."""
    from reduction.operate import status  # noqa: PLC0415  # --help stays fast

    home = home_of(context)
    running = StateFile(home.run).read()
    if running is None:
        CONSOLE.print("not serving: `vo-service serve` starts it")
    else:
        CONSOLE.print(f"serving {running.url} (process {running.pid})")
        for name, (pid, _) in running.children.items():
            CONSOLE.print(f"  {name}: process {pid}")
    with opened(context) as archive:
        counted = status(archive)
    table = Table(box=None)
    states = sorted({state for by_state in counted.values() for state in by_state})
    for heading in ("class", *states):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, by_state in sorted(counted.items()):
        table.add_row(name, *(str(by_state.get(state, "")) for state in states))
    CONSOLE.print(table)


COMMANDS = (plan, why, make, invalidate, set_validity, bump, status)
