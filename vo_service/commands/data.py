"""Commands that bring data in."""

from __future__ import annotations

__all__ = ["COMMANDS"]

from dataclasses import replace
from pathlib import Path

import click

from vo_service.commands.common import CONSOLE, MESSAGES, counted, home_of, opened, progress_bar
from vo_service.commands.words import night, object_id

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ANY_PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.pass_context
def init(context: click.Context) -> None:
    """Make the archive's folder, database and tables.

    `ingest`, `load-reference`, `serve` and `demo` do this by themselves; run it to see that it
    can be done. Does nothing where it is done already, and brings an older archive to the newest
    form of its tables.
    """
    from vo_service.opening import prepare_database

    home = home_of(context)
    for sentence in prepare_database(home.settings()):
        CONSOLE.print(sentence)
    CONSOLE.print(f"the archive in {home.data} is ready")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_ANY_PATH, metavar="PATH...")
@click.pass_context
def ingest(context: click.Context, paths: tuple[Path, ...]) -> None:
    """Bring raw frames into the archive.

    PATH is a FITS file (.fits, .fits.gz, .fits.fz) or a folder that is searched for such files.
    Files are copied; a file that is in the archive already is left alone. Files that cannot be
    taken are listed with the reason, and so are those that the archive has, but damaged; the
    command then ends with status 1.
    """
    from reduction.ingest import raw_files

    files = list(raw_files(paths))
    with opened(context, new=True) as archive, progress_bar("ingesting", len(files)) as done:
        report = archive.ingest(files, lambda path: done(path.name))
    CONSOLE.print(
        f"{report.ingested} files taken ({report.frames} frames), {report.known} known already, "
        f"{len(report.refused)} refused"
    )
    if not files:
        where = ", ".join(map(str, paths))
        names = "*.fits, *.fits.gz or *.fits.fz"
        said = f"there is no file {names} in {where}, nor in folders below"
        CONSOLE.print(said, markup=False)
    for name, sentence in (*report.refused, *report.damaged, *report.remarks):
        CONSOLE.print(f"  {name}: {sentence}", markup=False)
    if report.refused or report.damaged:
        context.exit(1)


