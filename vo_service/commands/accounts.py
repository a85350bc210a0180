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
    from vo_service.uws.owners import Accounts

    with opened(context) as archive:
        CONSOLE.print(Accounts(archive).add(name), markup=False)


@account.command("list")
@click.pass_context
def names(context: click.Context) -> None:
    """Print the names of all accounts, one a line."""
    from vo_service.uws.owners import Accounts

    with opened(context) as archive:
        for name in Accounts(archive).names():
            CONSOLE.print(name, markup=False, highlight=False)


@account.command()
@click.argument("name")
@click.pass_context
def remove(context: click.Context, name: str) -> None:
    """Take the account NAME away: its token is good for nothing from now on.

    Its jobs run on and are destroyed in their time; an account of that name has them again.
    """
    from vo_service.uws.owners import Accounts

    with opened(context) as archive:
        Accounts(archive).remove(name)


COMMANDS = (account,)
