"""Commands that run things: the service, its engine, a prompt, the demonstration."""

from __future__ import annotations

__all__ = ["COMMANDS"]

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from vo_service.commands.common import CONSOLE, home_of, opened

if TYPE_CHECKING:
    from schemas.settings import Settings

_PORT = click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the web server; 0 for any free one."
)


@click.command(short_help="Run database, engine and web server until Ctrl-C.")
@_PORT
@click.pass_context
def serve(context: click.Context, port: int | None) -> None:
    """Run database, engine and web server until Ctrl-C or SIGTERM.

    What dies is started again. The base URL is on the line that begins with "serving".
    """
    from vo_service.serve import serve

    def ready(settings: Settings) -> None:
        CONSOLE.print(f"serving {settings.web.url}")

    serve(home_of(context), port=port, when_ready=ready)


@click.command(short_help="End a service that runs on this folder.")
@click.pass_context
def stop(context: click.Context) -> None:
    """End a service that runs on this folder, wherever it was started, and its database."""
    from vo_service.state import StateFile

    home = home_of(context)
    ran = StateFile(home.run).stop()
    if (cluster := home.cluster) is not None:
        ran = cluster.is_running() or ran
        cluster.stop()
    CONSOLE.print("stopped" if ran else "nothing was running")


@click.command(hidden=True)
def engine() -> None:
    """Run the engine that the settings name (`serve` does this)."""
    from reduction.cluster import run_cluster
    from schemas.settings import load_settings

    settings = load_settings().engine
    place = _place(settings.address)
    if place is None:
        message = f"engine.address is {settings.address!r}: expected tcp://HOST:PORT"
        raise click.ClickException(message)
    run_cluster(
        host=place[0],
        port=place[1],
        workers=settings.workers,
        threads=settings.threads_per_worker,
    )


@click.command(short_help="Run one more worker of an engine on this machine.")
@click.argument("address")
@click.option("--threads", default=1, show_default=True, help="Targets made at the same time.")
def worker(address: str, threads: int) -> None:
    """Lend this machine to an engine: run one more of its workers until Ctrl-C.

    ADDRESS is the engine's, such as tcp://10.0.0.1:8786. The worker needs the same settings as the
    service: the database's addresses and the folder of the files.
    """
    from reduction.cluster import run_worker

    if _place(address) is None:
        message = f"found the address {address!r}, expected that of an engine: tcp://HOST:PORT"
        raise click.UsageError(message)
    run_worker(address, threads=threads)


def _place(address: str) -> tuple[str, int] | None:
    """Host and port of an engine's address; None where it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "tcp" or parts.hostname is None or port is None:
        return None
    return parts.hostname, port


@click.command("job-worker", hidden=True)
@click.option("--ready", type=click.Path(path_type=Path), help="File made once it takes jobs.")
def job_worker(ready: Path | None) -> None:
    """Run asynchronous jobs until SIGTERM (`serve` does this)."""
    from reduction.archive import Archive
    from schemas.deferred import import_deferred
    from schemas.settings import load_settings
    from vo_service.logs import configure
    from vo_service.uws.worker import run_worker

    logging.getLogger().handlers.clear()  # of people's commands
    configure()
    archive = Archive(load_settings())
    Archive.use(archive)
    _ = archive.registry
    import_deferred()  # nobody's job waits for it
    run_worker(archive, ready=ready)


@click.command(short_help="Open a Python prompt with the archive's classes.")
@click.option("--execute", "-c", "code", help="Run this Python text and end.")
@click.pass_context
def prompt(context: click.Context, code: str | None) -> None:
    """Open a Python prompt with the archive and all its classes at hand."""
    from vo_service.prompt import open_prompt

    with opened(context) as archive:
        open_prompt(archive, code)


@click.command()
@click.pass_context
def settings(context: click.Context) -> None:
    """Print the settings in force, passwords hidden.

    It is a settings file (TOML) as VO_SETTINGS may name it. What nobody set is in comments.
    """
    from vo_service.settings_text import settings_lines

    for line in settings_lines(home_of(context)):
        CONSOLE.print(line, markup=False)


@click.command()
@_PORT
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the archive.")
@click.option(
    "--raw",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with real raw frames and reference catalogues, to be ingested too.",
)
@click.option("--check", is_flag=True, help="Verify the story, stop everything, exit 0 or 1.")
@click.pass_context
def demo(
    context: click.Context, port: int | None, data: Path | None, raw: Path | None, *, check: bool
) -> None:
    """Tell the whole story on a small archive, then serve it.

    Frames are ingested; a standard client asks; somebody declares a raw frame bad; the client asks
    again, and the archive remakes exactly what that touches before it answers.
    """
    from vo_service.demo import run_demo

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = run_demo(data, context.find_root().obj, raw=raw, port=port, check=check)
    finally:
        signal.signal(signal.SIGTERM, before)
    context.exit(code)


COMMANDS = (demo, serve, engine, job_worker, worker, stop, prompt, settings)
