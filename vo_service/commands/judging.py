"""Commands by which people judge raw frames and products, and see how these were judged."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from typing import TYPE_CHECKING, Final

import click

from vo_service.commands.common import CONSOLE, are_suspect, counted, opened, progress_bar
from vo_service.commands.words import WHO, WHY, moment, narrowing, object_id, reason

if TYPE_CHECKING:
    from reduction.listing import Listed
    from reduction.redescribe import RedescribedReport

_STANDINGS: Final = ("rejected", "valid", "proposed")
"""Words for ``is_valid`` 0, 1 and 2."""


@click.command("list", short_help="List raw frames and products, or how people judged them.")
@click.argument("class_name", metavar="[CLASS]", required=False)
@narrowing
@click.option("--proposed", "standing", flag_value="proposed", help="Those with is_valid 2.")
@click.option("--rejected", "standing", flag_value="rejected", help="Those with is_valid 0.")
@click.option("--flagged", is_flag=True, help="Those with quality flags, named.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="So many of the first at most.",
)
@click.pass_context
def list_objects(
    context: click.Context,
    /,
    class_name: str | None,
    standing: str | None,
    *,
    flagged: bool,
    limit: int,
    **words: str | None,
) -> None:
    """List raw frames and products: number, class, what of, how judged and by whom.

    Without --proposed or --rejected these are the raw frames and what the archive answers with
    now. CLASS is such as RawBiasFrame or SourceList; it may be left out with one of the options.
    """
    from reduction.listing import listed, said_of_none

    if class_name is None and standing is None and not flagged:
        message = "expected a CLASS, --proposed, --rejected or --flagged"
        raise click.UsageError(message)
    value = None if standing is None else _STANDINGS.index(standing)
    with opened(context) as archive:
        # one more than are shown tells that there are
        found = listed(
            archive, class_name, is_valid=value, flagged=flagged, limit=limit + 1, **words
        )
        instead = (
            ""
            if found
            else said_of_none(archive, class_name, is_valid=value, flagged=flagged, **words)
        )
    for item in found[:limit]:
        CONSOLE.print(_line(item), markup=False)
    if len(found) > limit:
        CONSOLE.print(f"{limit} objects, and there are more: --limit shows them")
    else:
        said = counted(len(found), "object") + (f": {instead}" if instead else "")
        CONSOLE.print(said, markup=False)


def _line(item: Listed) -> str:
    """One object: number, class, what of, and what was said of it."""
    from reduction.quality import DOUBTED

    row = item.product
    place = (row.instrument, row.chip, row.filter, item.field, str(row.night or ""), item.name)
    standing = "doubted" if row.is_valid == DOUBTED else _STANDINGS[row.is_valid]
    said = [standing] if row.is_valid != 1 or item.who else []
    if item.who:
        said[0] += f" by {item.who}: {item.why}"
    if item.flags:
        said.append(f"flagged {item.flags}")
    words = " ".join(word for word in place if word)
    return f"{row.product_id:7d}  {row.class_name}  {words}" + "".join(f"; {s}" for s in said)


@click.command("set-valid", short_help="Reject an object, declare it valid, or propose it.")
@object_id
@click.argument("standing", type=click.Choice([*_STANDINGS, "0", "1", "2"]), metavar="STANDING")
@WHY
@WHO
@click.pass_context
def set_valid(context: click.Context, object_id: int, standing: str, why: str, who: str) -> None:
    """Say what a raw frame or a product is worth; recorded with who and why.

    STANDING is rejected (0: what was made from it will be remade without it), valid (1), or
    proposed (2: proposed for promotion; of a raw frame: used in spite of its quality flags).
    OBJECT_ID is its number in archive.products. `vo-service list --proposed` lists them.
    """
    value = int(standing) if standing.isdigit() else _STANDINGS.index(standing)
    _set_valid(context, object_id, value, why, who)


def _set_valid(context: click.Context, object_id: int, value: int, why: str, who: str) -> None:
    from reduction.operate import edit

    with opened(context) as archive:
        before = archive.object(object_id).is_valid
        number = edit(archive, object_id, "is_valid", value, why=why, who=who)
    said = f"object {object_id}: is_valid = {value} ({_STANDINGS[value]})"
    if before == value:
        CONSOLE.print(f"{said} already; nothing is recorded")
    else:
        CONSOLE.print(f"{said}; {are_suspect(number)}")


@click.command()
@object_id
@click.option("--undo", is_flag=True, help="Declare it valid again.")
@WHY
@WHO
@click.pass_context
def invalidate(context: click.Context, object_id: int, why: str, who: str, *, undo: bool) -> None:
    """Declare a raw frame or a product bad.

    What was made from it will be remade without it when somebody asks: `set-valid OBJECT_ID
    rejected` in short. OBJECT_ID is its number in archive.products.
    """
    _set_valid(context, object_id, 1 if undo else 0, why, who)


@click.command("set-validity")
@object_id
@click.option(
    "--from",
    "start",
    type=moment,
    metavar="MOMENT",
    help="First moment, UTC: a date, a date and time, or an MJD.",
)
@click.option("--to", "end", type=moment, metavar="MOMENT", help="Last moment, likewise.")
@WHY
@WHO
@click.pass_context
def set_validity(
    context: click.Context,
    object_id: int,
    start: float | None,
    end: float | None,
    why: str,
    who: str,
) -> None:
    """Change for which moments a calibration holds.

    OBJECT_ID is its number in archive.products. Moments are in UTC; a date is its first instant.
    What is not given stays as it is.
    """
    from reduction.operate import edit_validity

    if start is None and end is None:
        message = "nothing to change: expected --from, --to or both"
        raise click.UsageError(message)
    with opened(context) as archive:
        before = archive.object(object_id)
        same = start in {None, before.timestamp_start} and end in {None, before.timestamp_end}
        number = edit_validity(archive, object_id, start, end, why=why, who=who)
    if same:
        CONSOLE.print(f"object {object_id}: validity is that already; nothing is recorded")
    else:
        CONSOLE.print(f"object {object_id}: validity changed; {are_suspect(number)}")


@click.command(short_help="Judge raw frames anew, by what is known of them today.")
@click.option("--all", "every", is_flag=True, help="Also frames that were judged when they came.")
@click.option("--dry-run", is_flag=True, help="Say what would be rejected; change nothing.")
@WHO
@click.pass_context
def judge(context: click.Context, who: str, *, every: bool, dry_run: bool) -> None:
    """Judge raw frames that came before frames were judged, by today's limits.

    Their pixels are measured as those of new frames are. One that fails is rejected, with its
    flags as the reason: what was made from it will be remade without it. Frames whose is_valid
    somebody ever set are left alone: `set-valid OBJECT_ID valid` overrules a judgement for good.
    """
    from reduction.rejudge import frames_to_judge, rejudge

    with opened(context) as archive:
        frames = frames_to_judge(archive, every=every)
        with progress_bar("judging", len(frames)) as done:
            report = rejudge(archive, frames, who=who, change=not dry_run, progress=done)
    verb = "would be rejected" if dry_run else "rejected"
    CONSOLE.print(f"{report.judged} raw frames judged, {len(report.failed)} {verb}")
    for name, said in (*report.failed, *report.unreadable):
        CONSOLE.print(f"  {name}: {said}", markup=False)
    if report.unreadable:
        context.exit(1)


@click.command(short_help="Read raw frames' headers anew, as their cameras' modules do today.")
@click.option("--instrument", default="", help="Frames of this camera alone.")
@click.option("--dry-run", is_flag=True, help="Say what is described otherwise; change nothing.")
@click.option(
    "--why", callback=reason, help="The reason, kept with each change; not needed to look only."
)
@WHO
@click.pass_context
def describe(
    context: click.Context, instrument: str, why: str | None, who: str, *, dry_run: bool
) -> None:
    """Read raw frames' headers anew, after a camera's module was corrected.

    A frame of which the module says something else today (filter, night, exposure time, overscan
    ...) is entered once more, from the same file, and the one of before is rejected: what was made
    from it will be remade. Judgements of people go with it.
    """
    from reduction.redescribe import RedescribedReport, number_of_frames, redescribe

    if why is None and not dry_run:
        message = "missing option '--why': the reason is kept with each change"
        raise click.UsageError(message)
    with opened(context) as archive:
        if instrument and instrument not in archive.registry.instruments:
            known = ", ".join(sorted(archive.registry.instruments))
            message = f"no camera {instrument!r}: expected one of {known}"
            raise click.UsageError(message)
        number, report = number_of_frames(archive, instrument), RedescribedReport()
        try:
            with progress_bar("describing", number) as done:
                redescribe(
                    archive,
                    instrument=instrument,
                    who=who,
                    why=why or "",
                    change=not dry_run,
                    progress=done,
                    report=report,
                )
        finally:  # what was changed is, whatever ended this
            _say_described(report, dry_run=dry_run)
    if report.unreadable:
        context.exit(1)


def _say_described(report: RedescribedReport, *, dry_run: bool) -> None:
    verb = "would be" if dry_run else "are"
    CONSOLE.print(f"{report.looked} raw frames looked at, {len(report.changed)} {verb} others now")
    for name, said in (*report.changed, *report.unreadable):
        CONSOLE.print(f"  {name}: {said}", markup=False)


COMMANDS = (list_objects, set_valid, invalidate, set_validity, judge, describe)
