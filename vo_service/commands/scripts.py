"""Commands about users' scripts: keep one, read it, let it run."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from pathlib import Path

import click

from vo_service.commands.common import CONSOLE, opened
from vo_service.commands.words import WHO, WHY

_SHOWN = 12


@click.group(short_help="Users' own Python that makes targets.")
def script() -> None:
    """Users' own Python that makes targets: keep it, read it, let it run.

    A script declares classes of targets, or functions that take the place of steps. What it makes
    (`make --script`) is for who asked, and names the script's hash; it is not published. Running a
    script is running Python as the service's own user: none runs unless the setting
    reduction.scripts is 'allowed' and an operator has allowed that one.
    """


@script.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@WHY
@WHO
@click.pass_context
def add(context: click.Context, path: Path, why: str, who: str) -> None:
    """Keep the text of a script in the archive, under its hash; it is not run."""
    from reduction.scripts import add_script

    with opened(context) as archive:
        row = add_script(archive, path, why=why, who=who)
    declares = ", ".join(row.declares) or "nothing that can be seen without running it"
    CONSOLE.print(f"{row.sha256}  {row.name}: {declares}", markup=False)


@script.command("list")
@click.pass_context
def names(context: click.Context) -> None:
    """List the scripts that are kept: hash, name, whether they may run, what they declare."""
    from reduction.scripts import scripts_of

    with opened(context) as archive:
        for row in scripts_of(archive):
            leave = "allowed" if row.allowed else "not allowed"
            said = f"{row.sha256[:_SHOWN]}  {row.name}  {leave}  {', '.join(row.declares)}"
            CONSOLE.print(f"{said}  ({row.who}: {row.why})", markup=False)


@script.command()
@click.argument("digits", metavar="HASH")
@click.pass_context
def show(context: click.Context, digits: str) -> None:
    """Print the text of a script. HASH: its first six or more digits, as in recipe_version."""
    from reduction.scripts import find_script

    with opened(context) as archive:
        click.echo(find_script(archive, digits).source, nl=False)


@script.command()
@click.argument("digits", metavar="HASH")
@click.option("--undo", is_flag=True, help="Let it run no longer.")
@WHY
@WHO
@click.pass_context
def allow(context: click.Context, digits: str, why: str, who: str, *, undo: bool) -> None:
    """Let a script run here; read it first (`script show HASH`)."""
    from reduction.scripts import allow_script, find_script

    with opened(context) as archive:
        row = find_script(archive, digits)
        allow_script(archive, row.sha256, why=why, who=who, allowed=not undo)
        setting = archive.settings.reduction.scripts
    leave = "may run no longer" if undo else "may run"
    CONSOLE.print(f"script {row.sha256[:_SHOWN]} ({row.name}) {leave}", markup=False)
    if setting == "off" and not undo:
        CONSOLE.print("no script runs yet: the setting reduction.scripts is 'off'", markup=False)


COMMANDS = (script,)
