"""Commands about targets: what is stale, why, make it, how they all stand."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from typing import TYPE_CHECKING, Final

import click

from schemas.errors import ReductionError
from vo_service.commands.common import (
    CONSOLE,
    are_suspect,
    counted,
    home_of,
    opened,
    progress_bar,
    say_outcomes,
    without_name,
)
from vo_service.commands.words import WHO, WHY, choosing, chosen, parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.archive import Archive
    from reduction.causes import Cause
    from reduction.verdicts import Reason

#: Objects of a sentence that are named; the rest is counted.
_SHOWN: Final = 8


@click.command(short_help="Show what would have to be made; make nothing.")
@choosing
@click.pass_context
def plan(context: click.Context, /, class_name: str, **words: str | None) -> None:
    """Show what would have to be made, in which order; make nothing.

    CLASS is a class of targets such as BiasFrame or SourceList.
    """
    with opened(context) as archive:
        targets = chosen(archive, class_name, words)
        steps = archive.plan([target.target_id for target in targets])
    for number, step in enumerate(steps.steps, 1):
        CONSOLE.print(f"{number:4d}  {step.name}  (about {step.cost_s:.1f} s)", markup=False)
        for reason in step.reasons:
            CONSOLE.print(f"        {_said(reason, step.name)}", markup=False)
    CONSOLE.print(
        f"{counted(len(steps.steps), 'step')} for {counted(len(targets), 'target')}, "
        f"about {steps.cost_s:.0f} s of work"
    )


def _said(reason: Reason, name: str) -> str:
    """A reason, without what it says twice: of which target it is, and its own kind."""
    text = without_name(reason.text, name)
    return str(reason.kind) if text == reason.kind else f"{reason.kind}: {text}"


@click.command(short_help="Say what is right, what not, and for which reasons.")
@choosing
@click.pass_context
def why(context: click.Context, /, class_name: str, **words: str | None) -> None:
    """Say of each target whether it is right, and if not, for which reasons; make nothing.

    Below each stands what it comes from, down to the raw frame or the error, and which frames were
    left out, also where the target goes on without them.
    """
    from reduction.causes import causes_of

    said: set[str] = set()
    with opened(context) as archive:
        targets = chosen(archive, class_name, words)
        for cause in causes_of(archive, [target.target_id for target in targets]):
            _say_cause(cause, 0, said)


def _say_cause(cause: Cause, depth: int, said: set[str]) -> None:
    """Print a cause and, indented, what it comes from; what was printed before is only named."""
    margin = "    " * depth
    role = f"{cause.role}: " if cause.role else ""
    again = bool(cause.below) and cause.name in said
    line = f"{margin}{role}{cause.name}: {cause.said}" + (", see above" if again else "")
    CONSOLE.print(line, markup=False)
    if again:
        return
    said.add(cause.name)
    lower = {reason.text for below in cause.everything_below() for reason in below.reasons}
    for line in dict.fromkeys(
        f"{margin}    {_said(reason, cause.name)}"
        for reason in cause.reasons
        if not depth or reason.text not in lower
    ):
        CONSOLE.print(line, markup=False)
    twins = [below for below in cause.below if below.twin is not None]
    for below in cause.below:
        if len(twins) == 1 or below.twin is None:
            _say_cause(below, depth + 1, said)
    if len(twins) > 1:
        counted_up = _said_twins(twins)
        before = ", see above" if counted_up in said else ""
        said.add(counted_up)
        CONSOLE.print(f"{margin}    {counted_up}{before}", markup=False)


def _said_twins(twins: Sequence[Cause]) -> str:
    """What is said of frames that are left out because others of their exposures are used."""
    used = sorted(cause.twin for cause in twins if cause.twin is not None)
    shown = ", ".join(map(str, used[:_SHOWN])) + (", ..." if len(used) > _SHOWN else "")
    return (
        f"{twins[0].role}: {len(twins)} raw frames are flagged DUPLICATE: their exposures came in "
        f"other files before, which are used (objects {shown})"
    )


@click.command()
@choosing
@parameters
@click.option(
    "--script", help="A script's classes and steps for this call alone: its hash, or its file."
)
@click.pass_context
def make(
    context: click.Context,
    /,
    class_name: str,
    settings: dict[str, object],
    script: str | None,
    **words: str | None,
) -> None:
    """Make targets now, with everything they need before.

    What is right already is left alone. Ends with status 1 if something cannot be made.

    With --set or --script, products are made for this call alone and printed with their numbers:
    what the archive publishes stays as it is.
    """
    if settings or script is not None:
        with opened(context) as archive:
            failed = _make_variants(archive, class_name, words, settings, script)
        context.exit(1 if failed else 0)
    with opened(context) as archive:
        numbers = [target.target_id for target in chosen(archive, class_name, words)]
        total = len(archive.plan(numbers).steps)
        with progress_bar("making", total) as done:
            outcomes = archive.make(numbers, progress=lambda outcome: done(outcome.name))
        hopeless = [t for t in chosen(archive, class_name, words) if t.state == "failed"]
    say_outcomes(outcomes)
    if hopeless and not any(outcome.kind == "failed" for outcome in outcomes):
        them = f"{len(hopeless)} of {counted(len(numbers), 'target')}"
        CONSOLE.print(f"{them} cannot be made: `vo-service why {class_name}` says why")
    if hopeless or any(outcome.kind == "failed" for outcome in outcomes):
        context.exit(1)


def _make_variants(
    archive: Archive,
    class_name: str,
    words: dict[str, str | None],
    settings: dict[str, object],
    script: str | None,
) -> bool:
    """Make products for one call and print them; whether some cannot be made."""
    from reduction.quality import unfit
    from reduction.select import usable
    from reduction.variants import make_variant, variant_of

    variant = variant_of(archive, class_name, parameters=settings, script=script)
    failed = False
    for target in chosen(archive, variant.host, words):
        name = target.identity.replace(variant.host, class_name, 1)
        try:
            product = make_variant(archive, target, variant)
        except ReductionError as error:
            CONSOLE.print(f"  {error}", markup=False)
            failed = True
        else:
            fit = usable(product)
            said = "" if fit else f" {unfit(archive.registry.classes, product)}"
            CONSOLE.print(f"{name}: object {product.product_id}{said}", markup=False)
    return failed


@click.command()
@click.argument("class_name", metavar="CLASS")
@WHY
@WHO
@click.pass_context
def bump(context: click.Context, class_name: str, why: str, who: str) -> None:
    """Declare a recipe improved: all that it made is outdated."""
    from reduction.operate import bump

    with opened(context) as archive:
        number = bump(archive, class_name, why=why, who=who)
    CONSOLE.print(f"{class_name}: {are_suspect(number)}")


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Say who runs, and how the targets are."""
    from rich.table import Table

    from reduction.operate import status
    from vo_service.state import StateFile

    home = home_of(context)
    home.require()
    running = StateFile(home.run).read()
    if running is None:
        CONSOLE.print("not serving: `vo-service serve` starts it")
    else:
        verb = "serving" if running.children else "being made ready to serve"
        CONSOLE.print(f"{verb} {running.url} (process {running.pid})")
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


COMMANDS = (plan, why, make, bump, status)
