"""The command line: ``vo-service``."""

from __future__ import annotations

__all__ = ["cli", "main"]

import errno
import logging
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from schemas.errors import StorageError, UsageError, VOError
from vo_service.commands import (
    accounts,
    data,
    fields,
    judging,
    making,
    running,
    scripts,
    tuning,
)
from vo_service.commands.common import MESSAGES

#: Status of what Ctrl-C ended, as shells have it.
_INTERRUPTED: Final = 130


class _Group(click.Group):
    """Commands on a data folder: the folder is blamed for its own failures, and for no others.

    Ctrl-C ends them with a sentence, and with the status that shells give it.
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _end("stopped; what was finished before stays", _INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has seen enough
                raise
            from vo_service.home import said_plainly  # noqa: PLC0415  # --help stays fast

            data: Path = ctx.params["data"]
            raise StorageError(said_plainly(error, data.expanduser().absolute())) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="VO_DATA",
    default=Path("data"),
    show_default=True,
    help="Folder of the archive: database, files, logs. VO_DATA says the same.",
)
@click.option("--verbose", "-v", is_flag=True, help="Say more of what is done.")
@click.version_option(package_name="vo-service")
@click.pass_context
def cli(context: click.Context, data: Path, *, verbose: bool) -> None:
    """An astronomical archive that remakes what has gone stale before it answers.

    Begin with `vo-service demo`, or with an archive of your own: `vo-service ingest FOLDER`, then
    `vo-service serve`, and ask it with TOPCAT, Aladin or pyvo.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    context.obj = data


for _command in (
    *data.COMMANDS,
    *fields.COMMANDS,
    *making.COMMANDS,
    *judging.COMMANDS,
    *tuning.COMMANDS,
    *scripts.COMMANDS,
    *running.COMMANDS,
    *accounts.COMMANDS,
):
    cli.add_command(_command)


#: What PostgreSQL says of a column and a table that are not there.
_NOT_THERE: Final = ("42703", "42P01")
_OTHER_FORM: Final = (
    "the database has not the form that this code expects: stop the service, then run "
    "vo-service init"
)


def main() -> None:
    """Run the command line: what goes wrong is said in a sentence, not in a traceback."""
    try:
        cli(prog_name="vo-service")
    except UsageError as error:
        _end(str(error), 2)
    except VOError as error:
        _end(str(error), 1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except Exception as error:
        from sqlalchemy.exc import (  # noqa: PLC0415  # --help stays fast
            OperationalError,
            ProgrammingError,
        )

        if isinstance(error, OperationalError):
            _end(f"the database cannot be reached: {error.orig}".strip(), 1)
        if isinstance(error, ProgrammingError) and getattr(error.orig, "pgcode", "") in _NOT_THERE:
            _end(_OTHER_FORM, 1)
        raise


def _end(sentence: str, code: int) -> NoReturn:
    MESSAGES.print(f"vo-service: {sentence}", style="red", markup=False)
    sys.exit(code)