def _columns(
    context: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    """``NAME=COLUMN`` as a dictionary."""
    found: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = (part.strip() for part in text.partition("="))
        if not (ours and equals and theirs):
            message = f"found {text!r}, expected NAME=COLUMN such as V=Vmag"
            raise click.BadParameter(message, context, param)
        found[ours] = theirs
    return found


@click.command("load-reference")
@click.argument("path", type=_FILE)
@click.option("--name", help="Name of the catalogue in the archive; the file's by default.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_columns,
    metavar="NAME=COLUMN",
    help="Which column of the file is name, ra, dec, a band (V) or its errors (e_V). Repeatable.",
)
@click.pass_context
def load_reference(
    context: click.Context, path: Path, name: str | None, columns: dict[str, str]
) -> None:
    """Bring a catalogue of reference stars into the archive.

    All of it, or nothing. PATH is a CSV table, a FITS table or a VOTable (each may be
    gzipped): name, ra, dec (ICRS degrees), and magnitudes by band with their errors (V, e_V,
    ...). Usual names (RAJ2000, Vmag with e_Vmag) and some published forms are understood too;
    --column says what is not.
    """
    from reduction.reference_ingest import catalogues_of

    with opened(context, new=True) as archive:
        word = name or path.name.split(".")[0]
        number = archive.load_references(path, word, columns=columns)
        before = catalogues_of(archive, path)[:-1] if number else ()
    CONSOLE.print(f"{number} stars taken" if number else "this catalogue is known already")
    for other in before:
        said = "was read from the same file with other columns, and is used, too"
        tip = f"`vo-service set-valid {other.product_id} rejected` ends that"
        CONSOLE.print(f"object {other.product_id} {said}: {tip}", markup=False)


@click.command(short_help="Write raw frames of a simulated mosaic camera.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
@click.option("--chips", default=2, show_default=True, help="Number of chips, 1 to 32.")
@click.option("--size", type=int, help="Pixels along each side of a chip; else the camera's own.")
@click.option(
    "--night", "nights", type=night, metavar="YYYY-MM-DD", multiple=True, help="May be repeated."
)
@click.option("--seed", default=20260101, show_default=True, help="Of everything random.")
@click.option("--instrument", default="simulated", show_default=True, help="Name of the camera.")
@click.option(
    "--frames",
    type=click.IntRange(min=0),
    nargs=4,
    metavar="BIAS DOME TWILIGHT SCIENCE",
    help="Frames a night.  [default: 5 5 3 3]",
)
@click.option("--truth/--no-truth", default=True, help="Whether truth.npz holds the chips.")
def simulate(
    out: Path,
    chips: int,
    size: int | None,
    nights: tuple[str, ...],
    seed: int,
    instrument: str,
    frames: tuple[int, int, int, int] | None,
    *,
    truth: bool,
) -> None:
    """Write raw frames of a simulated mosaic camera, with everything about them known.

    The folder gets raw/ with the frames, reference.csv with the stars, and truth.npz. The same
    seed gives the same bytes. How much will be written is said first, and nothing is where the
    disk has no room. Chips of real cameras have one size: `--instrument omegacam --chips 1 --night
    2025-03-01 --frames 3 3 3 2 --no-truth` is a quick try of 200 MB.
    """
    from reduction.simulate import SimulationConfig, simulate
    from reduction.simulation.size import expected_size

    try:
        config = SimulationConfig(
            seed=seed, chips=chips, shape=(size or 0, size or 0), instrument=instrument
        )
        config = replace(config, nights=nights) if nights else config
        if frames is not None:
            bias, dome, twilight, science = frames
            config = replace(
                config, n_bias=bias, n_dome=dome, n_twilight=twilight, n_science=science
            )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    expected = expected_size(config, keep_chips=truth)
    MESSAGES.print(f"writing {expected.files} files, about {expected.megabytes} MB in all")
    done = simulate(out, config=config, keep_chips=truth)
    number = len(list((out / "raw").iterdir()))
    CONSOLE.print(f"{number} files of {len(done.config.chip_names)} chips in {out / 'raw'}")


@click.command(short_help="Look for files that nothing names, or that are damaged.")
@click.option("--remove", is_flag=True, help="Remove product files that nothing names.")
@click.option("--verify", is_flag=True, help="Read all files, and tell which are damaged.")
@click.pass_context
def storage(context: click.Context, *, remove: bool, verify: bool) -> None:
    """Look for files of products that nothing names, and with `--remove` remove them.

    Makings that were overtaken by a change, or killed, leave such, and so do catalogues whose
    reading was; nothing asks for them. Files of the last day are left alone, and raw frames
    always. What a removal that was killed had taken aside is put back.

    With `--verify` each file is read and compared with its checksum, too. Ends with status 1 if
    one is lost or damaged: `vo-service restore` brings it back.
    """
    from reduction.damaged_files import damaged_files
    from reduction.orphans import clear_orphans

    damaged = 0
    with opened(context) as archive:
        found = clear_orphans(archive, remove=remove)
        done = "removed" if remove and found.files else "found"
        CONSOLE.print(f"{found.files} files that nothing names, {found.size} bytes: {done}")
        for damage in damaged_files(archive) if verify else ():
            damaged += 1
            numbers = ", ".join(map(str, damage.object_ids))
            word = "object" if len(damage.object_ids) == 1 else "objects"
            of = f"{damage.class_name} {word} {numbers} " if numbers else ""
            line = f"{of}({damage.name}): {damage.what}; {damage.advice}"
            CONSOLE.print(line, markup=False)
    if verify:
        are = "is" if damaged == 1 else "are"
        CONSOLE.print(f"{counted(damaged, 'file')} {are} lost or damaged")
    if damaged:
        context.exit(1)


class _OfObject(click.Command):
    """A command about one object, whose number is no option where it is negative."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse negative numbers with what would be right."""
        for word in args:
            if word[:1] == "-" and word[1:].isdecimal():
                message = f"{word} is no number of an object: archive.products has them"
                raise click.UsageError(message, ctx)
        return super().parse_args(ctx, args)


@click.command(
    cls=_OfObject, short_help="Bring back the file of an object that was lost or damaged."
)
@object_id
@click.option(
    "--file",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of it; raw frames cannot be restored without.",
)
@click.option("--why", default="", help="The reason, for the record.")
@click.pass_context
def restore(context: click.Context, object_id: int, source: Path | None, why: str) -> None:
    """Bring back the file of an object that was lost or damaged.

    A product is made from its recorded progenitors with its recorded parameters and code, which
    are restored first where their files are damaged, too; it has to come out bit for bit, and
    stays the same object. What was made of a raw frame whose bytes were altered may have been made
    of those: it is doubted, and made again when it is asked for. OBJECT_ID is its number in
    archive.products; `vo-service storage --verify` finds those that need it.
    """
    from reduction.doubtful import doubted
    from reduction.restore import restore as bring_back

    said = {"why": why} if why else {}
    with opened(context) as archive:
        done = bring_back(archive, object_id, source=source, **said)
        with archive.transaction() as session:
            again = doubted(session, object_id) if done else []
    numbers = ", ".join(map(str, done))
    CONSOLE.print(f"restored: {numbers}" if done else "its file is as it was written")
    if again:
        them = ", ".join(map(str, again))
        CONSOLE.print(f"made of it, maybe while it was altered: {them}; made again when asked for")


COMMANDS = (init, ingest, load_reference, simulate, storage, restore)
