"""Commands about fields: parts of the sky whose frames are reduced together."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from typing import Any

import click

from vo_service.commands.common import CONSOLE, are_suspect, opened
from vo_service.commands.words import WHO, WHY, parameters


@click.group(short_help="Parts of the sky reduced as a whole.")
def field() -> None:
    """Fields: parts of the sky whose frames, of all nights and cameras, are reduced together."""


@field.command()
@click.argument("name")
@click.option(
    "--circle",
    type=float,
    nargs=3,
    required=True,
    metavar="RA DEC RADIUS",
    help="Degrees ICRS; the radius is half the side of the grid.",
)
@click.option(
    "--pixel-scale", type=float, default=0.0, help="Of the grid, arcsec; the finest by default."
)
@click.option(
    "--instrument",
    "instruments",
    multiple=True,
    help="Whose frames; may be repeated. By default all that have frames there.",
)
@parameters
@WHY
@WHO
@click.pass_context
def add(
    context: click.Context,
    name: str,
    circle: tuple[float, float, float],
    pixel_scale: float,
    instruments: tuple[str, ...],
    settings: dict[str, Any],
    why: str,
    who: str,
) -> None:
    """Declare a field: its coadds and catalogues can be asked for from now on.

    All frames of its cameras that reach into its circle belong to it, also those to come. What
    --set sets are the field's own process parameters, for ever.
    """
    from reduction.fields import FieldSpec, all_fields, declare_field
    from reduction.pars import split_key

    own: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        class_name, parameter = split_key(key)
        own.setdefault(class_name, {})[parameter] = value
    spec = FieldSpec(name, *circle, pixel_scale, tuple(sorted(instruments)), parameters=own)
    with opened(context) as archive:
        known = any(one.name == name for one in all_fields(archive))
        whole = declare_field(archive, spec, why=why, who=who)
    ny, nx = whole.shape
    again = " (declared already, just so; nothing is recorded)" if known else ""
    CONSOLE.print(
        f"field {name}: {whole.instrument}, grid of {nx} x {ny} pixels of "
        f"{whole.pixel_scale:g} arcsec{again}",
        markup=False,
    )


@field.command()
@click.argument("name")
@WHY
@WHO
@click.pass_context
def close(context: click.Context, name: str, why: str, who: str) -> None:
    """Close a field: what was made of it stays, and is not answered with any longer."""
    from reduction.fields import all_fields, close_field

    with opened(context) as archive:
        shut = any(spec.name == name and not spec.is_open for spec in all_fields(archive))
        number = close_field(archive, name, why=why, who=who)
    if shut:
        CONSOLE.print(f"field {name} is closed already; nothing is recorded")
    else:
        CONSOLE.print(f"field {name} is closed; {are_suspect(number)}")


@field.command("list")
@click.pass_context
def list_fields(context: click.Context) -> None:
    """List the fields."""
    from rich.table import Table

    from reduction.fields import all_fields

    table = Table("field", "ra", "dec", "radius", "pixel", "instruments", "")
    with opened(context) as archive:
        found = all_fields(archive)
    if not found:
        CONSOLE.print("no fields yet: `vo-service field add` declares one")
        return
    for spec in found:
        table.add_row(
            spec.name,
            f"{spec.ra:.5f}",
            f"{spec.dec:+.5f}",
            f"{spec.radius:g}",
            f"{spec.pixel_scale:g}",
            ", ".join(spec.instruments),
            "" if spec.is_open else "closed",
        )
    CONSOLE.print(table)


COMMANDS = (field,)
