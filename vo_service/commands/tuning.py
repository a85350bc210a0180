"""Commands about how targets are made: their parameters, and what they look like."""

from __future__ import annotations

__all__ = ["COMMANDS"]

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vo_service.commands.common import CONSOLE, are_suspect, opened
from vo_service.commands.words import WHO, WHY, object_id, parameters, value_of

if TYPE_CHECKING:
    from rich.tree import Tree

    from reduction.pars import Branch, Setting


@click.command(short_help="Show the process parameters of a class and its chain.")
@click.argument("class_name", metavar="CLASS")
@click.option(
    "--instrument",
    help="Whose values; without it those of the field, or for all instruments. Several of a field "
    "are joined by '+'.",
)
@click.option("--chip", help="Name of the chip, for parameters that are constants of it.")
@click.option("--filter", help="Leave out what this filter does not need.")
@click.option("--field", help="A field whose instruments and own parameters count.")
@parameters
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@click.pass_context
def pars(
    context: click.Context,
    /,
    class_name: str,
    settings: dict[str, object],
    *,
    as_json: bool,
    **words: str | None,
) -> None:
    """Show the process parameters of a class and of all it is made from.

    Each with its value and unit, what it means and its range or choices; and, where the value is
    not the class's default, who said so and what held before: the instrument, the settings, an
    operator, the field, --set. CLASS is such as BiasFrame.
    """
    from reduction.pars import Pars

    with opened(context) as archive:
        found = Pars(class_name, parameters=settings, archive=archive, **words)
    if as_json:
        listed = [setting.as_json() for setting in found.settings.values()]
        click.echo(json.dumps(listed, indent=2))
    else:
        CONSOLE.print(_grown(found.tree))


def _grown(branch: Branch) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    through = f" [dim]({', '.join(branch.inputs)})[/dim]" if branch.inputs else ""
    again = " [dim]see above[/dim]" if branch.again else ""
    tree = Tree(f"[bold]{escape(branch.class_name)}[/bold]{through}{again}")
    for setting in branch.settings:
        tree.add(_said(setting))
    for below in branch.branches:
        tree.children.append(_grown(below))
    return tree


def _said(setting: Setting) -> str:
    from rich.markup import escape

    meaning = f"\n[dim]{escape(setting.meaning)}[/dim]" if setting.meaning else ""
    return f"{escape(setting.said)}{meaning}"


_INSTRUMENT = click.option(
    "--instrument",
    required=True,
    help="Whose frames it is for. Several, of classes made of a whole field, are joined by '+'.",
)


@click.command(
    "set-parameter",
    short_help="Set a process parameter of a class for an instrument.",
    context_settings={"ignore_unknown_options": True},  # numbers below 0
)
@click.argument("class_name", metavar="CLASS")
@click.argument("name", metavar="NAME")
@click.argument("value", metavar="VALUE")
@_INSTRUMENT
@WHY
@WHO
@click.pass_context
def set_parameter(
    context: click.Context, /, class_name: str, name: str, value: str, **words: str
) -> None:
    """Set a process parameter of a class for an instrument, until it is set again.

    What it changes is outdated. VALUE is a number, true, false or null, else a text; `vo-service
    pars CLASS` says what there is. `forget-parameter` takes it back.
    """
    from reduction.operate import set_parameter
    from reduction.recipe_edits import operators_say

    with opened(context) as archive:
        before = operators_say(archive, class_name, words["instrument"])
        number = set_parameter(archive, class_name, name, value_of(value), **words)
        same = before == operators_say(archive, class_name, words["instrument"])
    said = "already; nothing is recorded" if same else f": {are_suspect(number)}"
    CONSOLE.print(f"{class_name}.{name} is {value}{' ' if same else ''}{said}", markup=False)


@click.command(
    "forget-parameter", short_help="Take back what was set of a process parameter of a class."
)
@click.argument("class_name", metavar="CLASS")
@click.argument("name", metavar="NAME")
@_INSTRUMENT
@WHY
@WHO
@click.pass_context
def forget_parameter(context: click.Context, /, class_name: str, name: str, **words: str) -> None:
    """Take back what was set of a process parameter of a class for an instrument.

    The settings, the instrument's module and the class say again what it is; the class need not
    know it any longer.
    """
    from reduction.operate import forget_parameter
    from reduction.recipe_edits import operators_say

    with opened(context) as archive:
        before = operators_say(archive, class_name, words["instrument"])
        number = forget_parameter(archive, class_name, name, **words)
    if name in before:
        CONSOLE.print(f"{class_name}.{name} is forgotten: {are_suspect(number)}", markup=False)
        return
    there = f"set are {', '.join(sorted(before))}" if before else "no parameter of it is"
    message = f"nobody set {class_name}.{name} for {words['instrument']}, so that nothing is"
    CONSOLE.print(f"{message} recorded: {there}", markup=False)


@click.command(short_help="Draw a raw frame or a product into a file.")
@object_id
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write: .png, .pdf or .svg; OBJECT_ID.png by default.",
)
@click.pass_context
def inspect(context: click.Context, object_id: int, output: Path | None) -> None:
    """Draw a raw frame or a product: what a person looks at to judge it.

    OBJECT_ID is its number in archive.products. Its class says what is drawn; its flags, its
    attributes and its process parameters stand beside it in words.
    """
    from reduction.inspection import save

    path = output or Path(f"{object_id}.png")
    with opened(context) as archive:
        save(archive.object(object_id).inspect(), path)
    CONSOLE.print(str(path), markup=False)


@click.command(short_help="Make a product once more, to see whether it comes out the same.")
@object_id
@click.pass_context
def remake(context: click.Context, object_id: int) -> None:
    """Make a product once more, to see whether it comes out the same.

    It is made from its recorded progenitors with its recorded parameters and code, a script's
    included, and compared bit for bit; no table changes. OBJECT_ID is its number in
    archive.products. Ends with status 1 if it comes out otherwise.
    """
    from reduction.remake import remake

    with opened(context) as archive:
        found = remake(archive, object_id)
    said = "the same" if found.same else f"another: {found.before[:12]} -> {found.now[:12]}"
    CONSOLE.print(f"object {object_id}: {said}", markup=False)
    if not found.same:
        context.exit(1)


COMMANDS = (pars, set_parameter, forget_parameter, inspect, remake)
