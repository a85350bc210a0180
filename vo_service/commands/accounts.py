"""Commands about accounts: who may have jobs under a name."""

from __future__ import annotations

__all__ = ["COMMANDS"]

import click

from vo_service.commands.common import CONSOLE, opened


@click.group(short_help="Names and tokens of those who have jobs of their own.")
def account() -> None:
    """Names and tokens of those who have jobs of their own."""


@account.command()
@click.argument("name")
@click.pass_context
def add(context: click.Context, name: str) -> None:
    """Make an account and print its token, this once: the archive keeps a hash of it alone.

    NAME may be one that there is: it gets a new token, the old one is good for nothing then.
    Clients send the token as password of HTTP Basic with the name, or as Bearer token.
    """
    from vo_service.uws.owners import Accounts  # noqa: PLC0415  # --help stays fast

    with opened(context) as archive:
        CONSOLE.print(Accounts(archive).add(name), markup=False)


COMMANDS = (account,)
